//! The comparison of two evaluations of a query set.

use std::collections::HashMap;

use apistos::ApiComponent;
use nvisy_shared::{
    domain::evaluation::{EvaluationState, MAX_QUERIES, Metrics, Paired, compare},
    entity::evaluation::Model,
    id::{EvaluationId, JudgedQueryId, WorkspaceId},
    store::{self, Conn, evaluation::EvaluatedQuery},
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::service::find;
use crate::problem::{Code, Problem};

/// Queries that a comparison shows.
const SHOWN_QUERIES: usize = 20;

/// The comparison of two evaluations, over the queries that both have measured.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EvaluationComparison")]
pub struct Comparison {
    /// The number of queries that both have measured.
    queries: usize,
    /// Whether both have the same queries and judgements. If not, the differences have other causes, too.
    same_judgements: bool,
    /// nDCG@10.
    ndcg10: MetricComparison,
    /// Recall at k; absent if k differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<MetricComparison>,
    /// Precision at k; absent if k differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<MetricComparison>,
    /// The reciprocal rank of the first relevant file.
    mrr: MetricComparison,
    /// The queries whose nDCG@10 changed most, at most twenty.
    changed: Vec<ChangedQuery>,
}

/// The comparison of a metric.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MetricComparison {
    /// The mean of the first evaluation.
    first: f64,
    /// The mean of the second one.
    second: f64,
    /// The second minus the first.
    difference: f64,
    /// How probable a difference of at least this size is by chance: a two-sided permutation test that flips the signs of the
    /// queries' differences. Up to 13 queries that differ, it counts all flips, beyond 10,000 drawn ones.
    p: f64,
    /// Queries that the second one ranks better.
    wins: usize,
    /// Queries that it ranks worse.
    losses: usize,
    /// The other queries.
    ties: usize,
}

/// A query that the evaluations rank differently.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedQuery {
    /// The query's id.
    query_id: Uuid,
    /// The text.
    query: String,
    /// nDCG@10 of the first evaluation.
    first: f64,
    /// nDCG@10 of the second one.
    second: f64,
}

/// 409 unless both are done and of the same set.
pub async fn compare_evaluations(
    conn: &impl Conn,
    workspace: WorkspaceId,
    first: EvaluationId,
    second: EvaluationId,
) -> Result<Comparison, Problem> {
    let (first, second) = (find(conn, workspace, first).await?, find(conn, workspace, second).await?);
    let is_done = |row: &Model| row.state == EvaluationState::Done;
    if first.query_set_id != second.query_set_id || !is_done(&first) || !is_done(&second) {
        return Err(Problem::new(Code::NotComparable));
    }
    let pairs = pairs(conn, workspace, &first, &second).await?;
    let k = |row: &Model| row.settings["k"].as_u64();
    let at_k = |value: fn(&Metrics) -> f64| (k(&first) == k(&second)).then(|| MetricComparison::new(&pairs, value));
    Ok(Comparison {
        queries: pairs.len(),
        same_judgements: first.set_revision == second.set_revision,
        ndcg10: MetricComparison::new(&pairs, |metrics| metrics.ndcg10),
        recall: at_k(|metrics| metrics.recall),
        precision: at_k(|metrics| metrics.precision),
        mrr: MetricComparison::new(&pairs, |metrics| metrics.mrr),
        changed: changed(pairs),
    })
}

/// A query, and its metrics in both evaluations.
struct Pair {
    query_id: JudgedQueryId,
    query: String,
    first: Metrics,
    second: Metrics,
}

async fn pairs(conn: &impl Conn, workspace: WorkspaceId, first: &Model, second: &Model) -> Result<Vec<Pair>, Problem> {
    // A set can have shrunk and grown since.
    let limit = i64::try_from(2 * MAX_QUERIES).unwrap_or(i64::MAX);
    let metrics = |query: &EvaluatedQuery| query.result.as_ref().map(|result| result.metrics);
    let of_second = store::evaluation::queries(conn, workspace, second.id, None, limit).await?;
    let of_second: HashMap<JudgedQueryId, Metrics> =
        of_second.iter().filter_map(|query| Some((query.query_id, metrics(query)?))).collect();
    let of_first = store::evaluation::queries(conn, workspace, first.id, None, limit).await?;
    let pair = |query: EvaluatedQuery| {
        let (first, second) = (metrics(&query)?, *of_second.get(&query.query_id)?);
        Some(Pair { query_id: query.query_id, query: query.text, first, second })
    };
    Ok(of_first.into_iter().filter_map(pair).collect())
}

impl MetricComparison {
    fn new(pairs: &[Pair], value: fn(&Metrics) -> f64) -> Self {
        let values: Vec<(f64, f64)> = pairs.iter().map(|pair| (value(&pair.first), value(&pair.second))).collect();
        let count = values.len().max(1) as f64;
        let Paired { difference, p, wins, losses, ties } = compare(&values);
        Self {
            first: values.iter().map(|(first, _)| first).sum::<f64>() / count,
            second: values.iter().map(|(_, second)| second).sum::<f64>() / count,
            difference,
            p,
            wins,
            losses,
            ties,
        }
    }
}

fn changed(mut pairs: Vec<Pair>) -> Vec<ChangedQuery> {
    let change = |pair: &Pair| (pair.second.ndcg10 - pair.first.ndcg10).abs();
    pairs.retain(|pair| change(pair) > 0.0);
    pairs.sort_by(|a, b| change(b).total_cmp(&change(a)));
    pairs.truncate(SHOWN_QUERIES);
    let query = |pair: Pair| ChangedQuery {
        query_id: pair.query_id.into(),
        query: pair.query,
        first: pair.first.ndcg10,
        second: pair.second.ndcg10,
    };
    pairs.into_iter().map(query).collect()
}
