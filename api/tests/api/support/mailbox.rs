//! The mail server of one test: a process that stores received mails in a folder.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use nvisy_shared::testing::variable;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpStream;

use super::{free_port, wait_until};

pub struct Mailbox {
    folder: tempfile::TempDir,
    port: u16,
    server: Child,
    pub url: String,
}

/// How the server secures connections.
#[derive(Clone, Copy, Debug)]
pub enum Security {
    None,
    /// TLS from the first byte.
    Implicit,
    StartTls,
}

/// A received mail.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    /// The headers, unparsed.
    pub head: String,
}

impl Mail {
    /// The token of its link.
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("#token=").unwrap_or_else(|| panic!("no link in {self:?}"));
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

impl Mailbox {
    /// Starts the server on a free port, without TLS and without authentication.
    pub async fn start() -> Self {
        Self::start_as(Security::None, None).await
    }

    /// Starts a server with a certificate for 127.0.0.1 that requires the password, if any, of the user `nvisy`.
    pub async fn start_as(security: Security, password: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        create_authority(folder.path(), "127.0.0.1");
        let port = free_port();
        let server = serve(folder.path(), port, security, password).await;
        Self { folder, port, server, url: format!("smtp://127.0.0.1:{port}") }
    }

    /// Replaces the server by another one with the same address and the certificate in that folder.
    pub async fn restart_as(&mut self, certificate: &Path, security: Security, password: Option<&str>) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        for file in ["chain.pem", "key.pem"] {
            fs::copy(certificate.join(file), self.folder.path().join(file)).unwrap();
        }
        self.server = serve(self.folder.path(), self.port, security, password).await;
    }

    /// The certificate file of its authority.
    pub fn authority(&self) -> String {
        self.folder.path().join("authority.pem").display().to_string()
    }

    /// The commands of clients, as far as the server could read them.
    pub fn commands(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        let commands = log.lines().filter_map(|line| line.split_once(" >> b'"));
        commands.map(|(_, command)| command.trim_end_matches('\'').to_owned()).collect()
    }

    /// The settings of an API and a worker that use it.
    pub fn settings(&self) -> [(&str, &str); 3] {
        [
            ("NVISY_SMTP_URL", &self.url),
            ("NVISY_SMTP_FROM", "Nvisy <nvisy@example.org>"),
            ("NVISY_SMTP_LINK_URL", "https://app.example.org/"),
        ]
    }

    /// All received mails, the oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        let Ok(files) = fs::read_dir(self.folder.path().join("mail/new")) else { return Vec::new() };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort_by_key(|file| fs::metadata(file).unwrap().modified().unwrap());
        files.iter().map(|file| parse(&fs::read_to_string(file).unwrap())).collect()
    }

    /// The mail with this index, once it has arrived.
    pub async fn mail(&self, index: usize) -> Mail {
        wait_until("the mail has arrived", async || self.mails().get(index).cloned()).await
    }
}

/// Creates an authority in the folder, and a certificate by it for this name.
pub fn create_authority(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let certificate = authority().self_signed(&key).unwrap();
    fs::write(folder.join("authority.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("authority.key"), key.serialize_pem()).unwrap();
    issue_certificate(folder, folder, name);
}

/// Creates a certificate for this name in a folder, by the authority in another.
pub fn issue_certificate(authority_folder: &Path, folder: &Path, name: &str) {
    let key = KeyPair::from_pem(&fs::read_to_string(authority_folder.join("authority.key")).unwrap()).unwrap();
    let issuer = Issuer::new(authority(), key);
    let certified = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&certified, &issuer).unwrap();
    fs::write(folder.join("chain.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), certified.serialize_pem()).unwrap();
}

fn authority() -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
}

async fn serve(folder: &Path, port: u16, security: Security, password: Option<&str>) -> Child {
    let mut command = Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/support/mail_server.py"))
        .arg(folder)
        .arg(port.to_string());
    match security {
        Security::None => {}
        Security::Implicit => drop(command.args(["--tls", "implicit"])),
        Security::StartTls => drop(command.args(["--tls", "starttls"])),
    }
    if let Some(password) = password {
        command.args(["--password", password]);
    }
    let command = command.env("PYTHONPATH", variable("NVISY_TEST_MAIL_DIRECTORY")).env("PYTHONDONTWRITEBYTECODE", "1");
    let server = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the mail server accepts connections", async || TcpStream::connect(("127.0.0.1", port)).await.ok())
        .await;
    server
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn parse(raw: &str) -> Mail {
    let raw = raw.replace("\r\n", "\n");
    let (head, body) = raw.split_once("\n\n").unwrap();
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().to_owned()
    };
    // Quoted-printable: a `=` at the end of a line continues it, `=3D` is `=`.
    let text = match header("Content-Transfer-Encoding:").as_str() {
        "quoted-printable" => body.replace("=\n", "").replace("=3D", "="),
        _ => body.to_owned(),
    };
    Mail { to: header("To:"), subject: header("Subject:"), text, head: head.to_owned() }
}
