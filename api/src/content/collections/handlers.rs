//! The collection operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{id::CollectionId, store};

use super::{
    service::{self, RequestedCollection},
    wire::{ChangeCollection, Collection, CollectionPath, CreateCollection, EmbeddingModel, EmbeddingModels},
};
use crate::{
    auth::{
        account::CurrentAccount,
        member::{Member, ReadCollections, WriteCollections},
    },
    http::{
        client_info::ClientInfo,
        etag::{ExpectedRevisions, Tagged},
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Created, NoContent},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "listEmbeddingModels",
    tag = "collections",
    summary = "List embedding models",
    description = "The models that this server computes vectors with. The first one is the default of new collections."
)]
pub async fn list_models(state: Data<State>, _account: CurrentAccount) -> Result<Json<EmbeddingModels>, Problem> {
    Ok(Json(EmbeddingModels { items: state.platform.spaces.of_models().map(EmbeddingModel::from).collect() }))
}

#[api_operation(
    operation_id = "createCollection",
    tag = "collections",
    summary = "Create a collection",
    description = "Pipelines write to it by its name. Its model is chosen now."
)]
pub async fn create(
    state: Data<State>,
    member: Member<WriteCollections>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreateCollection>,
) -> Result<Created<Collection>, Problem> {
    let requested = RequestedCollection::from(body.0);
    let request = key.bind("createCollection", Some(member.account), &(member.workspace, &requested));
    let created: Created<Collection> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        service::create(change, &state.platform, &member, &requested).await.map(Collection::from)
    })
    .await?;
    Ok(created
        .with_location(|collection| format!("/api/v1/workspaces/{}/collections/{}", member.workspace, collection.id)))
}

#[api_operation(
    operation_id = "listCollections",
    tag = "collections",
    summary = "List collections",
    description = "Newest first."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadCollections>,
    query: Query<PageQuery>,
) -> Result<Json<Page<Collection>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(CollectionId);
    let rows = store::collection::list(&state.platform.db, member.workspace, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |collection| collection.id.0)))
}

#[api_operation(
    operation_id = "readCollection",
    tag = "collections",
    summary = "Read a collection",
    description = "With its usage."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadCollections>,
    path: Path<CollectionPath>,
) -> Result<Tagged<Collection>, Problem> {
    service::find(&state.platform.db, member.workspace, &path.0.key()?).await.map(tagged)
}

#[api_operation(
    operation_id = "updateCollection",
    tag = "collections",
    summary = "Change a collection",
    description = "Changes the fields in the body. With `If-Match`, only if the collection has not changed since the client read it; its contents may have."
)]
pub async fn update(
    state: Data<State>,
    member: Member<WriteCollections>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<CollectionPath>,
    body: Json<ChangeCollection>,
) -> Result<Tagged<Collection>, Problem> {
    let (key, change) = (path.0.key()?, body.0.into());
    service::update(&state.platform, &member, &client, &key, expected.revisions(), change).await.map(tagged)
}

#[api_operation(
    operation_id = "deleteCollection",
    tag = "collections",
    summary = "Delete a collection",
    description = "With its chunks and vectors; files stay. Search does not find them from the response on, and the rows are erased soon after. The collection `default` cannot be deleted. With `If-Match`, only if the collection has not changed since the client read it."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteCollections>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<CollectionPath>,
) -> Result<NoContent, Problem> {
    let key = path.0.key()?;
    service::delete(&state.platform, &member, &client, &key, expected.revisions()).await.map(|()| NoContent)
}

fn tagged(collection: store::collection::Collection) -> Tagged<Collection> {
    Tagged { revision: collection.revision, body: collection.into() }
}
