//! Files that pipelines make from others: members of archives, and files that sinks write. They go with the file that they
//! come from.

use sea_orm::{ActiveValue::Set, EntityTrait, FromQueryResult, raw_sql};

use super::{
    Conn, Result, Tx,
    file::{self, StoredBlob},
    sql,
};
use crate::{
    entity::{file as files, file_version},
    id::{FileId, VersionId, WorkspaceId},
};

/// A file to be written.
#[derive(Clone, Debug)]
pub struct DerivedFile {
    /// What makes it: with the external id, its identity.
    pub source: String,
    /// Its id within the source.
    pub external_id: String,
    /// The file that it comes from.
    pub parent: FileId,
    /// The name.
    pub name: String,
    /// The media type.
    pub media_type: String,
    /// The content.
    pub blob: StoredBlob,
}

#[derive(FromQueryResult)]
struct Existing {
    id: FileId,
    version_id: VersionId,
    number: i32,
    sha256: Vec<u8>,
}

/// Adds a derived file, or a version of it if its content has changed. Returns file and version, and whether the version is new.
pub async fn put(tx: &Tx, workspace: WorkspaceId, derived: &DerivedFile) -> Result<(FileId, VersionId, bool)> {
    let blob = file::register_blob(tx, workspace, derived.blob).await?;
    let (source, external_id) = (derived.source.as_str(), derived.external_id.as_str());
    let existing = raw_sql!(
        Postgres,
        "select f.id, f.version_id, v.number, v.sha256
         from file f join file_version v on v.workspace_id = f.workspace_id and v.id = f.version_id
         where f.workspace_id = {workspace} and f.source = {source} and f.external_id = {external_id}
         for no key update of f"
    );
    let existing: Option<Existing> = sql::first(tx, existing).await?;
    let version = VersionId::new();
    let (id, number) = match existing {
        Some(known) if known.sha256 == derived.blob.sha256 => return Ok((known.id, known.version_id, false)),
        Some(known) => (known.id, known.number + 1),
        None => {
            let id = FileId::new();
            let row = files::ActiveModel {
                workspace_id: Set(workspace),
                id: Set(id),
                source: Set(derived.source.clone()),
                external_id: Set(Some(derived.external_id.clone())),
                parent_id: Set(Some(derived.parent)),
                name: Set(derived.name.clone()),
                version_id: Set(version),
                ..Default::default()
            };
            files::Entity::insert(row).exec_without_returning(tx).await?;
            (id, 1)
        }
    };
    let row = file_version::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(version),
        file_id: Set(id),
        number: Set(number),
        blob_id: Set(blob),
        bytes: Set(i64::try_from(derived.blob.bytes).unwrap_or(i64::MAX)),
        sha256: Set(derived.blob.sha256.to_vec()),
        media_type: Set(derived.media_type.clone()),
        declared_type: Set(Some(derived.media_type.clone())),
        ..Default::default()
    };
    file_version::Entity::insert(row).exec_without_returning(tx).await?;
    if number > 1 {
        let name = derived.name.as_str();
        let newest = raw_sql!(
            Postgres,
            "update file set version_id = {version}, name = {name}, updated_at = now()
             where workspace_id = {workspace} and id = {id}"
        );
        sql::execute(tx, newest).await?;
    }
    Ok((id, version, true))
}

/// Deletes files that a source has made from a file, except these.
pub async fn delete_others(
    tx: &Tx,
    workspace: WorkspaceId,
    parent: FileId,
    source: &str,
    keep: &[FileId],
) -> Result<u64> {
    let keep = keep.to_vec();
    let obsolete = raw_sql!(
        Postgres,
        "delete from file where workspace_id = {workspace} and parent_id = {parent} and source = {source}
             and not id = any({keep})"
    );
    sql::execute(tx, obsolete).await
}

/// Deletes up to `limit` files that deleted pipelines have made. Returns their number.
pub async fn delete_abandoned(conn: &impl Conn, limit: i64) -> Result<u64> {
    let abandoned = raw_sql!(
        Postgres,
        "delete from file where (workspace_id, id) in (
             select f.workspace_id, f.id from file f
             where f.parent_id is not null and f.source like 'pipeline:%' and not exists (
                 select from pipeline p
                 where p.workspace_id = f.workspace_id and f.source = 'pipeline:' || p.id::text)
             limit {limit})"
    );
    sql::execute(conn, abandoned).await
}
