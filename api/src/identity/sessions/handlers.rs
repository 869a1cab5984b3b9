//! The session operations.

use actix_web::{HttpRequest, web::Data};
use apistos::api_operation;
use nvisy_shared::{id::SessionId, store};

use super::{
    service,
    wire::{Login, Refresh, Seen, Session, SessionPath, Tokens},
};
use crate::{
    auth::{account::SignedIn, device::Device},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path, Query},
        pagination::{Page, PageQuery},
        status_json::NoContent,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "login",
    tag = "sessions",
    summary = "Log in",
    description = "Begins a session. An unknown address and a wrong password are answered alike. Where the account has a second factor, `second_factor_needed` asks for the same request with a `code`. Logging in takes the deletion of an account back.",
    error_code = 401,
    error_code = 403
)]
pub async fn login(
    state: Data<State>,
    device: Device,
    client: ClientInfo,
    body: Json<Login>,
) -> Result<Json<Tokens>, Problem> {
    let tokens = service::login(&state, &device, &client, body.0.into()).await?;
    Ok(Json(tokens.into()))
}

#[api_operation(
    operation_id = "refresh",
    tag = "sessions",
    summary = "Continue a session",
    description = "Gives the next pair of tokens. A refresh token that comes back after its successor was used, or later than half a minute, ends its session: somebody has a copy. Before that it gives the same successor again, for clients that lost the answer.",
    error_code = 401,
    error_code = 403
)]
pub async fn refresh(
    state: Data<State>,
    request: HttpRequest,
    device: Device,
    client: ClientInfo,
    body: Json<Refresh>,
) -> Result<Json<Tokens>, Problem> {
    let token = service::parse_refresh_token(&state, body.0.refresh_token)?;
    // Also for a session that has ended: a token that keeps coming must not cost statements for ever.
    state.limiter.count_session(&request, token.session()).await?;
    let tokens = service::refresh(&state, &device, &client, &token).await?;
    Ok(Json(tokens.into()))
}

#[api_operation(
    operation_id = "logout",
    tag = "sessions",
    summary = "Log out",
    description = "Ends the session that the access token belongs to.",
    error_code = 401
)]
pub async fn logout(state: Data<State>, account: SignedIn, client: ClientInfo) -> Result<NoContent, Problem> {
    service::end(&state, &account, &client, account.session).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "listSessions",
    tag = "sessions",
    summary = "List where the account is logged in",
    description = "Newest first.",
    error_code = 401
)]
pub async fn list(
    state: Data<State>,
    account: SignedIn,
    query: Query<PageQuery>,
) -> Result<Json<Page<Session>>, Problem> {
    let query = query.0;
    let rows = store::session::list(&state.platform.db, account.id, query.after()?, query.fetch_limit()).await?;
    let rows = rows.into_iter().map(|row| Seen(row, account.session)).collect();
    Ok(Json(Page::new(&query, rows, |Seen(row, _)| row.id)))
}

#[api_operation(
    operation_id = "revokeSession",
    tag = "sessions",
    summary = "End a session",
    description = "Its tokens stop at the next request.",
    error_code = 404
)]
pub async fn revoke(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    path: Path<SessionPath>,
) -> Result<NoContent, Problem> {
    service::end(&state, &account, &client, SessionId(path.0.session)).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "revokeSessions",
    tag = "sessions",
    summary = "Log out everywhere",
    description = "Ends all sessions, this one included, and makes links void that the account has asked for by mail.",
    error_code = 401
)]
pub async fn revoke_all(state: Data<State>, account: SignedIn, client: ClientInfo) -> Result<NoContent, Problem> {
    service::end_all(&state, &account, &client).await.map(|()| NoContent)
}
