//! Requests and responses of the operations on query sets.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{entity, id::FileId, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    import::ImportTexts,
    service::{HitJudgement, QueryWithJudgements},
};
use crate::http::{
    string_schema::{Text, Words},
    validation::{present, text},
};

/// The path of a query set.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct QuerySetPath {
    /// The query set's id.
    pub set: Uuid,
}

/// A query set to create.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateQuerySet {
    /// The name, unique in the workspace.
    #[garde(custom(text(1, 200)))]
    #[schemars(with = "Text<1, 200>")]
    pub name: String,
}

fn create_example() -> Value {
    json!({ "name": "Questions of the operators" })
}

/// Queries and judgements to add to a set. A larger set is imported in several requests.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "import_example")]
pub struct ImportQueries {
    /// Lines of JSON, a query each: `{"query": "..", "id": "..", "judgements": [{"file": "..", "grade": 2}]}`. A judgement has
    /// `file` or `externalId`, a `grade` from 0 (not relevant) to 3, and may have a byte range, `start` and `end`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    jsonl: Option<String>,
    /// Topics of TREC: elements `<top>` with `<num>` and `<title>`, or lines of an id, a tab and a query.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    topics: Option<String>,
    /// Judgements of TREC: lines of a topic, an iteration, a document and a grade. The document is the external id of a file,
    /// or its id; the topics are those of the set.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    qrels: Option<String>,
}

impl ImportQueries {
    pub fn texts(&self) -> ImportTexts<'_> {
        ImportTexts {
            jsonl: self.jsonl.as_deref().unwrap_or_default(),
            topics: self.topics.as_deref().unwrap_or_default(),
            qrels: self.qrels.as_deref().unwrap_or_default(),
        }
    }
}

fn import_example() -> Value {
    json!({
        "topics": "<top>\n<num> 7\n<title> How often are the turbine blades cleaned?\n</top>\n",
        "qrels": "7 0 drive/manual.pdf 3\n7 0 drive/photos.pdf 0\n",
    })
}

/// A judgement of a hit of a query.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "judge_example")]
pub struct JudgeHit {
    /// The query, which is added if the set has none of this text.
    #[garde(length(chars, min = 1, max = 10000), custom(not_blank))]
    #[schemars(with = "Words<10000>")]
    query: String,
    /// The file of the hit.
    #[garde(skip)]
    file: Uuid,
    /// The first byte of a passage in the text of the file; absent: the whole file is judged.
    #[garde(inner(range(min = 0)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "i64", range(min = 0))]
    start: Option<i64>,
    /// The position after the last byte of the passage, with `start`.
    #[garde(custom(end_of_range(self.start)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "i64", range(min = 1))]
    end: Option<i64>,
    /// How relevant it is, from 0 (not at all) to 3; absent: the judgement is withdrawn.
    #[garde(inner(range(min = 0, max = 3)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "i16", range(min = 0, max = 3))]
    grade: Option<i16>,
}

fn not_blank(query: &str, (): &()) -> garde::Result {
    if query.trim().is_empty() { Err(garde::Error::new("must not be empty")) } else { Ok(()) }
}

/// Rule of `end`: it comes with `start`, and after it.
fn end_of_range(start: Option<i64>) -> impl FnOnce(&Option<i64>, &()) -> garde::Result {
    move |end, ()| match (start, end) {
        (None, None) => Ok(()),
        (Some(start), Some(end)) if start < *end => Ok(()),
        _ => Err(garde::Error::new("must be after `start`")),
    }
}

impl From<JudgeHit> for HitJudgement {
    fn from(body: JudgeHit) -> Self {
        let JudgeHit { query, file, start, end, grade } = body;
        Self { query: query.trim().to_owned(), file: FileId(file), range: start.zip(end), grade }
    }
}

fn judge_example() -> Value {
    json!({ "query": "How often are the turbine blades cleaned?", "file": Uuid::nil(), "grade": 3 })
}

/// A set of judged queries.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct QuerySet {
    /// The set's id.
    pub id: Uuid,
    /// The name.
    pub name: String,
    /// Raised by every change of its queries and judgements.
    pub revision: i32,
    /// The number of queries.
    pub queries: i32,
    /// The number of judgements.
    pub judgements: i32,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl From<entity::query_set::Model> for QuerySet {
    fn from(row: entity::query_set::Model) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            revision: row.revision,
            queries: row.queries,
            judgements: row.judgements,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A query of a set.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct JudgedQuery {
    /// The query's id.
    pub id: Uuid,
    /// The id that an import gave it, such as the number of a topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The text.
    pub query: String,
    /// The first hundred judgements, the highest grades first.
    pub judgements: Vec<Judgement>,
    /// The number of judgements.
    pub judgement_count: i64,
}

/// How relevant a file is for a query.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Uuid>,
    /// The external id of a file, which need not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The first byte of the passage; absent: the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// The position after its last byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
    /// From 0 (not relevant) to 3.
    pub grade: i16,
}

impl From<store::query_set::Judgement> for Judgement {
    fn from(row: store::query_set::Judgement) -> Self {
        Self {
            file: row.file_id.map(Into::into),
            external_id: row.external_id,
            start: row.start_byte,
            end: row.end_byte,
            grade: row.grade,
        }
    }
}

impl From<QueryWithJudgements> for JudgedQuery {
    fn from((query, judgements): QueryWithJudgements) -> Self {
        Self {
            id: query.id.into(),
            external_id: query.external_id,
            query: query.text,
            judgement_count: judgements.first().map_or(0, |judgement| judgement.total),
            judgements: judgements.into_iter().map(Into::into).collect(),
        }
    }
}
