//! A search as the operations ask for it, and its outcome.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nvisy_shared::{
    id::FileId,
    store::{
        collection::CollectionSpace,
        search::{
            Accents, BoostRequest, Expand, FacetField, Language, Recency, SearchMode, SearchQuery, SearchResult,
            Threshold, Visibility, Weights,
        },
    },
};
use serde_json::{Value, json};

use super::{
    cursor::Fingerprint,
    reranking::RerankCommand,
    scope::{chosen_ids, parse_filter},
};
use crate::problem::Problem;

/// A search of a workspace.
#[derive(Clone, Debug, Default)]
pub struct SearchCommand {
    pub mode: SearchMode,
    /// A question or words; may be empty where there is a vector.
    pub text: String,
    /// The language of the text; `None`: it is detected.
    pub language: Option<Language>,
    /// How the accents of words are compared.
    pub accents: Accents,
    /// A vector of the collections' space, in place of the text's own.
    pub vector: Option<Vec<f32>>,
    /// How much each leg counts; `None`: as the best hits by words suggest.
    pub weights: Option<Weights>,
    pub rerank: Option<RerankCommand>,
    pub threshold: Threshold,
    pub recency: Option<Recency>,
    pub boosts: Vec<BoostRequest>,
    /// Whether the synonyms of the workspace are not applied.
    pub skip_synonyms: bool,
    pub pinned: Vec<FileId>,
    pub facets: Vec<FacetField>,
    /// Whether the recall is measured.
    pub verify: bool,
    pub options: SearchOptions,
}

/// What all searches have: the files to search, and the form of the result.
#[derive(Clone, Debug, Default)]
pub struct SearchOptions {
    /// Names or ids; `None`: all.
    pub collections: Option<Vec<String>>,
    pub filter: Option<Value>,
    pub limit: i64,
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// Groups the hits by file, with at most so many of each.
    pub per_file: Option<usize>,
    pub expand: Option<Expand>,
    pub hidden: Vec<FileId>,
    /// The time of which passages are found, or a snapshot's name or id; `None`: now.
    pub as_of: Option<String>,
}

/// The result of a search, and how it came about.
#[derive(Debug)]
pub struct SearchOutcome {
    pub result: SearchResult,
    pub mode: SearchMode,
    pub is_grouped: bool,
    pub next_cursor: Option<String>,
    /// Why a hybrid search was by words only, why the hits were not ranked again, or why nothing was searched.
    pub degraded: Option<String>,
    /// The past time of which passages were found.
    pub as_of: Option<DateTime<Utc>>,
    /// The time of embedding the query.
    pub embedding: Duration,
    /// The time of ranking the hits again with a model.
    pub reranking: Duration,
    /// The time of the search itself.
    pub searching: Duration,
}

impl SearchOptions {
    /// The query with these options.
    pub fn query(
        &self,
        all: &[CollectionSpace],
        chosen: &[&CollectionSpace],
        visibility: Visibility,
    ) -> Result<SearchQuery, Problem> {
        Ok(SearchQuery {
            collections: chosen_ids(all, chosen),
            visibility,
            filter: parse_filter(self.filter.as_ref())?,
            limit: self.limit,
            per_file: self.per_file,
            expand: self.expand,
            hidden: self.hidden.clone(),
            ..SearchQuery::default()
        })
    }

    /// The options that all pages of a search must have in common.
    pub fn defining(&self, visibility: Visibility) -> Value {
        let is_grouped = self.per_file.is_some();
        match visibility.past() {
            None => json!([self.collections, self.filter, is_grouped]),
            Some(time) => json!([self.collections, self.filter, is_grouped, time]),
        }
    }
}

impl SearchOutcome {
    pub fn new(query: &SearchQuery, fingerprint: Fingerprint, result: SearchResult) -> Self {
        let is_grouped = query.per_file.is_some();
        let next_cursor =
            if result.has_more { fingerprint.encode(&query.seen, &result.hits, is_grouped) } else { None };
        Self {
            result,
            mode: query.mode,
            is_grouped,
            next_cursor,
            degraded: None,
            as_of: query.visibility.past(),
            embedding: Duration::ZERO,
            reranking: Duration::ZERO,
            searching: Duration::ZERO,
        }
    }
}
