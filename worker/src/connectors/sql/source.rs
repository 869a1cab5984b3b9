//! Rows of a table or a query as objects: page by page in the order of a key, or of a cursor and the key.
//!
//! A listing of all rows goes by the key alone, which no change of a row moves. An incremental one goes by the cursor, from the value
//! at which the listing before began, so that rows which changed while they were read are read again. Rows without a cursor are
//! in each of them: nothing says whether they changed but their content.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::stream;
use nvisy_shared::domain::{
    connection::relational::{Dialect, RowStream},
    failure::{Failure, FailureCode},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::{
        CallFailure,
        source::{
            CheckResult, DynListing, FetchedObject, ListRequest, ListedObject, Listing, ObjectFailure, Page, Source,
            Stream,
        },
        target::step,
    },
    database::{Database, Inner, Session},
    mysql_rows, postgres_rows,
    rows::{MAX_ROW_BYTES, Position, RawRow, ReadLimit, TakeRow},
};

/// Rows of a page.
const PAGE_ROWS: usize = 500;
/// Bytes of contents after which a page ends.
const PAGE_BYTES: u64 = 16 << 20;
/// What follows the key in the id of another row that has it.
const AGAIN: &str = " (again)";
/// In place of the key, in the id of rows that have none.
const WITHOUT_KEY: &str = "null";
/// Why a second row of a key is no object.
const TWICE: &str = "another row has the same key, so nothing distinguishes them";

/// The rows of a connection.
pub(super) struct SqlSource(pub(super) Database);

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Checkpoint {
    position: Position,
    /// The largest cursor when the listing began: the next incremental one begins there.
    mark: Option<String>,
    /// Whether all rows are listed.
    complete: bool,
}

fn source_rejected(reason: impl Into<String>) -> CallFailure {
    CallFailure::item(FailureCode::SourceRejected, reason)
}

fn read_stream(dialect: Dialect, stream: &Value) -> Result<RowStream, CallFailure> {
    let read: RowStream = nvisy_shared::domain::connection::read(stream)
        .map_err(|invalid| source_rejected(format!("`stream` of the source cannot be used: {invalid}")))?;
    match read.problems(dialect).first() {
        Some(problem) => Err(source_rejected(format!("`stream` of the source cannot be used: {problem}"))),
        None => Ok(read),
    }
}

/// A missing table or column is the sync's failure, not that of what is written.
fn reading(failure: CallFailure) -> CallFailure {
    match failure {
        CallFailure::Item(failure) => CallFailure::Item(Failure { code: FailureCode::SourceRejected, ..failure }),
        failure => failure,
    }
}

impl Source for SqlSource {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let text = |failure: CallFailure| failure.to_string();
        let mut session = match self.0.connect().await {
            Ok(session) => session,
            Err(failure) => return vec![step("login", Err(text(failure)))],
        };
        let database = &self.0.settings.database;
        let mut steps = vec![step("login", Ok(format!("the database `{database}` accepts the user")))];
        if let Some(stream) = stream {
            let listed = match read_stream(self.0.dialect, stream) {
                Ok(stream) => {
                    let first = Position::Key { after: None, only_without_cursor: false };
                    let limit = ReadLimit { rows: 1, row_bytes: 0 };
                    self.0.rows(&mut session, &stream, (&first, limit), &mut |_| true).await.map_err(reading)
                }
                Err(failure) => Err(failure),
            };
            steps.push(step("list", listed.map(|_| "rows can be read".to_owned()).map_err(text)));
        }
        session.close().await;
        steps
    }

    async fn discover(&self) -> Result<Vec<Stream>, CallFailure> {
        let mut session = self.0.connect().await?;
        let listed = match &mut session.inner {
            Inner::Postgres(connection) => self.0.within(postgres_rows::tables(connection)).await,
            Inner::MySql(connection) => self.0.within(mysql_rows::tables(connection)).await,
        };
        session.close().await;
        let streams = listed?.into_iter().map(|(table, key, cursor_fields)| Stream {
            settings: match key {
                Some(key) => json!({ "table": table, "key": key }),
                None => json!({ "table": table }),
            },
            name: table,
            incremental: !cursor_fields.is_empty(),
            cursor_fields,
        });
        Ok(streams.collect())
    }

    async fn list(&self, request: ListRequest) -> Result<Box<DynListing>, CallFailure> {
        let stream = read_stream(self.0.dialect, &request.stream)?;
        let checkpoint = match request.checkpoint {
            Some(checkpoint) => {
                Some(serde_json::from_value(checkpoint).map_err(|_| source_rejected("the checkpoint cannot be read"))?)
            }
            None => None,
        };
        let from =
            request.cursor.and_then(|cursor| cursor.as_str().map(str::to_owned)).filter(|_| stream.cursor.is_some());
        let max_rows = request.max_objects.map_or(PAGE_ROWS, |wanted| wanted.clamp(1, PAGE_ROWS));
        Ok(Box::new(RowListing {
            database: self.0.clone(),
            stream,
            from,
            checkpoint,
            session: None,
            last_key: None,
            max_bytes: request.max_bytes.unwrap_or(MAX_ROW_BYTES).min(MAX_ROW_BYTES),
            max_rows,
            page_rows: max_rows,
        }))
    }

    async fn fetch(&self, object: &ListedObject) -> Result<FetchedObject, CallFailure> {
        let locator = object.locator.clone().unwrap_or_default();
        let stream = read_stream(self.0.dialect, &locator["stream"])?;
        let key = locator["key"].as_str().unwrap_or_default();
        let mut session = self.0.connect().await?;
        let found = match &mut session.inner {
            Inner::Postgres(connection) => self.0.within(postgres_rows::row(connection, &stream, key)).await,
            Inner::MySql(connection) => self.0.within(mysql_rows::row(connection, &stream, key)).await,
        };
        session.close().await;
        let row = found.map_err(reading)?;
        let row = row.ok_or_else(|| CallFailure::item(FailureCode::SourceMissing, "the row was deleted"))?;
        let now = ObjectForm::of(&stream, MAX_ROW_BYTES).listed(row).map_err(CallFailure::Item)?;
        if now.revision != object.revision {
            return Err(CallFailure::item(FailureCode::SourceChanged, "the row changed while it was read"));
        }
        let content = now.content.unwrap_or_default();
        Ok(FetchedObject { content: Box::pin(stream::iter([Ok(content)])), media_type: now.media_type })
    }

    async fn look_up(&self, stream: &Value, keys: &[String], _: usize) -> Result<Page, CallFailure> {
        let stream = read_stream(self.0.dialect, stream)?;
        let mut session = self.0.connect().await?;
        let mut page = Page::default();
        let mut found = BTreeSet::new();
        let (form, mut bytes) = (ObjectForm::of(&stream, MAX_ROW_BYTES), 0);
        let mut take = |row: RawRow| {
            let key = row.key.clone();
            if !found.insert(key.clone()) {
                page.failures.push(failed(&stream, &format!("{key}{AGAIN}"), TWICE));
                return true;
            }
            match form.listed(row) {
                Ok(mut object) => {
                    bytes += object.bytes.unwrap_or(0);
                    // Jobs read the others one by one.
                    object.content = object.content.filter(|_| bytes <= PAGE_BYTES);
                    page.objects.push(object);
                }
                Err(failure) => page.failures.push(ObjectFailure { failure, ..failed(&stream, &key, "") }),
            }
            true
        };
        let read = match &mut session.inner {
            Inner::Postgres(connection) => {
                self.0.within(postgres_rows::with_keys(connection, &stream, keys, &mut take)).await
            }
            Inner::MySql(connection) => {
                self.0.within(mysql_rows::with_keys(connection, &stream, keys, &mut take)).await
            }
        };
        session.close().await;
        read.map_err(reading)?;
        let missing: BTreeSet<_> = keys.iter().filter(|key| !found.contains(*key)).collect();
        page.deleted = missing.into_iter().map(|key| external_id(&stream, key)).collect();
        Ok(page)
    }

    async fn gone(&self, stream: &Value, external_ids: &[String]) -> Result<Vec<String>, CallFailure> {
        let stream = read_stream(self.0.dialect, stream)?;
        // Rows of another table or query are left out, and so are failures, which are not of one row.
        let label = format!("{}/", label(&stream));
        let is_of_row = |key: &&str| !key.ends_with(AGAIN) && *key != WITHOUT_KEY;
        let keys = external_ids.iter().filter_map(|id| id.strip_prefix(&label).filter(is_of_row));
        let keys: Vec<String> = keys.map(str::to_owned).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.0.connect().await?;
        let found = match &mut session.inner {
            Inner::Postgres(connection) => self.0.within(postgres_rows::present(connection, &stream, &keys)).await,
            Inner::MySql(connection) => self.0.within(mysql_rows::present(connection, &stream, &keys)).await,
        };
        session.close().await;
        let found: BTreeSet<String> = found.map_err(reading)?.into_iter().collect();
        let gone = keys.iter().filter(|key| !found.contains(*key));
        Ok(gone.map(|key| external_id(&stream, key)).collect())
    }
}

impl Database {
    /// Up to `limit` rows from a position on. Returns whether all were taken; otherwise the session is of no further use.
    async fn rows(
        &self,
        session: &mut Session,
        stream: &RowStream,
        from: (&Position, ReadLimit),
        take: TakeRow<'_>,
    ) -> Result<bool, CallFailure> {
        match &mut session.inner {
            Inner::Postgres(connection) => {
                let types = &mut session.key_types;
                self.within(postgres_rows::rows(connection, types, stream, from, take)).await
            }
            Inner::MySql(connection) => self.within(mysql_rows::rows(connection, stream, from, take)).await,
        }
    }

    /// The largest cursor, and the number of rows without a key.
    async fn begin(&self, session: &mut Session, stream: &RowStream) -> Result<(Option<String>, i64), CallFailure> {
        match &mut session.inner {
            Inner::Postgres(connection) => self.within(postgres_rows::begin(connection, stream)).await,
            Inner::MySql(connection) => self.within(mysql_rows::begin(connection, stream)).await,
        }
    }
}

/// A listing, with the connection that its pages share.
struct RowListing {
    database: Database,
    stream: RowStream,
    /// The cursor from which on rows count; `None`: all.
    from: Option<String>,
    checkpoint: Option<Checkpoint>,
    session: Option<Session>,
    /// The last key by now, to find keys that are there twice.
    last_key: Option<String>,
    /// The largest content.
    max_bytes: u64,
    /// Rows of a page, at most.
    max_rows: usize,
    /// Rows that are asked for: fewer while they are large.
    page_rows: usize,
}

impl Listing for RowListing {
    async fn next(&mut self) -> Result<Page, CallFailure> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.database.connect().await?,
        };
        let mut page = Page::default();
        let mut checkpoint = match self.checkpoint.take() {
            Some(checkpoint) => checkpoint,
            None => self.begin(&mut session, &mut page).await?,
        };
        // Of a row in another form than JSON the size is known when it is read.
        let row_bytes = if self.stream.template.is_some() { MAX_ROW_BYTES } else { self.max_bytes };
        let from = (&checkpoint.position, ReadLimit { rows: self.page_rows, row_bytes });
        let form = ObjectForm::of(&self.stream, self.max_bytes);
        let (mut last, mut last_key) = (None, self.last_key.take());
        let (mut taken, mut bytes) = (0, 0);
        let mut take = |row: RawRow| {
            taken += 1;
            last = Some((row.cursor.clone(), row.key.clone()));
            let key = row.key.clone();
            if last_key.as_ref() == Some(&key) {
                // The first one is an object, so this is another one.
                page.failures.push(failed(&self.stream, &format!("{key}{AGAIN}"), TWICE));
                return true;
            }
            match form.listed(row) {
                Ok(object) => {
                    bytes += object.bytes.unwrap_or(0);
                    page.objects.push(object);
                }
                Err(failure) => page.failures.push(ObjectFailure { failure, ..failed(&self.stream, &key, "") }),
            }
            last_key = Some(key);
            bytes < PAGE_BYTES
        };
        let is_end = self.database.rows(&mut session, &self.stream, from, &mut take).await.map_err(reading)?;
        let is_last = is_end && taken < self.page_rows;
        self.last_key = last_key;
        self.page_rows = match (is_end, bytes) {
            (false, _) => taken,
            (true, bytes) if bytes < PAGE_BYTES / 4 => (self.page_rows * 2).min(self.max_rows),
            (true, _) => self.page_rows,
        };
        let next = match (&checkpoint.position, is_last, last) {
            (Position::Key { only_without_cursor, .. }, false, Some((_, key))) => {
                Some(Position::Key { after: Some(key), only_without_cursor: *only_without_cursor })
            }
            (Position::Cursor { from, .. }, false, Some((Some(cursor), key))) => {
                Some(Position::Cursor { from: from.clone(), after: Some((cursor, key)) })
            }
            (Position::Cursor { .. }, _, _) => Some(Position::Key { after: None, only_without_cursor: true }),
            (Position::Key { .. }, _, _) => None,
        };
        match next {
            Some(position) => {
                checkpoint.position = position;
                page.checkpoint = serde_json::to_value(&checkpoint).ok();
                self.checkpoint = Some(checkpoint);
                self.session = is_end.then_some(session);
            }
            None => {
                page.cursor = checkpoint.mark.map(Value::from);
                page.complete = checkpoint.complete;
                session.close().await;
            }
        }
        Ok(page)
    }
}

impl RowListing {
    async fn begin(&self, session: &mut Session, page: &mut Page) -> Result<Checkpoint, CallFailure> {
        let (mark, without_key) = self.database.begin(session, &self.stream).await.map_err(reading)?;
        if without_key > 0 {
            let reason = format!("{without_key} rows have no value in the column `{}`", self.stream.key);
            page.failures.push(failed(&self.stream, WITHOUT_KEY, &reason));
        }
        let position = match &self.from {
            Some(from) => Position::Cursor { from: from.clone(), after: None },
            None => Position::Key { after: None, only_without_cursor: false },
        };
        let mark = mark.or_else(|| self.from.clone());
        Ok(Checkpoint { position, mark, complete: self.from.is_none() })
    }
}

/// The failure of a row.
fn failed(stream: &RowStream, key: &str, reason: &str) -> ObjectFailure {
    ObjectFailure {
        external_id: external_id(stream, key),
        name: format!("{} {key}", label(stream)),
        failure: Failure::new(FailureCode::SourceRejected, reason),
    }
}

/// What identifies table or query within the connection.
fn label(stream: &RowStream) -> String {
    match (&stream.table, &stream.query) {
        (Some(table), _) => table.clone(),
        (None, query) => format!("query-{}", &hash(&[query.as_deref().unwrap_or_default().as_bytes()])[..8]),
    }
}

fn external_id(stream: &RowStream, key: &str) -> String {
    format!("{}/{key}", label(stream))
}

/// What all objects of a stream have in common.
struct ObjectForm<'a> {
    stream: &'a RowStream,
    /// The largest content.
    max_bytes: u64,
    /// What identifies the stream.
    label: String,
    /// The stream, in locators of objects.
    locator: Value,
    /// Another form of the same row is another content.
    hash: String,
}

impl<'a> ObjectForm<'a> {
    fn of(stream: &'a RowStream, max_bytes: u64) -> Self {
        let form = format!("{:?}{:?}", stream.name, stream.template);
        let hash = hash(&[form.as_bytes()])[..8].to_owned();
        Self { stream, max_bytes, label: label(stream), locator: json!(stream), hash }
    }

    /// A row as an object.
    fn listed(&self, row: RawRow) -> Result<ListedObject, Failure> {
        let failure = |reason: &str| Failure::new(FailureCode::SourceRejected, reason);
        let (stream, label) = (self.stream, self.label.as_str());
        let Some(json) = row.json else {
            return Err(self.too_large(&format!("{} bytes", row.bytes)));
        };
        let fields: Map<String, Value> = match (&stream.name, &stream.template) {
            (None, None) => Map::new(),
            _ => serde_json::from_str(&json).map_err(|_| failure("the row cannot be read as JSON"))?,
        };
        let name = stream.name.as_ref().and_then(|column| fields.get(column)).map(as_text);
        let (content, media_type, extension) = match &stream.template {
            Some(template) => {
                let text = render(template, &fields, self.max_bytes).map_err(|reason| failure(&reason))?;
                (text.ok_or_else(|| self.too_large("more bytes in the form of the template"))?, "text/plain", "txt")
            }
            None => (json, "application/json", "json"),
        };
        let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| format!("{label}-{}", row.key));
        let revision = match &row.cursor {
            Some(cursor) => format!("{cursor} {}", self.hash),
            None => hash(&[name.as_bytes(), b"\n", content.as_bytes()]),
        };
        let external_id = format!("{label}/{}", row.key);
        Ok(ListedObject {
            external_id,
            name: format!("{name}.{extension}"),
            revision,
            bytes: Some(content.len() as u64),
            media_type: Some(media_type.to_owned()),
            locator: Some(json!({ "stream": self.locator, "key": row.key })),
            content: Some(Bytes::from(content)),
            ..ListedObject::default()
        })
    }

    fn too_large(&self, found: &str) -> Failure {
        let detail = format!("the row has {found}, and at most {} bytes of one are read", self.max_bytes);
        Failure::new(FailureCode::TooLarge, detail)
    }
}

/// The template with the values of columns in place of `{column}`; `None`: the text has more than `max_bytes` bytes.
fn render(template: &str, fields: &Map<String, Value>, max_bytes: u64) -> Result<Option<String>, String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').ok_or("a `{` of the template has no `}`")?;
        let value =
            fields.get(name).ok_or_else(|| format!("the template names `{name}`, and the row has no such column"))?;
        text.push_str(&as_text(value));
        if text.len() as u64 > max_bytes {
            return Ok(None);
        }
        rest = after;
    }
    text.push_str(rest);
    Ok((text.len() as u64 <= max_bytes).then_some(text))
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The hash of these parts, one behind the other.
fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::{super::rows::from_clause, *};

    fn stream(settings: Value) -> RowStream {
        read_stream(Dialect::PostgreSql, &settings).unwrap()
    }

    fn row(cursor: Option<&str>, json: &Value) -> RawRow {
        let json = json.to_string();
        RawRow { key: "7".to_owned(), cursor: cursor.map(str::to_owned), bytes: json.len() as i64, json: Some(json) }
    }

    #[test]
    fn template_has_the_values_of_columns() {
        let stream =
            stream(json!({ "table": "a", "key": "id", "name": "title", "template": "# {title}\n{n} {none}{list}" }));
        let fields = json!({ "title": "Tide", "n": 7, "none": null, "list": [1], "id": 7 });
        let object = ObjectForm::of(&stream, MAX_ROW_BYTES).listed(row(Some("9"), &fields)).unwrap();
        assert_eq!((object.name.as_str(), object.external_id.as_str()), ("Tide.txt", "a/7"));
        assert_eq!(object.content.unwrap(), "# Tide\n7 [1]");
        let failure =
            ObjectForm::of(&stream, MAX_ROW_BYTES).listed(row(None, &json!({ "title": "Tide" }))).unwrap_err();
        assert!(failure.detail.contains("`n`"), "{failure:?}");
    }

    #[test]
    fn text_of_a_template_ends_at_the_limit() {
        let stream = stream(json!({ "table": "a", "key": "id", "template": "{body}{body}{body}" }));
        let fields = json!({ "body": "x".repeat(100) });
        let listed = |max_bytes| ObjectForm::of(&stream, max_bytes).listed(row(None, &fields));
        assert_eq!(listed(300).unwrap().bytes, Some(300));
        assert_eq!(listed(299).unwrap_err().code, FailureCode::TooLarge);
    }

    #[test]
    fn revision_changes_with_cursor_or_content_and_with_the_template() {
        let plain = stream(json!({ "table": "a", "key": "id" }));
        let templated = stream(json!({ "table": "a", "key": "id", "template": "x" }));
        let revision = |stream: &RowStream, cursor, value: i32| {
            ObjectForm::of(stream, MAX_ROW_BYTES).listed(row(cursor, &json!({ "id": 7, "v": value }))).unwrap().revision
        };
        assert_eq!(revision(&plain, Some("1"), 1), revision(&plain, Some("1"), 2));
        assert_ne!(revision(&plain, Some("1"), 1), revision(&plain, Some("2"), 1));
        assert_ne!(revision(&plain, None, 1), revision(&plain, None, 2));
        assert_ne!(revision(&plain, Some("1"), 1), revision(&templated, Some("1"), 1));
    }

    #[test]
    fn query_stays_within_its_brackets() {
        let stream = stream(json!({ "query": "select 1 as id -- all\n;", "key": "id" }));
        assert_eq!(from_clause(Dialect::MySql, &stream), "(select 1 as id -- all\n\n) as t");
        let rejected = |dialect, settings| read_stream(dialect, &settings).is_err();
        assert!(rejected(Dialect::MySql, json!({ "query": "select 1", "table": "a", "key": "id" })));
        assert!(rejected(Dialect::MySql, json!({ "table": "a" })));
        let listening = json!({ "table": "a", "key": "id", "channel": "changed" });
        assert!(rejected(Dialect::MySql, listening.clone()) && !rejected(Dialect::PostgreSql, listening));
    }
}
