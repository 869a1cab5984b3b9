//! What sinks have written to systems outside: who writes, until where, and what is obsolete.
//!
//! A sink tells what it is about to write before it writes ([`begin`]), so that nothing outside is ever unknown here. At most one job
//! at a time writes or deletes for a target: the latest version and run of the file decide what is left.

use sea_orm::{FromQueryResult, raw_sql};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::{Conn, Result, Tx, job::Claim, sql};
use crate::{
    id::{ConnectionId, FileId, ItemId, PipelineId, RunId, VersionId, WorkspaceId},
    pipeline::progress::Replaces,
};

/// The identity of a target.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `external_target`")]
pub struct TargetKey {
    pub workspace_id: WorkspaceId,
    pub pipeline_id: PipelineId,
    pub node: String,
    pub file_id: FileId,
    pub destination: String,
}

/// Where a sink writes.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Requests to an address.
    Url(&'a str),
    /// Rows behind a connection, with what the sink says of the place in it.
    Connection(ConnectionId, &'a Json),
}

/// A target whose rows are to go.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `external_target`")]
pub struct Obsolete {
    pub run_id: RunId,
    pub url: Option<String>,
    pub connection_id: Option<ConnectionId>,
    pub place: Option<Json>,
    pub written: i32,
}

/// Whether a job may write, or delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun<T> {
    /// It may.
    Granted(T),
    /// Another job does.
    Busy,
    /// Nothing is to be done any more: for writing, a newer version or run of the file has written.
    Superseded,
}

/// The version of a file in a run.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named as their types")]
pub struct Source {
    pub version: VersionId,
    pub run: RunId,
}

/// The hash that identifies a place by its parts.
#[must_use]
pub fn destination(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[derive(FromQueryResult)]
struct Found {
    inline: bool,
    is_newer: bool,
}

/// Begins to write `elements` rows; returns the number of rows that may be there by then. Pipelines of one run have no targets: what
/// they write stays.
pub async fn begin(
    tx: &Tx,
    key: &TargetKey,
    place: Place<'_>,
    source: Source,
    elements: i32,
    claim: &Claim,
) -> Result<Begun<i32>> {
    let TargetKey { workspace_id, pipeline_id, node, file_id, destination } = key;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let (url, connection, place) = columns(place);
    let (version, run, job, epoch) = (source.version, source.run, claim.id, claim.epoch);
    let begun = raw_sql!(
        Postgres,
        "insert into external_target as t
             (workspace_id, pipeline_id, node, file_id, destination, url, connection_id, place, version, run_id, written, job_id,
              epoch)
         select {workspace_id}, {pipeline_id}, {node}, {file_id}, {destination}, {url}, {connection}, {place}, v.number, {run},
             {elements}, {job}, {epoch}
         from pipeline p join file_version v on v.workspace_id = p.workspace_id
         where p.workspace_id = {workspace_id} and p.id = {pipeline_id} and not p.inline and v.id = {version}
         on conflict (workspace_id, pipeline_id, node, file_id, destination) do update set
             version = excluded.version, run_id = excluded.run_id, written = greatest(t.written, excluded.written),
             obsolete = false, queued = false, job_id = excluded.job_id, epoch = excluded.epoch
         where (t.version, t.run_id) <= (excluded.version, excluded.run_id)
             and (t.job_id is null or t.job_id = excluded.job_id or not exists (
                 select from job j where j.id = t.job_id and j.epoch = t.epoch and j.state = 'running'))
         returning t.written"
    );
    if let Some(written) = sql::first_value(tx, begun).await? {
        return Ok(Begun::Granted(written));
    }
    let found = raw_sql!(
        Postgres,
        "select p.inline, coalesce((t.version, t.run_id) > (v.number, {run}), false) as is_newer
         from pipeline p
         left join external_target t on t.workspace_id = p.workspace_id and t.pipeline_id = p.id and t.node = {node}
             and t.file_id = {file_id} and t.destination = {destination}
         left join file_version v on v.workspace_id = p.workspace_id and v.id = {version}
         where p.workspace_id = {workspace_id} and p.id = {pipeline_id}"
    );
    Ok(match sql::first(tx, found).await? {
        Some(Found { inline: true, .. }) => Begun::Granted(elements),
        Some(Found { is_newer: false, .. }) => Begun::Busy,
        // Of a deleted pipeline nothing is to be there.
        Some(_) | None => Begun::Superseded,
    })
}

/// Records a complete write: of rows with ordinals below `elements`, and no others.
pub async fn complete(tx: &Tx, key: &TargetKey, run: RunId, elements: i32) -> Result<()> {
    let TargetKey { workspace_id, pipeline_id, node, file_id, destination } = key;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let complete = raw_sql!(
        Postgres,
        "update external_target set written = {elements}, elements = {elements}, job_id = null, epoch = null
         where workspace_id = {workspace_id} and pipeline_id = {pipeline_id} and node = {node} and file_id = {file_id}
             and destination = {destination} and run_id = {run}"
    );
    sql::execute(tx, complete).await?;
    Ok(())
}

/// Records requests that a receiver has got.
pub async fn put(tx: &Tx, key: &TargetKey, url: &str, source: Source) -> Result<()> {
    let TargetKey { workspace_id, pipeline_id, node, file_id, destination } = key;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let (version, run) = (source.version, source.run);
    let put = raw_sql!(
        Postgres,
        "insert into external_target as t
             (workspace_id, pipeline_id, node, file_id, destination, url, version, run_id, written, elements)
         select {workspace_id}, {pipeline_id}, {node}, {file_id}, {destination}, {url}, v.number, {run}, 1, 1
         from pipeline p join file_version v on v.workspace_id = p.workspace_id
         where p.workspace_id = {workspace_id} and p.id = {pipeline_id} and not p.inline and v.id = {version}
         on conflict (workspace_id, pipeline_id, node, file_id, destination) do update set
             version = greatest(t.version, excluded.version), run_id = greatest(t.run_id, excluded.run_id), elements = 1,
             obsolete = false, queued = false"
    );
    sql::execute(tx, put).await?;
    Ok(())
}

/// Marks targets of a pipeline and a file that a run has left behind, when the last item of the file in the run has ended: those of
/// earlier versions and runs, and those of this run if a later one has ended already. Of nodes that the item does not replace, only
/// those of earlier versions, when no item of the version is open that may write them. Also marks what an item of another source, which
/// failed before, has left without a complete write, as [`abandon`] does.
pub async fn supersede(
    tx: &Tx,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    file: FileId,
    source: Source,
    replaces: &Replaces,
) -> Result<()> {
    let (version, run) = (source.version, source.run);
    let (kept, replaced_by) = (replaces.all_but.clone(), replaces.replaced_by.clone());
    let earlier = raw_sql!(
        Postgres,
        "update external_target t set obsolete = true, queued = false,
             version = case when t.node = any({kept}::text[]) then t.version else v.number end,
             run_id = case when t.node = any({kept}::text[]) then t.run_id else {run} end
         from file_version v
         where t.workspace_id = {workspace} and t.pipeline_id = {pipeline} and t.file_id = {file}
             and v.workspace_id = t.workspace_id and v.id = {version} and (t.version, t.run_id) < (v.number, {run})
             and (t.version < v.number or t.node <> all({kept}::text[]))
             and not exists (
                 select from run_item i join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
                 where i.workspace_id = {workspace} and i.version_id = {version} and i.state in ('queued', 'running')
                     and (i.run_id = {run}
                         or t.node = any({kept}::text[]) and r.pipeline_id = {pipeline} and not r.preview))"
    );
    sql::execute(tx, earlier).await?;
    let own = raw_sql!(
        Postgres,
        "update external_target t set obsolete = true, queued = false
         where t.workspace_id = {workspace} and t.pipeline_id = {pipeline} and t.file_id = {file} and t.run_id = {run}
             and not t.obsolete
             and (t.node <> all({kept}::text[]) and exists (
                     select from file_version v
                     join run_item i on i.workspace_id = v.workspace_id and i.version_id = v.id
                     join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
                     where v.workspace_id = {workspace} and v.file_id = {file} and (v.number, i.run_id) > (t.version, t.run_id)
                         and (v.number > t.version or i.entry = any({replaced_by}::integer[]))
                         and r.pipeline_id = {pipeline} and not r.preview and i.state in ('done', 'skipped'))
                 or t.elements = 0
                     and t.version = (select number from file_version where workspace_id = {workspace} and id = {version})
                     and not exists (
                         select from run_item o
                         where o.workspace_id = {workspace} and o.version_id = {version} and o.run_id = {run}
                             and o.state in ('queued', 'running')))"
    );
    sql::execute(tx, own).await?;
    Ok(())
}

/// Marks targets that items which failed or were cancelled have left without a complete write. While another item of the version goes on
/// in the run, it may write them: its end marks them.
pub async fn abandon(tx: &Tx, workspace: WorkspaceId, items: Vec<ItemId>) -> Result<()> {
    let abandoned = raw_sql!(
        Postgres,
        "with abandoned as (
             select t.workspace_id, t.pipeline_id, t.node, t.file_id, t.destination
             from run_item i
             join file_version v on v.workspace_id = i.workspace_id and v.id = i.version_id
             join external_target t on t.workspace_id = i.workspace_id and t.file_id = i.file_id and t.run_id = i.run_id
                 and t.version = v.number
             where i.workspace_id = {workspace} and i.id = any({items}) and t.elements = 0 and not t.obsolete
                 and not exists (
                     select from run_item o
                     where o.workspace_id = i.workspace_id and o.version_id = i.version_id and o.run_id = i.run_id
                         and o.state in ('queued', 'running'))
             order by t.pipeline_id, t.node, t.file_id, t.destination for no key update of t)
         update external_target t set obsolete = true from abandoned a
         where t.workspace_id = a.workspace_id and t.pipeline_id = a.pipeline_id and t.node = a.node
             and t.file_id = a.file_id and t.destination = a.destination"
    );
    sql::execute(tx, abandoned).await?;
    Ok(())
}

/// Marks up to `limit` obsolete targets as left to jobs, and returns them.
pub async fn take_obsolete(tx: &Tx, limit: i64) -> Result<Vec<TargetKey>> {
    let obsolete = raw_sql!(
        Postgres,
        "update external_target set queued = true
         where (workspace_id, pipeline_id, node, file_id, destination) in (
             select workspace_id, pipeline_id, node, file_id, destination from external_target
             where obsolete and not queued limit {limit} for update skip locked)
         returning workspace_id, pipeline_id, node, file_id, destination"
    );
    sql::all(tx, obsolete).await
}

/// Begins to delete what an obsolete target has written.
pub async fn begin_clear(tx: &Tx, key: &TargetKey, claim: &Claim) -> Result<Begun<Obsolete>> {
    let TargetKey { workspace_id, pipeline_id, node, file_id, destination } = key;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let (job, epoch) = (claim.id, claim.epoch);
    let begun = raw_sql!(
        Postgres,
        "update external_target t set job_id = {job}, epoch = {epoch}
         where t.workspace_id = {workspace_id} and t.pipeline_id = {pipeline_id} and t.node = {node} and t.file_id = {file_id}
             and t.destination = {destination} and t.obsolete
             and (t.job_id is null or t.job_id = {job} or not exists (
                 select from job j where j.id = t.job_id and j.epoch = t.epoch and j.state = 'running'))
         returning t.run_id, t.url, t.connection_id, t.place, t.written"
    );
    if let Some(obsolete) = sql::first(tx, begun).await? {
        return Ok(Begun::Granted(obsolete));
    }
    Ok(if is_obsolete(tx, key).await? { Begun::Busy } else { Begun::Superseded })
}

async fn is_obsolete(conn: &impl Conn, key: &TargetKey) -> Result<bool> {
    let TargetKey { workspace_id, pipeline_id, node, file_id, destination } = key;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let obsolete = raw_sql!(
        Postgres,
        "select obsolete from external_target
         where workspace_id = {workspace_id} and pipeline_id = {pipeline_id} and node = {node} and file_id = {file_id}
             and destination = {destination}"
    );
    Ok(sql::first_value(conn, obsolete).await?.unwrap_or(false))
}

/// Forgets an obsolete target, of which nothing is left outside.
pub async fn delete(tx: &Tx, key: &TargetKey) -> Result<()> {
    let TargetKey { workspace_id, pipeline_id, node, file_id, destination } = key;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let delete = raw_sql!(
        Postgres,
        "delete from external_target
         where workspace_id = {workspace_id} and pipeline_id = {pipeline_id} and node = {node} and file_id = {file_id}
             and destination = {destination} and obsolete"
    );
    sql::execute(tx, delete).await?;
    Ok(())
}

fn columns(place: Place<'_>) -> (Option<String>, Option<ConnectionId>, Option<Json>) {
    match place {
        Place::Url(url) => (Some(url.to_owned()), None, None),
        Place::Connection(id, place) => (None, Some(id), Some(place.clone())),
    }
}
