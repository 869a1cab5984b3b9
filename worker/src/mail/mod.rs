//! Sending mail over SMTP.

mod templates;

use std::{fs, io, path::PathBuf, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        self,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        response::{Category, Code},
    },
};
use nvisy_shared::{
    config::{self, MailSecurity, MailServer},
    secret::Secret,
};

pub use templates::Letter;

/// How a certificate in PEM begins: the library takes a file without any for one that names nobody.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Longest wait for the mail server's answer to one command.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a mail server cannot be used as it is set.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server's URL.
    #[error("NVISY_SMTP_URL cannot be used")]
    Url(#[source] smtp::Error),
    /// Who vouches for it.
    #[error("NVISY_SMTP_CA_FILE names {0}, which cannot be read")]
    Unreadable(PathBuf, #[source] io::Error),
    /// Who vouches for it.
    #[error("NVISY_SMTP_CA_FILE names {0}, which holds no certificates in PEM")]
    Authority(PathBuf, #[source] Option<smtp::Error>),
    /// The sender.
    #[error("NVISY_SMTP_FROM is not an address")]
    From(#[source] lettre::address::AddressError),
}

/// Why a mail was not sent. Says nothing of what the server answered but the code: the rest may quote the address.
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
        let Some(server) = settings.server() else { return Ok(None) };
        let MailServer { url, from, link_url, .. } = server;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(OpenError::Url)?;
        if let Some(tls) = vouched_for(&server)? {
            transport = transport.tls(tls);
        }
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
    pub async fn send(&self, to: &str, letter: &Letter, token: &Secret<String>) -> Result<(), SendError> {
        let text = letter.text(&self.links, token);
        let message = to.parse().map_err(|_| SendError::Refused("no address".to_owned())).and_then(|to| {
            let message = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to));
            let message = message.subject(letter.subject()).header(ContentType::TEXT_PLAIN).body(text);
            message.map_err(|_| SendError::Refused("no message".to_owned()))
        })?;
        self.transport.send(message).await.map(drop).map_err(|error| {
            match error.status() {
                Some(code) if error.is_permanent() && of_the_mail(code) => SendError::Refused(code.to_string()),
                Some(code) => SendError::Unreachable(code.to_string()),
                // What the server said may stand in it.
                None if error.is_response() => SendError::Unreachable("an answer that is none".to_owned()),
                None => SendError::Unreachable(error.to_string()),
            }
        })
    }
}

/// Whether a refusal is about the mail or its address. All others are about us or the server, such as a wrong password:
/// the mail waits until somebody has seen to that.
fn of_the_mail(code: Code) -> bool {
    code.category == Category::MailSystem
}

/// How to secure connections to a server for which others vouch than the system trusts.
fn vouched_for(server: &MailServer<'_>) -> Result<Option<Tls>, OpenError> {
    let Some(file) = server.ca_file else { return Ok(None) };
    let pem = fs::read(file).map_err(|error| OpenError::Unreadable(file.to_owned(), error))?;
    let wrong = |error| OpenError::Authority(file.to_owned(), error);
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(wrong(None));
    }
    let authority = Certificate::from_pem(&pem).map_err(|error| wrong(Some(error)))?;
    let parameters = |host| {
        let parameters = TlsParameters::builder(host).certificate_store(CertificateStore::None);
        parameters.add_root_certificate(authority).build().map_err(|error| wrong(Some(error)))
    };
    Ok(match server.security() {
        MailSecurity::Clear => None,
        MailSecurity::Tls(host) => Some(Tls::Wrapper(parameters(host)?)),
        MailSecurity::StartTls(host) => Some(Tls::Required(parameters(host)?)),
    })
}
