//! The event log: one gapless sequence for each workspace.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveEnum, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select, raw_sql,
    sea_query::ExprTrait,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::event::EventType,
    entity::event::{Column, Entity},
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

/// An event to be added.
#[derive(Debug)]
pub(super) struct NewEvent {
    /// The type.
    pub(super) kind: EventType,
    /// The object that the event is about.
    pub(super) subject: Uuid,
    /// The details.
    pub(super) data: Json,
}

/// Adds events of a workspace, in this order. The workspace's sequence stays locked until the transaction ends;
/// [`super::change::Change`] calls this last.
pub(super) async fn append(tx: &Tx, workspace: WorkspaceId, events: &[NewEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let ids: Vec<EventId> = events.iter().map(|_| EventId::new()).collect();
    let kinds: Vec<String> = events.iter().map(|event| event.kind.to_value()).collect();
    let subjects: Vec<Uuid> = events.iter().map(|event| event.subject).collect();
    let data: Vec<String> = events.iter().map(|event| event.data.to_string()).collect();
    // One statement: each update of the counter in a transaction leaves a row behind that the next one steps over.
    let added = raw_sql!(
        Postgres,
        "with counter as (
             insert into event_counter as c (workspace_id, last) values ({workspace}, {count})
             on conflict (workspace_id) do update set last = c.last + excluded.last
             returning c.workspace_id, c.last)
         insert into event (workspace_id, seq, id, type, subject_id, data)
         select counter.workspace_id, counter.last - {count}::bigint + added.place, added.id, added.type, added.subject,
             added.data::jsonb
         from counter
         cross join unnest({ids}::uuid[], {kinds}::text[], {subjects}::uuid[], {data}::text[]) with ordinality
             as added (id, type, subject, data, place)"
    );
    sql::execute(tx, added).await?;
    Ok(())
}

fn select_events(limit: i64) -> Select<Entity> {
    let columns = [
        Column::WorkspaceId,
        Column::Seq,
        Column::Id,
        Column::Kind,
        Column::SubjectId,
        Column::Data,
        Column::CreatedAt,
    ];
    Entity::find().select_only().columns(columns).limit(sql::row_limit(limit))
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
    let events: Vec<Event> = select_events(limit)
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Seq.gt(seq))
        .order_by_asc(Column::Seq)
        .into_model()
        .all(conn)
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
    let counter =
        raw_sql!(Postgres, "select deleted_through, last from event_counter where workspace_id = {workspace}");
    Ok(sql::first(conn, counter).await?.unwrap_or_default())
}

/// The workspaces whose oldest event is older than `age`.
pub async fn workspaces_with_expired(conn: &impl Conn, age: Duration) -> Result<Vec<WorkspaceId>> {
    let age_seconds = age.as_secs_f64();
    let workspaces = raw_sql!(
        Postgres,
        "select c.workspace_id from event_counter c cross join lateral (
             select created_at from event e where e.workspace_id = c.workspace_id order by seq limit 1) oldest
         where oldest.created_at < now() - make_interval(secs => {age_seconds})"
    );
    sql::all_values(conn, workspaces).await
}

/// Deletes up to `limit` of the workspace's oldest events that are older than `age` and published, and records how far.
/// Returns the number; fewer than `limit` means that there are no more.
pub async fn delete_expired(conn: &impl Conn, workspace: WorkspaceId, age: Duration, limit: i64) -> Result<u64> {
    let age_seconds = age.as_secs_f64();
    // Only events before the first one to keep: times are not strictly ordered by sequence number, and deletion must leave
    // no gap.
    let expired = raw_sql!(
        Postgres,
        "with oldest as (
             select seq, published and created_at < now() - make_interval(secs => {age_seconds}) as expired
             from event where workspace_id = {workspace} order by seq limit {limit}),
         deletable as (
             select seq from oldest
             where seq < coalesce((select min(seq) from oldest where not expired), 9223372036854775807)),
         deleted as (
             delete from event where workspace_id = {workspace} and seq in (select seq from deletable) returning seq),
         counted as (
             update event_counter set deleted_through = greatest(deleted_through, (select max(seq) from deleted))
             where workspace_id = {workspace} and exists (select from deleted))
         select count(*) from deleted"
    );
    let deleted: Option<i64> = sql::first_value(conn, expired).await?;
    Ok(deleted.map_or(0, |events| u64::try_from(events).unwrap_or(0)))
}

/// The age of the oldest unpublished event in seconds; 0 if there is none.
pub async fn unpublished_age_seconds(conn: &impl Conn) -> Result<f64> {
    let age = raw_sql!(
        Postgres,
        "select coalesce(extract(epoch from now() - min(created_at)), 0)::float8 from event where not published"
    );
    Ok(sql::first_value(conn, age).await?.unwrap_or_default())
}

/// Locks up to `limit` unpublished events. Empty also while another relay publishes.
pub async fn lock_unpublished(tx: &Tx, limit: i64) -> Result<Vec<Event>> {
    let lock = raw_sql!(Postgres, "select pg_try_advisory_xact_lock({PUBLISHER_LOCK})");
    if sql::first_value(tx, lock).await? != Some(true) {
        return Ok(Vec::new());
    }
    select_events(limit)
        // Not a comparison with a parameter, which would hide the partial index.
        .filter(Column::Published.into_expr().not())
        .order_by_asc(Column::WorkspaceId)
        .order_by_asc(Column::Seq)
        .into_model()
        .all(tx)
        .await
}

/// Marks these events as published.
pub async fn mark_published(tx: &Tx, events: &[Event]) -> Result<()> {
    let (workspaces, seqs): (Vec<WorkspaceId>, Vec<i64>) =
        events.iter().map(|event| (event.workspace_id, event.seq)).unzip();
    let published = raw_sql!(
        Postgres,
        "update event set published = true
         from unnest({workspaces}::uuid[], {seqs}::bigint[]) published (workspace_id, seq)
         where event.workspace_id = published.workspace_id and event.seq = published.seq"
    );
    sql::execute(tx, published).await?;
    Ok(())
}
