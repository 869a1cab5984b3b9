//! The operations of the activity log.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::ActivityId,
    store::activity::{self, SeqRange},
};

use super::{
    export::ActivityExport,
    wire::{Activity, ActivityLog, ExportQuery, ListQuery},
};
use crate::{
    auth::{
        account::SignedIn,
        member::{AccessGrant, Member, ReadActivities},
    },
    http::{
        extract::Json,
        pagination::{Page, PageQuery},
        query::Query,
    },
    problem::{Code, Problem},
    state::State,
};

#[api_operation(
    operation_id = "listActivities",
    tag = "activities",
    summary = "List the workspace's activities",
    description = "Newest first. The log is append-only."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadActivities>,
    query: Query<ListQuery>,
) -> Result<Json<Page<Activity>>, Problem> {
    let filter = query.0.filter();
    let page = PageQuery::new(query.0.limit, query.0.cursor);
    let entries =
        read(&state, ActivityLog::Workspace(member.workspace), &filter, page.after()?, page.fetch_limit()).await?;
    Ok(Json(Page::new(&page, entries, |activity| activity.seq)))
}

#[api_operation(
    operation_id = "exportActivities",
    tag = "activities",
    summary = "Export the workspace's activities",
    description = "All current entries, oldest first, as CSV or as JSON Lines (one object per line)."
)]
pub async fn export(
    state: Data<State>,
    member: Member<ReadActivities>,
    query: Query<ExportQuery>,
) -> Result<ActivityExport, Problem> {
    start_export(&state, Some(member.access_grant()), ActivityLog::Workspace(member.workspace), query.0).await
}

#[api_operation(
    operation_id = "listAccountActivities",
    tag = "activities",
    summary = "List the activities of the caller's account",
    description = "Newest first: changes of the account, its sessions, API tokens and second factor, and failed logins. The logs of workspaces hold the activities in them."
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
            let seq = activity::find_seq(&state.platform.db, account.id, entry).await?;
            Some(seq.ok_or_else(|| Problem::new(Code::InvalidCursor))?)
        }
        None => None,
    };
    let entries = read(&state, ActivityLog::Account(account.id), &filter, before, page.fetch_limit()).await?;
    Ok(Json(Page::new(&page, entries, |activity| activity.id)))
}

#[api_operation(
    operation_id = "exportAccountActivities",
    tag = "activities",
    summary = "Export the activities of the caller's account",
    description = "All current entries, oldest first, as CSV or as JSON Lines (one object per line)."
)]
pub async fn export_own(
    state: Data<State>,
    account: SignedIn,
    query: Query<ExportQuery>,
) -> Result<ActivityExport, Problem> {
    start_export(&state, None, ActivityLog::Account(account.id), query.0).await
}

async fn read(
    state: &State,
    log: ActivityLog,
    filter: &activity::ActivityFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Activity>, Problem> {
    let range = SeqRange::Before(before.unwrap_or(i64::MAX));
    let platform = &state.platform;
    let filter = log.filter(*filter);
    let rows = activity::list(&platform.db, &platform.audit_keys, log.chain(), &filter, range, limit).await?;
    Ok(rows.into_iter().map(|entry| log.entry(entry)).collect())
}

async fn start_export(
    state: &State,
    access: Option<AccessGrant>,
    log: ActivityLog,
    query: ExportQuery,
) -> Result<ActivityExport, Problem> {
    let db = state.platform.db.clone();
    let last = activity::last_seq(&db, log.chain()).await?;
    let audit_keys = state.platform.audit_keys.clone();
    Ok(ActivityExport::new(db, audit_keys, access, log, query.filter(), query.format, last))
}
