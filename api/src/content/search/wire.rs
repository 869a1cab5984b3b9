//! Request and response of the search operation.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::store::{self, search::Language};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::IntoDeserializer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{filter_schema::FilterSchema, service::SearchCommand, snippet::snippet};
use crate::http::{string_schema::Words, validation::present};

/// A search.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "example")]
pub struct SearchRequest {
    /// A question or words; required unless the mode is `vector` and the request has a vector. `"several words"` in quotes
    /// stand in each passage one after the other, `-word` and `-"several words"` in none, and `prefix*` finds all words that
    /// begin with it.
    #[garde(inner(length(chars, min = 1, max = 10000)))]
    #[schemars(with = "Option<Words<10000>>")]
    pub query: Option<String>,
    /// The language of the query, as an ISO 639-1 code; absent: it is detected, or taken from the passages.
    #[garde(skip)]
    #[serde(default, deserialize_with = "language")]
    #[schemars(with = "QueryLanguage")]
    pub language: Option<QueryLanguage>,
    /// A vector of the embedding space of the collections, instead of the embedding of the query.
    #[garde(skip)]
    #[schemars(length(min = 1))]
    pub vector: Option<Vec<f32>>,
    /// The collections to search, by name or id; absent: all.
    #[garde(inner(length(min = 1, max = 100)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<String>", length(min = 1, max = 100))]
    pub collections: Option<Vec<String>>,
    /// The search mode.
    #[garde(skip)]
    #[serde(default)]
    pub mode: Mode,
    /// A filter of the files: `{"field", "op", "value"}`, or conditions joined by `{"and": [..]}`, `{"or": [..]}` and
    /// `{"not": {..}}`. Fields are `id`, `name`, `mediaType`, `size`, `pageCount`, `createdAt`, `tags` and
    /// `metadata.<key>`; operators `eq`, `ne`, `in`, `nin` and, where values have an order, `gt`, `gte`, `lt`, `lte`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "FilterSchema")]
    pub filter: Option<Value>,
    /// The largest number of hits.
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "default_limit")]
    pub limit: u32,
    /// Whether the response has the `plan` of the search.
    #[garde(skip)]
    #[serde(default)]
    pub explain: bool,
}

impl From<SearchRequest> for SearchCommand {
    fn from(body: SearchRequest) -> Self {
        Self {
            mode: body.mode.into(),
            text: body.query.unwrap_or_default(),
            language: body.language.map(Into::into),
            vector: body.vector,
            collections: body.collections,
            filter: body.filter,
            limit: body.limit.into(),
        }
    }
}

/// A language that is not null. By way of a string: an enumeration that is null or a number is an error of syntax for serde_json.
fn language<'de, D: Deserializer<'de>>(field: D) -> Result<Option<QueryLanguage>, D::Error> {
    let code = String::deserialize(field)?;
    QueryLanguage::deserialize(IntoDeserializer::<D::Error>::into_deserializer(code.as_str())).map(Some)
}

const fn default_limit() -> u32 {
    10
}

fn example() -> Value {
    json!({
        "query": "How often are the turbine blades cleaned?",
        "filter": { "field": "mediaType", "op": "eq", "value": "application/pdf" },
        "limit": 3,
    })
}

/// A language, as an ISO 639-1 code.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "QueryLanguage")]
pub enum QueryLanguage {
    Ar,
    Da,
    De,
    El,
    En,
    Es,
    Fi,
    Fr,
    Hu,
    It,
    Ja,
    Ko,
    Nl,
    No,
    Pt,
    Ro,
    Ru,
    Sv,
    Ta,
    Th,
    Tr,
    Zh,
}

impl From<QueryLanguage> for Language {
    fn from(language: QueryLanguage) -> Self {
        match language {
            QueryLanguage::Ar => Self::Arabic,
            QueryLanguage::Da => Self::Danish,
            QueryLanguage::De => Self::German,
            QueryLanguage::El => Self::Greek,
            QueryLanguage::En => Self::English,
            QueryLanguage::Es => Self::Spanish,
            QueryLanguage::Fi => Self::Finnish,
            QueryLanguage::Fr => Self::French,
            QueryLanguage::Hu => Self::Hungarian,
            QueryLanguage::It => Self::Italian,
            QueryLanguage::Ja => Self::Japanese,
            QueryLanguage::Ko => Self::Korean,
            QueryLanguage::Nl => Self::Dutch,
            QueryLanguage::No => Self::Norwegian,
            QueryLanguage::Pt => Self::Portuguese,
            QueryLanguage::Ro => Self::Romanian,
            QueryLanguage::Ru => Self::Russian,
            QueryLanguage::Sv => Self::Swedish,
            QueryLanguage::Ta => Self::Tamil,
            QueryLanguage::Th => Self::Thai,
            QueryLanguage::Tr => Self::Turkish,
            QueryLanguage::Zh => Self::Chinese,
        }
    }
}

/// The search mode.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Semantic and full-text search, fused by rank.
    #[default]
    Hybrid,
    /// Semantic search.
    Vector,
    /// Full-text search.
    Text,
}

impl From<Mode> for store::search::SearchMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Hybrid => Self::Hybrid,
            Mode::Vector => Self::Vector,
            Mode::Text => Self::Text,
        }
    }
}

impl Mode {
    /// The mode's name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Vector => "vector",
            Self::Text => "text",
        }
    }
}

/// The result of a search.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct SearchResponse {
    /// The hits, best first.
    pub hits: Vec<SearchHit>,
    /// The mode of the search.
    pub mode: Mode,
    /// The duration in milliseconds, including the embedding of the query.
    pub took_ms: u64,
    /// The plan of the search, if requested with `explain`: `exact`, `index` or `lexical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether words of some passages cannot be found yet, because the server is indexing them after an update.
    pub incomplete: bool,
}

/// A passage of a file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Hit")]
pub struct SearchHit {
    /// The file of the passage.
    file: HitFile,
    /// The id of the version that the passage is from.
    version_id: Uuid,
    /// The collection of the passage.
    collection: HitCollection,
    /// The page on which the passage starts; absent for files without pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<i32>,
    /// The first byte of the passage in the file's text (`/files/{file}/text`).
    start: i64,
    /// The position after the last byte of the passage.
    end: i64,
    /// The headings above the passage, outermost first.
    heading_path: Vec<String>,
    /// The part of the passage that matches best.
    snippet: Snippet,
    /// The score that orders the hits; scores of different responses are not comparable.
    score: f64,
    /// The scores of the individual searches.
    scores: Scores,
}

/// The file of a hit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HitFile {
    /// The file's id.
    id: Uuid,
    /// The file's name.
    name: String,
    /// The file's media type.
    media_type: String,
}

/// The collection of a hit.
#[derive(Debug, Serialize, JsonSchema)]
struct HitCollection {
    /// The collection's id.
    id: Uuid,
    /// The collection's name.
    name: String,
}

/// A part of a passage.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Snippet {
    /// The text, as in the file.
    pub text: String,
    /// The byte ranges of the matching words.
    pub highlights: Vec<Highlight>,
}

/// A range of bytes of a snippet.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Highlight {
    /// The first byte.
    pub start: usize,
    /// The position after the last byte.
    pub end: usize,
}

/// The scores of the searches that found a hit.
#[derive(Debug, Serialize, JsonSchema)]
struct Scores {
    /// The cosine similarity of query and passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<f64>,
    /// The score of the matching words (BM25).
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<f64>,
}

impl From<store::search::Hit> for SearchHit {
    fn from(hit: store::search::Hit) -> Self {
        Self {
            file: HitFile { id: hit.file_id.0, name: hit.file_name, media_type: hit.media_type },
            version_id: hit.version_id.0,
            collection: HitCollection { id: hit.collection_id.0, name: hit.collection_name },
            page: hit.page,
            start: hit.start_byte,
            end: hit.end_byte,
            heading_path: hit.heading_path,
            snippet: snippet(&hit.marked_text),
            score: hit.score,
            scores: Scores { vector: hit.vector_score, text: hit.text_score },
        }
    }
}
