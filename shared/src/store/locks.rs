//! Locks on a file and everything that its processing changes, in the order of
//! [docs/ARCHITECTURE.md](../../../docs/ARCHITECTURE.md#locks): external ids, file, items.
//!
//! A worker that processes an item, and a transaction that deletes the file, both begin with the file: then none of them has
//! a row that the other waits for.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, raw_sql,
    sea_query::{LockType, SelectStatement},
};

use super::{Result, Tx, run_item::Item, sql};
use crate::{
    domain::file::UPLOAD_SOURCE,
    entity::{file, file_version, run_item},
    id::{FileId, ItemId, RunId, WorkspaceId},
};

/// Locks the file of an item, then the item, so that one transaction at a time changes them. `None`: the file was deleted.
pub async fn lock_item(tx: &Tx, workspace: WorkspaceId, item: ItemId) -> Result<Option<Item>> {
    Ok(lock_items(tx, workspace, vec![item]).await?.pop())
}

/// Locks the files of items, then the items; returns those whose file is not deleted, by id.
pub async fn lock_items(tx: &Tx, workspace: WorkspaceId, items: Vec<ItemId>) -> Result<Vec<Item>> {
    let of_items = run_item::Entity::find()
        .select_only()
        .column(run_item::Column::FileId)
        .filter(run_item::Column::WorkspaceId.eq(workspace))
        .filter(run_item::Column::Id.eq_any(items.clone()));
    // Not `for update`: rows that refer to the file may be added meanwhile.
    let files = select_file(workspace)
        .filter(file::Column::Id.in_subquery(of_items.into_query()))
        .order_by_asc(file::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<FileId>();
    files.all(tx).await?;
    super::run_item::lock(tx, workspace, items).await
}

/// Locks a file whose description is to be changed. `None`: there is no such file.
pub async fn lock_file(tx: &Tx, workspace: WorkspaceId, file: FileId) -> Result<Option<file::Model>> {
    file::Entity::find_by_id((workspace, file)).lock(LockType::NoKeyUpdate).one(tx).await
}

/// Locks external ids of uploads, and then the files that have them; returns these with their newest versions. Uploads with an
/// external id in common run one after the other, also while no file has it yet.
pub async fn lock_uploads(
    tx: &Tx,
    workspace: WorkspaceId,
    external_ids: Vec<String>,
) -> Result<Vec<(file::Model, file_version::Model)>> {
    lock_external_ids(tx, workspace, UPLOAD_SOURCE, external_ids).await
}

/// As [`lock_uploads`], of any source.
pub async fn lock_external_ids(
    tx: &Tx,
    workspace: WorkspaceId,
    source: &str,
    external_ids: Vec<String>,
) -> Result<Vec<(file::Model, file_version::Model)>> {
    if external_ids.is_empty() {
        return Ok(Vec::new());
    }
    // Of the external ids themselves, because a file that does not exist cannot be locked. Two ids with the same key wait for
    // each other without need, and nothing else happens.
    let lock_ids = raw_sql!(
        Postgres,
        "select pg_advisory_xact_lock(key) from (
             select distinct hashtextextended({source}::text || ' ' || {workspace}::uuid || ' ' || external_id, 0) as key
             from unnest({external_ids}::text[]) external_id order by key) ordered"
    );
    sql::execute(tx, lock_ids).await?;
    let files = file::Entity::find()
        .filter(file::Column::WorkspaceId.eq(workspace))
        .filter(file::Column::Source.eq(source))
        .filter(file::Column::ExternalId.eq_any(external_ids))
        .order_by_asc(file::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    let mut locked = Vec::with_capacity(files.len());
    for file in files {
        // After the lock, which may have waited for a newer version.
        let newest = file_version::Entity::find_by_id((workspace, file.version_id)).one(tx).await?;
        locked.extend(newest.map(|newest| (file, newest)));
    }
    Ok(locked)
}

/// Files that are locked to be deleted, and the runs of their items.
#[derive(Debug)]
pub(super) struct LockedForDeletion {
    /// The files, with those that were made from them, which go with them.
    pub(super) files: Vec<FileId>,
    /// The runs.
    pub(super) runs: Vec<RunId>,
}

/// Locks files that are to be deleted with those that were made from them, then their items. Files that do not exist are left out.
pub(super) async fn lock_for_deletion(
    tx: &Tx,
    workspace: WorkspaceId,
    files: Vec<FileId>,
) -> Result<LockedForDeletion> {
    let lock = |files: sea_orm::Select<file::Entity>| {
        files.order_by_asc(file::Column::Id).lock(LockType::Update).into_tuple::<FileId>()
    };
    let mut locked = Vec::new();
    let mut level = lock(select_file(workspace).filter(file::Column::Id.eq_any(files))).all(tx).await?;
    // A file that is locked gets no further ones.
    while !level.is_empty() {
        let made = select_file(workspace).filter(file::Column::ParentId.eq_any(level.clone()));
        locked.append(&mut level);
        level = lock(made).all(tx).await?;
    }
    let runs = lock_items_of_files(tx, workspace, locked.clone()).await?;
    Ok(LockedForDeletion { files: locked, runs })
}

/// Locks files that one transaction is to delete one after the other, then their items: the first deletion locks the usage of the
/// workspace, behind which no file may be locked.
pub async fn lock_for_deletions(tx: &Tx, workspace: WorkspaceId, files: Vec<FileId>) -> Result<()> {
    lock_for_deletion(tx, workspace, files).await?;
    Ok(())
}

/// Locks the versions and items of files that are locked; returns the runs of the items. A version gets no further items then, and those
/// that other transactions have just added are there for the next statement.
async fn lock_items_of_files(tx: &Tx, workspace: WorkspaceId, files: Vec<FileId>) -> Result<Vec<RunId>> {
    // By version: that is the index.
    let runs = run_item::Entity::find()
        .select_only()
        .column(run_item::Column::RunId)
        .filter(run_item::Column::WorkspaceId.eq(workspace))
        .filter(run_item::Column::VersionId.in_subquery(locked_versions(workspace, files)))
        .order_by_asc(run_item::Column::Id)
        .lock(LockType::Update)
        .into_tuple();
    runs.all(tx).await
}

fn select_file(workspace: WorkspaceId) -> sea_orm::Select<file::Entity> {
    file::Entity::find().select_only().column(file::Column::Id).filter(file::Column::WorkspaceId.eq(workspace))
}

fn locked_versions(workspace: WorkspaceId, files: Vec<FileId>) -> SelectStatement {
    file_version::Entity::find()
        .select_only()
        .column(file_version::Column::Id)
        .filter(file_version::Column::WorkspaceId.eq(workspace))
        .filter(file_version::Column::FileId.eq_any(files))
        .order_by_asc(file_version::Column::Id)
        .lock(LockType::Update)
        .into_query()
}
