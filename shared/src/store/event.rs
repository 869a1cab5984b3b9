//! The event log: one gapless sequence for each workspace.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::event::EventType,
    id::{EventId, WorkspaceId},
};

/// Advisory lock of the relay that publishes events: one at a time, so that JetStream has them in order.
const PUBLISHER_LOCK: i64 = 0x6e76_6973_7900_0002;

/// An event, as it is sent to listeners.
#[derive(Clone, Debug, PartialEq, FromQueryResult, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The sequence number: 1, 2, 3 and so on within the workspace.
    pub seq: i64,
    /// The id.
    pub id: EventId,
    /// The type.
    #[sea_orm(from_alias = "type")]
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The object that the event is about.
    pub subject_id: Uuid,
    /// The details.
    pub data: Json,
    /// The time of the event.
    pub created_at: DateTime<Utc>,
}

/// Adds an event. The workspace's sequence stays locked until the transaction ends, so call this last.
pub async fn append(tx: &Tx, workspace: WorkspaceId, kind: EventType, subject: Uuid, data: Json) -> Result<()> {
    sql::execute(
        tx,
        "with next as (
             insert into event_counter (workspace_id, last) values ($1, 1)
             on conflict (workspace_id) do update set last = event_counter.last + 1
             returning last)
         insert into event (workspace_id, seq, id, type, subject_id, data)
         select $1, last, $2, $3, $4, $5 from next",
        [
            workspace.into(),
            EventId::new().into(),
            sea_orm::ActiveEnum::to_value(&kind).into(),
            subject.into(),
            data.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The range of a workspace's stored events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct EventRange {
    /// The sequence number of the last deleted event; 0 if none was deleted.
    pub deleted_through: i64,
    /// The sequence number of the newest event; 0 if there is none.
    pub last: i64,
}

/// Events after a sequence number, in order; `None` if the next one was deleted.
pub async fn after(conn: &impl Conn, workspace: WorkspaceId, seq: i64, limit: i64) -> Result<Option<Vec<Event>>> {
    let events: Vec<Event> = sql::all(
        conn,
        "select workspace_id, seq, id, type, subject_id, data, created_at from event
         where workspace_id = $1 and seq > $2 order by seq limit $3",
        [workspace.into(), seq.into(), limit.into()],
    )
    .await?;
    // Sequence numbers have no gaps, so the first event shows whether one is missing. Without one, all may be deleted.
    let complete = match events.first() {
        Some(first) => first.seq == seq + 1,
        None => range(conn, workspace).await?.deleted_through <= seq,
    };
    Ok(complete.then_some(events))
}

/// The range of the workspace's stored events.
pub async fn range(conn: &impl Conn, workspace: WorkspaceId) -> Result<EventRange> {
    let row =
        sql::first(conn, "select deleted_through, last from event_counter where workspace_id = $1", [workspace.into()])
            .await?;
    Ok(row.unwrap_or_default())
}

/// The workspaces whose oldest event is older than `age`.
pub async fn workspaces_with_expired(conn: &impl Conn, age: Duration) -> Result<Vec<WorkspaceId>> {
    #[derive(FromQueryResult)]
    struct Row {
        workspace_id: WorkspaceId,
    }
    let rows: Vec<Row> = sql::all(
        conn,
        "select c.workspace_id from event_counter c cross join lateral (
             select created_at from event e where e.workspace_id = c.workspace_id order by seq limit 1) oldest
         where oldest.created_at < now() - make_interval(secs => $1)",
        [age.as_secs_f64().into()],
    )
    .await?;
    Ok(rows.into_iter().map(|row| row.workspace_id).collect())
}

/// Deletes up to `limit` of the workspace's oldest events that are older than `age` and published, and records how far.
/// Returns the number; fewer than `limit` means that there are no more.
pub async fn delete_expired(conn: &impl Conn, workspace: WorkspaceId, age: Duration, limit: i64) -> Result<u64> {
    #[derive(FromQueryResult)]
    struct Row {
        events: i64,
    }
    // Only events before the first one to keep: times are not strictly ordered by sequence number, and deletion must leave
    // no gap.
    let row: Option<Row> = sql::first(
        conn,
        "with oldest as (
             select seq, published and created_at < now() - make_interval(secs => $2) as expired
             from event where workspace_id = $1 order by seq limit $3),
         deletable as (
             select seq from oldest
             where seq < coalesce((select min(seq) from oldest where not expired), 9223372036854775807)),
         deleted as (
             delete from event where workspace_id = $1 and seq in (select seq from deletable) returning seq),
         counted as (
             update event_counter set deleted_through = greatest(deleted_through, (select max(seq) from deleted))
             where workspace_id = $1 and exists (select from deleted))
         select count(*) as events from deleted",
        [workspace.into(), age.as_secs_f64().into(), limit.into()],
    )
    .await?;
    Ok(row.map_or(0, |row| u64::try_from(row.events).unwrap_or(0)))
}

/// The age of the oldest unpublished event in seconds; 0 if there is none.
pub async fn unpublished_age_seconds(conn: &impl Conn) -> Result<f64> {
    #[derive(FromQueryResult)]
    struct Row {
        seconds: f64,
    }
    let row: Option<Row> = sql::first(
        conn,
        "select coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as seconds from event where not published",
        [],
    )
    .await?;
    Ok(row.map_or(0.0, |row| row.seconds))
}

/// Locks up to `limit` unpublished events. Empty also while another relay publishes.
pub async fn lock_unpublished(tx: &Tx, limit: i64) -> Result<Vec<Event>> {
    #[derive(FromQueryResult)]
    struct Lock {
        held: bool,
    }
    let lock: Option<Lock> =
        sql::first(tx, "select pg_try_advisory_xact_lock($1) as held", [PUBLISHER_LOCK.into()]).await?;
    if !lock.is_some_and(|lock| lock.held) {
        return Ok(Vec::new());
    }
    sql::all(
        tx,
        "select workspace_id, seq, id, type, subject_id, data, created_at from event
         where not published order by workspace_id, seq limit $1",
        [limit.into()],
    )
    .await
}

/// Marks these events as published.
pub async fn mark_published(tx: &Tx, events: &[Event]) -> Result<()> {
    let workspaces: Vec<Uuid> = events.iter().map(|event| event.workspace_id.0).collect();
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    sql::execute(
        tx,
        "update event set published = true from unnest($1::uuid[], $2::bigint[]) published (workspace_id, seq)
         where event.workspace_id = published.workspace_id and event.seq = published.seq",
        [workspaces.into(), seqs.into()],
    )
    .await?;
    Ok(())
}
