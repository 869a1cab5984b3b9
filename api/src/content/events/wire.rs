//! Events in the stream.

use apistos::ApiComponent;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use nvisy_shared::{domain::event::EventType, store};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// An event of a workspace: the `data` of a server-sent event.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The event's number in the workspace's log, from 1, without gaps. Also the SSE `id`.
    seq: i64,
    /// The event's id.
    id: Uuid,
    /// The type: `file.queued`, `file.progressed`, `file.ready`, `file.failed`, `file.updated`, `file.deleted`,
    /// `collection.created`, `collection.updated`, `collection.deleted`, `chunk.updated`, `pipeline.created`, `pipeline.updated`,
    /// `pipeline.deleted`, `connection.created`, `connection.updated`, `connection.checked`, `connection.deleted`,
    /// `synonyms.updated`, `synonyms.deleted`, `run.started`, `run.progressed`, `run.ended`, `item.failed` or `check.failed`. Also the SSE `event`.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    kind: EventType,
    /// The id of the object of the event.
    subject_id: Uuid,
    /// Further details, which depend on the type.
    data: Value,
    /// The time of the event.
    created_at: DateTime<Utc>,
}

impl From<store::event::Event> for Event {
    fn from(event: store::event::Event) -> Self {
        Self {
            seq: event.seq,
            id: event.id.0,
            kind: event.kind,
            subject_id: event.subject_id,
            data: event.data,
            created_at: event.created_at,
        }
    }
}

/// A comment without meaning, which keeps the connection open.
pub const COMMENT: Bytes = Bytes::from_static(b":\n\n");

impl Event {
    /// As a server-sent event.
    pub fn frame(&self) -> Bytes {
        // JSON written compactly has no line breaks, so one `data` line holds it.
        let kind = serde_json::to_value(self.kind).unwrap_or_default();
        let data = serde_json::to_string(self).unwrap_or_default();
        format!("id: {}\nevent: {}\ndata: {data}\n\n", self.seq, kind.as_str().unwrap_or_default()).into()
    }
}
