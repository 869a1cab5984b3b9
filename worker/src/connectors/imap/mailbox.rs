//! The mailbox of a connection: connecting to checked addresses, encryption, the login, and the connections that calls share.

use std::{sync::Arc, time::Duration};

use imap_next::imap_types::{
    auth::AuthMechanism,
    command::CommandBody,
    response::{Capability, Code, Data},
};
use nvisy_shared::{
    domain::{
        connection::{
            InvalidSetting,
            mail::{ImapCredentials, ImapSettings, MailEncryption},
        },
        failure::FailureCode,
    },
    error_chain,
    outbound::{GuardedClient, tls_config},
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::session::{CommandError, Responses, Session, Socket};
use crate::{
    access_tokens::AccessTokens,
    connectors::{
        CallFailure, OpenConnection,
        oauth::{self, AccessToken},
    },
    context::Context,
};

/// Connections of a job to the server: servers allow about ten of a user.
const MAX_SESSIONS: usize = 3;
/// Longest wait for a connection, and for its encryption.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A mailbox.
pub(super) struct Mailbox {
    pub(super) outbound: GuardedClient,
    pub(super) settings: ImapSettings,
    credentials: ImapCredentials,
    tokens: AccessTokens,
    connection: OpenConnection,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
}

/// A connection that a call has for itself. It is given back with [`Mailbox::give_back`], or ends.
pub(super) struct Held {
    pub(super) session: Session,
    permit: OwnedSemaphorePermit,
}

impl Mailbox {
    pub(super) fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
        let credentials: Option<ImapCredentials> = connection.credentials()?;
        Ok(Self {
            outbound: cx.outbound.clone(),
            tokens: cx.tokens.clone(),
            settings: connection.settings()?,
            credentials: credentials.ok_or_else(|| InvalidSetting::new("credentials", "must be set"))?,
            connection: connection.clone(),
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(MAX_SESSIONS)),
        })
    }

    pub(super) fn redacted(&self, failure: CallFailure) -> CallFailure {
        failure.redacted(&self.connection)
    }

    /// A connection with a login: an idle one, or a new one.
    pub(super) async fn session(&self) -> Result<Held, CallFailure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| CallFailure::Unavailable(error.to_string()))?;
        if let Some(session) = self.idle.lock().await.pop() {
            return Ok(Held { session, permit });
        }
        let session = self.connect().await.map_err(|failure| self.redacted(failure))?;
        Ok(Held { session, permit })
    }

    /// Gives a connection back that works.
    pub(super) async fn give_back(&self, held: Held) {
        self.idle.lock().await.push(held.session);
        drop(held.permit);
    }

    async fn connect(&self) -> Result<Session, CallFailure> {
        let mut session = self.open().await?;
        self.log_in(&mut session).await?;
        Ok(session)
    }

    /// Connects, up to encryption.
    pub(super) async fn open(&self) -> Result<Session, CallFailure> {
        let ImapSettings { host, tls, timeout_seconds, .. } = &self.settings;
        let timeout = Duration::from_secs((*timeout_seconds).into());
        let addresses = self.outbound.resolve(host, self.settings.port()).await?;
        let is_open = !addresses.iter().all(|address| self.outbound.is_in_allowed_network(address.ip()));
        if *tls == MailEncryption::None && is_open {
            let reason =
                "the setting `tls` is `none`, and the address is not in a network that the operator has allowed";
            return Err(CallFailure::Blocked(reason.to_owned()));
        }
        // The name is not resolved again.
        let connecting = async { TcpStream::connect(&*addresses).await.map_err(|error| unavailable(&error)) };
        let stream = within(connecting).await?;
        let _ = stream.set_nodelay(true);
        if *tls == MailEncryption::Tls {
            let socket = self.encrypt(Box::new(stream)).await?;
            let mut session = Session::new(socket, timeout, true);
            session.greeting().await?;
            return Ok(session);
        }
        let mut session = Session::new(Box::new(stream), timeout, true);
        session.greeting().await?;
        if *tls == MailEncryption::None {
            return Ok(session);
        }
        match session.run(CommandBody::StartTLS).await {
            Ok(_) => {}
            Err(CommandError::Refused(..)) => {
                return Err(CallFailure::Blocked("the server offers no STARTTLS".to_owned()));
            }
            Err(CommandError::Broken(failure)) => return Err(failure),
        }
        let socket = self.encrypt(session.into_socket()).await?;
        Ok(Session::new(socket, timeout, false))
    }

    async fn encrypt(&self, socket: Box<dyn Socket>) -> Result<Box<dyn Socket>, CallFailure> {
        let blocked = |error: &dyn std::fmt::Display| CallFailure::Blocked(format!("no encryption: {error}"));
        let config = tls_config(self.settings.ca_certificate.as_deref()).map_err(|error| blocked(&error))?;
        let name = ServerName::try_from(self.settings.host.clone()).map_err(|error| blocked(&error))?;
        within(async {
            let encrypted = TlsConnector::from(config).connect(name, socket).await.map_err(|error| {
                // A certificate of another name, or of an authority that is not trusted, stays so.
                let is_about_tls = error.get_ref().is_some_and(|cause| cause.is::<tokio_rustls::rustls::Error>());
                let reason = format!("no encrypted connection: {}", error_chain(&error));
                if is_about_tls { CallFailure::Blocked(reason) } else { CallFailure::Unavailable(reason) }
            })?;
            Ok(Box::new(encrypted) as Box<dyn Socket>)
        })
        .await
    }

    /// Whether access tokens are in place of a password.
    pub(super) const fn uses_tokens(&self) -> bool {
        self.credentials.oauth.is_some()
    }

    /// An access token; empty without `oauth`.
    pub(super) async fn access_token(&self) -> Result<Option<AccessToken>, CallFailure> {
        match &self.credentials.oauth {
            None => Ok(None),
            Some(credentials) => {
                oauth::access_token(&self.tokens, &self.outbound, &self.connection, credentials).await.map(Some)
            }
        }
    }

    /// Logs in.
    pub(super) async fn log_in(&self, session: &mut Session) -> Result<(), CallFailure> {
        let capabilities = session.run(CommandBody::Capability).await.map_err(CallFailure::from)?;
        if let Some(credentials) = &self.credentials.oauth {
            if !offers(&capabilities, &Capability::Auth(AuthMechanism::XOAuth2)) {
                return Err(CallFailure::Blocked("the server takes no access tokens (XOAUTH2)".to_owned()));
            }
            let Some(token) = self.access_token().await? else { return Ok(()) };
            let refused = match self.log_in_with(session, &token).await {
                Err(failure @ CallFailure::Blocked(_)) => failure,
                done => return done,
            };
            oauth::forget(&self.tokens, &self.connection, credentials);
            // One that was revoked is replaced at once.
            return match self.access_token().await? {
                Some(new) if token.is_kept => self.log_in_with(session, &new).await,
                _ => Err(refused),
            };
        }
        if offers(&capabilities, &Capability::LoginDisabled) {
            let reason = "the server takes no password on this connection: set `tls` to `tls` or `starttls`";
            return Err(CallFailure::Blocked(reason.to_owned()));
        }
        let invalid = || CallFailure::Blocked("the server cannot be sent this user name or password".to_owned());
        let password = self.credentials.password.as_ref().map(|password| password.expose().clone()).unwrap_or_default();
        let login = CommandBody::login(self.credentials.username.clone(), password).map_err(|_| invalid())?;
        accepted(session.run(login).await)
    }

    async fn log_in_with(&self, session: &mut Session, token: &AccessToken) -> Result<(), CallFailure> {
        let token = token.token.expose();
        let response = format!("user={}\x01auth=Bearer {token}\x01\x01", self.credentials.username);
        let done = accepted(session.authenticate(AuthMechanism::XOAuth2, response.into_bytes()).await);
        done.map_err(|failure| match failure {
            CallFailure::Blocked(text) => CallFailure::Blocked(text.replace(token.as_str(), "[hidden]")),
            failure => failure,
        })
    }
}

/// What the outcome of a login means.
fn accepted(done: Result<Responses, CommandError>) -> Result<(), CallFailure> {
    match done {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(code, text)) => match CallFailure::from(CommandError::Refused(code, text.clone())) {
            CallFailure::Busy { retry_after, reason } => Err(CallFailure::Busy { retry_after, reason }),
            _ => Err(CallFailure::Blocked(format!("the server does not accept the credentials: {text}"))),
        },
        Err(CommandError::Broken(failure)) => Err(failure),
    }
}

fn offers(answer: &Responses, wanted: &Capability<'_>) -> bool {
    answer.data.iter().any(|data| match data {
        Data::Capability(offered) => offered.as_ref().contains(wanted),
        _ => false,
    })
}

/// Opens a folder for reading alone, so that no message becomes a seen one. Returns the validity of its UIDs and the next one.
///
/// # Errors
/// [`FailureCode::SourceMissing`] for a folder that is gone, [`FailureCode::SourceRejected`] for one that cannot be opened.
pub(super) async fn examine(session: &mut Session, raw: &str) -> Result<(u32, Option<u32>), CallFailure> {
    session.selected = None;
    let examine = CommandBody::examine(raw.to_owned())
        .map_err(|_| CallFailure::item(FailureCode::InvalidName, "the folder has a name that cannot be sent"))?;
    let answer = match session.run(examine).await {
        Ok(answer) => answer,
        Err(CommandError::Broken(failure)) => return Err(failure),
        Err(CommandError::Refused(code, text)) => {
            let is_gone =
                matches!(&code, Some(Code::Other(other)) if other.inner().eq_ignore_ascii_case(b"NONEXISTENT"));
            return Err(match CallFailure::from(CommandError::Refused(code, text.clone())) {
                CallFailure::Busy { retry_after, reason } => CallFailure::Busy { retry_after, reason },
                _ if is_gone => CallFailure::item(FailureCode::SourceMissing, "the folder does not exist any more"),
                _ => CallFailure::item(FailureCode::SourceRejected, format!("the folder cannot be opened: {text}")),
            });
        }
    };
    let validity = answer.codes.iter().find_map(|code| match code {
        Code::UidValidity(validity) => Some(validity.get()),
        _ => None,
    });
    let next = answer.codes.iter().find_map(|code| match code {
        Code::UidNext(next) => Some(next.get()),
        _ => None,
    });
    let missing =
        || CallFailure::item(FailureCode::SourceRejected, "the server does not identify the folder's messages");
    let validity = validity.ok_or_else(missing)?;
    session.selected = Some((raw.to_owned(), validity));
    Ok((validity, next))
}

async fn within<T>(work: impl Future<Output = Result<T, CallFailure>>) -> Result<T, CallFailure> {
    let done = tokio::time::timeout(CONNECT_TIMEOUT, work).await;
    done.unwrap_or_else(|_| Err(CallFailure::Unavailable("the server does not respond in time".to_owned())))
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> CallFailure {
    CallFailure::Unavailable(error_chain(error))
}
