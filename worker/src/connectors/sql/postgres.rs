//! PostgreSQL: connecting, and the statements that differ from those of MySQL.

use nvisy_shared::domain::connection::relational::{Dialect, TlsMode};
use serde_json::{Map, Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Error, Executor, Row as _,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};
use uuid::Uuid;

use super::{
    database::Database,
    relay::Relay,
    table::{Column, Table, list, quoted},
};
use crate::connectors::target::{Place, Row};

const DIALECT: Dialect = Dialect::PostgreSql;

/// How a connection is opened through a relay.
pub(super) fn options(database: &Database, relay: &Relay) -> PgConnectOptions {
    let settings = &database.settings;
    let mode = match settings.tls {
        TlsMode::Verify => PgSslMode::VerifyFull,
        TlsMode::Require => PgSslMode::Require,
        TlsMode::Off => PgSslMode::Disable,
    };
    // The port is a part of the socket's name.
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(settings.host())
        .port(5432)
        .socket(relay.directory())
        .database(&settings.database)
        .username(database.credentials.user.expose())
        .password(database.credentials.password.expose())
        .application_name("nvisy")
        .ssl_mode(mode)
        .disable_statement_logging();
    if let Some(certificate) = &settings.ca_certificate {
        options = options.ssl_root_cert_from_pem(certificate.as_bytes().to_vec());
    }
    options
}

pub(super) async fn connect(database: &Database, relay: &Relay) -> Result<PgConnection, Error> {
    let mut connection = options(database, relay).connect().await?;
    let millis = database.timeout().as_millis();
    connection.execute(AssertSqlSafe(format!("set statement_timeout = {millis}"))).await?;
    Ok(connection)
}

/// The columns of a table; empty: there is none.
pub(super) async fn columns(connection: &mut PgConnection, table: Table<'_>) -> Result<Vec<Column>, Error> {
    let statement = "select a.attname::text, format_type(a.atttypid, a.atttypmod),
             exists (select from pg_index i where i.indrelid = a.attrelid and i.indisunique and i.indnkeyatts = 1
                 and i.indkey[0] = a.attnum and i.indpred is null)
         from pg_attribute a
         where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped";
    let rows = sqlx::query(statement).bind(table.quoted(DIALECT)).fetch_all(connection).await?;
    let column = |row: &sqlx::postgres::PgRow| {
        Ok(Column { name: row.try_get(0)?, kind: row.try_get(1)?, is_unique: row.try_get(2)? })
    };
    rows.iter().map(column).collect()
}

/// Writes rows as one JSON text: the server makes the values of each column's type from it.
pub(super) async fn write(
    connection: &mut PgConnection,
    place: &Place,
    columns: &[&str],
    rows: &[Row],
) -> Result<(), Error> {
    let table = Table::of(&place.into).quoted(DIALECT);
    let (id, all) = (quoted(DIALECT, &place.id_field), list(DIALECT, columns.iter().copied()));
    let others = columns.iter().filter(|column| **column != place.id_field).map(|column| quoted(DIALECT, column));
    let set: Vec<_> = others.map(|column| format!("{column} = excluded.{column}")).collect();
    let action = if set.is_empty() { "nothing".to_owned() } else { format!("update set {}", set.join(", ")) };
    let statement = format!(
        "insert into {table} ({all}) select {all} from jsonb_populate_recordset(null::{table}, $1::text::jsonb)
         on conflict ({id}) do {action}"
    );
    let rows: Vec<Value> = rows.iter().map(|row| record(place, row)).collect();
    sqlx::query(AssertSqlSafe(statement)).bind(json!(rows).to_string()).execute(connection).await?;
    Ok(())
}

fn record(place: &Place, row: &Row) -> Value {
    let mut record: Map<String, Value> = row.fields.clone();
    record.insert(place.id_field.clone(), json!(row.id));
    if let (Some(field), Some(vector)) = (&place.vector_field, &row.vector) {
        record.insert(field.clone(), json!(vector.as_ref()));
    }
    Value::Object(record)
}

pub(super) async fn delete(connection: &mut PgConnection, place: &Place, ids: &[Uuid]) -> Result<(), Error> {
    let (table, id) = (Table::of(&place.into).quoted(DIALECT), quoted(DIALECT, &place.id_field));
    let statement = format!(
        "delete from {table} where {id} in (select {id} from jsonb_populate_recordset(null::{table}, $1::text::jsonb))"
    );
    let rows: Vec<Value> = ids.iter().map(|id| json!({ place.id_field.as_str(): id })).collect();
    sqlx::query(AssertSqlSafe(statement)).bind(json!(rows).to_string()).execute(connection).await?;
    Ok(())
}

/// Executes statements in order.
pub(super) async fn execute(connection: &mut PgConnection, statements: &[String]) -> Result<(), Error> {
    for statement in statements {
        connection.execute(AssertSqlSafe(statement.as_str())).await?;
    }
    Ok(())
}
