//! Types of events.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// The type of an event; part of the HTTP contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum EventType {
    /// A file was accepted.
    #[sea_orm(string_value = "file.queued")]
    #[serde(rename = "file.queued")]
    FileQueued,
    /// The processing of a file progressed; `stage`, `done` and `total` show how far.
    #[sea_orm(string_value = "file.progressed")]
    #[serde(rename = "file.progressed")]
    FileProgressed,
    /// A file became searchable.
    #[sea_orm(string_value = "file.ready")]
    #[serde(rename = "file.ready")]
    FileReady,
    /// The processing of a file failed.
    #[sea_orm(string_value = "file.failed")]
    #[serde(rename = "file.failed")]
    FileFailed,
    /// Name, tags or metadata of a file were changed.
    #[sea_orm(string_value = "file.updated")]
    #[serde(rename = "file.updated")]
    FileUpdated,
    /// A file was deleted.
    #[sea_orm(string_value = "file.deleted")]
    #[serde(rename = "file.deleted")]
    FileDeleted,
    /// A pipeline was created.
    #[sea_orm(string_value = "pipeline.created")]
    #[serde(rename = "pipeline.created")]
    PipelineCreated,
    /// Name, state or definition of a pipeline was changed.
    #[sea_orm(string_value = "pipeline.updated")]
    #[serde(rename = "pipeline.updated")]
    PipelineUpdated,
    /// A pipeline was deleted.
    #[sea_orm(string_value = "pipeline.deleted")]
    #[serde(rename = "pipeline.deleted")]
    PipelineDeleted,
    /// A collection was created.
    #[sea_orm(string_value = "collection.created")]
    #[serde(rename = "collection.created")]
    CollectionCreated,
    /// Name, description or model of a collection was changed.
    #[sea_orm(string_value = "collection.updated")]
    #[serde(rename = "collection.updated")]
    CollectionUpdated,
    /// A collection was deleted.
    #[sea_orm(string_value = "collection.deleted")]
    #[serde(rename = "collection.deleted")]
    CollectionDeleted,
    /// A chunk was disabled or enabled, or got another text.
    #[sea_orm(string_value = "chunk.updated")]
    #[serde(rename = "chunk.updated")]
    ChunkUpdated,
    /// The synonyms of the workspace were replaced.
    #[sea_orm(string_value = "synonyms.updated")]
    #[serde(rename = "synonyms.updated")]
    SynonymsUpdated,
    /// The synonyms of the workspace were deleted.
    #[sea_orm(string_value = "synonyms.deleted")]
    #[serde(rename = "synonyms.deleted")]
    SynonymsDeleted,
    /// A connection was created.
    #[sea_orm(string_value = "connection.created")]
    #[serde(rename = "connection.created")]
    ConnectionCreated,
    /// Name, settings, credentials or state of a connection were changed.
    #[sea_orm(string_value = "connection.updated")]
    #[serde(rename = "connection.updated")]
    ConnectionUpdated,
    /// A check of a connection ended; `state` is `ok` or `failed`.
    #[sea_orm(string_value = "connection.checked")]
    #[serde(rename = "connection.checked")]
    ConnectionChecked,
    /// A connection was deleted.
    #[sea_orm(string_value = "connection.deleted")]
    #[serde(rename = "connection.deleted")]
    ConnectionDeleted,
    /// A run over files that exist was started.
    #[sea_orm(string_value = "run.started")]
    #[serde(rename = "run.started")]
    RunStarted,
    /// Items of a run ended; at most one event for each percent of the items. Runs of uploads are left out.
    #[sea_orm(string_value = "run.progressed")]
    #[serde(rename = "run.progressed")]
    RunProgressed,
    /// A run ended. Runs of uploads are left out: the events of their files tell as much.
    #[sea_orm(string_value = "run.ended")]
    #[serde(rename = "run.ended")]
    RunEnded,
    /// An item of a run failed: the first ones, then at most one event for each percent of the items. Of uploads, `file.failed` tells
    /// as much.
    #[sea_orm(string_value = "item.failed")]
    #[serde(rename = "item.failed")]
    ItemFailed,
    /// A condition of a `check` with severity `warn` did not hold; at most one event for each job of an item, also of uploads.
    #[sea_orm(string_value = "check.failed")]
    #[serde(rename = "check.failed")]
    CheckFailed,
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    #[test]
    fn documentation_lists_every_type() {
        let api = include_str!("../../../docs/API.md");
        let schema = include_str!("../../../api/tests/snapshots/openapi.json");
        for kind in EventType::iter() {
            let name = serde_json::to_value(kind).expect("a name");
            let name = format!("`{}`", name.as_str().expect("a text"));
            assert!(api.contains(&name), "docs/API.md does not explain {name}");
            assert!(schema.contains(&name), "the OpenAPI document does not list {name}");
        }
    }
}
