//! The event log: one gapless sequence per workspace.

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

/// Only one relay publishes events at a time, so that the log is in order.
const PUBLISHER: i64 = 0x6e76_6973_7900_0002;

/// What happened, as it travels to every listener.
#[derive(Clone, Debug, PartialEq, FromQueryResult, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Where it happened; implied by the log it stands in.
    pub workspace_id: WorkspaceId,
    /// Its place: 1, 2, 3 and so on within the workspace.
    pub seq: i64,
    /// Its name.
    pub id: EventId,
    /// What kind of thing happened.
    #[sea_orm(from_alias = "type")]
    #[serde(rename = "type")]
    pub kind: EventType,
    /// What it happened to.
    pub subject_id: Uuid,
    /// The details.
    pub data: Json,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Adds an event. From here to the end of the transaction the workspace's sequence is locked: make it the last step.
pub async fn append(tx: &Tx, workspace: WorkspaceId, kind: EventType, subject: Uuid, data: Json) -> Result<()> {
    sql::execute(
        tx,
        "with place as (
             insert into event_counter (workspace_id, last) values ($1, 1)
             on conflict (workspace_id) do update set last = event_counter.last + 1
             returning last)
         insert into event (workspace_id, seq, id, type, subject_id, data)
         select $1, last, $2, $3, $4, $5 from place",
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

/// How far a workspace's events reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Reach {
    /// The place of the last event that is not kept any more; 0 when all are.
    pub forgotten: i64,
    /// The place of the newest event; 0 when there is none.
    pub last: i64,
}

/// Events after a place, in order; `None` when the next one is not kept any more.
pub async fn after(conn: &impl Conn, workspace: WorkspaceId, seq: i64, limit: i64) -> Result<Option<Vec<Event>>> {
    let events: Vec<Event> = sql::all(
        conn,
        "select workspace_id, seq, id, type, subject_id, data, created_at from event
         where workspace_id = $1 and seq > $2 order by seq limit $3",
        [workspace.into(), seq.into(), limit.into()],
    )
    .await?;
    // Places have no gaps, so that the first tells; where there is none, everything up to the newest may be forgotten.
    let whole = match events.first() {
        Some(first) => first.seq == seq + 1,
        None => reach(conn, workspace).await?.forgotten <= seq,
    };
    Ok(whole.then_some(events))
}

/// How far the workspace's events reach.
pub async fn reach(conn: &impl Conn, workspace: WorkspaceId) -> Result<Reach> {
    let row = sql::first(conn, "select forgotten, last from event_counter where workspace_id = $1", [workspace.into()])
        .await?;
    Ok(row.unwrap_or_default())
}

/// The workspaces whose oldest event is older than this.
pub async fn outlived(conn: &impl Conn, age: Duration) -> Result<Vec<WorkspaceId>> {
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

/// Forgets up to `limit` of the workspace's oldest events that are older than this and published, and remembers how
/// far. Says how many; fewer than `limit` means that there are no more.
pub async fn forget(conn: &impl Conn, workspace: WorkspaceId, age: Duration, limit: i64) -> Result<u64> {
    #[derive(FromQueryResult)]
    struct Gone {
        events: i64,
    }
    // Those before the first that stays: times are not quite in the order of places, and there must be no hole.
    let gone: Option<Gone> = sql::first(
        conn,
        "with oldest as (
             select seq, published and created_at < now() - make_interval(secs => $2) as outlived
             from event where workspace_id = $1 order by seq limit $3),
         going as (
             select seq from oldest
             where seq < coalesce((select min(seq) from oldest where not outlived), 9223372036854775807)),
         gone as (
             delete from event where workspace_id = $1 and seq in (select seq from going) returning seq),
         told as (
             update event_counter set forgotten = greatest(forgotten, (select max(seq) from gone))
             where workspace_id = $1 and exists (select from gone))
         select count(*) as events from gone",
        [workspace.into(), age.as_secs_f64().into(), limit.into()],
    )
    .await?;
    Ok(gone.map_or(0, |gone| u64::try_from(gone.events).unwrap_or(0)))
}

/// How long the oldest event that the log does not have yet has waited, in seconds; 0 when there is none.
pub async fn unpublished_seconds(conn: &impl Conn) -> Result<f64> {
    #[derive(FromQueryResult)]
    struct Lag {
        seconds: f64,
    }
    let row: Option<Lag> = sql::first(
        conn,
        "select coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as seconds from event where not published",
        [],
    )
    .await?;
    Ok(row.map_or(0.0, |row| row.seconds))
}

/// Locks up to `limit` events that the log does not have yet. Empty also when another relay is at it.
pub async fn lock_unpublished(tx: &Tx, limit: i64) -> Result<Vec<Event>> {
    #[derive(FromQueryResult)]
    struct Lock {
        held: bool,
    }
    let lock: Option<Lock> = sql::first(tx, "select pg_try_advisory_xact_lock($1) as held", [PUBLISHER.into()]).await?;
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

/// Records that the log has these events.
pub async fn mark_published(tx: &Tx, events: &[Event]) -> Result<()> {
    let workspaces: Vec<Uuid> = events.iter().map(|event| event.workspace_id.0).collect();
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    sql::execute(
        tx,
        "update event set published = true from unnest($1::uuid[], $2::bigint[]) sent (workspace_id, seq)
         where event.workspace_id = sent.workspace_id and event.seq = sent.seq",
        [workspaces.into(), seqs.into()],
    )
    .await?;
    Ok(())
}
