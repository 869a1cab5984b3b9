//! The invite operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{id::InviteId, store};

use super::{
    service::{self, CreateInviteCommand},
    wire::{CreateInvite, Invite, InviteCode, InvitePath},
};
use crate::{
    auth::{
        account::CurrentAccount,
        member::{ManageInvites, Member},
    },
    http::{
        client_info::ClientInfo,
        extract::{Json, Path, Query},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        status_json::{Created, NoContent},
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
    error_code = 409
)]
pub async fn create(
    state: Data<State>,
    member: Member<ManageInvites>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreateInvite>,
) -> Result<Created<Invite>, Problem> {
    let command = CreateInviteCommand::from(body.0);
    let is_mailed = command.is_mailed(&state);
    let request = key.bind("createInvite", Some(member.account), &(member.workspace, &command));
    let created: Result<Created<Invite>, Problem> = idempotent(&state.platform.db, request, async |tx| {
        let invite = service::create(&state, tx, &member, &client, &command).await?;
        Ok(Invite { mailed: Some(is_mailed), ..invite.into() })
    })
    .await;
    let mut created = service::record_denied(&state, &member, &client, &command, created).await?;
    // Not stored with the response: the rows of idempotency keys must not grant access.
    if created.body.mailed != Some(true) {
        let code = service::code(&state, member.workspace, InviteId(created.body.id));
        created.body.code = Some(code.expose().clone());
    }
    Ok(created.with_location(|_| format!("/api/v1/workspaces/{}/invites", member.workspace)))
}

#[api_operation(
    operation_id = "listInvites",
    tag = "invites",
    summary = "List standing invites",
    description = "Newest first, without their codes.",
    error_code = 404
)]
pub async fn list(
    state: Data<State>,
    member: Member<ManageInvites>,
    query: Query<PageQuery>,
) -> Result<Json<Page<Invite>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(InviteId);
    let rows = store::invite::list(&state.platform.db, member.workspace, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |invite| invite.id.0)))
}

#[api_operation(operation_id = "cancelInvite", tag = "invites", summary = "Take an invite back", error_code = 404)]
pub async fn cancel(
    state: Data<State>,
    member: Member<ManageInvites>,
    client: ClientInfo,
    path: Path<InvitePath>,
) -> Result<NoContent, Problem> {
    service::cancel(&state.platform, &member, &client, InviteId(path.0.invite)).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "acceptInvite",
    tag = "invites",
    summary = "Accept an invite",
    description = "The caller becomes a member. A code that is unknown, used, expired, taken back or meant for another address is answered alike: 404. Where the server sends mail, an invite to an address takes a verified one.",
    error_code = 404,
    error_code = 409
)]
pub async fn accept(
    state: Data<State>,
    account: CurrentAccount,
    client: ClientInfo,
    body: Json<InviteCode>,
) -> Result<Json<Workspace>, Problem> {
    let workspace = service::accept(&state.platform, &account, &client, &body.0.code).await?;
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
    client: ClientInfo,
    body: Json<InviteCode>,
) -> Result<NoContent, Problem> {
    service::decline(&state.platform, &account, &client, &body.0.code).await.map(|()| NoContent)
}
