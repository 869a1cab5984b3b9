//! The operations of the activity log.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::ActivityId,
    store::activity::{self, SeqRange},
};

use super::{
    export::Export,
    wire::{Activity, ExportQuery, ListQuery, Log},
};
use crate::{
    auth::{
        account::SignedIn,
        member::{Member, ReadActivities},
    },
    http::{
        extract::{Json, Query},
        pagination::{Page, PageQuery},
    },
    problem::{Code, Problem},
    state::State,
};

#[api_operation(
    operation_id = "listActivities",
    tag = "activities",
    summary = "List who did what",
    description = "Newest first. Nothing in this log is ever changed or removed.",
    error_code = 404
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadActivities>,
    query: Query<ListQuery>,
) -> Result<Json<Page<Activity>>, Problem> {
    let filter = query.0.filter();
    let page = PageQuery::new(query.0.limit, query.0.cursor);
    let entries = read(&state, Log::Workspace(member.workspace), &filter, page.after()?, page.fetch_limit()).await?;
    Ok(Json(Page::new(&page, entries, |activity| activity.seq)))
}

#[api_operation(
    operation_id = "exportActivities",
    tag = "activities",
    summary = "Export who did what",
    description = "Oldest first, all there is at this moment, as CSV or as JSON Lines: one object in each line.",
    error_code = 404
)]
pub async fn export(
    state: Data<State>,
    member: Member<ReadActivities>,
    query: Query<ExportQuery>,
) -> Result<Export, Problem> {
    begin(&state, Log::Workspace(member.workspace), query.0).await
}

#[api_operation(
    operation_id = "listAccountActivities",
    tag = "activities",
    summary = "List what happened to the caller's account",
    description = "Newest first: what was done with the account, its sessions, tokens and second factor, and logins that were refused. What was done in workspaces is in their logs.",
    error_code = 403
)]
pub async fn list_own(
    state: Data<State>,
    account: SignedIn,
    query: Query<ListQuery>,
) -> Result<Json<Page<Activity>>, Problem> {
    let filter = query.0.filter();
    let page = PageQuery::new(query.0.limit, query.0.cursor);
    let before = match page.after()?.map(ActivityId) {
        Some(entry) => {
            let place = activity::find_seq(&state.platform.db, account.id, entry).await?;
            Some(place.ok_or_else(|| Problem::new(Code::InvalidCursor))?)
        }
        None => None,
    };
    let entries = read(&state, Log::Account(account.id), &filter, before, page.fetch_limit()).await?;
    Ok(Json(Page::new(&page, entries, |activity| activity.id)))
}

#[api_operation(
    operation_id = "exportAccountActivities",
    tag = "activities",
    summary = "Export what happened to the caller's account",
    description = "Oldest first, all there is at this moment, as CSV or as JSON Lines: one object in each line.",
    error_code = 403
)]
pub async fn export_own(state: Data<State>, account: SignedIn, query: Query<ExportQuery>) -> Result<Export, Problem> {
    begin(&state, Log::Account(account.id), query.0).await
}

async fn read(
    state: &State,
    log: Log,
    filter: &activity::ActivityFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Activity>, Problem> {
    let place = SeqRange::Before(before.unwrap_or(i64::MAX));
    let platform = &state.platform;
    let filter = log.filter(*filter);
    let rows = activity::list(&platform.db, &platform.audit_keys, log.chain(), &filter, place, limit).await?;
    Ok(rows.into_iter().map(|entry| log.entry(entry)).collect())
}

async fn begin(state: &State, log: Log, query: ExportQuery) -> Result<Export, Problem> {
    let db = state.platform.db.clone();
    let last = activity::last_seq(&db, log.chain()).await?;
    let audit_keys = state.platform.audit_keys.clone();
    Ok(Export::new(db, audit_keys, log, query.filter(), query.format, last))
}
