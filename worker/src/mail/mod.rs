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

pub use templates::MailTemplate;

/// How a certificate in PEM begins. The library accepts a file without one as an empty list.
const PEM_CERTIFICATE_HEADER: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Longest wait for the mail server's reply to one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// Why the settings of the mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpMailerError {
    /// `NVISY_SMTP_URL`.
    #[error("NVISY_SMTP_URL cannot be used")]
    Url(#[source] smtp::Error),
    /// `NVISY_SMTP_CA_FILE` cannot be read.
    #[error("NVISY_SMTP_CA_FILE names {0}, which cannot be read")]
    Unreadable(PathBuf, #[source] io::Error),
    /// `NVISY_SMTP_CA_FILE` has no certificates.
    #[error("NVISY_SMTP_CA_FILE names {0}, which holds no certificates in PEM")]
    NoCertificates(PathBuf, #[source] Option<smtp::Error>),
    /// `NVISY_SMTP_FROM`.
    #[error("NVISY_SMTP_FROM is not an address")]
    From(#[source] lettre::address::AddressError),
}

/// Why a mail was not sent. Contains only the code of the reply, because the text of a reply may quote the address.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server rejects the mail or its address, and a further attempt would not change that.
    #[error("the mail server rejects the mail ({0})")]
    Rejected(String),
    /// Another attempt may succeed.
    #[error("the mail server cannot be used at the moment ({0})")]
    Unreachable(String),
}

/// The mail server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    links: String,
}

impl SmtpMailer {
    /// The configured mail server, if there is one. Nothing is connected yet.
    ///
    /// # Errors
    /// [`SmtpMailerError`] names the setting.
    pub fn open(settings: &config::SmtpConfig) -> Result<Option<Self>, SmtpMailerError> {
        let Some(server) = settings.server() else { return Ok(None) };
        let MailServer { url, from, link_url, .. } = server;
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(SmtpMailerError::Url)?;
        if let Some(tls) = custom_tls(&server)? {
            transport = transport.tls(tls);
        }
        Ok(Some(Self {
            transport: transport.timeout(Some(COMMAND_TIMEOUT)).build(),
            from: from.parse().map_err(SmtpMailerError::From)?,
            links: link_url.as_str().trim_end_matches('/').to_owned(),
        }))
    }

    /// Sends a mail. Returns when the server has accepted it.
    ///
    /// # Errors
    /// [`SendError`] says whether another attempt may help.
    pub async fn send(&self, to: &str, template: &MailTemplate, token: &Secret<String>) -> Result<(), SendError> {
        let text = template.text(&self.links, token);
        let message = to.parse().map_err(|_| SendError::Rejected("not an address".to_owned())).and_then(|to| {
            let message = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to));
            let message = message.subject(template.subject()).header(ContentType::TEXT_PLAIN).body(text);
            message.map_err(|_| SendError::Rejected("not a message".to_owned()))
        })?;
        self.transport.send(message).await.map(drop).map_err(|error| {
            match error.status() {
                Some(code) if error.is_permanent() && concerns_mail(code) => SendError::Rejected(code.to_string()),
                Some(code) => SendError::Unreachable(code.to_string()),
                // The error may quote the reply.
                None if error.is_response() => SendError::Unreachable("an invalid reply".to_owned()),
                None => SendError::Unreachable(error.to_string()),
            }
        })
    }
}

/// Whether a rejection concerns the mail or its address. Others concern our settings or the server, such as a wrong password:
/// the mail waits until an operator has fixed them.
fn concerns_mail(code: Code) -> bool {
    code.category == Category::MailSystem
}

/// TLS with the configured certificate authorities in place of the system's.
fn custom_tls(server: &MailServer<'_>) -> Result<Option<Tls>, SmtpMailerError> {
    let Some(file) = server.ca_file else { return Ok(None) };
    let pem = fs::read(file).map_err(|error| SmtpMailerError::Unreadable(file.to_owned(), error))?;
    let invalid = |error| SmtpMailerError::NoCertificates(file.to_owned(), error);
    if !pem.windows(PEM_CERTIFICATE_HEADER.len()).any(|window| window == PEM_CERTIFICATE_HEADER) {
        return Err(invalid(None));
    }
    let authority = Certificate::from_pem(&pem).map_err(|error| invalid(Some(error)))?;
    let parameters = |host| {
        let parameters = TlsParameters::builder(host).certificate_store(CertificateStore::None);
        parameters.add_root_certificate(authority).build().map_err(|error| invalid(Some(error)))
    };
    Ok(match server.security() {
        MailSecurity::Clear => None,
        MailSecurity::Tls(host) => Some(Tls::Wrapper(parameters(host)?)),
        MailSecurity::StartTls(host) => Some(Tls::Required(parameters(host)?)),
    })
}
