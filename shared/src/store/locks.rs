//! Locks on a file and everything that its processing changes, in the order of
//! [docs/ARCHITECTURE.md](../../../docs/ARCHITECTURE.md#locks): file, items, runs.
//!
//! A worker that processes an item, and a transaction that deletes the file, both begin with the file: then none of them has
//! a row that the other waits for.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{LockType, SelectStatement},
};

use super::{
    Result, Tx,
    run::{self, Item},
};
use crate::{
    entity::{file, file_version, run_item},
    id::{FileId, ItemId, RunId, WorkspaceId},
};

/// Locks the file of an item, then the item, so that one transaction at a time changes them. `None`: the file was deleted.
pub async fn lock_item(tx: &Tx, workspace: WorkspaceId, item: ItemId) -> Result<Option<Item>> {
    let of_item = run_item::Entity::find_by_id((workspace, item)).select_only().column(run_item::Column::FileId);
    // Not `for update`: rows that refer to the file may be added meanwhile.
    let file = select_file(workspace)
        .filter(file::Column::Id.in_subquery(of_item.into_query()))
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<FileId>();
    match file.one(tx).await? {
        Some(_) => run::lock_item(tx, workspace, item).await,
        None => Ok(None),
    }
}

/// Locks a file that is to be deleted, then its items; returns their runs. `None`: there is no such file.
pub(super) async fn lock_for_deletion(tx: &Tx, workspace: WorkspaceId, file: FileId) -> Result<Option<Vec<RunId>>> {
    let exists = select_file(workspace).filter(file::Column::Id.eq(file)).lock(LockType::Update).into_tuple::<FileId>();
    if exists.one(tx).await?.is_none() {
        return Ok(None);
    }
    // By version: that is the index.
    let runs = run_item::Entity::find()
        .select_only()
        .column(run_item::Column::RunId)
        .filter(run_item::Column::WorkspaceId.eq(workspace))
        .filter(run_item::Column::VersionId.in_subquery(versions(workspace, file)))
        .order_by_asc(run_item::Column::Id)
        .lock(LockType::Update)
        .into_tuple();
    runs.all(tx).await.map(Some)
}

fn select_file(workspace: WorkspaceId) -> sea_orm::Select<file::Entity> {
    file::Entity::find().select_only().column(file::Column::Id).filter(file::Column::WorkspaceId.eq(workspace))
}

fn versions(workspace: WorkspaceId, file: FileId) -> SelectStatement {
    file_version::Entity::find()
        .select_only()
        .column(file_version::Column::Id)
        .filter(file_version::Column::WorkspaceId.eq(workspace))
        .filter(file_version::Column::FileId.eq(file))
        .into_query()
}
