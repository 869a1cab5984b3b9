//! What the session operations take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::account::{MAX_EMAIL_CHARS, normalise_email},
    entity,
    id::SessionId,
    secret::Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::{LoginCommand, TokenPair};
use crate::{
    auth::password,
    http::validation::{line, text},
};

/// A login.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "login_example")]
pub struct Login {
    /// The address that was given at sign-up.
    #[garde(custom(line(1, MAX_EMAIL_CHARS)))]
    #[schemars(length(max = 254))]
    pub email: String,
    /// The account's password.
    #[garde(custom(password::length))]
    #[schemars(with = "String", length(max = 128))]
    pub password: Secret<String>,
    /// Where the account has a second factor: six digits from the app, or a recovery code.
    #[garde(inner(custom(text(1, 32))))]
    #[schemars(length(max = 32))]
    pub code: Option<String>,
}

fn login_example() -> Value {
    json!({ "email": "ada@example.org", "password": "seven otters juggle" })
}

impl From<Login> for LoginCommand {
    fn from(body: Login) -> Self {
        Self { email: normalise_email(&body.email), password: body.password, code: body.code }
    }
}

/// A refresh token to exchange.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    /// The newest refresh token of the session.
    #[garde(skip)]
    #[schemars(with = "String")]
    pub refresh_token: Secret<String>,
}

/// The credentials of a session.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// For the header `Authorization: Bearer ...`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Exchanged for the next pair at `POST /api/v1/auth/refresh`, once.
    pub refresh_token: String,
}

impl From<TokenPair> for Tokens {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            token_type: TokenType::Bearer,
            expires_in: pair.expires_in_seconds,
            refresh_token: pair.refresh_token,
        }
    }
}

/// How the token is used.
#[derive(Debug, Serialize, JsonSchema)]
pub enum TokenType {
    Bearer,
}

/// A session of the account: a device where it is logged in.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The session's id.
    pub id: Uuid,
    /// Whether the request belongs to this session.
    pub current: bool,
    /// The client's `User-Agent` at the last refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The network address of the last refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed.
    pub last_used_at: DateTime<Utc>,
    /// When it ends, unless it is refreshed before.
    pub expires_at: DateTime<Utc>,
}

/// A row, and the session of the caller.
pub struct Seen(pub entity::session::Model, pub SessionId);

impl From<Seen> for Session {
    fn from(Seen(session, current): Seen) -> Self {
        Self {
            id: session.id.0,
            current: session.id == current,
            user_agent: session.user_agent,
            address: session.address,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
        }
    }
}

/// The path of a session.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct SessionPath {
    /// The session's id.
    pub session: Uuid,
}
