//! A MariaDB server of one test, on a free port, with a database and a user.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use sqlx::{ConnectOptions, mysql::MySqlConnectOptions};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    process::{Child, Command},
};

use super::{free_port, wait_until};

pub struct MariaDb {
    pub port: u16,
    _process: Child,
    _directory: TempDir,
}

impl MariaDb {
    pub const DATABASE: &str = "outside";
    pub const USER: &str = "ada";
    pub const PASSWORD: &str = "hunter2-mariadb";

    /// Starts a server; `options` are further options of its command line.
    pub async fn start(options: &[String]) -> Self {
        let home = std::env::var("NVISY_TEST_MARIADB").expect("NVISY_TEST_MARIADB, which `just test` sets");
        let (home, directory) = (PathBuf::from(home), tempfile::tempdir().expect("a directory"));
        let data = directory.path().join("data");
        fs::create_dir(&data).expect("a directory");
        let command = || {
            let mut command = Command::new(home.join("sbin/mariadbd"));
            command
                .arg("--no-defaults")
                .arg(format!("--basedir={}", home.display()))
                .arg(format!("--datadir={}", data.display()))
                .arg(format!("--lc-messages-dir={}", home.join("share/mysql").display()))
                .arg(format!("--character-sets-dir={}", home.join("share/mysql/charsets").display()))
                .args(["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--skip-log-bin"])
                .args(["--innodb-flush-log-at-trx-commit=0", "--user=root"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true);
            command
        };
        let mut bootstrap = command().arg("--bootstrap").stdin(Stdio::piped()).spawn().expect("MariaDB");
        let mut input = bootstrap.stdin.take().expect("a pipe");
        input.write_all(system_tables(&home).as_bytes()).await.expect("a server that reads");
        drop(input);
        assert!(bootstrap.wait().await.expect("a status").success(), "MariaDB made no system tables");

        let port = free_port();
        let users = directory.path().join("users.sql");
        let (database, user, password) = (Self::DATABASE, Self::USER, Self::PASSWORD);
        let statements = format!(
            "create database {database};\ncreate user '{user}'@'127.0.0.1' identified by '{password}';\n\
             grant all on {database}.* to '{user}'@'127.0.0.1';\n"
        );
        fs::write(&users, statements).expect("a file");
        let process = command()
            .args([format!("--port={port}"), "--bind-address=127.0.0.1".to_owned(), "--skip-name-resolve".to_owned()])
            .arg(format!("--socket={}", directory.path().join("s").display()))
            .arg(format!("--init-file={}", users.display()))
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .expect("MariaDB");
        wait_until("MariaDB listens", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        let server = Self { port, _process: process, _directory: directory };
        wait_until("MariaDB has its user", async || server.options().connect().await.ok()).await;
        server
    }

    pub fn options(&self) -> MySqlConnectOptions {
        MySqlConnectOptions::new()
            .host("127.0.0.1")
            .port(self.port)
            .username(Self::USER)
            .password(Self::PASSWORD)
            .database(Self::DATABASE)
    }

    /// The user that may do everything, without a database.
    pub fn root_options(&self) -> MySqlConnectOptions {
        MySqlConnectOptions::new().host("127.0.0.1").port(self.port).username("root")
    }
}

fn system_tables(home: &Path) -> String {
    let file = |name: &str| fs::read_to_string(home.join("share/mysql").join(name)).expect("a file of MariaDB");
    let begin = "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n";
    format!("{begin}{}\n{}", file("mysql_system_tables.sql"), file("mysql_system_tables_data.sql"))
}
