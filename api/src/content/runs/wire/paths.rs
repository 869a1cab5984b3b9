//! Paths of runs, items and artifacts.

use apistos::ApiComponent;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// The path of a pipeline.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct PipelinePath {
    /// The pipeline's id.
    pub pipeline: Uuid,
}

/// The path of a run.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct RunPath {
    /// The run's id.
    pub run: Uuid,
}

/// The path of an item.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ItemPath {
    /// The run's id.
    pub run: Uuid,
    /// The item's id.
    pub item: Uuid,
}

/// The path of an artifact.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ArtifactPath {
    /// The run's id.
    pub run: Uuid,
    /// The item's id.
    pub item: Uuid,
    /// The artifact's id.
    pub artifact: Uuid,
}
