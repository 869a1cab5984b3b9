//! The session operations.

use actix_web::{HttpRequest, web::Data};
use apistos::api_operation;
use nvisy_shared::{id::SessionId, store};

use super::{
    service,
    wire::{Login, Refresh, SessionPath, SessionRow, SessionView, Tokens},
};
use crate::{
    auth::{account::SignedIn, device::Device},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::NoContent,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "login",
    tag = "sessions",
    summary = "Log in",
    description = "Starts a session. An unknown address and a wrong password get the same response. If the account has a second factor, a request without `code` fails with `second_factor_needed`. Logging in cancels the deletion of an account."
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
    summary = "Refresh a session",
    description = "Returns the next pair of tokens. A used refresh token returns the same successor again for 30 seconds, for clients that lost the response. Used later, or after its successor was used, it ends the session, because another client may have a copy."
)]
pub async fn refresh(
    state: Data<State>,
    request: HttpRequest,
    device: Device,
    client: ClientInfo,
    body: Json<Refresh>,
) -> Result<Json<Tokens>, Problem> {
    let token = service::parse_refresh_token(&state, body.0.refresh_token)?;
    // Also for a session that has ended: a token that a client keeps sending must not cost a statement each time.
    state.limiter.count_session(&request, token.session()).await?;
    let tokens = service::refresh(&state, &device, &client, &token).await?;
    Ok(Json(tokens.into()))
}

#[api_operation(
    operation_id = "logout",
    tag = "sessions",
    summary = "Log out",
    description = "Ends the session of the access token."
)]
pub async fn logout(state: Data<State>, account: SignedIn, client: ClientInfo) -> Result<NoContent, Problem> {
    service::end(&state, &account, &client, account.session).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "listSessions",
    tag = "sessions",
    summary = "List the account's sessions",
    description = "Newest first."
)]
pub async fn list(
    state: Data<State>,
    account: SignedIn,
    query: Query<PageQuery>,
) -> Result<Json<Page<SessionView>>, Problem> {
    let query = query.0;
    let rows = store::session::list(&state.platform.db, account.id, query.after()?, query.fetch_limit()).await?;
    let rows = rows.into_iter().map(|row| SessionRow(row, account.session)).collect();
    Ok(Json(Page::new(&query, rows, |SessionRow(row, _)| row.id)))
}

#[api_operation(
    operation_id = "revokeSession",
    tag = "sessions",
    summary = "End a session",
    description = "Its tokens are invalid from the next request on."
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
    description = "Ends all sessions, including the current one, and invalidates the links that the account has requested by mail."
)]
pub async fn revoke_all(state: Data<State>, account: SignedIn, client: ClientInfo) -> Result<NoContent, Problem> {
    service::end_all(&state, &account, &client).await.map(|()| NoContent)
}
