//! Whether the tables are what the entities say.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ColumnType, EntityTrait, FromQueryResult, IdenStatic, Iterable};

use super::{Conn, Result, sql};
use crate::entity;

#[derive(Debug, FromQueryResult)]
struct Found {
    table_name: String,
    column_name: String,
    udt_name: String,
    nullable: bool,
    filled: bool,
}

/// A table as its entity says it is: columns by name, with type and whether they may be null.
struct Expected {
    table: &'static str,
    columns: BTreeMap<&'static str, (ColumnType, bool)>,
}

/// Every entity; a test compares the list with the folder.
fn expected() -> Vec<Expected> {
    vec![
        of::<entity::account::Entity>(),
        of::<entity::activity::Entity>(),
        of::<entity::api_token::Entity>(),
        of::<entity::avatar::Entity>(),
        of::<entity::blob::Entity>(),
        of::<entity::chunk::Entity>(),
        of::<entity::dead_job::Entity>(),
        of::<entity::embedding::Entity>(),
        of::<entity::embedding_space::Entity>(),
        of::<entity::event::Entity>(),
        of::<entity::file::Entity>(),
        of::<entity::file_version::Entity>(),
        of::<entity::idempotency::Entity>(),
        of::<entity::installation::Entity>(),
        of::<entity::invite::Entity>(),
        of::<entity::job::Entity>(),
        of::<entity::mail::Entity>(),
        of::<entity::member::Entity>(),
        of::<entity::pipeline::Entity>(),
        of::<entity::pipeline_version::Entity>(),
        of::<entity::recovery_code::Entity>(),
        of::<entity::refresh_token::Entity>(),
        of::<entity::run::Entity>(),
        of::<entity::run_item::Entity>(),
        of::<entity::session::Entity>(),
        of::<entity::sign_up_permit::Entity>(),
        of::<entity::totp::Entity>(),
        of::<entity::workspace::Entity>(),
    ]
}

fn of<E: EntityTrait>() -> Expected {
    let columns = E::Column::iter().map(|column| {
        let definition = column.def();
        (column.as_str(), (definition.get_column_type().clone(), definition.is_null()))
    });
    Expected { table: E::default().table_name(), columns: columns.collect() }
}

/// How many tables are compared.
#[must_use]
pub fn tables() -> usize {
    expected().len()
}

/// Each way in which a table is not what its entity says, as a sentence; empty when all are.
pub async fn differences(conn: &impl Conn) -> Result<Vec<String>> {
    let found: Vec<Found> = sql::all(
        conn,
        "select table_name::text, column_name::text, udt_name::text, is_nullable = 'YES' as nullable,
             is_generated = 'ALWAYS' or column_default is not null as filled
         from information_schema.columns where table_schema = current_schema()",
        [],
    )
    .await?;
    Ok(expected().iter().flat_map(|table| compare(table, &found)).collect())
}

fn compare(expected: &Expected, found: &[Found]) -> Vec<String> {
    let table = expected.table;
    let found: Vec<_> = found.iter().filter(|column| column.table_name == table).collect();
    if found.is_empty() {
        return vec![format!("there is no table {table}")];
    }
    let mut differences = Vec::new();
    for (name, (kind, nullable)) in &expected.columns {
        let Some(column) = found.iter().find(|column| column.column_name == *name) else {
            differences.push(format!("{table} has no column {name}"));
            continue;
        };
        if !holds(kind, &column.udt_name) {
            differences.push(format!("{table}.{name} is {}, not {kind:?}", column.udt_name));
        }
        if column.nullable != *nullable {
            let may = if column.nullable { "may be null, which" } else { "may not be null, which" };
            differences.push(format!("{table}.{name} {may} its entity does not say"));
        }
    }
    for column in found {
        // What PostgreSQL fills in may be left to statements of its own; a row without any other cannot be written.
        if !column.filled && !column.nullable && !expected.columns.contains_key(column.column_name.as_str()) {
            differences.push(format!("{table}.{} must have a value that its entity does not know", column.column_name));
        }
    }
    differences
}

/// Whether a column of this PostgreSQL type is what the entity takes it for.
fn holds(kind: &ColumnType, found: &str) -> bool {
    match kind {
        ColumnType::String(_) | ColumnType::Text | ColumnType::Char(_) => ["text", "varchar"].contains(&found),
        ColumnType::Uuid => found == "uuid",
        ColumnType::SmallInteger => found == "int2",
        ColumnType::Integer => found == "int4",
        ColumnType::BigInteger => found == "int8",
        ColumnType::Float => found == "float4",
        ColumnType::Double => found == "float8",
        ColumnType::Boolean => found == "bool",
        ColumnType::Date => found == "date",
        ColumnType::TimestampWithTimeZone => found == "timestamptz",
        ColumnType::Blob | ColumnType::Binary(_) | ColumnType::VarBinary(_) => found == "bytea",
        ColumnType::Json | ColumnType::JsonBinary => found == "jsonb",
        ColumnType::Array(element) => found.strip_prefix('_').is_some_and(|found| holds(element, found)),
        ColumnType::Vector(_) => found == "vector",
        ColumnType::Custom(name) => name.to_string() == found,
        // A kind nobody has used yet: say how it is told here.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_entity_is_compared() {
        let list = concat!(env!("CARGO_MANIFEST_DIR"), "/src/entity/mod.rs");
        let list = fs::read_to_string(list).unwrap();
        let modules = list.lines().filter(|line| line.starts_with("pub mod ")).count();
        assert_eq!(tables(), modules, "add the new entity to `expected` in store/schema.rs");
    }

    #[test]
    fn every_difference_is_a_sentence() {
        let column = |name: &str, udt: &str, nullable, filled| Found {
            table_name: "blob".to_owned(),
            column_name: name.to_owned(),
            udt_name: udt.to_owned(),
            nullable,
            filled,
        };
        let columns = BTreeMap::from([
            ("id", (ColumnType::Uuid, false)),
            ("bytes", (ColumnType::BigInteger, false)),
            ("name", (ColumnType::Text, true)),
        ]);
        let expected = Expected { table: "blob", columns };
        let right = [
            column("id", "uuid", false, false),
            column("bytes", "int8", false, false),
            column("name", "text", true, false),
            column("sum", "int8", true, true),
        ];
        assert_eq!(compare(&expected, &right), Vec::<String>::new());
        let wrong = [
            column("id", "text", true, false),
            column("bytes", "int8", false, false),
            column("x", "int4", false, false),
        ];
        assert_eq!(
            compare(&expected, &wrong),
            [
                "blob.id is text, not Uuid",
                "blob.id may be null, which its entity does not say",
                "blob has no column name",
                "blob.x must have a value that its entity does not know"
            ]
        );
        assert_eq!(compare(&expected, &[]), ["there is no table blob"]);
    }
}
