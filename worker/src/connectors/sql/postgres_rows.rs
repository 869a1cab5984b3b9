//! Reading rows from PostgreSQL. Each page is a transaction that can only read.

use futures::TryStreamExt;
use nvisy_shared::domain::connection::relational::{Dialect, RowStream};
use sqlx::{
    AssertSqlSafe, Connection, Error, Postgres, Row as _,
    postgres::{PgArguments, PgConnection, PgRow},
    query::Query,
};

use super::{
    rows::{MAX_ROW_BYTES, Position, RawRow, ReadLimit, TakeRow, from_clause},
    table::quoted,
};

const DIALECT: Dialect = Dialect::PostgreSql;

/// Does something in a transaction that can only read.
async fn reading<T>(
    connection: &mut PgConnection,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tx = connection.begin_with("begin read only").await?;
    let done = work(&mut tx).await?;
    tx.rollback().await?;
    Ok(done)
}

/// Tables and views with their unique columns, and the columns that can be cursors.
pub(super) async fn tables(connection: &mut PgConnection) -> Result<Vec<(String, Option<String>, Vec<String>)>, Error> {
    let statement = "select n.nspname || '.' || c.relname,
             (select a.attname::text from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
                 where i.indrelid = c.oid and i.indisunique and i.indnkeyatts = 1 and i.indpred is null
                     and a.attnotnull order by i.indisprimary desc, a.attnum limit 1),
             array(select a.attname::text from pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                     and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'bigint'::regtype, 'integer'::regtype)
                 order by a.attnum)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
             and n.nspname not like 'pg_toast%' and has_table_privilege(c.oid, 'select')
         order by 1 limit 1000";
    let rows = reading(connection, async |tx| sqlx::query(statement).fetch_all(tx).await).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
}

/// The largest cursor, and the number of rows without a key.
pub(super) async fn begin(connection: &mut PgConnection, stream: &RowStream) -> Result<(Option<String>, i64), Error> {
    let (from, key) = (from_clause(DIALECT, stream), quoted(DIALECT, &stream.key));
    let mark = stream.cursor.as_ref().map_or_else(
        || "null::text".to_owned(),
        |cursor| format!("(select max(t.{})::text from {from})", quoted(DIALECT, cursor)),
    );
    let statement = format!("select {mark}, (select count(*) from {from} where t.{key} is null)");
    let row = reading(connection, async |tx| sqlx::query(AssertSqlSafe(statement)).fetch_one(tx).await).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The types of key and cursor, as the server writes them.
pub(super) type KeyTypes = (String, String);

/// Up to `limit` rows from a position on. `known` are the types of the stream, once a page has asked for them. Returns whether all were
/// taken; otherwise the connection has the others still, and is of no further use.
pub(super) async fn rows(
    connection: &mut PgConnection,
    known: &mut Option<KeyTypes>,
    stream: &RowStream,
    (position, limit): (&Position, ReadLimit),
    take: TakeRow<'_>,
) -> Result<bool, Error> {
    let mut tx = connection.begin_with("begin read only").await?;
    if known.is_none() {
        *known = types(&mut tx, stream).await?;
    }
    let Some((key_type, cursor_type)) = known.as_ref() else {
        tx.rollback().await?;
        return Ok(true);
    };
    let (key, cursor) = (column(Some(&stream.key)), column(stream.cursor.as_ref()));
    let mut values: Vec<&str> = Vec::new();
    let mut value = |text, kind: &str| {
        values.push(text);
        format!("cast(${}::text as {kind})", values.len())
    };
    let mut conditions = vec![format!("{key} is not null")];
    let order = match position {
        Position::Key { after, only_without_cursor } => {
            if *only_without_cursor {
                conditions.push(format!("{cursor} is null"));
            }
            if let Some(after) = after {
                conditions.push(format!("{key} > {}", value(after, key_type)));
            }
            key.clone()
        }
        Position::Cursor { from, after } => {
            conditions.push(format!("{cursor} >= {}", value(from, cursor_type)));
            if let Some((last_cursor, last_key)) = after {
                let last = (value(last_cursor, cursor_type), value(last_key, key_type));
                conditions.push(format!("({cursor}, {key}) > ({}, {})", last.0, last.1));
            }
            format!("{cursor}, {key}")
        }
    };
    let rest = format!("where {} order by {order} limit {}", conditions.join(" and "), limit.rows);
    let mut query = sqlx::query(AssertSqlSafe(select(stream, &rest, limit.row_bytes)));
    for value in values {
        query = query.bind(value);
    }
    let is_end = take_rows(&mut tx, query, take).await?;
    if is_end {
        tx.rollback().await?;
    }
    Ok(is_end)
}

/// The row with a key.
pub(super) async fn row(connection: &mut PgConnection, stream: &RowStream, key: &str) -> Result<Option<RawRow>, Error> {
    reading(connection, async |tx| {
        let statement =
            select(stream, &format!("where {}::text = $1 limit 1", column(Some(&stream.key))), MAX_ROW_BYTES);
        sqlx::query(AssertSqlSafe(statement)).bind(key).fetch_optional(tx).await?.as_ref().map(raw).transpose()
    })
    .await
}

/// Takes the rows with these keys, in the order of the keys.
pub(super) async fn with_keys(
    connection: &mut PgConnection,
    stream: &RowStream,
    keys: &[String],
    take: TakeRow<'_>,
) -> Result<(), Error> {
    let mut has_taken = false;
    let mut noting = |row: RawRow| {
        has_taken = true;
        take(row)
    };
    let by_type = of_keys(connection, stream, keys, true, &mut noting).await;
    match by_type {
        // A text that is no value of the column's type is the key of no row; the others are found by their texts.
        Err(Error::Database(error)) if !has_taken && error.code().is_some_and(|code| code.starts_with("22")) => {
            of_keys(connection, stream, keys, false, take).await
        }
        found => found,
    }
}

async fn of_keys(
    connection: &mut PgConnection,
    stream: &RowStream,
    keys: &[String],
    by_type: bool,
    take: TakeRow<'_>,
) -> Result<(), Error> {
    let mut tx = connection.begin_with("begin read only").await?;
    if let Some((key_type, _)) = types(&mut tx, stream).await? {
        let key = column(Some(&stream.key));
        let condition = is_among(&key, by_type.then_some(&key_type));
        let statement = select(stream, &format!("where {condition} order by {key} offset 0"), MAX_ROW_BYTES);
        take_rows(&mut tx, sqlx::query(AssertSqlSafe(statement)).bind(keys), take).await?;
    }
    tx.rollback().await
}

/// Of these keys, those that rows have.
pub(super) async fn present(
    connection: &mut PgConnection,
    stream: &RowStream,
    keys: &[String],
) -> Result<Vec<String>, Error> {
    match present_keys(connection, stream, keys, true).await {
        Err(Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("22")) => {
            present_keys(connection, stream, keys, false).await
        }
        found => found,
    }
}

async fn present_keys(
    connection: &mut PgConnection,
    stream: &RowStream,
    keys: &[String],
    by_type: bool,
) -> Result<Vec<String>, Error> {
    reading(connection, async |tx| {
        let Some((key_type, _)) = types(tx, stream).await? else { return Ok(Vec::new()) };
        let key = column(Some(&stream.key));
        let condition = is_among(&key, by_type.then_some(&key_type));
        let statement = format!("select {key}::text from {} where {condition}", from_clause(DIALECT, stream));
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(keys).fetch_all(tx).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    })
    .await
}

/// The condition that a column has one of the texts of the first value, as values of its type if that is given: its index needs it.
fn is_among(column: &str, key_type: Option<&String>) -> String {
    match key_type {
        Some(key_type) => format!("{column} = any(cast($1::text[] as {key_type}[]))"),
        None => format!("{column}::text = any($1::text[])"),
    }
}

/// A statement for rows. `rest` selects and orders them; its limit or offset keeps the server from making the JSON of a row twice.
fn select(stream: &RowStream, rest: &str, row_bytes: u64) -> String {
    let (key, cursor) = (column(Some(&stream.key)), column(stream.cursor.as_ref()));
    let json = match stream.columns() {
        None => "row_to_json(t)::text".to_owned(),
        Some(columns) if columns.is_empty() => "'{}'::text".to_owned(),
        Some(columns) => {
            let columns: Vec<_> = columns.into_iter().map(|name| format!("t.{}", quoted(DIALECT, name))).collect();
            format!("(select row_to_json(r)::text from (select {}) r)", columns.join(", "))
        }
    };
    format!(
        "select row_key, row_cursor, octet_length(row_json)::bigint,
             case when octet_length(row_json) <= {row_bytes} then row_json end
         from (select {key}::text as row_key, {cursor}::text as row_cursor, {json} as row_json from {} {rest}) p",
        from_clause(DIALECT, stream)
    )
}

/// Takes rows as they arrive. Returns whether all were taken.
async fn take_rows(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
    take: TakeRow<'_>,
) -> Result<bool, Error> {
    let mut rows = query.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        if !take(raw(&row)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn raw(row: &PgRow) -> Result<RawRow, Error> {
    Ok(RawRow { key: row.try_get(0)?, cursor: row.try_get(1)?, bytes: row.try_get(2)?, json: row.try_get(3)? })
}

fn column(name: Option<&String>) -> String {
    name.map_or_else(|| "null".to_owned(), |name| format!("t.{}", quoted(DIALECT, name)))
}

/// The types of a stream; `None`: there are no rows.
async fn types(tx: &mut PgConnection, stream: &RowStream) -> Result<Option<KeyTypes>, Error> {
    let (key, cursor) = (column(Some(&stream.key)), column(stream.cursor.as_ref()));
    let statement = format!(
        "select pg_typeof({key})::text, pg_typeof({cursor})::text from {} limit 1",
        from_clause(DIALECT, stream)
    );
    let row = sqlx::query(AssertSqlSafe(statement)).fetch_optional(tx).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}
