//! Requests and responses of the session operations.

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
    auth::password::Password,
    http::{
        string_schema::{Line, Opaque, Text},
        validation::{line, text},
    },
};

/// The credentials of a login.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "login_example")]
pub struct Login {
    /// The account's e-mail address.
    #[garde(custom(line(1, MAX_EMAIL_CHARS)))]
    #[schemars(with = "Line<1, 254>")]
    pub email: String,
    /// The account's password.
    #[garde(dive)]
    pub password: Password,
    /// Six digits from the authenticator app, or a recovery code; required if the account has a second factor.
    #[garde(inner(custom(text(1, 32))))]
    #[schemars(with = "Option<Text<1, 32>>")]
    pub code: Option<String>,
}

fn login_example() -> Value {
    json!({ "email": "ada@example.org", "password": "seven otters juggle" })
}

impl From<Login> for LoginCommand {
    fn from(body: Login) -> Self {
        Self { email: normalise_email(&body.email), password: body.password.into_secret(), code: body.code }
    }
}

/// A refresh token to exchange.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    /// The session's newest refresh token.
    #[garde(skip)]
    #[schemars(with = "Opaque")]
    pub refresh_token: Secret<String>,
}

/// The credentials of a session.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// The access token, for the header `Authorization: Bearer ...`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// The refresh token, which `POST /api/v1/auth/refresh` exchanges once for the next pair.
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

/// The type of an access token.
#[derive(Debug, Serialize, JsonSchema)]
pub enum TokenType {
    Bearer,
}

/// A session: a device on which the account is logged in.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Session")]
pub struct SessionView {
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
    /// The time of the login.
    pub created_at: DateTime<Utc>,
    /// The time of the last refresh.
    pub last_used_at: DateTime<Utc>,
    /// The time at which the session ends unless it is refreshed.
    pub expires_at: DateTime<Utc>,
}

/// A session, and the id of the caller's own.
pub struct SessionRow(pub entity::session::Model, pub SessionId);

impl From<SessionRow> for SessionView {
    fn from(SessionRow(session, current): SessionRow) -> Self {
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
