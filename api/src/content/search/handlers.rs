//! The search operations.

use std::time::{Duration, Instant};

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::telemetry::metrics::metrics;

use super::{
    command::SearchOutcome,
    service,
    similar::similar,
    wire::{ResponseParts, SearchBatchRequest, SearchBatchResponse, SearchRequest, SearchResponse, SimilarRequest},
};
use crate::{
    auth::member::{Member, MemberWithCollections, Search},
    http::{client_connection::ClientConnection, extract::Json},
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
    caller: MemberWithCollections<Search>,
    connection: ClientConnection,
    body: Json<SearchRequest>,
) -> Result<Json<SearchResponse>, Problem> {
    let started = Instant::now();
    let MemberWithCollections { member, collections } = caller;
    let parts = body.0.parts();
    let search = service::run(state.clone(), member.workspace, collections, body.0.into());
    let outcome = connection.while_open(search).await?;
    Ok(Json(respond(&state, &member, outcome, parts, started.elapsed())))
}

#[api_operation(
    operation_id = "searchBatch",
    tag = "search",
    summary = "Run several searches",
    description = "Runs up to 32 searches, whose queries are embedded together. Each has its own result or problem, and counts as a search in limits and usage."
)]
pub async fn search_batch(
    state: Data<State>,
    caller: MemberWithCollections<Search>,
    connection: ClientConnection,
    body: Json<SearchBatchRequest>,
) -> Result<Json<SearchBatchResponse>, Problem> {
    let started = Instant::now();
    let MemberWithCollections { member, collections } = caller;
    let searches = body.0.searches;
    // The extractor has counted one.
    state.limiter.count_further(member.caller(), member.workspace, searches.len() - 1).await?;
    let parts: Vec<ResponseParts> = searches.iter().map(SearchRequest::parts).collect();
    let commands = searches.into_iter().map(Into::into).collect();
    let searches = service::run_all(state.clone(), member.workspace, collections, commands);
    let outcomes = connection.while_open(searches).await?;
    let results = outcomes.into_iter().zip(parts).map(|(outcome, parts)| {
        let response = outcome.map(|outcome| {
            let took = outcome.embedding + outcome.reranking + outcome.searching;
            respond(&state, &member, outcome, parts, took)
        });
        response.into()
    });
    Ok(Json(SearchBatchResponse { results: results.collect(), took_ms: millis(started.elapsed()) }))
}

#[api_operation(
    operation_id = "searchSimilar",
    tag = "search",
    summary = "Find similar passages",
    description = "Finds the passages whose stored vectors are nearest to that of a passage, or to the mean of a file's. The passage itself, or the file, is not found."
)]
pub async fn search_similar(
    state: Data<State>,
    caller: MemberWithCollections<Search>,
    connection: ClientConnection,
    body: Json<SimilarRequest>,
) -> Result<Json<SearchResponse>, Problem> {
    let started = Instant::now();
    let MemberWithCollections { member, collections } = caller;
    let parts = body.0.parts();
    let search = similar(state.clone(), member.workspace, collections, body.0.into());
    let outcome = connection.while_open(search).await?;
    Ok(Json(respond(&state, &member, outcome, parts, started.elapsed())))
}

/// Counts a search, and makes its response.
fn respond(
    state: &State,
    member: &Member<Search>,
    outcome: SearchOutcome,
    parts: ResponseParts,
    took: Duration,
) -> SearchResponse {
    state.searches.count(member.workspace);
    metrics().searched(outcome.mode.name(), outcome.result.access_path.name(), took);
    SearchResponse::new(outcome, parts, millis(took))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
