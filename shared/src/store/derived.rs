//! Files that pipelines make from others: members of archives, and files that sinks write. They go with the file that they
//! come from.

use sea_orm::{ActiveValue::Set, EntityTrait, FromQueryResult, raw_sql};

use super::{
    Conn, Result, Tx,
    file::{self, StoredBlob},
    locks,
    run_item::Item,
    sql,
};
use crate::{
    entity::{file as files, file_version},
    id::{FileId, RunId, VersionId, WorkspaceId},
    pipeline::progress::Replaces,
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

/// Deletes the files that `source` has made from the file of an item, except those of the item. Files of nodes that the item does not
/// replace stay if another item has made them of the same version, or one that may make them is open; so do files of open items. Returns
/// the runs that wait for fewer items than before, as [`file::delete`] does.
pub async fn delete_others(
    tx: &Tx,
    workspace: WorkspaceId,
    item: &Item,
    source: &str,
    replaces: &Replaces,
) -> Result<Vec<RunId>> {
    let (keep, kept) = (item.progress.files.clone(), replaces.all_but.clone());
    let (parent, version, pipeline) = (item.file_id, item.version_id, item.pipeline_id);
    // The external id is that of the file, the node and the name.
    let obsolete = raw_sql!(
        Postgres,
        "select f.id from file f
         where f.workspace_id = {workspace} and f.parent_id = {parent} and f.source = {source} and not f.id = any({keep})
             and not exists (
                 select from run_item i join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
                 where i.workspace_id = f.workspace_id and i.version_id = {version} and r.pipeline_id = {pipeline} and not r.preview
                     and case when split_part(f.external_id, '/', 2) = any({kept}::text[])
                         then i.state in ('queued', 'running') or i.progress->'files' @> to_jsonb(f.id::text)
                         else i.state in ('queued', 'running') and i.progress->'files' @> to_jsonb(f.id::text) end)"
    );
    let obsolete: Vec<FileId> = sql::all_values(tx, obsolete).await?;
    if obsolete.is_empty() {
        return Ok(Vec::new());
    }
    let locked = locks::lock_for_deletion(tx, workspace, obsolete).await?;
    file::delete_locked(tx, workspace, locked).await
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
