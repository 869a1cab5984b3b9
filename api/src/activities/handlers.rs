//! The operations of the activity log.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::store::activity::{self, Place};

use super::{
    export::Export,
    wire::{Activity, ExportQuery, ListQuery},
};
use crate::{
    auth::member::{Member, ReadActivities},
    http::{
        extract::{Json, Query},
        page::{Page, PageQuery},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "listActivities",
    tag = "activities",
    summary = "List who did what",
    description = "Newest first. Nothing in this log is ever changed or removed.",
    error_code = 400,
    error_code = 401,
    error_code = 403,
    error_code = 404
)]
pub(crate) async fn list(
    state: Data<State>,
    member: Member<ReadActivities>,
    query: Query<ListQuery>,
) -> Result<Json<Page<Activity>>, Problem> {
    let filter = query.0.filter();
    let page = PageQuery::new(query.0.limit, query.0.cursor);
    let place = Place::Before(page.after()?.unwrap_or(i64::MAX));
    let rows = activity::list(&state.platform.db, member.workspace, &filter, place, page.rows()).await?;
    Ok(Json(Page::new(&page, rows, |activity| activity.seq)))
}

#[api_operation(
    operation_id = "exportActivities",
    tag = "activities",
    summary = "Export who did what",
    description = "Oldest first, all there is at this moment, as CSV or as JSON Lines: one object in each line.",
    error_code = 400,
    error_code = 401,
    error_code = 403,
    error_code = 404
)]
pub(crate) async fn export(
    state: Data<State>,
    member: Member<ReadActivities>,
    query: Query<ExportQuery>,
) -> Result<Export, Problem> {
    let db = state.platform.db.clone();
    let last = activity::last(&db, member.workspace).await?;
    Ok(Export::new(db, member.workspace, query.0.filter(), query.0.format, last))
}
