//! Requests and responses of the operations on evaluations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::{self, evaluation::EvaluationState, failure::FailureCode},
    entity::evaluation::Model,
    id::{CollectionId, QuerySetId},
    store::{
        self,
        evaluation::{EvaluatedQuery, EvaluationFilter, EvaluationSettings, GridPoint, Summary},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{super::wire::WeightsOption, service::RequestedEvaluation, settings::SearchSettings};
use crate::{
    http::{
        pagination::{PageQuery, default_limit},
        string_schema::{Opaque, failure_codes},
        validation::present,
    },
    problem::Problem,
};

/// The path of an evaluation.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct EvaluationPath {
    /// The evaluation's id.
    pub evaluation: Uuid,
}

/// The path of a comparison.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ComparisonPath {
    /// The first evaluation's id.
    pub evaluation: Uuid,
    /// The second evaluation's id.
    pub other: Uuid,
}

/// The path of a set's evaluations.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct SetPath {
    /// The query set's id.
    pub set: Uuid,
}

/// An evaluation to start.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "start_example")]
pub struct StartEvaluation {
    /// How the queries are searched; absent: as a search without settings.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "SearchSettings")]
    pub settings: Option<SearchSettings>,
    /// The number of first files of which recall and precision are computed.
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "default_k")]
    pub k: u32,
    /// Whether the best weights of a hybrid search are found: each query is searched with nine ratios of them, and the
    /// evaluation is that of the best.
    #[garde(skip)]
    #[serde(default)]
    pub fit_weights: bool,
}

const fn default_k() -> u32 {
    10
}

fn start_example() -> Value {
    json!({ "settings": { "mode": "hybrid", "rerank": "neighbours" }, "k": 20 })
}

impl StartEvaluation {
    pub fn of_set(&self, set: Uuid) -> RequestedEvaluation {
        let Self { settings, k, fit_weights } = self;
        RequestedEvaluation {
            set: QuerySetId(set),
            settings: settings.clone().unwrap_or_default(),
            k: *k,
            fit_weights: *fit_weights,
        }
    }
}

/// The page of evaluations to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct EvaluationsQuery {
    /// Only evaluations of this query set.
    query_set: Option<Uuid>,
    /// Only evaluations of this collection, by its id, alone or with others.
    collection: Option<Uuid>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    cursor: Option<String>,
}

impl EvaluationsQuery {
    pub fn into_parts(self) -> (EvaluationFilter, PageQuery) {
        let filter =
            EvaluationFilter { set: self.query_set.map(QuerySetId), collection: self.collection.map(CollectionId) };
        (filter, PageQuery::new(self.limit, self.cursor))
    }
}

/// An evaluation: the queries of a set, searched with some settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// The evaluation's id.
    pub id: Uuid,
    /// The query set's id.
    pub query_set: Uuid,
    /// The revision of the set when the evaluation was started.
    pub revision: i32,
    /// How the queries are searched.
    pub settings: SearchSettings,
    /// The number of first files of which recall and precision are computed.
    pub k: u32,
    /// How far it is.
    pub state: State,
    /// The queries to search.
    pub queries: i32,
    /// Those of them that are done.
    pub done: i32,
    /// The metrics; absent until it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<EvaluationMetrics>,
    /// The weights that were found, if the request asked for them and two queries are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<FittedWeights>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<EvaluationFailure>,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EvaluationState")]
pub enum State {
    /// Its queries are being searched.
    Running,
    /// It has its metrics.
    Done,
    /// It ended without metrics.
    Failed,
}

/// Why an evaluation failed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationFailure {
    /// The reason.
    #[schemars(schema_with = "failure_codes")]
    pub code: FailureCode,
    /// A sentence for people.
    pub detail: String,
}

/// The metrics of an evaluation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationMetrics {
    /// Means over the measured queries; absent: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Metrics>,
    /// Queries with a relevant file in the workspace.
    pub measured: usize,
    /// The other ones.
    pub skipped: usize,
    /// Judgements of files that the workspace does not have, which do not count.
    pub unresolved: i64,
}

impl From<Summary> for EvaluationMetrics {
    fn from(summary: Summary) -> Self {
        let Summary { mean, measured, skipped, unresolved } = summary;
        Self { mean: mean.map(Into::into), measured, skipped, unresolved }
    }
}

/// Metrics from 0 to 1, of files: each counts with its best passage.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// nDCG@10: the discounted grades of the first ten files, as a share of those of the best order.
    pub ndcg10: f64,
    /// The share of the relevant files among the first k.
    pub recall: f64,
    /// The share of the first k files that are relevant.
    pub precision: f64,
    /// One divided by the place of the first relevant file.
    pub mrr: f64,
    /// The share of the first ten files that are judged. Where it is low, the other metrics are too low.
    pub judged10: f64,
}

impl From<domain::evaluation::Metrics> for Metrics {
    fn from(metrics: domain::evaluation::Metrics) -> Self {
        let domain::evaluation::Metrics { ndcg10, recall, precision, mrr, judged10 } = metrics;
        Self { ndcg10, recall, precision, mrr, judged10 }
    }
}

/// Weights that were found, for `weights` of searches.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FittedWeights {
    /// The best ones.
    pub weights: WeightsOption,
    /// Mean nDCG@10 with them. It is too good to expect of other queries.
    pub ndcg10: f64,
    /// Mean nDCG@10 of each fifth of the queries with the weights that are best for the others. Below `equalWeights`, the
    /// weights are no gain.
    pub cross_validated: f64,
    /// Mean nDCG@10 with equal weights.
    pub equal_weights: f64,
    /// Mean nDCG@10 with each of the weights.
    pub grid: Vec<WeightsScore>,
}

/// Weights, and their mean nDCG@10.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightsScore {
    /// The weights.
    pub weights: WeightsOption,
    /// Mean nDCG@10.
    pub ndcg10: f64,
}

impl From<store::evaluation::Fit> for FittedWeights {
    fn from(fit: store::evaluation::Fit) -> Self {
        let score = |point: GridPoint| WeightsScore { weights: point.weights.into(), ndcg10: point.ndcg10 };
        Self {
            weights: fit.weights.into(),
            ndcg10: fit.ndcg10,
            cross_validated: fit.cross_validated,
            equal_weights: fit.equal_weights,
            grid: fit.grid.into_iter().map(score).collect(),
        }
    }
}

impl TryFrom<Model> for Evaluation {
    type Error = Problem;

    fn try_from(row: Model) -> Result<Self, Problem> {
        let settings: EvaluationSettings = serde_json::from_value(row.settings).map_err(Problem::internal)?;
        let metrics: Option<Summary> =
            row.metrics.map(serde_json::from_value).transpose().map_err(Problem::internal)?;
        let fit: Option<store::evaluation::Fit> =
            row.fit.map(serde_json::from_value).transpose().map_err(Problem::internal)?;
        let failure = row
            .failure_code
            .map(|code| EvaluationFailure { code, detail: row.failure_detail.clone().unwrap_or_default() });
        Ok(Self {
            id: row.id.into(),
            query_set: row.query_set_id.into(),
            revision: row.set_revision,
            k: settings.k,
            settings: settings.into(),
            state: match row.state {
                EvaluationState::Running => State::Running,
                EvaluationState::Done => State::Done,
                EvaluationState::Failed => State::Failed,
            },
            queries: row.queries,
            done: row.done,
            metrics: metrics.map(Into::into),
            fit: fit.map(Into::into),
            failure,
            created_at: row.created_at,
            ended_at: row.ended_at,
        })
    }
}

/// A query of an evaluation.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EvaluatedQuery")]
pub struct QueryView {
    /// The query's id.
    pub query_id: Uuid,
    /// The id that an import gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The text.
    pub query: String,
    /// The metrics; absent: the workspace has no relevant file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// The first ten files.
    pub hits: Vec<RankedHit>,
    /// Judgements of files that the workspace does not have.
    pub unresolved: i32,
}

/// A file that was found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RankedHit {
    /// The file.
    pub file: Uuid,
    /// The first byte of its best passage.
    pub start: i64,
    /// The position after the last byte.
    pub end: i64,
    /// The grade; absent: not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<i16>,
}

impl From<EvaluatedQuery> for QueryView {
    fn from(query: EvaluatedQuery) -> Self {
        let EvaluatedQuery { query_id, external_id, text, result, unresolved } = query;
        let (metrics, hits) = result.map_or((None, Vec::new()), |result| (Some(result.metrics.into()), result.hits));
        let hit = |hit: store::evaluation::RankedFile| RankedHit {
            file: hit.file.into(),
            start: hit.start,
            end: hit.end,
            grade: hit.grade,
        };
        Self {
            query_id: query_id.into(),
            external_id,
            query: text,
            metrics,
            hits: hits.into_iter().map(hit).collect(),
            unresolved,
        }
    }
}
