//! The comparison of spaces.

use actix_web::web::Data;
use apistos::api_operation;

use super::{
    service,
    wire::{CompareSpaces, ComparedCollection, SpaceComparison},
};
use crate::{
    auth::member::{Member, WriteCollections},
    http::{
        client_connection::ClientConnection,
        extract::{Json, Path},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "compareSpaces",
    tag = "collections",
    summary = "Compare the spaces of a collection",
    description = "Runs queries by vector in the collection's space and in its second one, and compares the ten best passages of both. Without `queries`, those of recent searches in the collection are run, which are kept while it has a second space. Each query counts as a request in limits. Nothing changes."
)]
pub async fn compare(
    state: Data<State>,
    member: Member<WriteCollections>,
    connection: ClientConnection,
    path: Path<ComparedCollection>,
    body: Json<CompareSpaces>,
) -> Result<Json<SpaceComparison>, Problem> {
    let compared = async move { service::compare(&state, &member, path.0.collection, body.0.into()).await };
    connection.while_open(compared).await.map(|comparison| Json(comparison.into()))
}
