//! `unpack`: archives and mails to their members, each of which becomes an item of its own.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    port::{Border, ELSE, Flow, Output, Ports},
    problem::NodeProblems,
};

/// The output with the members.
pub const MEMBERS: &str = "members";

/// Settings of `unpack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Unpack {
    /// The largest number of members of one file; a file with more fails.
    #[schemars(range(min = 1, max = 10000))]
    pub max_members: u32,
    /// How deep archives and mails within archives and mails are unpacked.
    #[schemars(range(min = 1, max = 5))]
    pub max_depth: u32,
}

impl Default for Unpack {
    fn default() -> Self {
        Self { max_members: 1_000, max_depth: 1 }
    }
}

impl NodeSpec for Unpack {
    const TYPE: &'static str = "unpack";
    const TITLE: &'static str = "Unpack";
    const DESCRIPTION: &'static str =
        "Unpacks archives and attachments: output `members` has their members as items, `else` every other file.";
    const GROUP: Group = Group::Read;
    const COST: Cost = Cost::Storage;

    fn ports(&self) -> Ports {
        let members = Output { name: MEMBERS.to_owned(), flow: Some(Flow::Bytes), border: Some(Border::Items) };
        Ports { input: vec![Flow::Bytes], outputs: vec![members, Output::new(ELSE, Some(Flow::Bytes))] }
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("maxMembers", self.max_members, 1, 10_000);
        problems.range("maxDepth", self.max_depth, 1, 5);
    }

    fn example() -> Self {
        Self { max_members: 500, max_depth: 2 }
    }
}
