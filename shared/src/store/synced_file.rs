//! Files that are kept in step with the systems behind connections.

use std::collections::HashMap;

use sea_orm::raw_sql;
use serde_json::{Map, Value as Json, json};

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
    let contents: Vec<_> = objects
        .iter()
        .filter(|(object, known)| has_new_content(object, known.as_ref()))
        .map(|(object, _)| object.blob)
        .collect();
    let blobs = file::register_blobs(tx, workspace, &contents).await?;
    let mut stored = Vec::with_capacity(objects.len());
    let (mut created, mut versions) = (Vec::new(), Vec::new());
    for (object, known) in &objects {
        if let Some((row, newest)) = known
            && !has_new_content(object, known.as_ref())
        {
            let (file, version, number, blob) = (row.id, newest.id, newest.number, newest.blob_id);
            stored.push(StoredFile { file, version, number, blob, outcome: SyncOutcome::SameContent });
            continue;
        }
        let version = VersionId::new();
        let (file, number, outcome) = match known {
            Some((row, newest)) => (row.id, newest.number + 1, SyncOutcome::NewVersion),
            None => {
                let file = FileId::new();
                created.push((file, version, *object));
                (file, 1, SyncOutcome::Created)
            }
        };
        let (content, media_type) = (object.blob, object.media_type.as_str());
        let blob = blobs.get(&content.sha256).copied().unwrap_or(content.id);
        versions.push((file, NewVersion { id: version, number, blob, media_type, content }));
        stored.push(StoredFile { file, version, number, blob, outcome });
    }
    insert(tx, workspace, &source, &created).await?;
    file::insert_versions(tx, workspace, &versions).await?;
    for ((object, known), file) in objects.into_iter().zip(&stored) {
        if let Some((row, _)) = known {
            describe(tx, files::Model { version_id: file.version, ..row }, object).await?;
        }
    }
    Ok(stored)
}

/// Whether the content of an object is not that of the newest version of its file.
fn has_new_content(object: &SyncedFile, known: Option<&(files::Model, file_version::Model)>) -> bool {
    known.is_none_or(|(_, newest)| newest.sha256 != object.blob.sha256)
}

/// Adds files in one statement, with the ids of their first versions, which are added next.
async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    source: &str,
    created: &[(FileId, VersionId, &SyncedFile)],
) -> Result<()> {
    if created.is_empty() {
        return Ok(());
    }
    let ids: Vec<FileId> = created.iter().map(|(file, _, _)| *file).collect();
    let versions: Vec<VersionId> = created.iter().map(|(_, version, _)| *version).collect();
    let external_ids: Vec<String> = created.iter().map(|(_, _, object)| object.external_id.clone()).collect();
    let names: Vec<String> = created.iter().map(|(_, _, object)| object.name.clone()).collect();
    let metadata: Vec<String> = created.iter().map(|(_, _, object)| json!(object.metadata).to_string()).collect();
    let acls: Vec<String> =
        created.iter().map(|(_, _, object)| object.acl.as_ref().map(Json::to_string).unwrap_or_default()).collect();
    let added = raw_sql!(
        Postgres,
        "insert into file (workspace_id, id, source, external_id, name, metadata, version_id, acl)
         select {workspace}, new.id, {source}, new.external_id, new.name, new.metadata::jsonb, new.version_id,
             nullif(new.acl, '')::jsonb
         from unnest({ids}::uuid[], {external_ids}::text[], {names}::text[], {metadata}::text[], {versions}::uuid[],
                 {acls}::text[])
             as new (id, external_id, name, metadata, version_id, acl)"
    );
    sql::execute(tx, added).await?;
    Ok(())
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
