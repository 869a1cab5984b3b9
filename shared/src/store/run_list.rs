//! Runs, items and their logs as lists, page by page.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Conn, Result, sql};
use crate::{
    domain::{
        failure::FailureCode,
        run::{ItemState, RunState, RunTrigger},
    },
    entity::{run, run_item, run_item_log},
    id::{ItemId, LogEntryId, PipelineId, RunId, WorkspaceId},
};

/// Which runs a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunFilter {
    /// Only those of this pipeline.
    pub pipeline: Option<PipelineId>,
    /// Only those in this state.
    pub state: Option<RunState>,
    /// Only those that were started for this reason.
    pub trigger: Option<RunTrigger>,
}

/// Runs before `before`, newest first.
pub async fn runs(
    conn: &impl Conn,
    workspace: WorkspaceId,
    filter: RunFilter,
    before: Option<RunId>,
    limit: i64,
) -> Result<Vec<run::Model>> {
    use run::Column;
    let mut query = run::Entity::find().filter(Column::WorkspaceId.eq(workspace));
    if let Some(pipeline) = filter.pipeline {
        query = query.filter(Column::PipelineId.eq(pipeline));
    }
    if let Some(state) = filter.state {
        query = query.filter(Column::State.eq(state));
    }
    if let Some(trigger) = filter.trigger {
        query = query.filter(Column::Trigger.eq(trigger));
    }
    sql::newest(query, Column::Id, before, limit).all(conn).await
}

/// Which items a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemFilter {
    /// Only those in this state.
    pub state: Option<ItemState>,
    /// Only those that failed with this code.
    pub code: Option<FailureCode>,
}

/// Items of a run after `after`, in the order in which they entered.
pub async fn items(
    conn: &impl Conn,
    workspace: WorkspaceId,
    run: RunId,
    filter: ItemFilter,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Vec<run_item::Model>> {
    use run_item::Column;
    let mut query = run_item::Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::RunId.eq(run));
    if let Some(state) = filter.state {
        query = query.filter(Column::State.eq(state));
    }
    if let Some(code) = filter.code {
        query = query.filter(Column::FailureCode.eq(code));
    }
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    query.order_by_asc(Column::Id).limit(sql::row_limit(limit)).all(conn).await
}

/// An item of a run.
pub async fn item(
    conn: &impl Conn,
    workspace: WorkspaceId,
    run: RunId,
    item: ItemId,
) -> Result<Option<run_item::Model>> {
    run_item::Entity::find_by_id((workspace, item)).filter(run_item::Column::RunId.eq(run)).one(conn).await
}

/// Entries of an item's log after `after`, oldest first.
pub async fn log(
    conn: &impl Conn,
    workspace: WorkspaceId,
    item: ItemId,
    after: Option<LogEntryId>,
    limit: i64,
) -> Result<Vec<run_item_log::Model>> {
    use run_item_log::Column;
    let mut query =
        run_item_log::Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::ItemId.eq(item));
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    query.order_by_asc(Column::Id).limit(sql::row_limit(limit)).all(conn).await
}
