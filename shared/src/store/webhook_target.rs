//! Deliveries of `sink.webhook` whose receiver is told when they are obsolete.

use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Result, Tx, sql};
use crate::id::{FileId, PipelineId, RunId, WorkspaceId};

/// The node and the file of deliveries.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `webhook_target`")]
pub struct WebhookTarget {
    pub workspace_id: WorkspaceId,
    pub pipeline_id: PipelineId,
    pub node: String,
    pub file_id: FileId,
}

/// The last delivery.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `webhook_target`")]
pub struct Delivered {
    pub run_id: RunId,
    pub url: String,
}

/// Records a delivery of a run. Pipelines of one run have none: they are deleted some time after it.
pub async fn put(tx: &Tx, target: &WebhookTarget, run: RunId, url: &str) -> Result<()> {
    let WebhookTarget { workspace_id, pipeline_id, node, file_id } = target;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let put = raw_sql!(
        Postgres,
        "insert into webhook_target (workspace_id, pipeline_id, node, file_id, run_id, url)
         select {workspace_id}, {pipeline_id}, {node}, {file_id}, {run}, {url}
         from pipeline where workspace_id = {workspace_id} and id = {pipeline_id} and not inline
         on conflict (workspace_id, pipeline_id, node, file_id)
         do update set run_id = excluded.run_id, url = excluded.url, obsolete = false"
    );
    sql::execute(tx, put).await?;
    Ok(())
}

/// Marks up to `limit` deliveries as obsolete and returns them: their file or pipeline was deleted, or a later run of the pipeline
/// has processed the file and delivered nothing.
pub async fn mark_obsolete(tx: &Tx, limit: i64) -> Result<Vec<WebhookTarget>> {
    let obsolete = raw_sql!(
        Postgres,
        "update webhook_target set obsolete = true
         where (workspace_id, pipeline_id, node, file_id) in (
             select t.workspace_id, t.pipeline_id, t.node, t.file_id from webhook_target t
             where not t.obsolete and (
                 not exists (select from pipeline p where p.workspace_id = t.workspace_id and p.id = t.pipeline_id)
                 or not exists (select from file f where f.workspace_id = t.workspace_id and f.id = t.file_id)
                 or exists (
                     select from run_item i join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
                     where i.workspace_id = t.workspace_id and i.file_id = t.file_id and i.run_id > t.run_id
                         and r.pipeline_id = t.pipeline_id and not r.preview and i.state in ('done', 'skipped')
                         and not exists (
                             select from run_item o
                             where o.workspace_id = i.workspace_id and o.run_id = i.run_id and o.file_id = i.file_id
                                 and o.state in ('queued', 'running'))))
             limit {limit}
             for update skip locked)
         returning workspace_id, pipeline_id, node, file_id"
    );
    sql::all(tx, obsolete).await
}

/// The last delivery, if it is obsolete still.
pub async fn find_obsolete(conn: &impl Conn, target: &WebhookTarget) -> Result<Option<Delivered>> {
    let WebhookTarget { workspace_id, pipeline_id, node, file_id } = target;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let delivered = raw_sql!(
        Postgres,
        "select run_id, url from webhook_target
         where workspace_id = {workspace_id} and pipeline_id = {pipeline_id} and node = {node} and file_id = {file_id}
             and obsolete"
    );
    sql::first(conn, delivered).await
}

/// Forgets an obsolete delivery of a run, of which the receiver knows.
pub async fn delete(tx: &Tx, target: &WebhookTarget, run: RunId) -> Result<()> {
    let WebhookTarget { workspace_id, pipeline_id, node, file_id } = target;
    let (workspace_id, pipeline_id, file_id) = (*workspace_id, *pipeline_id, *file_id);
    let delete = raw_sql!(
        Postgres,
        "delete from webhook_target
         where workspace_id = {workspace_id} and pipeline_id = {pipeline_id} and node = {node} and file_id = {file_id}
             and run_id = {run} and obsolete"
    );
    sql::execute(tx, delete).await?;
    Ok(())
}
