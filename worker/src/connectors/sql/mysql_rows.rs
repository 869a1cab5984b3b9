//! Reading rows from MySQL and MariaDB. Each page is a transaction that can only read.

use std::fmt::Write;

use nvisy_shared::domain::connection::relational::{Dialect, RowStream};
use sqlx::{
    AssertSqlSafe, Column as _, Error, Executor, MySql, Row as _, TypeInfo,
    mysql::{MySqlArguments, MySqlConnection, MySqlRow},
    query::Query,
};

use super::{
    rows::{Position, RawRow, from_clause},
    table::quoted,
};

const DIALECT: Dialect = Dialect::MySql;

/// Does something in a transaction that can only read. After a failure the connection is not used again.
async fn reading<T>(
    connection: &mut MySqlConnection,
    work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    connection.execute("start transaction read only").await?;
    let done = work(connection).await?;
    connection.execute("rollback").await?;
    Ok(done)
}

/// Tables and views with their unique columns, and the columns that can be cursors.
pub(super) async fn tables(
    connection: &mut MySqlConnection,
) -> Result<Vec<(String, Option<String>, Vec<String>)>, Error> {
    let statement = "select cast(t.table_name as char),
             (select cast(min(k.column_name) as char) from information_schema.key_column_usage k
                 where k.table_schema = t.table_schema and k.table_name = t.table_name and k.constraint_name = 'PRIMARY'
                 having count(*) = 1),
             (select cast(group_concat(c.column_name order by c.ordinal_position separator '\\n') as char)
                 from information_schema.columns c
                 where c.table_schema = t.table_schema and c.table_name = t.table_name
                     and c.data_type in ('timestamp', 'datetime', 'bigint', 'int'))
         from information_schema.tables t where t.table_schema = database() order by 1 limit 1000";
    let rows = reading(connection, async |tx| sqlx::query(statement).fetch_all(tx).await).await?;
    let table = |row: &MySqlRow| {
        let cursors: Option<String> = row.try_get(2)?;
        let cursors = cursors.unwrap_or_default().lines().map(str::to_owned).collect();
        Ok((row.try_get(0)?, row.try_get(1)?, cursors))
    };
    rows.iter().map(table).collect()
}

/// The largest cursor, and the number of rows without a key.
pub(super) async fn begin(
    connection: &mut MySqlConnection,
    stream: &RowStream,
) -> Result<(Option<String>, i64), Error> {
    let (from, key) = (from_clause(DIALECT, stream), quoted(DIALECT, &stream.key));
    let mark = stream.cursor.as_ref().map_or_else(
        || "cast(null as char)".to_owned(),
        |cursor| format!("(select cast(max(t.{}) as char) from {from})", quoted(DIALECT, cursor)),
    );
    let statement = format!("select {mark}, (select count(*) from {from} where t.{key} is null)");
    let row = reading(connection, async |tx| sqlx::query(AssertSqlSafe(statement)).fetch_one(tx).await).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Up to `limit` rows from a position on.
pub(super) async fn rows(
    connection: &mut MySqlConnection,
    stream: &RowStream,
    position: &Position,
    limit: usize,
) -> Result<Vec<RawRow>, Error> {
    let (key, cursor) = (column(Some(&stream.key)), column(stream.cursor.as_ref()));
    let mut conditions = vec![format!("{key} is not null")];
    // Each with the column that it is compared with.
    let mut values: Vec<(Option<&str>, &str)> = Vec::new();
    let (of_key, of_cursor) = (Some(stream.key.as_str()), stream.cursor.as_deref());
    let order = match position {
        Position::Key { after, only_without_cursor } => {
            if *only_without_cursor {
                conditions.push(format!("{cursor} is null"));
            }
            if let Some(after) = after {
                conditions.push(format!("{key} > ?"));
                values.push((of_key, after.as_str()));
            }
            key.clone()
        }
        Position::Cursor { from, after } => {
            conditions.push(format!("{cursor} >= ?"));
            values.push((of_cursor, from.as_str()));
            if let Some((last_cursor, last_key)) = after {
                // The server uses no index for a comparison of rows.
                conditions.push(format!("({cursor} > ? or ({cursor} = ? and {key} > ?))"));
                let (last_cursor, last_key) = (last_cursor.as_str(), last_key.as_str());
                values.extend([(of_cursor, last_cursor), (of_cursor, last_cursor), (of_key, last_key)]);
            }
            format!("{cursor}, {key}")
        }
    };
    let rest = format!("where {} order by {order} limit {limit}", conditions.join(" and "));
    reading(connection, async |tx| select(tx, stream, &rest, &values).await).await
}

/// The row with a key.
pub(super) async fn row(
    connection: &mut MySqlConnection,
    stream: &RowStream,
    key: &str,
) -> Result<Option<RawRow>, Error> {
    let rest = format!("where {} = ? limit 1", column(Some(&stream.key)));
    let rows =
        reading(connection, async |tx| select(tx, stream, &rest, &[(Some(stream.key.as_str()), key)]).await).await?;
    Ok(rows.into_iter().next())
}

/// The rows with these keys.
pub(super) async fn with_keys(
    connection: &mut MySqlConnection,
    stream: &RowStream,
    keys: &[String],
) -> Result<Vec<RawRow>, Error> {
    let key = column(Some(&stream.key));
    let rest = format!("where {key} in ({}) order by {key}", vec!["?"; keys.len()].join(", "));
    let values: Vec<_> = keys.iter().map(|value| (Some(stream.key.as_str()), value.as_str())).collect();
    reading(connection, async |tx| select(tx, stream, &rest, &values).await).await
}

async fn select(
    tx: &mut MySqlConnection,
    stream: &RowStream,
    rest: &str,
    values: &[(Option<&str>, &str)],
) -> Result<Vec<RawRow>, Error> {
    let from = from_clause(DIALECT, stream);
    // The columns of a query are known from a row of it.
    let first = sqlx::query(AssertSqlSafe(format!("select t.* from {from} limit 1"))).fetch_optional(&mut *tx).await?;
    let Some(first) = first else { return Ok(Vec::new()) };
    let (key, cursor) = (column(Some(&stream.key)), column(stream.cursor.as_ref()));
    let json = json_object(&first);
    let statement = format!("select cast({key} as char), cast({cursor} as char), {json} from {from} {rest}");
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for (column, value) in values {
        let is_number = column.is_some_and(|column| is_integer(&first, column));
        query = bind(query, value, is_number);
    }
    let raw = |row: &MySqlRow| Ok(RawRow { key: row.try_get(0)?, cursor: row.try_get(1)?, json: row.try_get(2)? });
    query.fetch_all(tx).await?.iter().map(raw).collect()
}

/// Whether a column has integers.
fn is_integer(row: &MySqlRow, name: &str) -> bool {
    row.columns().iter().any(|column| column.name() == name && column.type_info().name().contains("INT"))
}

/// A number as a number: the server compares a column of numbers with a text as floating-point numbers.
fn bind<'q>(query: Query<'q, MySql, MySqlArguments>, value: &str, is_number: bool) -> Query<'q, MySql, MySqlArguments> {
    match value.parse::<i64>() {
        Ok(number) if is_number => query.bind(number),
        _ => query.bind(value.to_owned()),
    }
}

/// A JSON object of all columns; bytes are Base64.
fn json_object(row: &MySqlRow) -> String {
    let fields = row.columns().iter().map(|column| {
        let name = column.name().bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let value = format!("t.{}", quoted(DIALECT, column.name()));
        let kind = column.type_info().name();
        let is_bytes = kind.contains("BLOB") || kind.contains("BINARY");
        let value = if is_bytes { format!("to_base64({value})") } else { value };
        // Hexadecimal digits mean the same in every mode of the server.
        format!("convert(x'{name}' using utf8mb4), {value}")
    });
    format!("cast(json_object({}) as char)", fields.collect::<Vec<_>>().join(", "))
}

fn column(name: Option<&String>) -> String {
    name.map_or_else(|| "null".to_owned(), |name| format!("t.{}", quoted(DIALECT, name)))
}
