//! The operations on API tokens.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{id::TokenId, store};

use super::{
    service::{self, CreateTokenCommand},
    wire::{ApiToken, CreateToken, CreatedApiToken, TokenPath},
};
use crate::{
    auth::account::SignedIn,
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
};

#[api_operation(
    operation_id = "createToken",
    tag = "tokens",
    summary = "Create an API token",
    description = "Requires the password, and a code if the account has a second factor. Only this response contains the token itself; a request with the same `Idempotency-Key` gets the same response. A token never allows more than the account's role at the time of a request, and cannot change credentials."
)]
pub async fn create(
    state: Data<State>,
    account: SignedIn,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreateToken>,
) -> Result<Created<CreatedApiToken>, Problem> {
    let body = body.0;
    let (password, code) = (body.password.clone().into_secret(), body.code.clone());
    service::reauthenticate(&state, &account, &client, password, code.as_deref()).await?;
    let command = CreateTokenCommand::from(body);
    let request = key.bind("createToken", Some(account.id), &command);
    let created: Created<ApiToken> = idempotent(&account.changes(&state.platform, &client), request, async |change| {
        service::create(&state, change, &account, &command).await.map(ApiToken::from)
    })
    .await?;
    // Not stored with the response: the rows of idempotency keys must not grant access.
    Ok(created.map(|token| {
        let secret = service::secret(&state, account.id, TokenId(token.id)).expose().clone();
        CreatedApiToken { secret, token }
    }))
}

#[api_operation(
    operation_id = "listTokens",
    tag = "tokens",
    summary = "List the caller's API tokens",
    description = "Newest first. Expired tokens stay in the list for a month."
)]
pub async fn list(
    state: Data<State>,
    account: SignedIn,
    query: Query<PageQuery>,
) -> Result<Json<Page<ApiToken>>, Problem> {
    let query = query.0;
    let rows = store::api_token::list(&state.platform.db, account.id, query.after()?, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |token| token.id)))
}

#[api_operation(
    operation_id = "revokeToken",
    tag = "tokens",
    summary = "Revoke an API token",
    description = "The token is invalid from the next request on."
)]
pub async fn revoke(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    path: Path<TokenPath>,
) -> Result<NoContent, Problem> {
    service::revoke(&state, &account, &client, TokenId(path.0.token)).await.map(|()| NoContent)
}
