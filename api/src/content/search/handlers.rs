//! The search operation.

use std::time::Instant;

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::telemetry::metrics::metrics;

use super::{
    service,
    wire::{SearchHit, SearchRequest, SearchResponse},
};
use crate::{
    auth::member::{Member, Search},
    http::extract::Json,
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "search",
    tag = "search",
    summary = "Search a workspace",
    description = "Finds passages by semantic search, full-text search, or both. Each hit has its location: file, page, byte range and headings."
)]
pub async fn search(
    state: Data<State>,
    member: Member<Search>,
    body: Json<SearchRequest>,
) -> Result<Json<SearchResponse>, Problem> {
    let started = Instant::now();
    let (mode, explain) = (body.0.mode, body.0.explain);
    let result = service::run(&state.platform, member.workspace, body.0.into()).await?;
    state.searches.count(member.workspace);
    let took = started.elapsed();
    metrics().searched(mode.name(), result.access_path.name(), took);
    Ok(Json(SearchResponse {
        hits: result.hits.into_iter().map(SearchHit::from).collect(),
        mode,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        incomplete: result.is_incomplete,
        plan: explain.then(|| result.access_path.name().to_owned()),
    }))
}
