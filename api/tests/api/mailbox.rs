//! A mail server of a test's own: the real one, a process, which keeps what it takes in a folder.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use nvisy_shared::testing::variable;
use tokio::net::TcpStream;

use crate::app::until;

pub(crate) struct Mailbox {
    folder: tempfile::TempDir,
    server: Child,
    pub(crate) url: String,
}

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Mail {
    /// The token of the link in it.
    pub(crate) fn token(&self) -> String {
        let (_, rest) = self.text.split_once("#token=").unwrap_or_else(|| panic!("no link in {self:?}"));
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

impl Mailbox {
    /// Starts the server on a free port.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Command::new("python3")
            .args([
                "-m",
                "aiosmtpd",
                "--nosetuid",
                "--listen",
                &address.to_string(),
                "--class",
                "aiosmtpd.handlers.Mailbox",
            ])
            .arg(folder.path().join("mail"))
            .env("PYTHONPATH", variable("NVISY_TEST_MAIL_DIRECTORY"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        until("the mail server", async || TcpStream::connect(address).await.ok()).await;
        Self { folder, server, url: format!("smtp://{address}") }
    }

    /// What an API and a worker need to use it.
    pub(crate) fn settings(&self) -> [(&str, &str); 3] {
        [
            ("NVISY_SMTP_URL", &self.url),
            ("NVISY_SMTP_FROM", "Nvisy <nvisy@example.org>"),
            ("NVISY_SMTP_LINK_URL", "https://app.example.org/"),
        ]
    }

    /// All that has arrived, the oldest first.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let Ok(files) = fs::read_dir(self.folder.path().join("mail/new")) else { return Vec::new() };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort_by_key(|file| fs::metadata(file).unwrap().modified().unwrap());
        files.iter().map(|file| parse(&fs::read_to_string(file).unwrap())).collect()
    }

    /// The mail with this place, counted from 0, once it has arrived.
    pub(crate) async fn mail(&self, place: usize) -> Mail {
        until("the mail", async || self.mails().get(place).cloned()).await
    }
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
    // Quoted-printable: lines that end in `=` go on, `=3D` is `=`.
    let text = match header("Content-Transfer-Encoding:").as_str() {
        "quoted-printable" => body.replace("=\n", "").replace("=3D", "="),
        _ => body.to_owned(),
    };
    Mail { to: header("To:"), subject: header("Subject:"), text }
}
