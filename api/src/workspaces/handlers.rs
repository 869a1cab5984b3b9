//! The workspace operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    domain::activity::Action,
    store::{
        self,
        activity::{self, Act},
    },
};
use serde_json::json;

use super::wire::{CreateWorkspace, Workspace};
use crate::{
    auth::{
        account::CurrentAccount,
        member::{Member, ReadWorkspace},
    },
    http::{
        answer::Created,
        extract::{Json, Query},
        idempotency::{IdempotencyKey, idempotent},
        origin::Origin,
        page::{Page, PageQuery},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "createWorkspace",
    tag = "workspaces",
    summary = "Create a workspace",
    description = "The caller becomes its owner. Uploads are indexed from the start.",
    error_code = 401
)]
pub(crate) async fn create(
    state: Data<State>,
    account: CurrentAccount,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<CreateWorkspace>,
) -> Result<Created<Workspace>, Problem> {
    let name = body.0.name.trim();
    let once = key.once("createWorkspace", Some(account.id), &name);
    let workspace: Created<Workspace> = idempotent(&state.platform.db, once, async |tx| {
        let workspace = store::workspace::insert(tx, name, account.id, &state.index).await?;
        let act = Act::new(Action::WorkspaceCreated, workspace.id.0, json!({}));
        activity::append(tx, &state.platform.seals, workspace.id, &origin.by(account.actor()), &[act]).await?;
        Ok(workspace.into())
    })
    .await?;
    Ok(workspace.at(|workspace| format!("/api/v1/workspaces/{}", workspace.id)))
}

#[api_operation(
    operation_id = "listWorkspaces",
    tag = "workspaces",
    summary = "List the caller's workspaces",
    description = "Newest first.",
    error_code = 401
)]
pub(crate) async fn list(
    state: Data<State>,
    account: CurrentAccount,
    query: Query<PageQuery>,
) -> Result<Json<Page<Workspace>>, Problem> {
    let query = query.0;
    let rows = store::workspace::of_account(&state.platform.db, account.id, query.after()?, query.rows()).await?;
    Ok(Json(Page::new(&query, rows, |workspace| workspace.id)))
}

#[api_operation(operation_id = "readWorkspace", tag = "workspaces", summary = "Read a workspace", error_code = 404)]
pub(crate) async fn read(state: Data<State>, member: Member<ReadWorkspace>) -> Result<Json<Workspace>, Problem> {
    let workspace = store::workspace::of_member(&state.platform.db, member.workspace, member.account).await?;
    workspace.map(|workspace| Json(workspace.into())).ok_or_else(Problem::not_found)
}
