//! Request of a search.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::{
    id::FileId,
    store::search::{Accents, SearchMode},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    controls::{
        BoostOption, ExpandOption, GroupBy, MAX_BOOSTS, RecencyOption, ThresholdOption, WeightsOption, choice,
        group_size, per_file_of_groups,
    },
    expand_schema::ExpandSchema,
    facets::{FacetName, facet_fields},
    language::{QueryLanguage, language},
    rerank::{RerankOption, RerankSchema},
};
use crate::{
    content::search::{
        command::{SearchCommand, SearchOptions},
        filter_schema::FilterSchema,
    },
    http::{string_schema::Words, validation::present},
};

/// Characters of the longest cursor: the marks of 1,000 hits.
pub const MAX_CURSOR_CHARS: usize = 8_100;

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
    /// How the accents of words are compared; absent: they are folded, apart from letters that the alphabet of the language has
    /// beside those without the mark, such as `ö` in Swedish. The language is that of the query, or else of the passage.
    #[garde(skip)]
    #[serde(default, deserialize_with = "choice")]
    #[schemars(with = "AccentsOption")]
    pub accents: Option<AccentsOption>,
    /// A vector of the embedding space of the collections, instead of the embedding of the query.
    #[garde(skip)]
    #[schemars(length(min = 1))]
    pub vector: Option<Vec<f32>>,
    /// The collections to search, by name or id; absent: all.
    #[garde(inner(length(min = 1, max = 100)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<String>", length(min = 1, max = 100))]
    pub collections: Option<Vec<String>>,
    /// Finds passages as they were at this RFC 3339 time, or at the time of the snapshot with this name or id; absent: now.
    #[garde(inner(length(min = 1, max = 63)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 63))]
    pub as_of: Option<String>,
    /// The search mode.
    #[garde(skip)]
    #[serde(default)]
    pub mode: Mode,
    /// A filter of the files: `{"field", "op", "value"}`, or conditions joined by `{"and": [..]}`, `{"or": [..]}` and
    /// `{"not": {..}}`. Fields are `id`, `name`, `mediaType`, `size`, `pageCount`, `createdAt`, `state`, `failure`, `tags` and
    /// `metadata.<key>`; operators `eq`, `ne`, `in`, `nin` and, where values have an order, `gt`, `gte`, `lt`, `lte`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "FilterSchema")]
    pub filter: Option<Value>,
    /// The largest number of hits; with `groupBy`, of files.
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "default_limit")]
    pub limit: u32,
    /// `nextCursor` of the previous page of the same search; absent for the first page.
    #[garde(inner(length(min = 1, max = MAX_CURSOR_CHARS)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 8100))]
    pub cursor: Option<String>,
    /// Groups the hits by file: the response has `groups`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "choice")]
    #[schemars(with = "GroupBy")]
    pub group_by: Option<GroupBy>,
    /// The largest number of hits of a file, with `groupBy`; 1 by default.
    #[garde(inner(range(min = 1, max = 10)), custom(per_file_of_groups(&self.group_by)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "u32", range(min = 1, max = 10))]
    pub per_file: Option<u32>,
    /// Adds the text around each hit as `context`.
    #[garde(dive)]
    #[serde(default, deserialize_with = "choice")]
    #[schemars(with = "ExpandSchema")]
    pub expand: Option<ExpandOption>,
    /// How much each search counts, in the mode `hybrid`; absent: as the best hits by words suggest.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "WeightsOption")]
    pub weights: Option<WeightsOption>,
    /// Ranks the hits again: by their neighbours, or by a model that reads the query and each passage.
    #[garde(dive)]
    #[serde(default, deserialize_with = "choice")]
    #[schemars(with = "RerankSchema")]
    pub rerank: Option<RerankOption>,
    /// The least scores of hits.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ThresholdOption")]
    pub threshold: Option<ThresholdOption>,
    /// Prefers new files.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "RecencyOption")]
    pub recency: Option<RecencyOption>,
    /// Multiplies the scores of hits whose files match filters.
    #[garde(length(max = MAX_BOOSTS), dive)]
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub boosts: Vec<BoostOption>,
    /// Whether the synonyms of the workspace are applied, in the modes `hybrid` and `text`; absent: yes.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    pub synonyms: Option<bool>,
    /// Files that come first, in this order, with their best hits, if they match query, collections and filter.
    #[garde(length(max = 20))]
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub pinned: Vec<Uuid>,
    /// Files that are not found.
    #[garde(length(max = 100))]
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub hidden: Vec<Uuid>,
    /// Fields whose values are counted, over all files in the collections that match the filter: `mediaType`, `tags`,
    /// `language`, or `metadata.` and a key, or a path of keys separated by dots.
    #[garde(length(max = 10), custom(facet_fields))]
    #[serde(default)]
    #[schemars(with = "Vec<FacetName>", length(max = 10))]
    pub facets: Vec<String>,
    /// Whether the response explains the search and each hit.
    #[garde(skip)]
    #[serde(default)]
    pub explain: bool,
    /// Whether the search is repeated exactly, without an index, to measure the recall of the response. This takes longer.
    #[garde(skip)]
    #[serde(default)]
    pub verify: bool,
}

/// The parts of a response that its request asks for.
#[derive(Clone, Debug, Default)]
pub struct ResponseParts {
    pub explain: bool,
    /// The names of facets.
    pub facets: Vec<String>,
}

impl SearchRequest {
    /// The parts of the response that the request asks for.
    pub fn parts(&self) -> ResponseParts {
        ResponseParts { explain: self.explain, facets: self.facets.clone() }
    }
}

impl From<SearchRequest> for SearchCommand {
    fn from(body: SearchRequest) -> Self {
        Self {
            mode: body.mode.into(),
            text: body.query.unwrap_or_default(),
            language: body.language.map(Into::into),
            accents: body.accents.map(Into::into).unwrap_or_default(),
            vector: body.vector,
            weights: body.weights.map(Into::into),
            rerank: body.rerank.map(Into::into),
            threshold: body.threshold.map(Into::into).unwrap_or_default(),
            recency: body.recency.map(Into::into),
            boosts: body.boosts.into_iter().map(Into::into).collect(),
            skip_synonyms: body.synonyms == Some(false),
            pinned: body.pinned.into_iter().map(FileId).collect(),
            facets: body.facets.iter().filter_map(|name| super::facets::field(name)).collect(),
            verify: body.verify,
            options: SearchOptions {
                collections: body.collections,
                filter: body.filter,
                limit: body.limit.into(),
                cursor: body.cursor,
                per_file: group_size(body.group_by, body.per_file),
                expand: body.expand.and_then(ExpandOption::into_domain),
                hidden: body.hidden.into_iter().map(FileId).collect(),
                as_of: body.as_of,
            },
        }
    }
}

/// The default of `limit`.
pub const fn default_limit() -> u32 {
    10
}

fn example() -> Value {
    json!({
        "query": "How often are the turbine blades cleaned?",
        "filter": { "field": "mediaType", "op": "eq", "value": "application/pdf" },
        "limit": 3,
    })
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

impl From<Mode> for SearchMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Hybrid => Self::Hybrid,
            Mode::Vector => Self::Vector,
            Mode::Text => Self::Text,
        }
    }
}

impl From<SearchMode> for Mode {
    fn from(mode: SearchMode) -> Self {
        match mode {
            SearchMode::Hybrid => Self::Hybrid,
            SearchMode::Vector => Self::Vector,
            SearchMode::Text => Self::Text,
        }
    }
}

/// How the accents of words are compared, whatever the language.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Accents")]
pub enum AccentsOption {
    /// All are folded: `resume` finds `résumé`.
    Fold,
    /// Words have the same ones, apart from those that inflection changes.
    Keep,
}

impl AccentsOption {
    /// `None`: the language decides.
    pub fn of(accents: Accents) -> Option<Self> {
        match accents {
            Accents::ByLanguage => None,
            Accents::Fold => Some(Self::Fold),
            Accents::Keep => Some(Self::Keep),
        }
    }
}

impl From<AccentsOption> for Accents {
    fn from(option: AccentsOption) -> Self {
        match option {
            AccentsOption::Fold => Self::Fold,
            AccentsOption::Keep => Self::Keep,
        }
    }
}
