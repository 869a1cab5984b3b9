//! Asking for access tokens of OAuth 2.0 with a refresh token.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nvisy_shared::{domain::connection::oauth::OAuthCredentials, outbound::GuardedClient, secret::Secret};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{CallFailure, OpenConnection};
use crate::{
    access_tokens::{AccessTokens, TokenKey},
    providers::failure::retry_after,
};

/// Longest wait for a token.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest response of a token endpoint.
const MAX_RESPONSE_BYTES: usize = 256 << 10;
/// The time before its end at which a token is not used any more.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is used whose server does not say it.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// The longest time that a token is used.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// An access token.
pub(super) struct AccessToken {
    pub(super) token: Arc<Secret<String>>,
    /// Whether it was asked for earlier, so that another one may be accepted.
    pub(super) is_kept: bool,
}

/// What a token endpoint answers.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret<String>,
    /// A number; some servers write it as a text.
    #[serde(default)]
    expires_in: Value,
}

fn key(connection: &OpenConnection, credentials: &OAuthCredentials) -> TokenKey {
    let mut hash = Sha256::new();
    let secret = credentials.client_secret.as_ref().map_or("", |secret| secret.expose());
    let scope = credentials.scope.as_deref().unwrap_or_default();
    let refresh = credentials.refresh_token.expose();
    for part in [credentials.token_url.as_str(), &credentials.client_id, secret, refresh, scope] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    (connection.id, hash.finalize().into())
}

/// The token that is kept, or a new one.
///
/// # Errors
/// [`CallFailure`]: [`CallFailure::Blocked`] if the server does not accept the credentials.
pub(super) async fn access_token(
    tokens: &AccessTokens,
    client: &GuardedClient,
    connection: &OpenConnection,
    credentials: &OAuthCredentials,
) -> Result<AccessToken, CallFailure> {
    let key = key(connection, credentials);
    if let Some(token) = tokens.find(&key) {
        return Ok(AccessToken { token, is_kept: true });
    }
    let asked_at = Instant::now();
    let granted = ask(client, credentials).await.map_err(|failure| failure.redacted(connection))?;
    let seconds = granted.expires_in.as_f64().or_else(|| granted.expires_in.as_str()?.parse().ok());
    let lifetime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(DEFAULT_LIFETIME);
    let token = Arc::new(granted.access_token);
    tokens.keep(key, &token, asked_at + lifetime.min(MAX_LIFETIME).saturating_sub(MARGIN));
    Ok(AccessToken { token, is_kept: false })
}

/// Forgets the token of a connection, which was revoked.
pub(super) fn forget(tokens: &AccessTokens, connection: &OpenConnection, credentials: &OAuthCredentials) {
    tokens.forget(&key(connection, credentials));
}

/// Asks for a token.
async fn ask(client: &GuardedClient, credentials: &OAuthCredentials) -> Result<Granted, CallFailure> {
    let url = &credentials.token_url;
    if url.scheme() != "https" {
        // The proxy would read the token, and resolves the name itself.
        if client.uses_proxy(url) {
            let reason = "`tokenUrl` must be an https address, because requests to it go through the operator's proxy";
            return Err(CallFailure::Blocked(reason.to_owned()));
        }
        let addresses =
            client.resolve(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        if !addresses.await?.iter().all(|address| client.is_in_allowed_network(address.ip())) {
            let reason = "`tokenUrl` must be an https address, unless it is in a network that the operator has allowed";
            return Err(CallFailure::Blocked(reason.to_owned()));
        }
    }
    let mut form = url.clone();
    form.set_query(None);
    {
        let mut pairs = form.query_pairs_mut();
        pairs.append_pair("grant_type", "refresh_token");
        pairs.append_pair("refresh_token", credentials.refresh_token.expose());
        pairs.append_pair("client_id", &credentials.client_id);
        if let Some(secret) = &credentials.client_secret {
            pairs.append_pair("client_secret", secret.expose());
        }
        if let Some(scope) = &credentials.scope {
            pairs.append_pair("scope", scope);
        }
    }
    let request = client
        .request(Method::POST, url.clone())
        .timeout(TIMEOUT)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(form.query().unwrap_or_default().to_owned());
    let response = client.send(request, MAX_RESPONSE_BYTES).await?;
    if response.status == StatusCode::OK {
        let granted = serde_json::from_slice::<Granted>(&response.body).ok();
        let granted = granted.filter(|granted| is_token(granted.access_token.expose()));
        return granted.ok_or_else(|| CallFailure::Unavailable("the token endpoint gives no access token".to_owned()));
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let texts = [&body["error"], &body["error_description"]].map(|text| text.as_str().unwrap_or_default());
    let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    let mut reason = format!("the token endpoint answers {}: {}", response.status, texts.join(": "));
    // The connection hides its secrets as they are, and this server may quote the form.
    for (name, encoded) in form.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
        if ["refresh_token", "client_secret"].contains(&name) {
            reason = reason.replace(encoded, "[hidden]");
        }
    }
    let retry_after = retry_after(&response.headers);
    Err(match response.status.as_u16() {
        429 => CallFailure::Busy { retry_after, reason },
        503 if retry_after.is_some() => CallFailure::Busy { retry_after, reason },
        408 | 500.. => CallFailure::Unavailable(reason),
        _ => CallFailure::Blocked(reason),
    })
}

/// Whether a text can be sent as a token (RFC 6750).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, net::TcpListener};

    use nvisy_shared::config::OutboundConfig;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn refresh_token_is_not_sent_through_a_proxy_in_plain_text() {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        proxy.set_nonblocking(true).unwrap();
        let proxy_url = reqwest::Url::parse(&format!("http://{}", proxy.local_addr().unwrap())).unwrap();
        let settings = OutboundConfig {
            allowed_networks: "10.0.0.0/8, 127.0.0.0/8".parse().unwrap(),
            response_bytes: 1_000_000,
            timeout_seconds: 5,
            local_folders: Default::default(),
            writable_folders: Default::default(),
            proxy_url: Some(Secret::new(proxy_url)),
            no_proxy: Default::default(),
        };
        let client = GuardedClient::new(&settings).unwrap();
        let failure = async |token_url: &str| {
            let credentials = json!({ "tokenUrl": token_url, "clientId": "app", "refreshToken": "hunter2" });
            let credentials: OAuthCredentials = serde_json::from_value(credentials).unwrap();
            ask(&client, &credentials).await.err().unwrap()
        };
        let refused = failure("http://10.1.2.3/token").await;
        assert!(matches!(&refused, CallFailure::Blocked(reason) if reason.contains("proxy")), "{refused}");
        assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the proxy saw a connection");
        // This machine is reached without the proxy; nothing listens there.
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let direct = failure(&format!("http://{unused}/token")).await;
        assert!(matches!(direct, CallFailure::Unavailable(_)), "{direct}");
    }
}
