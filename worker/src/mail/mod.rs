//! Sending mail over SMTP.

mod letters;

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp,
};
use nvisy_shared::{
    config::{self, MailServer},
    secret::Secret,
};

pub use letters::Letter;

/// Longest wait for the mail server's answer to one command.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a mail server cannot be used as it is set.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server's URL.
    #[error("NVISY_SMTP_URL cannot be used")]
    Url(#[source] smtp::Error),
    /// The sender.
    #[error("NVISY_SMTP_FROM is not an address")]
    From(#[source] lettre::address::AddressError),
}

/// Why a mail was not sent. Says nothing of what the server answered: that may quote the address.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody can be reached there, and no further attempt changes that.
    #[error("the mail server refuses the mail ({0})")]
    Refused(String),
    /// It may work another time.
    #[error("the mail server cannot be used at the moment ({0})")]
    Unreachable(String),
}

/// The mail server.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    links: String,
}

impl Mailer {
    /// The configured mail server, if there is one. Nothing is connected yet.
    ///
    /// # Errors
    /// [`OpenError`] names the setting.
    pub fn open(settings: &config::Smtp) -> Result<Option<Self>, OpenError> {
        let Some(MailServer { url, from, link_url }) = settings.server() else { return Ok(None) };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(OpenError::Url)?;
        Ok(Some(Self {
            transport: transport.timeout(Some(PATIENCE)).build(),
            from: from.parse().map_err(OpenError::From)?,
            links: link_url.as_str().trim_end_matches('/').to_owned(),
        }))
    }

    /// Sends a letter. Over when the server has taken it.
    ///
    /// # Errors
    /// [`SendError`] says whether another attempt may help.
    pub async fn send(&self, to: &str, letter: Letter, token: Option<&Secret<String>>) -> Result<(), SendError> {
        let text = letter.text(&self.links, token);
        let message = to.parse().map_err(|_| SendError::Refused("no address".to_owned())).and_then(|to| {
            let message = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to));
            let message = message.subject(letter.subject()).header(ContentType::TEXT_PLAIN).body(text);
            message.map_err(|_| SendError::Refused("no message".to_owned()))
        })?;
        self.transport.send(message).await.map(drop).map_err(|error| {
            let status = error.status().map_or_else(|| "no answer".to_owned(), |code| code.to_string());
            if error.is_permanent() { SendError::Refused(status) } else { SendError::Unreachable(status) }
        })
    }
}
