//! The operations on API tokens.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{id::TokenId, store};

use super::{
    service,
    wire::{CreateToken, NewToken, Token, TokenPath},
};
use crate::{
    auth::account::SignedIn,
    http::{
        client_info::Origin,
        extract::{Json, Path, Query},
        idempotency::IdempotencyKey,
        pagination::{Page, PageQuery},
        status_json::{Created, Deleted},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "createToken",
    tag = "tokens",
    summary = "Create an API token",
    description = "Takes the password, and a code where there is a second factor. The token itself is in this answer and nowhere else; under the same `Idempotency-Key` the answer is given again, with the token. It never allows more than the account's role does at the time of a request, and no change of credentials.",
    error_code = 401,
    error_code = 403,
    error_code = 404,
    error_code = 409,
    error_code = 429
)]
pub async fn create(
    state: Data<State>,
    account: SignedIn,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<CreateToken>,
) -> Result<Created<NewToken>, Problem> {
    service::create(&state, &account, key, &origin, body.0).await
}

#[api_operation(
    operation_id = "listTokens",
    tag = "tokens",
    summary = "List the caller's API tokens",
    description = "Newest first. Those that have expired are listed for another month.",
    error_code = 401
)]
pub async fn list(
    state: Data<State>,
    account: SignedIn,
    query: Query<PageQuery>,
) -> Result<Json<Page<Token>>, Problem> {
    let query = query.0;
    let rows = store::api_token::of_account(&state.platform.db, account.id, query.after()?, query.rows()).await?;
    Ok(Json(Page::new(&query, rows, |token| token.id)))
}

#[api_operation(
    operation_id = "revokeToken",
    tag = "tokens",
    summary = "Revoke an API token",
    description = "It stops at the next request, everywhere.",
    error_code = 404
)]
pub async fn revoke(
    state: Data<State>,
    account: SignedIn,
    origin: Origin,
    path: Path<TokenPath>,
) -> Result<Deleted, Problem> {
    service::revoke(&state, &account, &origin, TokenId(path.0.token)).await
}
