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
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Created, NoContent},
    },
    problem::Problem,
    state::State,
    workspaces::wire::Workspace,
};

#[api_operation(
    operation_id = "createInvite",
    tag = "invites",
    summary = "Create an invite",
    description = "The invite's code can be used once. With an e-mail address, only an account with that address can use it; a server that sends mail sends the code to that address and omits it from the response. The role cannot be above the caller's own."
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
    let changes = member.changes(&state.platform, &client);
    let created: Result<Created<Invite>, Problem> = idempotent(&changes, request, async |change| {
        let invite = service::create(&state, change, &member, &command).await?;
        Ok(Invite { mailed: Some(is_mailed), ..invite.into() })
    })
    .await;
    let attempt = command.denied_entry(member.account);
    let mut created = member.record_denied(&state.platform, &client, attempt, created).await?;
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
    summary = "List pending invites",
    description = "Newest first, without their codes."
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

#[api_operation(operation_id = "cancelInvite", tag = "invites", summary = "Cancel an invite")]
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
    description = "The caller becomes a member. A code that is unknown, used, expired, cancelled or for another address gets the same response, 404. On a server that sends mail, an invite to an address requires that the caller's address is verified."
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
    description = "Uses the invite up. An invalid code gets the same response as when accepting."
)]
pub async fn decline(
    state: Data<State>,
    account: CurrentAccount,
    client: ClientInfo,
    body: Json<InviteCode>,
) -> Result<NoContent, Problem> {
    service::decline(&state.platform, &account, &client, &body.0.code).await.map(|()| NoContent)
}
