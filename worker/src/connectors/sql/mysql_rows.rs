//! Reading rows from MySQL and MariaDB. Each page is a transaction that can only read.

use std::fmt::Write;

use futures::TryStreamExt;
use nvisy_shared::domain::connection::relational::{Dialect, RowStream};
use sqlx::{
    AssertSqlSafe, Column as _, Error, Executor, MySql, Row as _, SqlSafeStr, Statement as _, TypeInfo,
    mysql::{MySqlArguments, MySqlColumn, MySqlConnection, MySqlRow},
    query::Query,
};

use super::{
    rows::{MAX_ROW_BYTES, Position, RawRow, ReadLimit, TakeRow, from_clause},
    table::quoted,
};

const DIALECT: Dialect = Dialect::MySql;

const BEGIN: &str = "start transaction read only";
const END: &str = "rollback";

/// Does something in a transaction that can only read. After a failure the connection is not used again.
async fn reading<T>(
    connection: &mut MySqlConnection,
    work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    connection.execute(BEGIN).await?;
    let done = work(connection).await?;
    connection.execute(END).await?;
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

/// Up to `limit` rows from a position on. Returns whether all were taken; otherwise the connection has the others still, and is of no
/// further use.
pub(super) async fn rows(
    connection: &mut MySqlConnection,
    stream: &RowStream,
    (position, limit): (&Position, ReadLimit),
    take: TakeRow<'_>,
) -> Result<bool, Error> {
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
    let rest = format!("where {} order by {order} limit {}", conditions.join(" and "), limit.rows);
    connection.execute(BEGIN).await?;
    let is_end = select(connection, stream, (&rest, &values), limit.row_bytes, take).await?;
    if is_end {
        connection.execute(END).await?;
    }
    Ok(is_end)
}

/// The row with a key.
pub(super) async fn row(
    connection: &mut MySqlConnection,
    stream: &RowStream,
    key: &str,
) -> Result<Option<RawRow>, Error> {
    let rest = format!("where {} = ? limit 1", column(Some(&stream.key)));
    let mut found = None;
    let mut keep = |row: RawRow| {
        found = Some(row);
        true
    };
    connection.execute(BEGIN).await?;
    let values = [(Some(stream.key.as_str()), key)];
    select(connection, stream, (&rest, &values), MAX_ROW_BYTES, &mut keep).await?;
    connection.execute(END).await?;
    Ok(found)
}

/// Takes the rows with these keys.
pub(super) async fn with_keys(
    connection: &mut MySqlConnection,
    stream: &RowStream,
    keys: &[String],
    take: TakeRow<'_>,
) -> Result<(), Error> {
    let key = column(Some(&stream.key));
    let rest = format!("where {key} in ({}) order by {key}", vec!["?"; keys.len()].join(", "));
    let values: Vec<_> = keys.iter().map(|value| (Some(stream.key.as_str()), value.as_str())).collect();
    connection.execute(BEGIN).await?;
    select(connection, stream, (&rest, &values), MAX_ROW_BYTES, take).await?;
    connection.execute(END).await?;
    Ok(())
}

/// Of these keys, those that rows have.
pub(super) async fn present(
    connection: &mut MySqlConnection,
    stream: &RowStream,
    keys: &[String],
) -> Result<Vec<String>, Error> {
    reading(connection, async |tx: &mut MySqlConnection| {
        let (from, key) = (from_clause(DIALECT, stream), column(Some(&stream.key)));
        let described = tx.prepare(AssertSqlSafe(format!("select {key} from {from}")).into_sql_str()).await?;
        let is_number = is_integer(described.columns(), &stream.key);
        let places = vec!["?"; keys.len()].join(", ");
        let statement = format!("select cast({key} as char) from {from} where {key} in ({places})");
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for value in keys {
            query = bind(query, value, is_number);
        }
        query.fetch_all(tx).await?.iter().map(|row| row.try_get(0)).collect()
    })
    .await
}

/// Takes rows as they arrive. Returns whether all were taken.
async fn select(
    tx: &mut MySqlConnection,
    stream: &RowStream,
    (rest, values): (&str, &[(Option<&str>, &str)]),
    row_bytes: u64,
    take: TakeRow<'_>,
) -> Result<bool, Error> {
    let from = from_clause(DIALECT, stream);
    // The statement of a query says which columns it has; a row of it may be large.
    let described = tx.prepare(AssertSqlSafe(format!("select t.* from {from}")).into_sql_str()).await?;
    let known = described.columns();
    let (key, cursor) = (column(Some(&stream.key)), column(stream.cursor.as_ref()));
    let wanted: Vec<&str> = match stream.columns() {
        Some(columns) => columns.into_iter().collect(),
        None => known.iter().map(|column| column.name()).collect(),
    };
    let size = size(known, &wanted);
    // The server makes null of a value that is too large for a packet.
    let statement = format!(
        "select cast({key} as char), cast({cursor} as char), {size},
             case when {size} <= least({row_bytes}, @@max_allowed_packet) then {} end
         from {from} {rest}",
        json_object(known, &wanted)
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for (column, value) in values {
        let is_number = column.is_some_and(|column| is_integer(known, column));
        query = bind(query, value, is_number);
    }
    let mut rows = query.fetch(tx);
    while let Some(row) = rows.try_next().await? {
        let raw =
            RawRow { key: row.try_get(0)?, cursor: row.try_get(1)?, bytes: row.try_get(2)?, json: row.try_get(3)? };
        if !take(raw) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a column has integers.
fn is_integer(columns: &[MySqlColumn], name: &str) -> bool {
    columns.iter().any(|column| column.name() == name && column.type_info().name().contains("INT"))
}

/// A number as a number: the server compares a column of numbers with a text as floating-point numbers.
fn bind<'q>(query: Query<'q, MySql, MySqlArguments>, value: &str, is_number: bool) -> Query<'q, MySql, MySqlArguments> {
    match value.parse::<i64>() {
        Ok(number) if is_number => query.bind(number),
        _ => query.bind(value.to_owned()),
    }
}

/// Whether a column has bytes, which become Base64.
fn has_bytes(columns: &[MySqlColumn], name: &str) -> bool {
    let of_bytes = |kind: &str| kind.contains("BLOB") || kind.contains("BINARY");
    columns.iter().any(|column| column.name() == name && of_bytes(column.type_info().name()))
}

/// The size of a JSON object of these columns, without what is added to their values.
fn size(columns: &[MySqlColumn], wanted: &[&str]) -> String {
    let sizes = wanted.iter().map(|name| {
        let length = format!("coalesce(octet_length(t.{}), 0)", quoted(DIALECT, name));
        if has_bytes(columns, name) { format!(" + {length} * 4 div 3") } else { format!(" + {length}") }
    });
    format!("cast(0{} as signed)", sizes.collect::<String>())
}

/// A JSON object of these columns.
fn json_object(columns: &[MySqlColumn], wanted: &[&str]) -> String {
    let fields = wanted.iter().map(|name| {
        let digits = name.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let value = format!("t.{}", quoted(DIALECT, name));
        let value = if has_bytes(columns, name) { format!("to_base64({value})") } else { value };
        // Hexadecimal digits mean the same in every mode of the server.
        format!("convert(x'{digits}' using utf8mb4), {value}")
    });
    format!("cast(json_object({}) as char)", fields.collect::<Vec<_>>().join(", "))
}

fn column(name: Option<&String>) -> String {
    name.map_or_else(|| "null".to_owned(), |name| format!("t.{}", quoted(DIALECT, name)))
}
