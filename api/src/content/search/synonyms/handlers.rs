//! The operations on the synonyms of a workspace.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::store;

use super::{
    service,
    wire::{ReplaceSynonyms, Synonyms},
};
use crate::{
    auth::member::{Member, ReadWorkspace, UpdateWorkspace},
    http::{
        client_info::ClientInfo,
        etag::{ExpectedRevisions, Tagged},
        extract::Json,
        status_json::NoContent,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "readSynonyms",
    tag = "search",
    summary = "Read the synonyms",
    description = "The sets of synonyms that searches of the workspace apply. A new workspace has none."
)]
pub async fn read(state: Data<State>, member: Member<ReadWorkspace>) -> Result<Tagged<Synonyms>, Problem> {
    Ok(tagged(store::synonyms::find(&state.platform.db, member.workspace).await?))
}

#[api_operation(
    operation_id = "replaceSynonyms",
    tag = "search",
    summary = "Replace the synonyms",
    description = "Stores the sets in place of all present ones; the next search applies them. With `If-Match`, only if they have not changed since the client read them."
)]
pub async fn replace(
    state: Data<State>,
    member: Member<UpdateWorkspace>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    body: Json<ReplaceSynonyms>,
) -> Result<Tagged<Synonyms>, Problem> {
    let sets = body.0.into_sets()?;
    service::replace(&state.platform, &member, &client, expected.revisions(), sets).await.map(tagged)
}

#[api_operation(
    operation_id = "deleteSynonyms",
    tag = "search",
    summary = "Delete the synonyms",
    description = "With `If-Match`, only if they have not changed since the client read them."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<UpdateWorkspace>,
    client: ClientInfo,
    expected: ExpectedRevisions,
) -> Result<NoContent, Problem> {
    service::delete(&state.platform, &member, &client, expected.revisions()).await.map(|()| NoContent)
}

fn tagged(synonyms: store::synonyms::Synonyms) -> Tagged<Synonyms> {
    Tagged { revision: synonyms.revision, body: synonyms.into() }
}
