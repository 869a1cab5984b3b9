//! Request and response of the comparison of spaces.

use apistos::ApiComponent;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::service::{Comparison, ComparisonCommand, QueryOverlap};
use crate::http::{string_schema::Words, validation::present};

/// The default of `limit`.
const DEFAULT_LIMIT: u32 = 100;
/// Queries of a response whose hits differ most.
const MAX_DIFFERENT: usize = 10;
/// Tenths from none to all.
const STEPS: usize = 11;

/// The path of a collection with a second space.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ComparedCollection {
    /// The collection's id or name.
    #[schemars(length(min = 1, max = 63))]
    pub collection: String,
}

/// The queries to compare the spaces with.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "example")]
pub struct CompareSpaces {
    /// The queries; absent: those of recent searches in the collection.
    #[garde(inner(length(min = 1, max = 200), inner(length(chars, min = 1, max = 500), custom(not_blank))))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<Words<500>>", length(min = 1, max = 200))]
    pub queries: Option<Vec<String>>,
    /// The largest number of queries of recent searches; 100 by default.
    #[garde(inner(range(min = 1, max = 200)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "u32", range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

fn not_blank(query: &str, (): &()) -> garde::Result {
    if query.trim().is_empty() { Err(garde::Error::new("must not be blank")) } else { Ok(()) }
}

fn example() -> Value {
    json!({ "queries": ["How often are the turbine blades cleaned?", "seals in the channel"] })
}

impl From<CompareSpaces> for ComparisonCommand {
    fn from(body: CompareSpaces) -> Self {
        Self { queries: body.queries, limit: body.limit.unwrap_or(DEFAULT_LIMIT).into() }
    }
}

/// How alike the hits of two spaces are.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct SpaceComparison {
    /// The queries that were compared: those that have hits.
    pub queries: u32,
    /// The mean of their overlaps; absent without queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_overlap: Option<f64>,
    /// The number of queries by tenths of overlap, rounded down: the first has those without a common hit, the last those whose hits
    /// are the same.
    pub distribution: Vec<u32>,
    /// The queries whose hits differ most, at most ten.
    pub different: Vec<QueryOverlapView>,
    /// The queries that one of the models rejects.
    pub rejected: u32,
    /// Whether every passage has its vector in both spaces. If not, the missing ones lower the overlap.
    pub complete: bool,
}

/// A query whose hits differ.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "QueryOverlap")]
pub struct QueryOverlapView {
    /// The query.
    pub query: String,
    /// The share of the ten best passages that both spaces have in common, 0 to 1.
    pub overlap: f64,
}

impl From<Comparison> for SpaceComparison {
    fn from(comparison: Comparison) -> Self {
        let Comparison { mut overlaps, rejected, is_complete } = comparison;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let sum: f64 = overlaps.iter().map(|query| query.overlap).sum();
        let mean_overlap = (!overlaps.is_empty()).then(|| sum / overlaps.len() as f64);
        let mut distribution = vec![0; STEPS];
        for query in &overlaps {
            distribution[step(query.overlap)] += 1;
        }
        let queries = count(overlaps.len());
        overlaps.sort_by(|a, b| a.overlap.total_cmp(&b.overlap));
        overlaps.retain(|query| query.overlap < 1.0);
        overlaps.truncate(MAX_DIFFERENT);
        Self {
            queries,
            mean_overlap,
            distribution,
            different: overlaps.into_iter().map(Into::into).collect(),
            rejected: count(rejected),
            complete: is_complete,
        }
    }
}

/// The whole tenths of a share from 0 to 1. `3 of 10` is a little less than 0.3 in binary, and still three tenths.
fn step(share: f64) -> usize {
    ((share * 10.0 + 1e-9) as usize).min(STEPS - 1)
}

impl From<QueryOverlap> for QueryOverlapView {
    fn from(query: QueryOverlap) -> Self {
        Self { query: query.query, overlap: query.overlap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_has_the_mean_the_tenths_and_the_most_different_first() {
        let overlaps = [("same", 1.0), ("near", 0.7), ("other", 0.0), ("third", 1.0 / 3.0)];
        let overlaps = overlaps.map(|(query, overlap)| QueryOverlap { query: query.to_owned(), overlap });
        let response = SpaceComparison::from(Comparison { overlaps: overlaps.into(), rejected: 1, is_complete: false });
        assert_eq!(response.distribution, [1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1]);
        assert!((response.mean_overlap.unwrap() - 0.508).abs() < 0.001);
        let different: Vec<_> = response.different.iter().map(|query| query.query.as_str()).collect();
        assert_eq!(different, ["other", "third", "near"]);
    }

    #[test]
    fn tenths_are_not_lost_in_binary_fractions() {
        for tenths in 0..=10_u8 {
            assert_eq!(step(f64::from(tenths) / 10.0), usize::from(tenths));
        }
    }
}
