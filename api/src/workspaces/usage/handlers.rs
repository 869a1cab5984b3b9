//! The usage operation.

use actix_web::web::Data;
use apistos::api_operation;
use chrono::TimeDelta;
use nvisy_shared::{clock, store};

use super::wire::Usage;
use crate::{
    auth::member::{Member, ReadUsage},
    http::extract::Json,
    problem::Problem,
    state::State,
};

/// Days that are told of.
const DAYS: i64 = 30;

#[api_operation(
    operation_id = "readUsage",
    tag = "workspaces",
    summary = "Read how much a workspace uses",
    description = "What is in use, what may be, and how often was searched on each of the last 30 days (UTC). Searches appear within some seconds.",
    error_code = 404
)]
pub async fn read(state: Data<State>, member: Member<ReadUsage>) -> Result<Json<Usage>, Problem> {
    let platform = &state.platform;
    let usage = store::usage::find(&platform.db, member.workspace, platform.quota()).await?;
    let usage = usage.ok_or_else(Problem::not_found)?;
    let since = (clock::now() - TimeDelta::days(DAYS - 1)).date_naive();
    let searches = store::usage::daily_searches(&platform.db, member.workspace, since).await?;
    Ok(Json(Usage::new(usage, searches)))
}
