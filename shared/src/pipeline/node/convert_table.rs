//! `convert.table`: writes the tables of documents in another format.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::port::{Flow, Output, Ports};

/// The name of the output for documents with the converted tables.
pub const DOCUMENT: &str = "document";
/// The name of the output for the tables alone.
pub const TABLES: &str = "tables";

/// Settings of `convert.table`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConvertTable {
    /// The format.
    pub format: TableFormat,
    /// Whether the first row has the names of the columns.
    #[serde(default = "default_header")]
    pub header: bool,
}

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// A `table` element.
    Html,
    /// A table of GitHub Flavored Markdown.
    Markdown,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// An array: of objects with a header, of arrays without one.
    Json,
}

impl TableFormat {
    /// The identifier in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

const fn default_header() -> bool {
    true
}

impl NodeSpec for ConvertTable {
    const TYPE: &'static str = "convert.table";
    const TITLE: &'static str = "Convert tables";
    const DESCRIPTION: &'static str =
        "Writes tables as HTML, Markdown, CSV or JSON: output `document` has them in place, `tables` as records.";
    const GROUP: Group = Group::Table;
    const COST: Cost = Cost::Negligible;

    fn ports(&self) -> Ports {
        let outputs = vec![Output::new(DOCUMENT, Some(Flow::Document)), Output::new(TABLES, Some(Flow::Records))];
        Ports { input: vec![Flow::Document], outputs }
    }

    fn example() -> Self {
        Self { format: TableFormat::Markdown, header: true }
    }
}
