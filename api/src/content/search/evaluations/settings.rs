//! The settings of searches in evaluations: those of search requests.

use garde::Validate;
use nvisy_shared::store::evaluation::EvaluationSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    filter_schema::FilterSchema,
    wire::{
        AccentsOption, BoostOption, MAX_BOOSTS, Mode, QueryLanguage, RecencyOption, RerankOption, RerankSchema,
        ThresholdOption, WeightsOption, choice, language,
    },
};
use crate::http::validation::present;

/// How the queries are searched, as in a search request.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "EvaluationSettings")]
pub struct SearchSettings {
    /// The search mode; absent: `hybrid`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "choice", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Mode")]
    pub mode: Option<Mode>,
    /// How much each search counts, in the mode `hybrid`; absent: as the best hits by words of each query suggest.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WeightsOption")]
    pub weights: Option<WeightsOption>,
    /// Ranks the hits again, as in a search request. An evaluation shows the id of a connection.
    #[garde(dive)]
    #[serde(default, deserialize_with = "choice", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RerankSchema")]
    pub rerank: Option<RerankOption>,
    /// The least scores of hits.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ThresholdOption")]
    pub threshold: Option<ThresholdOption>,
    /// Prefers new files.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RecencyOption")]
    pub recency: Option<RecencyOption>,
    /// Multiplies the scores of files that match filters.
    #[garde(custom(few_boosts), dive)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<BoostOption>", length(max = 10))]
    pub boosts: Option<Vec<BoostOption>>,
    /// Whether the synonyms of the workspace are applied; absent: yes.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub synonyms: Option<bool>,
    /// The language of the queries, as an ISO 639-1 code; absent: it is detected, or taken from the passages.
    #[garde(skip)]
    #[serde(default, deserialize_with = "language", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "QueryLanguage")]
    pub language: Option<QueryLanguage>,
    /// How the accents of words are compared, as in a search request; absent: as the language requires.
    #[garde(skip)]
    #[serde(default, deserialize_with = "choice", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AccentsOption")]
    pub accents: Option<AccentsOption>,
    /// A filter of the files, as that of a search.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FilterSchema")]
    pub filter: Option<Value>,
    /// The collections to search, by name or id; absent: all. An evaluation shows their ids.
    #[garde(inner(length(min = 1, max = 100)))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1, max = 100))]
    pub collections: Option<Vec<String>>,
    /// Whether the second spaces of the collections are searched; absent: no.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub second_space: Option<bool>,
}

/// Rule of `boosts`: as many as a search may have.
fn few_boosts(boosts: &Option<Vec<BoostOption>>, (): &()) -> garde::Result {
    match boosts {
        Some(boosts) if boosts.len() > MAX_BOOSTS => Err(garde::Error::new(format!("must have at most {MAX_BOOSTS}"))),
        _ => Ok(()),
    }
}

impl From<EvaluationSettings> for SearchSettings {
    fn from(settings: EvaluationSettings) -> Self {
        Self {
            mode: Some(settings.mode.into()),
            weights: settings.weights.map(Into::into),
            rerank: settings.rerank.map(Into::into),
            threshold: settings.threshold.map(Into::into),
            recency: settings.recency.map(Into::into),
            boosts: (!settings.boosts.is_empty()).then(|| settings.boosts.into_iter().map(Into::into).collect()),
            synonyms: settings.skip_synonyms.then_some(false),
            language: settings.language.as_deref().and_then(QueryLanguage::of_code),
            accents: AccentsOption::of(settings.accents),
            filter: settings.filter,
            collections: Some(settings.collections.iter().map(ToString::to_string).collect()),
            second_space: settings.second_space.then_some(true),
        }
    }
}
