//! Files that are kept in step with the systems behind connections.

use std::collections::HashMap;

use sea_orm::{ActiveValue::Set, EntityTrait, raw_sql};
use serde_json::{Map, Value as Json};

use super::{
    Result, Tx,
    file::{self, NewVersion, StoredBlob},
    locks, sql,
};
use crate::{
    entity::{file as files, file_version},
    id::{BlobId, ConnectionId, FileId, VersionId, WorkspaceId},
};

/// The source of the files of a connection.
#[must_use]
pub fn source_of(connection: ConnectionId) -> String {
    format!("connection:{connection}")
}

/// The content and the description of an object.
#[derive(Clone, Debug)]
pub struct SyncedFile {
    /// Its id in the source.
    pub external_id: String,
    /// The name.
    pub name: String,
    /// The declared media type.
    pub media_type: String,
    /// The stored content.
    pub blob: StoredBlob,
    /// Values that replace those of the same keys in the metadata of the file.
    pub metadata: Map<String, Json>,
    /// Who may read it at its source.
    pub acl: Option<Json>,
}

/// The effect of an object on its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// There was no file.
    Created,
    /// The content differs from that of the newest version.
    NewVersion,
    /// The newest version has the content.
    SameContent,
}

/// The file of an object.
#[derive(Clone, Copy, Debug)]
pub struct StoredFile {
    /// The file.
    pub file: FileId,
    /// Its newest version.
    pub version: VersionId,
    /// The number of that version.
    pub number: i32,
    /// The blob that the version refers to.
    pub blob: BlobId,
    /// The effect.
    pub outcome: SyncOutcome,
}

/// Adds files of a connection, and versions of those that exist; in the order of the objects, of which each has another external id.
pub async fn put(
    tx: &Tx,
    workspace: WorkspaceId,
    connection: ConnectionId,
    objects: &[SyncedFile],
) -> Result<Vec<StoredFile>> {
    let source = source_of(connection);
    // Locks in the order of docs/ARCHITECTURE.md: external ids, files, blobs.
    let ids = objects.iter().map(|object| object.external_id.clone()).collect();
    let known = locks::lock_external_ids(tx, workspace, &source, ids).await?;
    let mut known: HashMap<_, _> = known.into_iter().map(|known| (known.0.external_id.clone(), known)).collect();
    let objects: Vec<_> =
        objects.iter().map(|object| (object, known.remove(&Some(object.external_id.clone())))).collect();
    let mut order: Vec<_> = (0..objects.len()).collect();
    order.sort_by_key(|at| objects[*at].0.blob.sha256);
    let mut blobs = vec![None; objects.len()];
    for at in order {
        let (object, known) = &objects[at];
        if known.as_ref().is_none_or(|(_, newest)| newest.sha256 != object.blob.sha256) {
            blobs[at] = Some(file::register_blob(tx, workspace, object.blob).await?);
        }
    }
    let mut stored = Vec::with_capacity(objects.len());
    for ((object, known), blob) in objects.into_iter().zip(blobs) {
        stored.push(put_one(tx, workspace, &source, object, known, blob).await?);
    }
    Ok(stored)
}

async fn put_one(
    tx: &Tx,
    workspace: WorkspaceId,
    source: &str,
    object: &SyncedFile,
    known: Option<(files::Model, file_version::Model)>,
    blob: Option<BlobId>,
) -> Result<StoredFile> {
    let version = VersionId::new();
    let (Some((row, newest)), None) = (&known, blob) else {
        let blob = blob.unwrap_or(object.blob.id);
        let (id, number) = match &known {
            Some((row, newest)) => (row.id, newest.number + 1),
            None => (insert(tx, workspace, source, object, version).await?, 1),
        };
        let new = NewVersion { id: version, number, blob, media_type: &object.media_type, content: object.blob };
        file::insert_version(tx, workspace, id, &new).await?;
        let outcome = if let Some((row, _)) = known {
            describe(tx, files::Model { version_id: version, ..row }, object).await?;
            SyncOutcome::NewVersion
        } else {
            SyncOutcome::Created
        };
        return Ok(StoredFile { file: id, version, number, blob, outcome });
    };
    let stored = StoredFile {
        file: row.id,
        version: newest.id,
        number: newest.number,
        blob: newest.blob_id,
        outcome: SyncOutcome::SameContent,
    };
    describe(tx, row.clone(), object).await?;
    Ok(stored)
}

async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    source: &str,
    object: &SyncedFile,
    version: VersionId,
) -> Result<FileId> {
    let id = FileId::new();
    let row = files::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        source: Set(source.to_owned()),
        external_id: Set(Some(object.external_id.clone())),
        name: Set(object.name.clone()),
        metadata: Set(Json::Object(object.metadata.clone())),
        version_id: Set(version),
        acl: Set(object.acl.clone()),
        ..Default::default()
    };
    files::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

/// Stores name, metadata, permissions and newest version of a locked file, where they differ. Metadata of users stay.
async fn describe(tx: &Tx, row: files::Model, object: &SyncedFile) -> Result<()> {
    let (workspace, id, version) = (row.workspace_id, row.id, row.version_id);
    let (name, metadata) = (object.name.as_str(), Json::Object(object.metadata.clone()));
    let acl = object.acl.clone();
    let described = raw_sql!(
        Postgres,
        "update file set version_id = {version}, name = {name}, metadata = metadata || {metadata}, acl = {acl},
             source_deleted_at = null, revision = revision + 1, updated_at = now()
         where workspace_id = {workspace} and id = {id}
             and (version_id <> {version} or name <> {name} or not metadata @> {metadata} or acl is distinct from {acl}
                 or source_deleted_at is not null)"
    );
    sql::execute(tx, described).await?;
    Ok(())
}
