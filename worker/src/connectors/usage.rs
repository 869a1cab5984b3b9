//! What pipelines do with a connection, for its check.

use std::collections::BTreeSet;

use nvisy_shared::store;
use serde_json::{Value, json};

use super::OpenConnection;
use crate::context::Context;

/// What pipelines do with a connection.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// The places of sinks: `into` and `idField`.
    pub(super) places: BTreeSet<(String, String)>,
    /// The streams of sources, each once.
    pub(super) streams: Vec<UsedStream>,
    /// Whether other nodes than sinks name it.
    pub(super) is_read: bool,
}

/// A stream, and a node that reads it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UsedStream {
    /// The setting `stream`.
    pub(super) stream: Value,
    /// The pipeline.
    pub(super) pipeline: String,
    /// The node.
    pub(super) node: String,
}

impl Usage {
    pub(super) async fn find(cx: &Context, connection: &OpenConnection) -> store::Result<Self> {
        let nodes = store::connection::nodes(&cx.db, connection.workspace, connection.id).await?;
        let mut usage = Self::default();
        for (pipeline, node) in nodes {
            usage.add(pipeline, &node);
        }
        Ok(usage)
    }

    fn add(&mut self, pipeline: String, node: &Value) {
        if node["type"] == "sink.connection" {
            self.places.extend(place(node));
            return;
        }
        self.is_read = true;
        let stream = node.get("stream").cloned().unwrap_or_else(|| json!({}));
        if node["type"] == "source.connection" && self.streams.iter().all(|used| used.stream != stream) {
            let node = node["id"].as_str().unwrap_or_default().to_owned();
            self.streams.push(UsedStream { stream, pipeline, node });
        }
    }

    /// Whether pipelines write, and do not read.
    pub(super) fn is_only_written(&self) -> bool {
        !self.places.is_empty() && !self.is_read
    }

    /// Whether all sources read a part of the system.
    pub(super) fn is_read_in_parts(&self) -> bool {
        !self.streams.is_empty() && self.streams.iter().all(UsedStream::is_part)
    }
}

impl UsedStream {
    /// Whether it is a part of the system; otherwise the node names none.
    pub(super) fn is_part(&self) -> bool {
        self.stream.as_object().is_some_and(|settings| !settings.is_empty())
    }
}

/// The place of a sink: its `into` and `idField`.
fn place(node: &Value) -> Option<(String, String)> {
    let id_field = node["idField"].as_str().unwrap_or("id");
    Some((node["into"].as_str()?.to_owned(), id_field.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(nodes: &[Value]) -> Usage {
        let mut usage = Usage::default();
        nodes.iter().for_each(|node| usage.add("Rows".to_owned(), node));
        usage
    }

    #[test]
    fn streams_are_those_of_sources_each_once() {
        let source = |stream: Value| json!({ "id": "in", "type": "source.connection", "stream": stream });
        let all = json!({ "id": "all", "type": "source.connection" });
        let sink = json!({ "id": "out", "type": "sink.connection", "into": "a" });
        let parts =
            usage(&[source(json!({ "path": "a" })), source(json!({ "path": "b" })), source(json!({ "path": "a" }))]);
        assert_eq!(parts.streams.len(), 2);
        assert!(parts.is_read_in_parts() && !parts.is_only_written());
        assert!(!usage(&[source(json!({ "path": "a" })), all]).is_read_in_parts());
        let written = usage(&[sink]);
        assert!(written.is_only_written() && !written.is_read_in_parts() && written.streams.is_empty());
    }
}
