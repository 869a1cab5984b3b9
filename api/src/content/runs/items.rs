//! Operations that show the items of runs.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::{ItemId, LogEntryId, RunId},
    store::{self, run_list},
};

use super::{
    service,
    wire::{Item, ItemPath, ItemsQuery, LogEntry, RunPath},
};
use crate::{
    auth::member::{Member, ReadPipelines},
    http::{
        extract::{Json, Path},
        pagination::{Page, PageQuery},
        query::Query,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "listRunItems",
    tag = "runs",
    summary = "List the items of a run",
    description = "In the order in which they entered. Items of deleted files are gone."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<RunPath>,
    query: Query<ItemsQuery>,
) -> Result<Json<Page<Item>>, Problem> {
    let (db, workspace, run) = (&state.platform.db, member.workspace, path.0.run);
    let (filter, query) = query.0.into_parts();
    let after = query.after()?.map(ItemId);
    service::find(db, workspace, run).await?;
    let rows = run_list::items(db, workspace, RunId(run), filter, after, query.fetch_limit()).await?;
    let waits = store::job_wait::item_waits(db, workspace, vec![RunId(run)]).await?;
    let items: Vec<Item> = rows.into_iter().map(|row| Item::from(row).waiting(&waits)).collect();
    Ok(Json(Page::new(&query, items, |item| item.id)))
}

#[api_operation(
    operation_id = "readRunItem",
    tag = "runs",
    summary = "Read an item of a run",
    description = "State, progress and times by node, or the reason of the failure."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<ItemPath>,
) -> Result<Json<Item>, Problem> {
    let db = &state.platform.db;
    let item = service::find_item(db, member.workspace, path.0.run, path.0.item).await?;
    let waits = store::job_wait::item_waits(db, member.workspace, vec![item.run_id]).await?;
    Ok(Json(Item::from(item).waiting(&waits)))
}

#[api_operation(
    operation_id = "listRunItemLog",
    tag = "runs",
    summary = "List the log of an item",
    description = "Oldest first: failures, skipped nodes, checks that did not hold, and retries."
)]
pub async fn log(
    state: Data<State>,
    member: Member<ReadPipelines>,
    path: Path<ItemPath>,
    query: Query<PageQuery>,
) -> Result<Json<Page<LogEntry>>, Problem> {
    let (db, workspace, query) = (&state.platform.db, member.workspace, query.0);
    let after = query.after()?.map(LogEntryId);
    let item = service::find_item(db, workspace, path.0.run, path.0.item).await?;
    let rows = run_list::log(db, workspace, item.id, after, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |entry| entry.id.0)))
}
