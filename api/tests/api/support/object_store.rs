//! Real stores of objects, each started for one test: SeaweedFS (S3, WebDAV, SFTP), Azurite, an emulator of Google Cloud Storage.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{TestApp, free_port, free_ports, wait_until};

/// The bucket of all stores.
pub const BUCKET: &str = "docs";
/// The keys of the store's S3: for everything, for reading alone, for writing alone.
pub const ACCESS_KEY: &str = "test-key";
pub const READER_KEY: &str = "reader-key";
pub const WRITER_KEY: &str = "writer-key";
pub const SECRET_KEY: &str = "hunter2-secret-key";
pub const SFTP_PASSWORD: &str = "hunter2-sftp";
/// The key of Azurite's account, which Azurite documents.
pub const AZURE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// A shared access signature under that key, until 2099.
pub const AZURE_SAS: &str = "sv=2021-08-06&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&sig=96c2EygB3PgwPw%2FPybbUy3WlHCPrp0h%2FIdLehWe2UEU%3D";

/// The folder of the programs.
fn programs() -> PathBuf {
    let folder = std::env::var_os("NVISY_TEST_OBJECT_STORES");
    folder
        .expect(
            "NVISY_TEST_OBJECT_STORES is not set: run the tests through `just test`, which installs the object stores",
        )
        .into()
}

/// A process that is killed when dropped.
fn start(program: &Path, arguments: &[String], folder: &Path) -> Child {
    assert!(
        program.exists(),
        "{} is missing: `deploy/quickstart/services object-stores` installs it",
        program.display()
    );
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log).kill_on_drop(true);
    command.spawn().expect("a started store")
}

/// SeaweedFS, whose filer takes and deletes objects without signatures.
pub struct SeaweedFs {
    pub s3: String,
    pub webdav: String,
    pub sftp_port: u16,
    filer: String,
    client: Client,
    _process: Child,
    folder: TempDir,
}

impl SeaweedFs {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts a store whose S3 takes requests without signatures as well.
    pub async fn start_public() -> Self {
        Self::start_with(Some(json!({ "name": "anonymous", "actions": ["Read", "List", "Write"] }))).await
    }

    async fn start_with(more: Option<Value>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc, webdav, sftp] = free_ports();
        let identity = |name: &str, key: &str, actions: &[&str]| {
            json!({
                "name": name, "credentials": [{ "accessKey": key, "secretKey": SECRET_KEY }], "actions": actions,
            })
        };
        let mut identities = vec![
            identity("test", ACCESS_KEY, &["Admin", "Read", "List", "Write"]),
            identity("reader", READER_KEY, &["Read", "List"]),
            identity("writer", WRITER_KEY, &["Write"]),
        ];
        identities.extend(more);
        let identities = json!({ "identities": identities });
        let users = json!([{
            "Username": "nvisy", "Password": SFTP_PASSWORD, "PublicKeys": [], "HomeDir": format!("/buckets/{BUCKET}"),
            "Permissions": { "/": ["*"] }, "Uid": 1000, "Gid": 1000,
        }]);
        std::fs::write(folder.path().join("s3.json"), identities.to_string()).expect("a file");
        std::fs::write(folder.path().join("users.json"), users.to_string()).expect("a file");
        let keys = folder.path().join("keys");
        std::fs::create_dir(&keys).expect("a folder");
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        let host_key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object_stores/ssh_host_ed25519_key");
        std::fs::copy(host_key, keys.join("ssh_host_ed25519_key")).expect("a host key");
        let arguments = [
            "server",
            "-dir=data",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
            "-webdav",
            "-sftp",
            "-s3.config=s3.json",
            "-sftp.userStoreFile=users.json",
            "-sftp.hostKeysFolder=keys",
            "-volume.max=20",
            "-master.volumeSizeLimitMB=64",
            "-volume.preStopSeconds=0",
            // Ports that every process would take.
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ];
        let ports = [
            ("master.port", master),
            ("master.port.grpc", master_grpc),
            ("volume.port", volume),
            ("volume.port.grpc", volume_grpc),
            ("filer.port", filer),
            ("filer.port.grpc", filer_grpc),
            ("s3.port", s3),
            ("s3.port.grpc", s3_grpc),
            ("webdav.port", webdav),
            ("sftp.port", sftp),
        ];
        let arguments = arguments.map(str::to_owned).into_iter();
        let arguments: Vec<_> = arguments.chain(ports.map(|(name, port)| format!("-{name}={port}"))).collect();
        let process = start(&programs().join("weed"), &arguments, folder.path());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let store = Self {
            s3: url(s3),
            webdav: url(webdav),
            sftp_port: sftp,
            filer: url(filer),
            client: TestApp::new_client(),
            _process: process,
            folder,
        };
        wait_until("the store takes objects", async || {
            let put = store.send(Method::PUT, "ready", b"ready".to_vec()).await?;
            let s3 = store.client.get(&store.s3).send().await.ok()?;
            let webdav = store.client.get(&store.webdav).send().await.is_ok();
            (put && matches!(s3.status().as_u16(), 200 | 403) && webdav).then_some(())
        })
        .await;
        store.delete("ready").await;
        store
    }

    async fn send(&self, method: Method, key: &str, body: Vec<u8>) -> Option<bool> {
        let request = self.client.request(method, self.address(key)).header("content-type", "application/octet-stream");
        let response = request.body(body).send().await.ok()?;
        Some(response.status().is_success())
    }

    /// Stores an object.
    pub async fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        assert_eq!(self.send(Method::PUT, key, content.into()).await, Some(true), "{key}");
    }

    pub async fn delete(&self, key: &str) {
        assert_eq!(self.send(Method::DELETE, key, Vec::new()).await, Some(true), "{key}");
    }

    /// All objects of the bucket.
    pub async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let mut objects = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let url = self.address(&folder);
            let response = self.client.get(format!("{url}/?limit=10000")).header("accept", "application/json");
            let listed: Value = response.send().await.expect("a listing").json().await.expect("JSON");
            for entry in listed["Entries"].as_array().into_iter().flatten() {
                let path = entry["FullPath"].as_str().expect("a path");
                let key = path.strip_prefix(&format!("/buckets/{BUCKET}/")).expect("a path in the bucket").to_owned();
                // The mode of Go has folders in its highest bit; uploads in parts have one of their own.
                if entry["Mode"].as_u64().expect("a mode") & 0x8000_0000 != 0 {
                    folders.extend(Some(key).filter(|key| key != ".uploads"));
                } else {
                    let content = self.client.get(self.address(&key)).send().await.expect("an object");
                    objects.insert(key, content.bytes().await.expect("a content").to_vec());
                }
            }
        }
        objects
    }

    fn address(&self, key: &str) -> reqwest::Url {
        let mut url = reqwest::Url::parse(&self.filer).expect("a URL");
        let parts = key.split('/').filter(|part| !part.is_empty());
        url.path_segments_mut().expect("segments").extend(["buckets", BUCKET]).extend(parts);
        url
    }

    pub fn s3_settings(&self) -> Value {
        json!({ "bucket": BUCKET, "endpoint": self.s3 })
    }

    pub fn sftp_settings(&self) -> Value {
        let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/object_stores/ssh_host_ed25519_key.pub");
        let key = std::fs::read_to_string(key).expect("the host key");
        json!({ "host": "127.0.0.1", "port": self.sftp_port, "hostKey": key.trim() })
    }

    /// What the store has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// What the store has written tells why a test failed.
impl Drop for SeaweedFs {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the log of SeaweedFS ends with:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

pub fn s3_credentials() -> Value {
    json!({ "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY })
}

/// Azurite.
pub struct Azurite {
    pub endpoint: String,
    client: Client,
    _process: Child,
    _folder: TempDir,
}

impl Azurite {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let programs = programs();
        let script = programs.join("npm/node_modules/azurite/dist/src/blob/main.js");
        assert!(script.exists(), "Azurite is missing: `deploy/quickstart/services object-stores` installs it");
        let arguments = [
            script.to_str().expect("a path"),
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &port.to_string(),
            "--inMemoryPersistence",
            "--disableTelemetry",
            "--skipApiVersionCheck",
            "--silent",
        ];
        let process = start(&programs.join("node/bin/node"), &arguments.map(str::to_owned), folder.path());
        let endpoint = format!("http://127.0.0.1:{port}/devstoreaccount1");
        let store = Self { endpoint, client: TestApp::new_client(), _process: process, _folder: folder };
        wait_until("Azurite has a container", async || {
            let url = format!("{}/{BUCKET}?restype=container&{AZURE_SAS}", store.endpoint);
            let response = store.client.put(url).header("content-length", 0).send().await.ok()?;
            assert!(response.status() == 201 || response.status() == 409, "{}", response.text().await.unwrap());
            Some(())
        })
        .await;
        store
    }

    pub async fn put(&self, key: &str, content: &str) {
        let url = format!("{}/{BUCKET}/{key}?{AZURE_SAS}", self.endpoint);
        let request = self.client.put(url).header("x-ms-blob-type", "BlockBlob").body(content.to_owned());
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    }

    pub async fn delete(&self, key: &str) {
        let url = format!("{}/{BUCKET}/{key}?{AZURE_SAS}", self.endpoint);
        assert_eq!(self.client.delete(url).send().await.expect("a response").status(), 202);
    }

    /// All objects of the container.
    pub async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let url = format!("{}/{BUCKET}?restype=container&comp=list&{AZURE_SAS}", self.endpoint);
        let listed = self.client.get(url).send().await.expect("a listing").text().await.expect("a text");
        let names = listed.split("<Name>").skip(1).map(|rest| rest.split("</Name>").next().expect("a name"));
        let mut objects = BTreeMap::new();
        for name in names {
            let url = format!("{}/{BUCKET}/{name}?{AZURE_SAS}", self.endpoint);
            let content = self.client.get(url).send().await.expect("an object").bytes().await.expect("a content");
            objects.insert(name.to_owned(), content.to_vec());
        }
        objects
    }

    pub fn settings(&self) -> Value {
        json!({ "account": "devstoreaccount1", "container": BUCKET, "endpoint": self.endpoint })
    }
}

/// An emulator of Google Cloud Storage.
pub struct FakeGcs {
    pub endpoint: String,
    client: Client,
    _process: Child,
    _folder: TempDir,
}

impl FakeGcs {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let arguments = [
            "-backend",
            "memory",
            "-host",
            "127.0.0.1",
            "-port",
            &port.to_string(),
            "-scheme",
            "http",
            "-public-host",
            &format!("127.0.0.1:{port}"),
        ];
        let process = start(&programs().join("fake-gcs-server"), &arguments.map(str::to_owned), folder.path());
        let store = Self { endpoint, client: TestApp::new_client(), _process: process, _folder: folder };
        wait_until("the emulator has a bucket", async || {
            let url = format!("{}/storage/v1/b", store.endpoint);
            let created = store.client.post(url).json(&json!({ "name": BUCKET })).send().await.ok()?;
            assert!(created.status().is_success(), "{}", created.status());
            Some(())
        })
        .await;
        store
    }

    pub async fn put(&self, key: &str, content: &str) {
        let url = format!("{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={key}", self.endpoint);
        let response = self.client.post(url).body(content.to_owned()).send().await.expect("a response");
        assert!(response.status().is_success(), "{}", response.status());
    }

    pub async fn delete(&self, key: &str) {
        let url = format!("{}/storage/v1/b/{BUCKET}/o/{}", self.endpoint, key.replace('/', "%2F"));
        let response = self.client.delete(url).send().await.expect("a response");
        assert!(response.status().is_success(), "{}", response.status());
    }

    /// All objects of the bucket.
    pub async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let url = format!("{}/storage/v1/b/{BUCKET}/o", self.endpoint);
        let listed: Value = self.client.get(&url).send().await.expect("a listing").json().await.expect("JSON");
        let mut objects = BTreeMap::new();
        for object in listed["items"].as_array().into_iter().flatten() {
            let name = object["name"].as_str().expect("a name");
            let url = format!("{url}/{}?alt=media", name.replace('/', "%2F").replace(' ', "%20"));
            let content = self.client.get(url).send().await.expect("an object").bytes().await.expect("a content");
            objects.insert(name.to_owned(), content.to_vec());
        }
        objects
    }

    pub fn settings(&self) -> Value {
        json!({ "bucket": BUCKET, "endpoint": self.endpoint })
    }
}
