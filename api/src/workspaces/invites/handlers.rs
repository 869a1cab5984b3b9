//! The invite operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{id::InviteId, store};

use super::{
    service,
    wire::{CreateInvite, Invite, InviteCode, InvitePath},
};
use crate::{
    auth::{
        account::CurrentAccount,
        member::{ManageInvites, Member},
    },
    http::{
        client_info::Origin,
        extract::{Json, Path, Query},
        idempotency::IdempotencyKey,
        pagination::{Page, PageQuery},
        status_json::{Created, Deleted},
    },
    problem::Problem,
    state::State,
    workspaces::wire::Workspace,
};

#[api_operation(
    operation_id = "createInvite",
    tag = "invites",
    summary = "Invite somebody",
    description = "A code accepts the invite once. With an e-mail address only an account of that address can use it, and where the server sends mail the code goes there, and only there; else it is in the answer. Nobody invites to a role above their own.",
    error_code = 403,
    error_code = 404,
    error_code = 409
)]
pub async fn create(
    state: Data<State>,
    member: Member<ManageInvites>,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<CreateInvite>,
) -> Result<Created<Invite>, Problem> {
    let invite = service::create(&state, &member, key, &origin, body.0).await?;
    Ok(invite.at(|_| format!("/api/v1/workspaces/{}/invites", member.workspace)))
}

#[api_operation(
    operation_id = "listInvites",
    tag = "invites",
    summary = "List standing invites",
    description = "Newest first, without their codes.",
    error_code = 400,
    error_code = 403,
    error_code = 404
)]
pub async fn list(
    state: Data<State>,
    member: Member<ManageInvites>,
    query: Query<PageQuery>,
) -> Result<Json<Page<Invite>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(InviteId);
    let rows = store::invite::list(&state.platform.db, member.workspace, before, query.rows()).await?;
    Ok(Json(Page::new(&query, rows, |invite| invite.id.0)))
}

#[api_operation(
    operation_id = "cancelInvite",
    tag = "invites",
    summary = "Take an invite back",
    error_code = 403,
    error_code = 404
)]
pub async fn cancel(
    state: Data<State>,
    member: Member<ManageInvites>,
    origin: Origin,
    path: Path<InvitePath>,
) -> Result<Deleted, Problem> {
    service::cancel(&state.platform, &member, &origin, InviteId(path.0.invite)).await.map(|()| Deleted)
}

#[api_operation(
    operation_id = "acceptInvite",
    tag = "invites",
    summary = "Accept an invite",
    description = "The caller becomes a member. A code that is unknown, used, expired, taken back or meant for another address is answered alike: 404. Where the server sends mail, an invite to an address takes a verified one.",
    error_code = 403,
    error_code = 404,
    error_code = 409
)]
pub async fn accept(
    state: Data<State>,
    account: CurrentAccount,
    origin: Origin,
    body: Json<InviteCode>,
) -> Result<Json<Workspace>, Problem> {
    let workspace = service::accept(&state.platform, &account, &origin, &body.0.code).await?;
    Ok(Json(workspace.into()))
}

#[api_operation(
    operation_id = "declineInvite",
    tag = "invites",
    summary = "Decline an invite",
    description = "Nobody can use it any more. Codes that cannot be used are answered as by accepting.",
    error_code = 404
)]
pub async fn decline(
    state: Data<State>,
    account: CurrentAccount,
    origin: Origin,
    body: Json<InviteCode>,
) -> Result<Deleted, Problem> {
    service::decline(&state.platform, &account, &origin, &body.0.code).await.map(|()| Deleted)
}
