//! The workspace operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{domain::role::Permission, store};

use super::{
    service,
    wire::{ChangeWorkspace, CreateWorkspace, Workspace},
};
use crate::{
    auth::{
        account::{CurrentAccount, SignedIn},
        member::{DeleteWorkspace, Member, ReadWorkspace, UpdateWorkspace},
    },
    http::{
        client_info::ClientInfo,
        etag::{ExpectedRevisions, Tagged},
        extract::Json,
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Created, NoContent},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "createWorkspace",
    tag = "workspaces",
    summary = "Create a workspace",
    description = "The caller becomes its owner. The workspace has a pipeline that indexes uploads, and the collection `default`."
)]
pub async fn create(
    state: Data<State>,
    account: SignedIn,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreateWorkspace>,
) -> Result<Created<Workspace>, Problem> {
    let (name, slug) = (body.0.name.trim(), body.0.slug.as_deref());
    let request = key.bind("createWorkspace", Some(account.id), &(name, slug));
    let workspace: Created<Workspace> =
        idempotent(&account.changes(&state.platform, &client), request, async |change| {
            service::create(&state, change, &account, name, slug).await.map(Workspace::from)
        })
        .await?;
    Ok(workspace.with_location(|workspace| format!("/api/v1/workspaces/{}", workspace.id)))
}

#[api_operation(
    operation_id = "listWorkspaces",
    tag = "workspaces",
    summary = "List the caller's workspaces",
    description = "Newest first. An API token needs `workspace.read`."
)]
pub async fn list(
    state: Data<State>,
    account: CurrentAccount,
    query: Query<PageQuery>,
) -> Result<Json<Page<Workspace>>, Problem> {
    account.require(Permission::ReadWorkspace)?;
    let query = query.0;
    let rows = store::workspace::list(
        &state.platform.db,
        account.id,
        account.workspaces(),
        query.after()?,
        query.fetch_limit(),
    )
    .await?;
    Ok(Json(Page::new(&query, rows, |workspace| workspace.id)))
}

#[api_operation(operation_id = "readWorkspace", tag = "workspaces", summary = "Read a workspace")]
pub async fn read(state: Data<State>, member: Member<ReadWorkspace>) -> Result<Tagged<Workspace>, Problem> {
    let workspace = store::workspace::find(&state.platform.db, member.workspace, member.account).await?;
    workspace.map(tagged).ok_or_else(Problem::not_found)
}

#[api_operation(
    operation_id = "updateWorkspace",
    tag = "workspaces",
    summary = "Change a workspace",
    description = "Changes the fields in the body: name, slug, retention, limits. With `If-Match`, only if the workspace has not changed since the client read it."
)]
pub async fn update(
    state: Data<State>,
    member: Member<UpdateWorkspace>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    body: Json<ChangeWorkspace>,
) -> Result<Tagged<Workspace>, Problem> {
    service::update(&state.platform, &member, &client, expected.revisions(), body.0.into()).await.map(tagged)
}

#[api_operation(
    operation_id = "deleteWorkspace",
    tag = "workspaces",
    summary = "Delete a workspace",
    description = "Deletes the workspace with all its contents, for all members. Its contents are inaccessible when the response arrives, and are erased soon after. With `If-Match`, only if the workspace has not changed since the client read it."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<DeleteWorkspace>,
    client: ClientInfo,
    expected: ExpectedRevisions,
) -> Result<NoContent, Problem> {
    service::delete(&state.platform, &member, &client, expected.revisions()).await.map(|()| NoContent)
}

fn tagged(workspace: store::workspace::Workspace) -> Tagged<Workspace> {
    Tagged { revision: workspace.revision, body: workspace.into() }
}
