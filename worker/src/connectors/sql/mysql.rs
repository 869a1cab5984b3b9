//! MySQL and MariaDB: connecting, and the statements that differ from those of PostgreSQL.

use nvisy_shared::domain::connection::relational::{Dialect, TlsMode};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Error, Executor, MySql, Row as _,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlSslMode},
    query::Query,
};
use uuid::Uuid;

use super::{
    database::Database,
    relay::Relay,
    table::{Column, Table, list, quoted},
};
use crate::connectors::target::{Place, Row};

const DIALECT: Dialect = Dialect::MySql;
/// The server takes 65,535 values in one statement.
const MAX_VALUES: usize = 60_000;

pub(super) async fn connect(database: &Database, relay: &Relay) -> Result<MySqlConnection, Error> {
    let settings = &database.settings;
    let mode = match settings.tls {
        TlsMode::Verify => MySqlSslMode::VerifyIdentity,
        TlsMode::Require => MySqlSslMode::Required,
        TlsMode::Off => MySqlSslMode::Disabled,
    };
    let mut options = MySqlConnectOptions::new()
        .host(settings.host())
        .socket(relay.socket())
        .database(&settings.database)
        .username(database.credentials.user.expose())
        .password(database.credentials.password.expose())
        .ssl_mode(mode)
        .disable_statement_logging();
    if let Some(certificate) = &settings.ca_certificate {
        options = options.ssl_ca_from_pem(certificate.as_bytes().to_vec());
    }
    let mut connection = options.connect().await?;
    // MariaDB's limit; MySQL has one for queries only, by another name.
    let seconds = database.timeout().as_secs();
    let limited = connection.execute(AssertSqlSafe(format!("set session max_statement_time = {seconds}"))).await;
    if limited.is_err() {
        let millis = database.timeout().as_millis();
        connection.execute(AssertSqlSafe(format!("set session max_execution_time = {millis}"))).await?;
    }
    Ok(connection)
}

/// The columns of a table; empty: there is none.
pub(super) async fn columns(connection: &mut MySqlConnection, table: Table<'_>) -> Result<Vec<Column>, Error> {
    let statement = "select cast(c.column_name as char), cast(c.column_type as char), exists (
             select 1 from information_schema.statistics s
             where s.table_schema = c.table_schema and s.table_name = c.table_name and s.non_unique = 0
             group by s.index_name having count(*) = 1 and max(s.column_name = c.column_name) = 1)
         from information_schema.columns c
         where c.table_schema = coalesce(?, database()) and c.table_name = ?";
    let rows = sqlx::query(statement).bind(table.schema).bind(table.name).fetch_all(connection).await?;
    let column = |row: &sqlx::mysql::MySqlRow| {
        Ok(Column { name: row.try_get(0)?, kind: row.try_get(1)?, is_unique: row.try_get::<i64, _>(2)? != 0 })
    };
    rows.iter().map(column).collect()
}

pub(super) async fn write(
    connection: &mut MySqlConnection,
    place: &Place,
    columns: &[&str],
    rows: &[Row],
) -> Result<(), Error> {
    let table = Table::of(&place.into).quoted(DIALECT);
    let all = list(DIALECT, columns.iter().copied());
    let set: Vec<_> = columns.iter().map(|column| quoted(DIALECT, column)).collect();
    let set: Vec<_> = set.iter().map(|column| format!("{column} = values({column})")).collect();
    let values = format!("({})", vec!["?"; columns.len()].join(", "));
    for rows in rows.chunks((MAX_VALUES / columns.len().max(1)).max(1)) {
        let statement = format!(
            "insert into {table} ({all}) values {} on duplicate key update {}",
            vec![values.as_str(); rows.len()].join(", "),
            set.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for row in rows {
            for column in columns {
                query = bind(query, value(place, row, column));
            }
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

fn value(place: &Place, row: &Row, column: &str) -> Value {
    if column == place.id_field {
        return row.id.to_string().into();
    }
    if place.vector_field.as_deref() == Some(column) {
        return row.vector.as_ref().map_or(Value::Null, |vector| json!(vector.as_ref()));
    }
    row.fields.get(column).cloned().unwrap_or_default()
}

fn bind(query: Query<'_, MySql, MySqlArguments>, value: Value) -> Query<'_, MySql, MySqlArguments> {
    match value {
        Value::Null => query.bind(None::<String>),
        Value::Bool(value) => query.bind(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => query.bind(number),
            (None, number) => query.bind(number),
        },
        Value::String(text) => query.bind(text),
        // A column of type JSON takes text.
        value => query.bind(value.to_string()),
    }
}

pub(super) async fn delete(connection: &mut MySqlConnection, place: &Place, ids: &[Uuid]) -> Result<(), Error> {
    let (table, id) = (Table::of(&place.into).quoted(DIALECT), quoted(DIALECT, &place.id_field));
    let statement = format!("delete from {table} where {id} in ({})", vec!["?"; ids.len()].join(", "));
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for id in ids {
        query = query.bind(id.to_string());
    }
    query.execute(connection).await?;
    Ok(())
}

/// Executes statements in order.
pub(super) async fn execute(connection: &mut MySqlConnection, statements: &[String]) -> Result<(), Error> {
    for statement in statements {
        connection.execute(AssertSqlSafe(statement.as_str())).await?;
    }
    Ok(())
}
