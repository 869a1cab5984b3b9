//! Fingerprints of texts, by which `deduplicate` finds elements that another file had before.

use sea_orm::{FromQueryResult, raw_sql};
use serde_json::json;
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::id::{self, CollectionId, FileId, PipelineId, RunId, WorkspaceId};

/// The files among which duplicates are found.
#[derive(Clone, Copy, Debug)]
pub enum FingerprintScope {
    /// Those of a run.
    Run(RunId),
    /// Those that were processed for a collection.
    Collection(CollectionId),
}

impl FingerprintScope {
    const fn id(self) -> Uuid {
        match self {
            Self::Run(run) => run.0,
            Self::Collection(collection) => collection.0,
        }
    }

    const fn columns(self) -> (Option<RunId>, Option<CollectionId>) {
        match self {
            Self::Run(run) => (Some(run), None),
            Self::Collection(collection) => (None, Some(collection)),
        }
    }
}

/// The node and the file that have fingerprints.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The files among which they count.
    pub scope: FingerprintScope,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The node.
    pub node: &'a str,
    /// The file.
    pub file: FileId,
}

/// The fingerprint of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Half of the SHA-256 of the text.
    pub hash: Uuid,
    /// Hashes of the bands of the signature.
    pub bands: Vec<i64>,
    /// The signature, by which similar texts are found.
    pub signature: Option<Vec<u8>>,
}

/// The fingerprint of another file.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `fingerprint`")]
pub struct FoundFingerprint {
    pub hash: Uuid,
    pub signature: Option<Vec<u8>>,
}

/// Most similar texts that are read at once. Among more, some may be missed.
const MAX_CANDIDATES: i64 = 5_000;

/// Lets one file at a time compare and add fingerprints, until the transaction ends.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, owner: &Owner<'_>) -> Result<()> {
    let (scope, node) = (owner.scope.id(), owner.node);
    let lock = raw_sql!(
        Postgres,
        "select pg_advisory_xact_lock(hashtextextended({workspace}::text || {scope}::text || {node}, 0))"
    );
    sql::execute(tx, lock).await?;
    Ok(())
}

/// The fingerprints of other files that are equal or have an equal band.
pub async fn of_others(
    conn: &impl Conn,
    workspace: WorkspaceId,
    owner: &Owner<'_>,
    hashes: &[Uuid],
    bands: &[i64],
) -> Result<Vec<FoundFingerprint>> {
    let (scope, pipeline, node, file) = (owner.scope.id(), owner.pipeline, owner.node, owner.file);
    let (hashes, bands, limit) = (hashes.to_vec(), bands.to_vec(), MAX_CANDIDATES);
    let others = raw_sql!(
        Postgres,
        "select hash, signature from fingerprint
         where workspace_id = {workspace} and scope_id = {scope} and pipeline_id = {pipeline} and node = {node}
             and file_id <> {file} and hash = any({hashes})
         union
         (select hash, signature from fingerprint
          where workspace_id = {workspace} and scope_id = {scope} and pipeline_id = {pipeline} and node = {node}
              and file_id <> {file} and bands && {bands}
          limit {limit})"
    );
    sql::all(conn, others).await
}

/// Replaces the fingerprints of the owner's file.
pub async fn replace(tx: &Tx, workspace: WorkspaceId, owner: &Owner<'_>, prints: Vec<Fingerprint>) -> Result<()> {
    let (scope, pipeline, node, file) = (owner.scope.id(), owner.pipeline, owner.node, owner.file);
    let before = raw_sql!(
        Postgres,
        "delete from fingerprint
         where workspace_id = {workspace} and scope_id = {scope} and pipeline_id = {pipeline} and node = {node}
             and file_id = {file}"
    );
    sql::execute(tx, before).await?;
    let rows = prints.into_iter().map(|print| {
        json!({
            "id": id::new(), "hash": print.hash, "bands": print.bands, "signature": print.signature.map(hex::encode),
        })
    });
    let rows = serde_json::Value::Array(rows.collect());
    let (run, collection) = owner.scope.columns();
    let insert = raw_sql!(
        Postgres,
        "insert into fingerprint
             (workspace_id, id, scope_id, run_id, collection_id, pipeline_id, node, file_id, hash, bands, signature)
         select {workspace}, r.id, {scope}, {run}, {collection}, {pipeline}, {node}, {file}, r.hash, r.bands,
             decode(r.signature, 'hex')
         from jsonb_to_recordset({rows}::jsonb) r (id uuid, hash uuid, bands bigint[], signature text)"
    );
    sql::execute(tx, insert).await?;
    Ok(())
}

/// Deletes fingerprints of runs that have ended, and of pipelines that were deleted.
pub async fn delete_obsolete(conn: &impl Conn) -> Result<u64> {
    let obsolete = raw_sql!(
        Postgres,
        "delete from fingerprint f
         where exists (select from run r where r.workspace_id = f.workspace_id and r.id = f.run_id
                       and r.state not in ('queued', 'running'))
             or not exists (select from pipeline p where p.workspace_id = f.workspace_id and p.id = f.pipeline_id)"
    );
    sql::execute(conn, obsolete).await
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::{
        store::{self, TransactionTrait},
        testing::TestDeployment,
    };

    #[tokio::test]
    async fn other_files_see_equal_texts_and_equal_bands() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let (workspace, collection, pipeline) = (WorkspaceId::new(), CollectionId::new(), PipelineId::new());
        let (one, two) = (FileId::new(), FileId::new());
        let owner = |file| Owner { scope: FingerprintScope::Collection(collection), pipeline, node: "unique", file };
        let print = |bands: &[i64]| Fingerprint { hash: id::new(), bands: bands.to_vec(), signature: Some(vec![7]) };
        let (first, second) = (print(&[1, 2]), print(&[3]));
        let tx = db.begin().await.unwrap();
        // Rows without those that they refer to: the functions read no other table.
        tx.execute_unprepared("set local session_replication_role = replica").await.unwrap();
        lock(&tx, workspace, &owner(one)).await.unwrap();
        replace(&tx, workspace, &owner(one), vec![first.clone(), second.clone()]).await.unwrap();
        let found = of_others(&tx, workspace, &owner(two), &[first.hash], &[3]).await.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(of_others(&tx, workspace, &owner(two), &[], &[2]).await.unwrap()[0].hash, first.hash);
        assert_eq!(of_others(&tx, workspace, &owner(one), &[first.hash], &[3]).await.unwrap().len(), 0);
        replace(&tx, workspace, &owner(one), vec![second]).await.unwrap();
        assert_eq!(of_others(&tx, workspace, &owner(two), &[first.hash], &[1]).await.unwrap().len(), 0);
        tx.rollback().await.unwrap();
        db.close().await.unwrap();
        deployment.close().await;
    }
}
