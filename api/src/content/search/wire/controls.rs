//! Parts of a search request: groups, surroundings, and the controls of relevance.

use garde::Validate;
use nvisy_shared::store::search::{BoostRequest, Expand, Recency, Threshold, Weights};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;

use crate::content::search::filter_schema::FilterSchema;

/// For `deserialize_with`, with `default`: an enumeration that may be absent, but not `null`. By way of a value: one of another type
/// is an error of syntax for serde_json.
pub fn choice<'de, D: Deserializer<'de>, T: DeserializeOwned>(field: D) -> Result<Option<T>, D::Error> {
    serde_json::from_value(Value::deserialize(field)?).map(Some).map_err(D::Error::custom)
}

/// The field by which hits are grouped.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// By file.
    File,
}

/// Rule of `perFile`: it needs groups.
pub fn per_file_of_groups(group_by: &Option<GroupBy>) -> impl FnOnce(&Option<u32>, &()) -> garde::Result {
    let has_groups = group_by.is_some();
    move |per_file, ()| match per_file {
        Some(_) if !has_groups => Err(garde::Error::new("needs `groupBy`")),
        _ => Ok(()),
    }
}

/// The number of hits of a file; `None`: they are not grouped.
pub fn group_size(group_by: Option<GroupBy>, per_file: Option<u32>) -> Option<usize> {
    group_by.map(|GroupBy::File| per_file.map_or(1, |count| usize::try_from(count).unwrap_or(usize::MAX)))
}

/// The text around a hit. Its schema is `ExpandSchema`.
#[derive(Clone, Copy, Debug, Deserialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum ExpandOption {
    /// So many passages before and after it.
    Neighbours(#[garde(range(max = 3))] u8),
    /// Its section.
    Section(#[garde(skip)] bool),
}

impl ExpandOption {
    pub fn into_domain(self) -> Option<Expand> {
        match self {
            Self::Neighbours(count) => Some(Expand::Neighbours(count)),
            Self::Section(is_wanted) => is_wanted.then_some(Expand::Section),
        }
    }
}

/// How much each search counts in a hybrid search: the scores of its ranks are multiplied by its weight, so that only the ratio of
/// the weights changes the order of hits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Weights")]
pub struct WeightsOption {
    /// The search by words.
    #[garde(range(min = 0.01, max = 1.0))]
    #[schemars(range(min = 0.01, max = 1.0))]
    text: f64,
    /// The search by vector.
    #[garde(range(min = 0.01, max = 1.0))]
    #[schemars(range(min = 0.01, max = 1.0))]
    vector: f64,
}

impl From<WeightsOption> for Weights {
    fn from(option: WeightsOption) -> Self {
        Self { text: option.text, vector: option.vector }
    }
}

impl From<Weights> for WeightsOption {
    fn from(weights: Weights) -> Self {
        Self { text: weights.text, vector: weights.vector }
    }
}

/// The least scores of hits. A search by vector or by words does not find passages below its own; in hybrid mode, the other one can.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Threshold")]
pub struct ThresholdOption {
    /// The least cosine similarity of query and passage.
    #[garde(inner(range(min = 0.0, max = 1.0)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    vector: Option<f64>,
    /// The least score of the matching words (BM25).
    #[garde(inner(range(min = 0.0)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    text: Option<f64>,
}

impl From<ThresholdOption> for Threshold {
    fn from(option: ThresholdOption) -> Self {
        Self { vector: option.vector, text: option.text }
    }
}

impl From<Threshold> for ThresholdOption {
    fn from(threshold: Threshold) -> Self {
        Self { vector: threshold.vector, text: threshold.text }
    }
}

/// A preference for new files.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Recency")]
pub struct RecencyOption {
    /// The age, in days since `createdAt`, at which a file has lost half of what age can take.
    #[garde(range(min = 0.01, max = 36500.0))]
    #[schemars(range(min = 0.01, max = 36500.0))]
    half_life_days: f64,
    /// The share of the score that age can take.
    #[garde(range(min = 0.0, max = 1.0))]
    #[serde(default = "default_weight")]
    #[schemars(range(min = 0.0, max = 1.0))]
    weight: f64,
}

const fn default_weight() -> f64 {
    0.5
}

impl From<RecencyOption> for Recency {
    fn from(option: RecencyOption) -> Self {
        Self { half_life_days: option.half_life_days, weight: option.weight }
    }
}

impl From<Recency> for RecencyOption {
    fn from(recency: Recency) -> Self {
        Self { half_life_days: recency.half_life_days, weight: recency.weight }
    }
}

/// Boosts of a search.
pub const MAX_BOOSTS: usize = 10;

/// A preference for files that match a filter, or against them.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Boost")]
pub struct BoostOption {
    /// The filter of the files, as that of a search.
    #[garde(skip)]
    #[schemars(with = "FilterSchema")]
    filter: Value,
    /// The factor of their scores. Those of several boosts are multiplied, and limited to 0.01 to 100.
    #[garde(range(min = 0.1, max = 10.0))]
    #[schemars(range(min = 0.1, max = 10.0))]
    factor: f64,
}

impl From<BoostOption> for BoostRequest {
    fn from(option: BoostOption) -> Self {
        Self { filter: option.filter, factor: option.factor }
    }
}

impl From<BoostRequest> for BoostOption {
    fn from(boost: BoostRequest) -> Self {
        Self { filter: boost.filter, factor: boost.factor }
    }
}
