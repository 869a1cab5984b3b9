//! Response of a search.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use nvisy_shared::store::search::{Context, Hit};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    explanation::{HitExplanation, SearchExplanation},
    facets::FacetCounts,
    request::{Mode, ResponseParts},
    snippet::{Snippet, snippet},
};
use crate::content::search::command::SearchOutcome;

/// The result of a search.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct SearchResponse {
    /// The hits, best first; empty with `groupBy`.
    hits: Vec<SearchHit>,
    /// The files, best first, with `groupBy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<HitGroup>>,
    /// The `cursor` of the next page; absent on the last page, and behind 1,000 hits or files.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// The mode of the search.
    mode: Mode,
    /// The duration in milliseconds, including the embedding of the query.
    took_ms: u64,
    /// The plan of the search, if requested with `explain`: `exact`, `index` or `lexical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// The work of the search, if requested with `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<SearchExplanation>,
    /// Whether words of some passages cannot be found yet, because the server is indexing them after an update.
    incomplete: bool,
    /// The time of `asOf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<DateTime<Utc>>,
    /// Why a hybrid search was by words only, or why `rerank` has not ranked the hits again: the server of the model does not
    /// answer, or `neighbours` has no vectors of one model. Or why passages of a past time are found by words only; or which
    /// collections were searched by words only, or by `vector` not at all, because this server does not have their model. Or that
    /// the query has no word to be found, because it is punctuation or excluded words.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
    /// The counts of the requested fields, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    facets: Option<Vec<FacetCounts>>,
    /// The share of the hits of an exact search that the response has, with `verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<f64>,
}

impl SearchResponse {
    pub fn new(outcome: SearchOutcome, parts: ResponseParts, took_ms: u64) -> Self {
        let SearchOutcome { result, mode, is_grouped, next_cursor, degraded, as_of, embedding, reranking, .. } =
            outcome;
        let explanation = parts.explain.then(|| SearchExplanation::new(&result, embedding, reranking));
        let hits = result.hits.into_iter().map(|hit| SearchHit::new(hit, parts.explain));
        let (hits, groups) = if is_grouped { (Vec::new(), Some(grouped(hits))) } else { (hits.collect(), None) };
        let facets = parts.facets.into_iter().zip(result.facets);
        let facets: Vec<_> = facets.map(|(field, facet)| FacetCounts::new(field, facet)).collect();
        Self {
            hits,
            groups,
            next_cursor,
            mode: mode.into(),
            took_ms,
            plan: parts.explain.then(|| result.access_path.name().to_owned()),
            explanation,
            incomplete: result.is_incomplete,
            as_of,
            degraded,
            facets: (!facets.is_empty()).then_some(facets),
            recall: result.recall,
        }
    }
}

/// A file with its best hits.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HitGroup {
    /// The file.
    file: HitFile,
    /// Its hits, best first.
    hits: Vec<SearchHit>,
}

/// The hits by file; those of a file follow each other.
fn grouped(hits: impl Iterator<Item = SearchHit>) -> Vec<HitGroup> {
    let mut groups: Vec<HitGroup> = Vec::new();
    for hit in hits {
        match groups.last_mut() {
            Some(group) if group.file.id == hit.file.id => group.hits.push(hit),
            _ => groups.push(HitGroup { file: hit.file.clone(), hits: vec![hit] }),
        }
    }
    groups
}

/// A passage of a file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Hit")]
pub struct SearchHit {
    /// The id of the passage.
    chunk_id: Uuid,
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
    /// `true`: members have written another text than that of the range; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<bool>,
    /// The part of the passage that matches best.
    snippet: Snippet,
    /// The score that orders the hits; scores of different responses are not comparable.
    score: f64,
    /// The scores of the individual searches.
    scores: Scores,
    /// The text around the passage, with `expand`.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<HitContext>,
    /// How the hit came to its place, with `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<HitExplanation>,
}

/// The text around a hit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HitContext {
    /// Parts of the file's text, in their order. A part that the context of a better hit has is left out.
    passages: Vec<ContextPassage>,
    /// Whether the limit of 16 KiB has left out a part.
    truncated: bool,
}

/// A part of the file's text.
#[derive(Debug, Serialize, JsonSchema)]
struct ContextPassage {
    /// The first byte in the file's text (`/files/{file}/text`).
    start: i64,
    /// The position after the last byte.
    end: i64,
    /// The text.
    text: String,
}

impl From<Context> for HitContext {
    fn from(context: Context) -> Self {
        let passages = context.passages.into_iter().map(|passage| ContextPassage {
            start: passage.start_byte,
            end: passage.end_byte,
            text: passage.text,
        });
        Self { passages: passages.collect(), truncated: context.is_truncated }
    }
}

/// The file of a hit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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

/// The scores of the searches that found a hit.
#[derive(Debug, Serialize, JsonSchema)]
struct Scores {
    /// The cosine similarity of query and passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<f64>,
    /// The score of the matching words (BM25).
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<f64>,
    /// The score of the model of `rerank`, of its best passages; the higher, the better, 0 to 1 with most models.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank: Option<f64>,
}

impl SearchHit {
    fn new(hit: Hit, explain: bool) -> Self {
        Self {
            explanation: explain.then(|| HitExplanation::new(&hit)),
            chunk_id: hit.chunk_id.0,
            file: HitFile { id: hit.file_id.0, name: hit.file_name, media_type: hit.media_type },
            version_id: hit.version_id.0,
            collection: HitCollection { id: hit.collection_id.0, name: hit.collection_name },
            page: hit.page,
            start: hit.start_byte,
            end: hit.end_byte,
            heading_path: hit.heading_path,
            edited: hit.is_edited.then_some(true),
            snippet: snippet(&hit.marked_text),
            score: hit.score,
            scores: Scores { vector: hit.vector_score, text: hit.text_score, rerank: hit.explanation.model_score },
            context: hit.context.map(HitContext::from),
        }
    }
}
