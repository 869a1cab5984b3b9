//! Compares the tables with the entities.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ColumnType, EntityTrait, FromQueryResult, IdenStatic, Iterable, raw_sql};

use super::{Conn, Result, sql};
use crate::entity;

#[derive(Debug, FromQueryResult)]
struct FoundColumn {
    table_name: String,
    column_name: String,
    udt_name: String,
    nullable: bool,
    has_default: bool,
}

/// A table as its entity declares it: columns by name, with type and nullability.
struct ExpectedTable {
    table: &'static str,
    columns: BTreeMap<&'static str, (ColumnType, bool)>,
}

/// The tables of all entities; a test compares the list with the folder.
fn expected_tables() -> Vec<ExpectedTable> {
    vec![
        expected_table::<entity::account::Entity>(),
        expected_table::<entity::activity::Entity>(),
        expected_table::<entity::api_token::Entity>(),
        expected_table::<entity::artifact::Entity>(),
        expected_table::<entity::artifact_part::Entity>(),
        expected_table::<entity::avatar::Entity>(),
        expected_table::<entity::blob::Entity>(),
        expected_table::<entity::chunk::Entity>(),
        expected_table::<entity::chunk_change::Entity>(),
        expected_table::<entity::collection::Entity>(),
        expected_table::<entity::collection_usage::Entity>(),
        expected_table::<entity::connection::Entity>(),
        expected_table::<entity::dead_job::Entity>(),
        expected_table::<entity::embedding::Entity>(),
        expected_table::<entity::embedding_space::Entity>(),
        expected_table::<entity::evaluated_query::Entity>(),
        expected_table::<entity::evaluation::Entity>(),
        expected_table::<entity::event::Entity>(),
        expected_table::<entity::file::Entity>(),
        expected_table::<entity::file_version::Entity>(),
        expected_table::<entity::idempotency::Entity>(),
        expected_table::<entity::installation::Entity>(),
        expected_table::<entity::invite::Entity>(),
        expected_table::<entity::job::Entity>(),
        expected_table::<entity::judged_query::Entity>(),
        expected_table::<entity::judgement::Entity>(),
        expected_table::<entity::mail::Entity>(),
        expected_table::<entity::member::Entity>(),
        expected_table::<entity::pipeline::Entity>(),
        expected_table::<entity::pipeline_version::Entity>(),
        expected_table::<entity::query_sample::Entity>(),
        expected_table::<entity::query_set::Entity>(),
        expected_table::<entity::recovery_code::Entity>(),
        expected_table::<entity::refresh_token::Entity>(),
        expected_table::<entity::run::Entity>(),
        expected_table::<entity::run_item::Entity>(),
        expected_table::<entity::run_item_log::Entity>(),
        expected_table::<entity::second_space::Entity>(),
        expected_table::<entity::session::Entity>(),
        expected_table::<entity::sign_up_permit::Entity>(),
        expected_table::<entity::snapshot::Entity>(),
        expected_table::<entity::target::Entity>(),
        expected_table::<entity::totp::Entity>(),
        expected_table::<entity::workspace::Entity>(),
    ]
}

fn expected_table<E: EntityTrait>() -> ExpectedTable {
    let columns = E::Column::iter().map(|column| {
        let definition = column.def();
        (column.as_str(), (definition.get_column_type().clone(), definition.is_null()))
    });
    ExpectedTable { table: E::default().table_name(), columns: columns.collect() }
}

/// The number of tables that are compared.
#[must_use]
pub fn table_count() -> usize {
    expected_tables().len()
}

/// The differences between tables and entities, one sentence each.
pub async fn differences(conn: &impl Conn) -> Result<Vec<String>> {
    let columns = raw_sql!(
        Postgres,
        "select table_name::text, column_name::text, udt_name::text, is_nullable = 'YES' as nullable,
             is_generated = 'ALWAYS' or column_default is not null as has_default
         from information_schema.columns where table_schema = current_schema()"
    );
    let found: Vec<FoundColumn> = sql::all(conn, columns).await?;
    Ok(expected_tables().iter().flat_map(|table| compare(table, &found)).collect())
}

fn compare(expected: &ExpectedTable, found: &[FoundColumn]) -> Vec<String> {
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
        if !matches_type(kind, &column.udt_name) {
            differences.push(format!("{table}.{name} is {}, not {kind:?}", column.udt_name));
        }
        if column.nullable != *nullable {
            let is = if column.nullable { "nullable, but not" } else { "not nullable, but" };
            differences.push(format!("{table}.{name} is {is} in its entity"));
        }
    }
    for column in found {
        // An insert through the entity works without columns that have a default or may be null, but not without others.
        if !column.has_default && !column.nullable && !expected.columns.contains_key(column.column_name.as_str()) {
            differences
                .push(format!("{table}.{} requires a value, but its entity has no such column", column.column_name));
        }
    }
    differences
}

/// Whether the entity's column type matches this PostgreSQL type.
fn matches_type(kind: &ColumnType, found: &str) -> bool {
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
        ColumnType::Array(element) => found.strip_prefix('_').is_some_and(|found| matches_type(element, found)),
        ColumnType::Vector(_) => found == "vector",
        ColumnType::Custom(name) => name.to_string() == found,
        // No entity uses another type yet.
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
        assert_eq!(table_count(), modules, "add the new entity to `expected_tables` in store/schema.rs");
    }

    #[test]
    fn every_difference_is_reported_as_a_sentence() {
        let column = |name: &str, udt: &str, nullable, has_default| FoundColumn {
            table_name: "blob".to_owned(),
            column_name: name.to_owned(),
            udt_name: udt.to_owned(),
            nullable,
            has_default,
        };
        let columns = BTreeMap::from([
            ("id", (ColumnType::Uuid, false)),
            ("bytes", (ColumnType::BigInteger, false)),
            ("name", (ColumnType::Text, true)),
        ]);
        let expected = ExpectedTable { table: "blob", columns };
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
                "blob.id is nullable, but not in its entity",
                "blob has no column name",
                "blob.x requires a value, but its entity has no such column"
            ]
        );
        assert_eq!(compare(&expected, &[]), ["there is no table blob"]);
    }
}
