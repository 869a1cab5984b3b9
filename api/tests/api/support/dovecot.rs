//! A Dovecot server of one test, on free ports, with a mailbox of files.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::SystemTime,
};

use nvisy_shared::testing::variable;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{create_authority, free_ports, wait_until};

pub struct Dovecot {
    /// Plain text, and STARTTLS.
    pub port: u16,
    pub tls_port: u16,
    owner: Option<(u32, u32)>,
    folder: TempDir,
    _process: Child,
}

impl Dovecot {
    pub const USER: &str = "ada@example.org";
    pub const PASSWORD: &str = "hunter2-dovecot";

    /// Starts a server with a certificate for `localhost`.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// As [`Dovecot::start`]; it takes access tokens as well, of which it asks this address who has them.
    pub async fn start_with_tokens(introspection_url: &str) -> Self {
        Self::start_with(Some(introspection_url)).await
    }

    async fn start_with(introspection_url: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        create_authority(folder.path(), "localhost");
        let mail = folder.path().join("mail");
        fs::create_dir(&mail).expect("a folder");
        let [port, tls_port] = free_ports();
        // Root serves mailboxes as other users only.
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let (user, group, owner) = match is_root {
            true => ("nobody".to_owned(), "nogroup".to_owned(), Some(ids_of("nobody").await)),
            false => (output("id", &["-un"]).await, output("id", &["-gn"]).await, None),
        };
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mail_user = match owner {
            Some((user, group)) => format!("uid={user} gid={group}"),
            None => format!("uid={user} gid={group}"),
        };
        let tokens = introspection_url.map_or_else(String::new, |url| {
            let settings = format!(
                "introspection_mode = auth\nintrospection_url = {url}\nusername_attribute = email\n\
                 active_attribute = active\nactive_value = true\n"
            );
            fs::write(folder.path().join("oauth2.conf"), settings).expect("a file");
            let settings = path("oauth2.conf");
            format!(
                "auth_mechanisms = plain xoauth2\npassdb {{\n driver = oauth2\n mechanisms = xoauth2\n args = {settings}\n }}\n"
            )
        });
        let configuration = format!(
            "base_dir = {run}\nstate_dir = {run}\nlog_path = {log}\nlisten = 127.0.0.1\nprotocols = imap\n\
             ssl = yes\nssl_cert = <{chain}\nssl_key = <{key}\ndisable_plaintext_auth = no\nauth_failure_delay = 0\n\
             default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n\
             mail_location = maildir:{mail}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
             service imap-login {{\n chroot =\n inet_listener imap {{\n port = {port}\n }}\n\
             inet_listener imaps {{\n port = {tls_port}\n ssl = yes\n }}\n }}\n\
             service anvil {{\n chroot =\n }}\nservice stats {{\n chroot =\n }}\n\
             passdb {{\n driver = static\n mechanisms = plain login\n args = password={password}\n }}\n{tokens}\
             userdb {{\n driver = static\n args = {mail_user} home={mail}\n }}\n",
            run = path("run"),
            log = path("log"),
            chain = path("chain.pem"),
            key = path("key.pem"),
            mail = mail.display(),
            password = Self::PASSWORD,
        );
        fs::write(folder.path().join("dovecot.conf"), configuration).expect("a file");
        let process = Command::new(variable("NVISY_TEST_DOVECOT"))
            .args(["-F", "-c", &path("dovecot.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Dovecot");
        let server = Self { port, tls_port, owner, folder, _process: process };
        server.own(&mail);
        wait_until("Dovecot listens", async || TcpStream::connect(("127.0.0.1", tls_port)).await.ok()).await;
        server
    }

    /// Settings with encryption from the first byte on.
    pub fn settings(&self) -> Value {
        json!({ "host": "localhost", "port": self.tls_port, "caCertificate": self.authority() })
    }

    pub fn credentials() -> Value {
        json!({ "username": Self::USER, "password": Self::PASSWORD })
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> String {
        fs::read_to_string(self.folder.path().join("authority.pem")).expect("a certificate")
    }

    /// The directory of a folder, whose levels are separated by points.
    fn directory(&self, folder: &str) -> PathBuf {
        let mail = self.folder.path().join("mail");
        if folder == "INBOX" { mail } else { mail.join(format!(".{folder}")) }
    }

    /// Puts a message into a folder, as if it had arrived at this time.
    pub fn put(&self, folder: &str, name: &str, message: impl AsRef<[u8]>, arrived: SystemTime) {
        let directory = self.directory(folder);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(directory.join(part)).expect("a folder");
            self.own(&directory.join(part));
        }
        self.own(&directory);
        // Files come into place at once, as Maildir wants it.
        let staged = directory.join("tmp").join(name);
        fs::write(&staged, message).expect("a file");
        fs::File::options().write(true).open(&staged).expect("a file").set_modified(arrived).expect("a time");
        self.own(&staged);
        fs::rename(staged, directory.join("cur").join(format!("{name}:2,"))).expect("a renamed file");
    }

    fn file(&self, folder: &str, name: &str) -> PathBuf {
        let entries = fs::read_dir(self.directory(folder).join("cur")).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let own = format!("{name}:");
        let mut found =
            paths.filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&own)));
        found.next().expect("the message")
    }

    pub fn delete(&self, folder: &str, name: &str) {
        fs::remove_file(self.file(folder, name)).expect("a removed file");
    }

    /// Sets the flag of a message that was read.
    pub fn mark_as_seen(&self, folder: &str, name: &str) {
        let file = self.file(folder, name);
        fs::rename(&file, file.with_file_name(format!("{name}:2,S"))).expect("a renamed file");
    }

    /// Makes the server number the messages of a folder anew.
    pub fn renumber(&self, folder: &str) {
        // The server takes the second as the number of a folder.
        let second = || nvisy_shared::clock::now().timestamp();
        let before = second();
        while second() == before {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        for entry in fs::read_dir(self.directory(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dovecot")) {
                fs::remove_file(path).expect("a removed file");
            }
        }
    }

    fn own(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).expect("another owner");
        }
    }
}

async fn ids_of(user: &str) -> (u32, u32) {
    let id = async |option: &str| output("id", &[option, user]).await.parse().expect("a number");
    (id("-u").await, id("-g").await)
}

async fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).output().await.expect("a program");
    String::from_utf8(done.stdout).expect("a text").trim().to_owned()
}
