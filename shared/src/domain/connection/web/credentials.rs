use json_schema::JsonSchema;
use serde::Deserialize;

use super::super::{InvalidSetting, limits::header_secret};
use crate::secret::Secret;

/// Maximum length of a user name or a password, in bytes.
const MAX_BYTES: usize = 1_024;

/// Credentials of a server over HTTP: user name and password, or a token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebCredentials {
    /// The user name.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default)]
    pub username: Option<String>,
    /// The password.
    #[schemars(with = "Option<String>", length(min = 1, max = 1024))]
    #[serde(default)]
    pub password: Option<Secret<String>>,
    /// A token or key.
    #[schemars(with = "Option<String>", length(min = 1, max = 4096))]
    #[serde(default)]
    pub token: Option<Secret<String>>,
}

impl WebCredentials {
    /// Everything that the schema does not say.
    pub(super) fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        match (&self.username, &self.password, &self.token) {
            (Some(username), Some(password), None) => {
                // A colon ends the user name in the header.
                if username.contains(':') || !is_text(username) {
                    let message = format!("must have 1 to {MAX_BYTES} bytes without `:` and control characters");
                    problems.push(InvalidSetting::new("username", message));
                }
                if !is_text(password.expose()) {
                    let message = format!("must have 1 to {MAX_BYTES} bytes without control characters");
                    problems.push(InvalidSetting::new("password", message));
                }
            }
            (None, None, Some(token)) => header_secret(&mut problems, "token", token.expose()),
            _ => problems.push(InvalidSetting::new("", "must have either `username` and `password`, or `token`")),
        }
        problems
    }
}

fn is_text(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}
