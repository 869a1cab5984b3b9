//! The servers of one test, to be killed and started again.

use std::{
    ffi::OsStr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::variable;

/// PostgreSQL and NATS on free ports, started by `deploy/quickstart/services`. Removed when dropped.
pub struct TestServers {
    folder: tempfile::TempDir,
    /// For [`super::TestDeployment::on`].
    pub database_url: String,
    /// For [`super::TestDeployment::on`].
    pub nats_url: String,
}

/// One of the two servers.
#[derive(Clone, Copy, Debug)]
pub enum Server {
    /// PostgreSQL.
    Postgres,
    /// NATS.
    Nats,
}

impl TestServers {
    /// Starts both.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("nvisy-servers-").tempdir().expect("a temporary folder");
        let state = up(folder.path().as_os_str());
        let url = |server: &str| state[server]["url"].as_str().expect("a URL").to_owned();
        Self { database_url: url("postgres"), nats_url: url("nats"), folder }
    }

    /// Kills a server like a crash. Its data stays.
    pub fn kill(&self, server: Server) {
        let name = match server {
            Server::Postgres => "postgres",
            Server::Nats => "nats",
        };
        services(&[
            OsStr::new("kill"),
            OsStr::new("--dir"),
            self.folder.path().as_os_str(),
            OsStr::new("--only"),
            OsStr::new(name),
        ]);
    }

    /// The output of psql with these arguments, called as the recipe `psql` does.
    #[must_use]
    pub fn psql(&self, arguments: &[&str]) -> String {
        let own = ["psql", "--dir"].map(OsStr::new);
        let own = own.into_iter().chain([self.folder.path().as_os_str(), OsStr::new("--")]);
        services(&own.chain(arguments.iter().map(OsStr::new)).collect::<Vec<_>>())
    }

    /// Starts the servers that do not run, on the same port and data.
    pub fn restart_killed(&self) {
        up(self.folder.path().as_os_str());
    }
}

impl Drop for TestServers {
    fn drop(&mut self) {
        services(&[OsStr::new("down"), OsStr::new("--dir"), self.folder.path().as_os_str(), OsStr::new("--destroy")]);
    }
}

/// The NATS server of one test, with a configuration that Nvisy rejects. Killed when dropped.
pub struct TestNats {
    server: Child,
    /// Its URL.
    pub url: String,
    _folder: tempfile::TempDir,
}

impl TestNats {
    /// Starts it on a free port; `{dir}` in the configuration is replaced by a new folder.
    #[must_use]
    pub fn start(configuration: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("nvisy-nats-").tempdir().expect("a temporary folder");
        let file = folder.path().join("server.conf");
        let configuration = configuration.replace("{dir}", &folder.path().display().to_string());
        std::fs::write(&file, configuration).expect("a configuration");
        let mut server = Command::new(variable("NVISY_TEST_NATS_SERVER"))
            .args(["--addr", "127.0.0.1", "--port", "-1", "--config"])
            .arg(&file)
            .arg("--ports_file_dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server can be run");
        let ports = folder.path().join(format!("nats-server_{}.ports", server.id()));
        let url = loop {
            let text = std::fs::read_to_string(&ports).unwrap_or_default();
            if let Ok(known) = serde_json::from_str::<Value>(&text) {
                break known["nats"][0].as_str().expect("a URL").to_owned();
            }
            assert!(server.try_wait().expect("a child").is_none(), "nats-server ended");
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { server, url, _folder: folder }
    }
}

impl Drop for TestNats {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn up(folder: &OsStr) -> Value {
    let arguments = ["up", "--throwaway", "--postgres-port", "0", "--nats-port", "0", "--dir"].map(OsStr::new);
    let arguments: Vec<&OsStr> = arguments.into_iter().chain([folder]).collect();
    serde_json::from_str(&services(&arguments)).expect("services prints JSON")
}

fn services(arguments: &[&OsStr]) -> String {
    let output = Command::new(variable("NVISY_TEST_SERVICES"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("services can be run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
