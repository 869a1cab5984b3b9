//! What the search operation takes and gives.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{service::SearchCommand, snippet::snippet};

/// What to look for.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "example")]
pub struct SearchRequest {
    /// A question or some words; needed unless the mode is `vector` and there is a vector.
    #[garde(inner(length(chars, min = 1, max = 10000)))]
    #[schemars(length(min = 1, max = 10000))]
    pub query: Option<String>,
    /// A vector of the workspace's embedding space, in place of the query's own.
    #[garde(skip)]
    pub vector: Option<Vec<f32>>,
    /// How to search.
    #[garde(skip)]
    #[serde(default)]
    pub mode: Mode,
    /// Which files to look in: `{"field", "op", "value"}`, or conditions joined by `{"and": [..]}`, `{"or": [..]}` and
    /// `{"not": {..}}`. Fields are `id`, `name`, `mediaType`, `size`, `pageCount`, `createdAt`, `tags` and
    /// `metadata.<key>`; operators `eq`, `ne`, `in`, `nin` and, where values have an order, `gt`, `gte`, `lt`, `lte`.
    #[garde(skip)]
    pub filter: Option<Value>,
    /// Most hits.
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "default_limit")]
    pub limit: u32,
    /// Also say how the answer was found.
    #[garde(skip)]
    #[serde(default)]
    pub explain: bool,
}

impl From<SearchRequest> for SearchCommand {
    fn from(body: SearchRequest) -> Self {
        Self {
            mode: body.mode.into(),
            text: body.query.unwrap_or_default(),
            vector: body.vector,
            filter: body.filter,
            limit: body.limit.into(),
        }
    }
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

/// How to search.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By meaning and by words, fused by rank.
    #[default]
    Hybrid,
    /// By meaning.
    Vector,
    /// By words.
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
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Vector => "vector",
            Self::Text => "text",
        }
    }
}

/// What was found, best first.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct SearchResponse {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How it was searched.
    pub mode: Mode,
    /// Milliseconds, the query's embedding included.
    pub took_ms: u64,
    /// `exact`, `index` or `lexical`; with `explain` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// A passage of a file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// Where it stands.
    file: HitFile,
    /// The version whose text it is a range of.
    version_id: Uuid,
    /// The page it begins on, where the file has pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<i32>,
    /// First byte in the file's text (`/files/{file}/text`).
    start: i64,
    /// One past its last byte.
    end: i64,
    /// The headings above it, outermost first.
    heading_path: Vec<String>,
    /// The part of it that shows best why it was found.
    snippet: Snippet,
    /// What hits are ordered by; compares within one answer only.
    score: f64,
    /// What each leg says.
    scores: Scores,
}

/// The file of a hit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HitFile {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// What it is.
    media_type: String,
}

/// A part of a passage.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Snippet {
    /// The text, as it stands in the file.
    pub text: String,
    /// Where the words that were looked for are.
    pub highlights: Vec<Highlight>,
}

/// A range of bytes of a snippet.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Highlight {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The scores of the legs that found a hit.
#[derive(Debug, Serialize, JsonSchema)]
struct Scores {
    /// Cosine of the angle between query and passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<f64>,
    /// Rank by words.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<f64>,
}

impl From<store::search::Hit> for Hit {
    fn from(hit: store::search::Hit) -> Self {
        Self {
            file: HitFile { id: hit.file_id.0, name: hit.file_name, media_type: hit.media_type },
            version_id: hit.version_id.0,
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
