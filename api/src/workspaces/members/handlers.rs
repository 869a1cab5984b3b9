//! The member operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{id::AccountId, store};

use super::{
    service,
    wire::{ChangeMember, MemberPath, MemberView, Transfer},
};
use crate::{
    auth::member::{LeaveWorkspace, ManageMembers, Member, ReadMembers, TransferWorkspace},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::NoContent,
    },
    problem::Problem,
    state::State,
    workspaces::wire::Workspace,
};

#[api_operation(operation_id = "listMembers", tag = "members", summary = "List members")]
pub async fn list(
    state: Data<State>,
    member: Member<ReadMembers>,
    query: Query<PageQuery>,
) -> Result<Json<Page<MemberView>>, Problem> {
    let query = query.0;
    let after = query.after()?.map(AccountId);
    let rows = store::member::list(&state.platform.db, member.workspace, after, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |member| member.account_id.0)))
}

#[api_operation(operation_id = "readMember", tag = "members", summary = "Read a member")]
pub async fn read(
    state: Data<State>,
    member: Member<ReadMembers>,
    path: Path<MemberPath>,
) -> Result<Json<MemberView>, Problem> {
    let found = store::member::find(&state.platform.db, member.workspace, AccountId(path.0.account)).await?;
    found.map(|found| Json(found.into())).ok_or_else(Problem::not_found)
}

#[api_operation(
    operation_id = "changeMember",
    tag = "members",
    summary = "Change a member's role",
    description = "Neither the new role nor the member's current one can be above the caller's own. The last owner cannot be changed."
)]
pub async fn change(
    state: Data<State>,
    member: Member<ManageMembers>,
    client: ClientInfo,
    path: Path<MemberPath>,
    body: Json<ChangeMember>,
) -> Result<Json<MemberView>, Problem> {
    let changed =
        service::change(&state.platform, &member, &client, AccountId(path.0.account), body.0.role.into()).await?;
    Ok(Json(changed.into()))
}

#[api_operation(
    operation_id = "removeMember",
    tag = "members",
    summary = "Remove a member",
    description = "The member's next request gets 404. The member's role cannot be above the caller's own. The last owner cannot be removed."
)]
pub async fn remove(
    state: Data<State>,
    member: Member<ManageMembers>,
    client: ClientInfo,
    path: Path<MemberPath>,
) -> Result<NoContent, Problem> {
    service::remove(&state.platform, &member, &client, AccountId(path.0.account)).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "leaveWorkspace",
    tag = "members",
    summary = "Leave a workspace",
    description = "The last owner has to transfer or delete the workspace instead."
)]
pub async fn leave(
    state: Data<State>,
    member: Member<LeaveWorkspace>,
    client: ClientInfo,
) -> Result<NoContent, Problem> {
    service::leave(&state.platform, &member, &client).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "transferWorkspace",
    tag = "members",
    summary = "Transfer a workspace",
    description = "The named member becomes an owner, and the caller an admin."
)]
pub async fn transfer(
    state: Data<State>,
    member: Member<TransferWorkspace>,
    client: ClientInfo,
    body: Json<Transfer>,
) -> Result<Json<Workspace>, Problem> {
    let workspace = service::transfer(&state.platform, &member, &client, AccountId(body.0.account_id)).await?;
    Ok(Json(workspace.into()))
}
