//! The usage operation.

use actix_web::web::Data;
use apistos::api_operation;
use chrono::TimeDelta;
use nvisy_shared::{clock, store};

use super::wire::UsageView;
use crate::{
    auth::member::{Member, ReadUsage},
    http::extract::Json,
    problem::Problem,
    state::State,
};

/// The days of which the response has the number of searches.
const SEARCH_HISTORY_DAYS: i64 = 30;

#[api_operation(
    operation_id = "readUsage",
    tag = "workspaces",
    summary = "Read the workspace's usage",
    description = "The usage and limits of each resource, and the number of searches on each of the last 30 days (UTC). Searches appear within seconds."
)]
pub async fn read(state: Data<State>, member: Member<ReadUsage>) -> Result<Json<UsageView>, Problem> {
    let platform = &state.platform;
    let usage = store::usage::find(&platform.db, member.workspace, platform.quota()).await?;
    let usage = usage.ok_or_else(Problem::not_found)?;
    let since = (clock::now() - TimeDelta::days(SEARCH_HISTORY_DAYS - 1)).date_naive();
    let searches = store::usage::daily_searches(&platform.db, member.workspace, since).await?;
    Ok(Json(UsageView::new(usage, searches)))
}
