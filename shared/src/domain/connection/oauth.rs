//! Access tokens of OAuth 2.0, which a server gives for a refresh token (RFC 6749, section 6).

use json_schema::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{InvalidSetting, url_problem};
use crate::secret::Secret;

/// How access tokens are obtained. The address is a part of the credentials, because they are sent there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OAuthCredentials {
    /// The token endpoint, such as `https://oauth2.googleapis.com/token`.
    #[schemars(with = "String")]
    pub token_url: Url,
    /// The id of the application at the authorization server.
    #[schemars(length(min = 1, max = 1024))]
    pub client_id: String,
    /// The secret of the application; absent: it is a public one.
    #[schemars(with = "Option<String>", length(min = 1, max = 4096))]
    #[serde(default)]
    pub client_secret: Option<Secret<String>>,
    /// The refresh token that the user has granted the application.
    #[schemars(with = "String", length(min = 1, max = 8192))]
    pub refresh_token: Secret<String>,
    /// The scopes of the access tokens, separated by spaces; absent: those that were granted.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default)]
    pub scope: Option<String>,
}

impl OAuthCredentials {
    /// Everything that the schema does not say, by fields of `oauth`.
    pub(super) fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems: Vec<_> = url_problem("oauth.tokenUrl", &self.token_url).into_iter().collect();
        let secret = self.client_secret.as_ref().map(|secret| secret.expose().as_str());
        for (field, text, max) in [
            ("oauth.clientId", Some(self.client_id.as_str()), 1024),
            ("oauth.clientSecret", secret, 4096),
            ("oauth.refreshToken", Some(self.refresh_token.expose().as_str()), 8192),
            ("oauth.scope", self.scope.as_deref(), 1024),
        ] {
            if text.is_some_and(|text| text.is_empty() || text.len() > max || text.contains(char::is_control)) {
                let message = format!("must have 1 to {max} bytes, and no control character");
                problems.push(InvalidSetting::new(field, message));
            }
        }
        problems
    }
}
