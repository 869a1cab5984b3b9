//! Facts about a definition that this version cannot compile, because a newer one has stored it. They decide whether work is left
//! to a process of that version; everything else is known there.

use serde_json::Value;

use super::node::{
    NodeSpec,
    sink_collection::{DEFAULT_COLLECTION, SinkCollection},
    source_connection::SourceConnection,
    source_files::SourceFiles,
};

/// Whether a source takes files of the workspace by this trigger, or by any one.
#[must_use]
pub fn takes_files(definition: &Value, trigger: Option<&str>) -> bool {
    let is_started = |node: &Value| match (trigger, node.get("trigger")) {
        (None, _) => true,
        (Some(trigger), Some(named)) => named.as_str() == Some(trigger),
        (Some(trigger), None) => trigger == "upload",
    };
    nodes(definition, SourceFiles::TYPE).any(is_started)
}

/// Whether a sink writes to the collection.
#[must_use]
pub fn writes_to(definition: &Value, collection: &str) -> bool {
    let is_named =
        |node: &Value| node.get("collection").map_or(Some(DEFAULT_COLLECTION), Value::as_str) == Some(collection);
    nodes(definition, SinkCollection::TYPE).any(is_named)
}

/// Whether a source starts after the runs of this pipeline.
#[must_use]
pub fn follows(definition: &Value, pipeline: &str) -> bool {
    nodes(definition, SourceFiles::TYPE).any(|node| node["trigger"]["after"]["pipeline"].as_str() == Some(pipeline))
}

/// Whether a source lists a connection.
#[must_use]
pub fn lists_connection(definition: &Value) -> bool {
    nodes(definition, SourceConnection::TYPE).next().is_some()
}

/// The id of the first node.
#[must_use]
pub fn first_node(definition: &Value) -> &str {
    definition["nodes"][0]["id"].as_str().unwrap_or("source")
}

/// The nodes of a type.
fn nodes<'a>(definition: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let nodes = definition["nodes"].as_array().into_iter().flatten();
    nodes.filter(move |node| node["type"].as_str() == Some(kind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(source: &Value) -> Value {
        json!({ "schemaVersion": 9, "nodes": [{ "id": "new", "type": "partition.next" }, source] })
    }

    #[test]
    fn sources_and_their_triggers_are_found() {
        let upload = with(&json!({ "id": "in", "type": "source.files" }));
        assert!(takes_files(&upload, Some("upload")) && takes_files(&upload, None));
        assert!(!takes_files(&upload, Some("change")) && !lists_connection(&upload) && !follows(&upload, "First"));
        assert_eq!(first_node(&upload), "new");
        let change = with(&json!({ "id": "in", "type": "source.files", "trigger": "change" }));
        assert!(takes_files(&change, Some("change")) && !takes_files(&change, Some("upload")));
        let after =
            with(&json!({ "id": "in", "type": "source.files", "trigger": { "after": { "pipeline": "First" } } }));
        assert!(follows(&after, "First") && !follows(&after, "Other") && !takes_files(&after, Some("upload")));
        let connection = with(&json!({ "id": "in", "type": "source.connection" }));
        assert!(lists_connection(&connection) && !takes_files(&connection, None));
        assert!(!takes_files(&json!({}), None));
    }

    #[test]
    fn sinks_write_to_the_collection_that_they_name_or_to_the_default() {
        let named = with(&json!({ "id": "out", "type": "sink.collection", "collection": "archive" }));
        assert!(writes_to(&named, "archive") && !writes_to(&named, "default"));
        assert!(writes_to(&with(&json!({ "id": "out", "type": "sink.collection" })), "default"));
    }
}
