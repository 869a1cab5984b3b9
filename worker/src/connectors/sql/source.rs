//! Rows of a table or a query as objects: page by page in the order of a key, or of a cursor and the key.
//!
//! A listing of all rows goes by the key alone, which no change of a row moves. An incremental one goes by the cursor, from the value
//! at which the listing before began, so that rows which changed while they were read are read again. Rows without a cursor are
//! in each of them: nothing says whether they changed but their content.

use std::{collections::BTreeSet, fmt::Write};

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
    rows::{Position, RawRow},
};

/// Rows of a page.
const PAGE_ROWS: usize = 500;
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
                    self.0.rows(&mut session, &stream, &first, 1).await.map_err(reading)
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
        let database = self.0.clone();
        Ok(Box::new(RowListing { database, stream, from, checkpoint, session: None, last_key: None }))
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
        let now = ObjectForm::of(&stream).listed(row).map_err(CallFailure::Item)?;
        if now.revision != object.revision {
            return Err(CallFailure::item(FailureCode::SourceChanged, "the row changed while it was read"));
        }
        let content = now.content.unwrap_or_default();
        Ok(FetchedObject { content: Box::pin(stream::iter([Ok(content)])), media_type: now.media_type })
    }

    async fn look_up(&self, stream: &Value, keys: &[String]) -> Result<Page, CallFailure> {
        let stream = read_stream(self.0.dialect, stream)?;
        let mut session = self.0.connect().await?;
        let found = match &mut session.inner {
            Inner::Postgres(connection) => self.0.within(postgres_rows::with_keys(connection, &stream, keys)).await,
            Inner::MySql(connection) => self.0.within(mysql_rows::with_keys(connection, &stream, keys)).await,
        };
        session.close().await;
        let rows = found.map_err(reading)?;
        let mut page = Page::default();
        let mut missing: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let mut known = BTreeSet::new();
        let form = ObjectForm::of(&stream);
        for row in &rows {
            missing.remove(row.key.as_str());
        }
        page.deleted = missing.into_iter().map(|key| external_id(&stream, key)).collect();
        for row in rows {
            let key = row.key.clone();
            if !known.insert(key.clone()) {
                page.failures.push(failed(&stream, &format!("{key} (again)"), TWICE));
                continue;
            }
            match form.listed(row) {
                Ok(object) => page.objects.push(object),
                Err(failure) => page.failures.push(ObjectFailure { failure, ..failed(&stream, &key, "") }),
            }
        }
        Ok(page)
    }
}

impl Database {
    /// Up to `limit` rows from a position on.
    async fn rows(
        &self,
        session: &mut Session,
        stream: &RowStream,
        position: &Position,
        limit: usize,
    ) -> Result<Vec<RawRow>, CallFailure> {
        match &mut session.inner {
            Inner::Postgres(connection) => {
                let types = &mut session.key_types;
                self.within(postgres_rows::rows(connection, types, stream, position, limit)).await
            }
            Inner::MySql(connection) => self.within(mysql_rows::rows(connection, stream, position, limit)).await,
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
        let rows = self.database.rows(&mut session, &self.stream, &checkpoint.position, PAGE_ROWS).await;
        let rows = rows.map_err(reading)?;
        let is_last = rows.len() < PAGE_ROWS;
        let last = rows.last().map(|row| (row.cursor.clone(), row.key.clone()));
        let form = ObjectForm::of(&self.stream);
        for row in rows {
            let key = row.key.clone();
            if self.last_key.as_ref() == Some(&key) {
                // The first one is an object, so this is another one.
                let again = format!("{key} (again)");
                page.failures.push(failed(&self.stream, &again, TWICE));
                continue;
            }
            match form.listed(row) {
                Ok(object) => page.objects.push(object),
                Err(failure) => page.failures.push(ObjectFailure { failure, ..failed(&self.stream, &key, "") }),
            }
            self.last_key = Some(key);
        }
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
                self.session = Some(session);
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
            page.failures.push(failed(&self.stream, "null", &reason));
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
        (None, query) => format!("query-{}", &hash(query.as_deref().unwrap_or_default().as_bytes())[..8]),
    }
}

fn external_id(stream: &RowStream, key: &str) -> String {
    format!("{}/{key}", label(stream))
}

/// A row as an object.
/// What all objects of a stream have in common.
struct ObjectForm<'a> {
    stream: &'a RowStream,
    /// The stream, in locators of objects.
    locator: Value,
    /// Another form of the same row is another content.
    hash: String,
}

impl<'a> ObjectForm<'a> {
    fn of(stream: &'a RowStream) -> Self {
        let form = format!("{:?}{:?}", stream.name, stream.template);
        Self { stream, locator: json!(stream), hash: hash(form.as_bytes())[..8].to_owned() }
    }

    fn listed(&self, row: RawRow) -> Result<ListedObject, Failure> {
        let failure = |reason: &str| Failure::new(FailureCode::SourceRejected, reason);
        let stream = self.stream;
        let fields: Map<String, Value> = match (&stream.name, &stream.template) {
            (None, None) => Map::new(),
            _ => serde_json::from_str(&row.json).map_err(|_| failure("the row cannot be read as JSON"))?,
        };
        let name = stream.name.as_ref().and_then(|column| fields.get(column)).map(as_text);
        let (content, media_type, extension) = match &stream.template {
            Some(template) => (render(template, &fields).map_err(|reason| failure(&reason))?, "text/plain", "txt"),
            None => (row.json, "application/json", "json"),
        };
        let name =
            name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| format!("{}-{}", label(stream), row.key));
        let revision = match &row.cursor {
            Some(cursor) => format!("{cursor} {}", self.hash),
            None => hash(format!("{name}\n{content}").as_bytes()),
        };
        Ok(ListedObject {
            external_id: external_id(stream, &row.key),
            name: format!("{name}.{extension}"),
            revision,
            bytes: Some(content.len() as u64),
            media_type: Some(media_type.to_owned()),
            locator: Some(json!({ "stream": self.locator, "key": row.key })),
            content: Some(Bytes::from(content)),
            ..ListedObject::default()
        })
    }
}

/// The template with the values of columns in place of `{column}`.
fn render(template: &str, fields: &Map<String, Value>) -> Result<String, String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').ok_or("a `{` of the template has no `}`")?;
        let value =
            fields.get(name).ok_or_else(|| format!("the template names `{name}`, and the row has no such column"))?;
        text.push_str(&as_text(value));
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{super::rows::from_clause, *};

    fn stream(settings: Value) -> RowStream {
        read_stream(Dialect::PostgreSql, &settings).unwrap()
    }

    fn row(cursor: Option<&str>, json: &Value) -> RawRow {
        RawRow { key: "7".to_owned(), cursor: cursor.map(str::to_owned), json: json.to_string() }
    }

    #[test]
    fn template_has_the_values_of_columns() {
        let stream =
            stream(json!({ "table": "a", "key": "id", "name": "title", "template": "# {title}\n{n} {none}{list}" }));
        let fields = json!({ "title": "Tide", "n": 7, "none": null, "list": [1], "id": 7 });
        let object = ObjectForm::of(&stream).listed(row(Some("9"), &fields)).unwrap();
        assert_eq!((object.name.as_str(), object.external_id.as_str()), ("Tide.txt", "a/7"));
        assert_eq!(object.content.unwrap(), "# Tide\n7 [1]");
        let failure = ObjectForm::of(&stream).listed(row(None, &json!({ "title": "Tide" }))).unwrap_err();
        assert!(failure.detail.contains("`n`"), "{failure:?}");
    }

    #[test]
    fn revision_changes_with_cursor_or_content_and_with_the_template() {
        let plain = stream(json!({ "table": "a", "key": "id" }));
        let templated = stream(json!({ "table": "a", "key": "id", "template": "x" }));
        let revision = |stream: &RowStream, cursor, value: i32| {
            ObjectForm::of(stream).listed(row(cursor, &json!({ "id": 7, "v": value }))).unwrap().revision
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
