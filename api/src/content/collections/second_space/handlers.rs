//! The operations on second spaces.

use actix_web::web::Data;
use apistos::api_operation;

use super::{
    super::{model::RequestedSpace, wire::CollectionPath},
    service,
    wire::{ChangeSecondSpace, EstimateView, SecondSpace, SecondSpaceModel},
};
use crate::{
    auth::member::{Member, ReadCollections, WriteCollections},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        status_json::{Created, NoContent},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "createSecondSpace",
    tag = "collections",
    summary = "Give a collection a second space",
    description = "The collection moves to another embedding model while search goes on: vectors of existing chunks are computed in the background, and new chunks get vectors of both models. `exchangeSpaces` lets search read the second space."
)]
pub async fn create(
    state: Data<State>,
    member: Member<WriteCollections>,
    key: IdempotencyKey,
    client: ClientInfo,
    path: Path<CollectionPath>,
    body: Json<SecondSpaceModel>,
) -> Result<Created<SecondSpace>, Problem> {
    let name = path.0.collection.clone();
    let (collection, requested) = (path.0.key()?, RequestedSpace::from(body.0));
    let request = key.bind("createSecondSpace", Some(member.account), &(member.workspace, &name, &requested));
    let created: Created<SecondSpace> =
        idempotent(&member.changes(&state.platform, &client), request, async |change| {
            service::create(change, &state.platform, &member, &collection, &requested).await.map(SecondSpace::from)
        })
        .await?;
    Ok(created.with_location(|_| format!("/api/v1/workspaces/{}/collections/{name}/second-space", member.workspace)))
}

#[api_operation(
    operation_id = "readSecondSpace",
    tag = "collections",
    summary = "Read a second space",
    description = "With its progress."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadCollections>,
    path: Path<CollectionPath>,
) -> Result<Json<SecondSpace>, Problem> {
    let second = service::read(&state.platform.db, member.workspace, &path.0.key()?).await?;
    Ok(Json(second.into()))
}

#[api_operation(
    operation_id = "estimateSecondSpace",
    tag = "collections",
    summary = "Estimate a second space",
    description = "The chunks, tokens, time and cost of moving a collection to another model. Nothing changes."
)]
pub async fn estimate(
    state: Data<State>,
    member: Member<ReadCollections>,
    path: Path<CollectionPath>,
    body: Json<SecondSpaceModel>,
) -> Result<Json<EstimateView>, Problem> {
    let (collection, requested) = (path.0.key()?, body.0.into());
    let estimate = service::estimate(&state.platform, &member, &collection, &requested).await?;
    Ok(Json(estimate.into()))
}

#[api_operation(
    operation_id = "updateSecondSpace",
    tag = "collections",
    summary = "Pause or resume a second space",
    description = "While it is paused, nothing is computed for it, also not for new files. Resuming computes what is missing."
)]
pub async fn update(
    state: Data<State>,
    member: Member<WriteCollections>,
    client: ClientInfo,
    path: Path<CollectionPath>,
    body: Json<ChangeSecondSpace>,
) -> Result<Json<SecondSpace>, Problem> {
    let second = service::update(&state.platform, &member, &client, &path.0.key()?, body.0.state).await?;
    Ok(Json(second.into()))
}

#[api_operation(
    operation_id = "exchangeSpaces",
    tag = "collections",
    summary = "Exchange the spaces of a collection",
    description = "Search reads the second space from one moment on, and the first one becomes the second: another exchange goes back. If the second space is not complete, this happens as soon as it is (`exchangeRequested`)."
)]
pub async fn exchange(
    state: Data<State>,
    member: Member<WriteCollections>,
    client: ClientInfo,
    path: Path<CollectionPath>,
) -> Result<Json<SecondSpace>, Problem> {
    let second = service::exchange(&state.platform, &member, &client, &path.0.key()?).await?;
    Ok(Json(second.into()))
}

#[api_operation(
    operation_id = "deleteSecondSpace",
    tag = "collections",
    summary = "End a second space",
    description = "Cancels the move, or ends it after the exchange. Its vectors are deleted in the background; those that search reads stay."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteCollections>,
    client: ClientInfo,
    path: Path<CollectionPath>,
) -> Result<NoContent, Problem> {
    service::delete(&state.platform, &member, &client, &path.0.key()?).await.map(|()| NoContent)
}
