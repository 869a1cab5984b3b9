//! One connection to a server with SFTP.

use std::{sync::Arc, time::Duration};

use nvisy_shared::{
    domain::{
        connection::objects::{SftpCredentials, SftpSettings},
        failure::FailureCode,
    },
    outbound::GuardedClient,
};
use russh::{
    client,
    keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, decode_secret_key},
};
use russh_sftp::{
    client::{SftpSession, error::Error as SftpError},
    protocol::StatusCode,
};
use tokio::net::TcpStream;

use crate::connectors::CallFailure;

/// Longest wait for a connection, and for each step of the login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence of a server that is asked something.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for an answer, in seconds.
const ANSWER_SECONDS: u64 = 60;

/// An open session; the connection ends when it is dropped.
pub(super) struct OpenSession {
    pub(super) sftp: SftpSession,
    _connection: client::Handle<HostKeyCheck>,
}

/// Accepts the host key of the settings alone, before any credential is sent.
struct HostKeyCheck {
    expected: PublicKey,
}

impl client::Handler for HostKeyCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(match offered {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.key_data() == self.expected.key_data(),
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }
}

/// Connects and logs in.
pub(super) async fn connect(
    outbound: &GuardedClient,
    settings: &SftpSettings,
    credentials: &SftpCredentials,
) -> Result<OpenSession, CallFailure> {
    let addresses = outbound.resolve(&settings.host, settings.port).await?;
    let expected = PublicKey::from_openssh(&settings.host_key)
        .map_err(|_| CallFailure::Blocked("the setting `hostKey` is no public key".to_owned()))?;
    // The names are not resolved again.
    let stream = within(async { TcpStream::connect(&*addresses).await.map_err(|error| unavailable(&error)) }).await?;
    let algorithm = expected.algorithm();
    let config = client::Config {
        inactivity_timeout: Some(IDLE_TIMEOUT),
        preferred: russh::Preferred { key: vec![algorithm.clone()].into(), ..russh::Preferred::default() },
        ..client::Config::default()
    };
    let connecting = client::connect_stream(Arc::new(config), stream, HostKeyCheck { expected });
    let connecting = async {
        connecting.await.map_err(|error| match error {
            russh::Error::UnknownKey => {
                CallFailure::Blocked("the server has another host key than the setting `hostKey`".to_owned())
            }
            russh::Error::NoCommonAlgo { .. } => CallFailure::Blocked(format!(
                "the server offers no host key of the type {algorithm}, or no common cipher"
            )),
            error => unavailable(&error),
        })
    };
    let mut connection = within(connecting).await?;
    let accepted = within(log_in(&mut connection, credentials)).await?;
    if !accepted {
        return Err(CallFailure::Blocked("the server does not accept the credentials".to_owned()));
    }
    let sftp = within(async {
        let channel = connection.channel_open_session().await.map_err(|error| unavailable(&error))?;
        let refused = |_| CallFailure::Blocked("the server does not offer SFTP".to_owned());
        channel.request_subsystem(true, "sftp").await.map_err(refused)?;
        SftpSession::new(channel.into_stream()).await.map_err(|error| failed(&error))
    });
    let sftp = sftp.await?;
    sftp.set_timeout(ANSWER_SECONDS);
    Ok(OpenSession { sftp, _connection: connection })
}

async fn log_in(
    connection: &mut client::Handle<HostKeyCheck>,
    credentials: &SftpCredentials,
) -> Result<bool, CallFailure> {
    let user = credentials.username.clone();
    let result = match (&credentials.password, &credentials.private_key) {
        (Some(password), _) => connection.authenticate_password(user, password.expose().clone()).await,
        (None, Some(key)) => {
            let passphrase = credentials.passphrase.as_ref().map(|passphrase| passphrase.expose().as_str());
            let key = decode_secret_key(key.expose(), passphrase)
                .map_err(|_| CallFailure::Blocked("the private key cannot be read with this passphrase".to_owned()))?;
            let hash = connection.best_supported_rsa_hash().await.map_err(|error| unavailable(&error))?.flatten();
            connection.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::new(key), hash)).await
        }
        (None, None) => return Ok(false),
    };
    Ok(result.map_err(|error| unavailable(&error))?.success())
}

async fn within<T>(work: impl Future<Output = Result<T, CallFailure>>) -> Result<T, CallFailure> {
    let done = tokio::time::timeout(CONNECT_TIMEOUT, work).await;
    done.unwrap_or_else(|_| Err(CallFailure::Unavailable("the server does not respond in time".to_owned())))
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> CallFailure {
    CallFailure::Unavailable(nvisy_shared::error_chain(error))
}

/// What an error of the protocol means for the file or folder.
pub(super) fn failed(error: &SftpError) -> CallFailure {
    match error {
        SftpError::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => CallFailure::item(FailureCode::SourceMissing, "there is no such file or folder"),
            StatusCode::PermissionDenied => {
                CallFailure::item(FailureCode::SourceRejected, "the server does not allow reading it")
            }
            _ => CallFailure::Unavailable(error.to_string()),
        },
        _ => CallFailure::Unavailable(error.to_string()),
    }
}
