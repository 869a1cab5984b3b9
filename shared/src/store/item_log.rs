//! The log of items of runs.

use sea_orm::{ActiveValue::Set, EntityTrait};

use super::{Result, Tx};
use crate::{
    domain::{
        failure::{Failure, FailureCode},
        run::LogKind,
    },
    entity::run_item_log,
    id::{ItemId, LogEntryId, WorkspaceId},
};

/// An entry of the log of an item.
#[derive(Clone, Debug)]
pub struct NewEntry<'a> {
    /// The kind.
    pub kind: LogKind,
    /// The node that the entry is about.
    pub node: Option<&'a str>,
    /// One sentence; never contains document text.
    pub detail: &'a str,
    /// The code of the failure that the entry is about.
    pub code: Option<FailureCode>,
    /// The member of the item's file that the entry is about, at most 8 KiB.
    pub path: Option<&'a str>,
}

impl<'a> NewEntry<'a> {
    /// An entry about something that is no failure.
    #[must_use]
    pub const fn new(kind: LogKind, node: Option<&'a str>, detail: &'a str) -> Self {
        Self { kind, node, detail, code: None, path: None }
    }

    /// An entry about a failure.
    #[must_use]
    pub fn failure(kind: LogKind, failure: &'a Failure) -> Self {
        let node = failure.node.as_deref();
        Self { kind, node, detail: &failure.detail, code: Some(failure.code), path: None }
    }
}

/// Adds an entry to the log of an item.
pub async fn append(tx: &Tx, workspace: WorkspaceId, item: ItemId, entry: &NewEntry<'_>) -> Result<()> {
    let row = run_item_log::ActiveModel {
        workspace_id: Set(workspace),
        item_id: Set(item),
        id: Set(LogEntryId::new()),
        node: Set(entry.node.map(str::to_owned)),
        kind: Set(entry.kind),
        detail: Set(entry.detail.to_owned()),
        code: Set(entry.code),
        path: Set(entry.path.map(str::to_owned)),
        ..Default::default()
    };
    run_item_log::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}
