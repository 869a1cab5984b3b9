//! Queuing mail: a worker sends it after the transaction commits.

use std::time::Duration;

use nvisy_shared::{
    config,
    crypt::token::{self, TokenKind},
    domain::mail::MailKind,
    id::WorkspaceId,
    job::SendMail,
    queue::outbox,
    secret::Secret,
    store::{self, Tx, mail::NewMail},
};

use crate::problem::{Code, Problem};

/// A notice that could not be sent within this time is dropped.
const NOTICE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Whether this server sends mail, and how long the links in it are valid.
#[derive(Clone, Copy, Debug)]
pub struct Mailer {
    is_configured: bool,
    link_lifetime: Duration,
}

impl Mailer {
    pub fn new(settings: &config::SmtpConfig) -> Self {
        Self { is_configured: settings.server().is_some(), link_lifetime: Duration::from_secs(settings.link_seconds) }
    }

    pub fn is_configured(self) -> bool {
        self.is_configured
    }

    /// 501 where no mail server is configured.
    pub fn require(self) -> Result<(), Problem> {
        if self.is_configured { Ok(()) } else { Err(Problem::new(Code::MailNotConfigured)) }
    }

    pub fn link_lifetime(self) -> Duration {
        self.link_lifetime
    }

    /// Queues a mail.
    pub async fn send(self, tx: &Tx, mail: NewMail<'_>) -> Result<(), Problem> {
        let mail = store::mail::insert(tx, mail).await?;
        outbox::enqueue(tx, WorkspaceId::SYSTEM, &SendMail { mail }).await?;
        Ok(())
    }

    /// Queues a notice about an account, where mail is configured.
    pub async fn notify(self, tx: &Tx, kind: MailKind, email: &str) -> Result<(), Problem> {
        if !self.is_configured {
            return Ok(());
        }
        // Without the account: links that the account asked for can be voided, notices to it cannot.
        let lifetime = NOTICE_LIFETIME;
        self.send(tx, NewMail { kind, email, account: None, sign_up: None, invite: None, lifetime }).await
    }
}

/// The stored hash of a link's token; 401 for a text that is no token of a link.
pub fn link_hash(token: &Secret<String>) -> Result<[u8; 32], Problem> {
    token::hash(TokenKind::Mail, token.expose()).ok_or_else(invalid_link)
}

/// 401: the link was used or replaced, or has expired.
pub fn invalid_link() -> Problem {
    Problem::new(Code::LinkRefused)
}
