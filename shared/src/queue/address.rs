//! `NVISY_NATS_URL`: the addresses of the NATS servers, and the credentials.

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use url::Url;

/// One server, or several of a cluster separated by commas, and the credentials of the first address that contains some.
///
/// Parsed here, because the client ignores credentials in an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NatsAddress {
    servers: Vec<ServerAddr>,
    credentials: Credentials,
}

#[derive(PartialEq, Eq)]
enum Credentials {
    None,
    Token(String),
    Password { user: String, password: String },
}

/// Does not repeat the value, which may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("it is not an address such as nats://user:password@host:4222, or several of them with commas between")]
pub(super) struct InvalidNatsUrl;

impl NatsAddress {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidNatsUrl> {
        let mut servers = Vec::new();
        let mut credentials = Credentials::None;
        for part in text.split(',').map(str::trim) {
            let full = if part.contains("://") { part.to_owned() } else { format!("nats://{part}") };
            let mut url: Url = full.parse().map_err(|_| InvalidNatsUrl)?;
            if credentials == Credentials::None {
                credentials = Credentials::of(&url)?;
            }
            url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| InvalidNatsUrl)?;
            servers.push(ServerAddr::from_url(url).map_err(|_| InvalidNatsUrl)?);
        }
        Ok(Self { servers, credentials })
    }

    pub(super) async fn connect(self, options: ConnectOptions) -> Result<async_nats::Client, async_nats::ConnectError> {
        let options = match self.credentials {
            Credentials::None => options,
            Credentials::Token(token) => options.token(token),
            Credentials::Password { user, password } => options.user_and_password(user, password),
        };
        options.connect(self.servers).await
    }
}

impl Credentials {
    /// A user without a password is a token, as in NATS' own tools.
    fn of(url: &Url) -> Result<Self, InvalidNatsUrl> {
        let user = decoded(url.username())?;
        Ok(match url.password() {
            Some(password) => Self::Password { user, password: decoded(password)? },
            None if user.is_empty() => Self::None,
            None => Self::Token(user),
        })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

fn decoded(part: &str) -> Result<String, InvalidNatsUrl> {
    percent_decode_str(part).decode_utf8().map(String::from).map_err(|_| InvalidNatsUrl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<String>, Credentials) {
        let NatsAddress { servers, credentials } = NatsAddress::parse(text).unwrap();
        let show = |server: &ServerAddr| format!("{}://{}:{}", server.scheme(), server.host(), server.port());
        assert!(servers.iter().all(|server| server.username().is_none() && server.password().is_none()));
        (servers.iter().map(show).collect(), credentials)
    }

    #[test]
    fn credentials_are_removed_from_the_addresses() {
        let local = || vec!["nats://127.0.0.1:4222".to_owned()];
        assert_eq!(parsed("127.0.0.1"), (local(), Credentials::None));
        assert_eq!(parsed("nats://127.0.0.1:4222"), (local(), Credentials::None));
        assert_eq!(parsed("nats://s3cret@127.0.0.1"), (local(), Credentials::Token("s3cret".to_owned())));
        let password = Credentials::Password { user: "nvisy".to_owned(), password: "a/b@c".to_owned() };
        assert_eq!(parsed("nats://nvisy:a%2Fb%40c@127.0.0.1"), (local(), password));
    }

    #[test]
    fn servers_of_a_cluster_share_credentials() {
        let (servers, credentials) = parsed("tls://a:4222, tls://nvisy:pw@b:4223");
        assert_eq!(servers, ["tls://a:4222", "tls://b:4223"]);
        assert_eq!(credentials, Credentials::Password { user: "nvisy".to_owned(), password: "pw".to_owned() });
    }

    #[test]
    fn invalid_url_is_rejected_without_repeating_it() {
        for wrong in ["", "http://nvisy:hunter2@host", "nats://nvisy:hunter2@", "nats://%ff:hunter2@host"] {
            let error = NatsAddress::parse(wrong).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(!format!("{:?}", NatsAddress::parse("nats://hunter2@host").unwrap()).contains("hunter2"));
    }
}
