//! `embed`: chunks to vectors.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::{
    domain::job::Lane,
    pipeline::port::{Border, Flow, Ports},
};

/// Settings of `embed`. The embedding space is that of the collection that the vectors are written to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Embed {}

impl NodeSpec for Embed {
    const TYPE: &'static str = "embed";
    const TITLE: &'static str = "Embed";
    const DESCRIPTION: &'static str = "Computes a vector for each chunk, in batches.";
    const GROUP: Group = Group::Compute;
    const COST: Cost = Cost::Model;
    const READS_MODEL: bool = true;

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Chunks, Flow::Vectors)
    }

    fn border(&self) -> Option<Border> {
        Some(Border::Units)
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn example() -> Self {
        Self {}
    }
}
