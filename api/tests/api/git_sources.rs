//! Repositories behind Git's own server that are kept in step, and servers and contents that fail.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    synced::{Synced, counts},
    web_server::{WebRequest, WebResponse, WebServer},
};

/// A repository that `git http-backend` serves.
pub struct Repository {
    pub server: WebServer,
    folder: TempDir,
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    let name = [
        ("user.name", "Ada"),
        ("user.email", "ada@example.org"),
        ("core.quotePath", "off"),
        ("core.protectNTFS", "off"),
    ];
    command.args(name.iter().flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")]));
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("git is installed (Debian package `git`)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Repository {
    /// An empty one.
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let work = folder.path().join("repo");
        std::fs::create_dir(&work).unwrap();
        run(git(&work).args(["init", "-q", "-b", "main"]));
        run(git(&work).args(["config", "uploadpack.allowFilter", "true"]));
        let server = WebServer::start().await;
        let root = folder.path().to_owned();
        server.respond(move |request| Some(backend(&root, request)));
        Self { server, folder }
    }

    pub fn work(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub fn url(&self) -> String {
        format!("{}/repo/.git", self.server.url)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        run(git(&self.work()).args(arguments))
    }

    /// A commit of everything in the folder.
    pub fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "Change"]);
    }

    async fn synced(&self, source: Value) -> Synced {
        Synced::start("git", json!({ "url": self.url() }), Value::Null, source).await
    }
}

/// Runs Git's program for servers, by the rules of CGI.
fn backend(root: &Path, request: &WebRequest) -> WebResponse {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut command = git(root);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("git is installed (Debian package `git`)");
    let mut input = child.stdin.take().unwrap();
    let body = request.body.clone();
    let writing = std::thread::spawn(move || drop(input.write_all(&body)));
    let output = child.wait_with_output().unwrap().stdout;
    writing.join().unwrap();
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len().saturating_sub(4));
    let mut response = WebResponse { status: 200, body: output[end + 4..].to_vec(), ..WebResponse::default() };
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        if let Some((name, value)) = line.split_once(": ") {
            match name {
                "Status" => response.status = value[..3].parse().unwrap(),
                _ => response.headers.push((name.to_owned(), value.to_owned())),
            }
        }
    }
    response
}

/// The calls that fetch objects.
fn fetches(repository: &Repository) -> usize {
    let requests = repository.server.take_requests();
    requests.iter().filter(|(request, _)| String::from_utf8_lossy(&request.body).contains("command=fetch")).count()
}

#[actix_web::test]
async fn repository_is_searched_and_kept_in_step() {
    let repository = Repository::start().await;
    repository.write("README.md", "# Tides\n\nThe harbour has a gauge.");
    repository.write("docs/ebb.md", "Barnacles close at ebb.");
    repository.write("docs/deep/flood ü.md", "Limpets graze at flood.");
    std::os::unix::fs::symlink("/etc/passwd", repository.work().join("link")).unwrap();
    repository.commit();
    repository.git(&["tag", "-a", "v1", "-m", "First"]);
    let synced = repository.synced(json!({ "exclude": ["README.md"] })).await;
    let connection = synced.path(&format!("connections/{}", synced.connection));
    let check = synced.check().await;
    assert_eq!(check["state"], "ok", "{check}");
    let streams = synced.app.post(&synced.ada, &format!("{connection}/discover"), &json!({})).await.expect(200);
    let names: Vec<_> = streams["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["HEAD", "main", "v1"], "{streams}");

    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 2, 0, 0, 0, 0]), "{run}");
    assert_eq!(synced.ids().await, ["HEAD:docs/deep/flood ü.md", "HEAD:docs/ebb.md"]);
    assert_eq!(synced.files().await[0]["metadata"]["sourcePath"], "docs/deep/flood ü.md");
    assert_eq!(synced.find("limpets").await, ["flood ü.md"]);

    // Trees only: no content is read again.
    repository.server.take_requests();
    assert_eq!(counts(&synced.sync().await), [2, 0, 0, 2, 0, 0]);
    assert_eq!(fetches(&repository), 1);

    repository.write("docs/ebb.md", "Mussels close at ebb.");
    repository.write("docs/new.md", "Whelks are snails.");
    repository.git(&["rm", "-q", "docs/deep/flood ü.md"]);
    repository.commit();
    let run = synced.sync().await;
    assert_eq!(counts(&run), [2, 1, 1, 0, 1, 0], "{run}");
    assert_eq!(fetches(&repository), 3);
    assert_eq!((synced.find("barnacles").await, synced.find("whelks").await), (vec![], vec!["new.md".to_owned()]));
    synced.app.stop().await;
}

#[actix_web::test]
async fn branch_tag_and_folder_are_read_and_an_unchanged_commit_is_not_listed() {
    let repository = Repository::start().await;
    // So many files that trees come as differences to others, and the listing has pages.
    for at in 0..1200 {
        repository.write(&format!("docs/{}/{at}.txt", at % 7), format!("Number {at}."));
    }
    repository.write("other.txt", "Other.");
    repository.commit();
    repository.git(&["tag", "-a", "v1", "-m", "First"]);
    repository.write("docs/0/0.txt", "Changed.");
    repository.write("docs/x.txt", "Only on the branch.");
    repository.commit();
    repository.git(&["gc", "-q"]);
    // A server that cannot leave contents out sends them with the trees.
    repository.git(&["config", "uploadpack.allowFilter", "false"]);
    let source = json!({ "stream": { "ref": "main", "path": "docs" }, "mode": "incremental", "include": ["docs/{0,x}*", "docs/0/*"] });
    let mut synced = repository.synced(source).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)[1]), (&json!("completed"), 173), "{run}");
    assert_eq!(synced.find("branch").await, ["x.txt"]);
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [0, 0, 0, 0, 0, 0]), "{run}");
    synced.pipeline = synced
        .add_pipeline("tag", json!({ "stream": { "ref": "v1" }, "include": ["docs/{0/0,x}.txt", "other.txt"] }))
        .await;
    assert_eq!(counts(&synced.sync().await)[1], 2);
    for (stream, reason) in [
        (json!({ "ref": "none" }), "no branch or tag"),
        (json!({ "path": "none/a" }), "no folder"),
        (json!({ "ref": "a..b" }), "ref"),
    ] {
        synced.pipeline = synced.add_pipeline(&stream.to_string(), json!({ "stream": stream })).await;
        let run = synced.sync().await;
        assert_eq!(run["failure"]["code"], "source_rejected", "{run}");
        assert!(run["failure"]["detail"].as_str().unwrap().contains(reason), "{run}");
    }
    synced.app.stop().await;
}

#[actix_web::test]
async fn odd_names_and_large_files_fail_alone() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let repository = Repository::start().await;
    repository.write("good.txt", "Good.");
    // Random bytes, so that the pack is as large as the file.
    let mut state = 1_u64;
    let large: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(3_000_000)
    .collect();
    repository.write("large.bin", &large);
    repository.write("larger.bin", [large.as_slice(), b"x"].concat());
    std::fs::write(repository.work().join(OsStr::from_bytes(b"latin-\xe9.txt")), "Latin.").unwrap();
    std::fs::write(repository.work().join(" blank"), "Blank.").unwrap();
    repository.commit();
    let synced = repository.synced(json!({ "maxBytes": 3_000_000 })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed_with_errors"), [5, 2, 0, 0, 0, 3]), "{run}");
    assert_eq!(synced.ids().await, ["HEAD:good.txt", "HEAD:large.bin"]);
    assert_eq!(synced.files().await[1]["size"], 3_000_000, "{}", synced.files().await[1]);
    let failed = synced.failed_objects(&run).await;
    let mut codes: Vec<_> = failed.iter().map(|failed| failed["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["invalid_name", "invalid_name", "too_large"], "{failed:?}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn wrong_credentials_other_servers_and_damaged_packs_have_their_reasons() {
    let repository = Repository::start().await;
    repository.write("a.txt", "Alpha.");
    repository.commit();
    let root = repository.folder.path().to_owned();
    let damaged = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let left = std::sync::Arc::clone(&damaged);
    repository.server.respond(move |request| {
        // x-access-token:hunter2-right, and ada:hunter2-right
        let accepted = ["Basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMi1yaWdodA==", "Basic YWRhOmh1bnRlcjItcmlnaHQ="];
        if !accepted.contains(&request.header("authorization")) {
            return Some(WebResponse::status(401));
        }
        let mut response = backend(&root, request);
        if request.target.ends_with("git-upload-pack") && left.load(std::sync::atomic::Ordering::SeqCst) > 0 {
            left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            let middle = response.body.len() / 2;
            response.body.truncate(middle);
        }
        Some(response)
    });
    let source = json!({ "stream": {} });
    let wrong = json!({ "token": "hunter2-wrong" });
    let synced = Synced::start("git", json!({ "url": repository.url() }), wrong, source).await;
    let check = synced.check().await;
    assert!(check["state"] == "failed" && check["steps"][1]["detail"].as_str().unwrap().contains("401"), "{check}");
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("401") && !reason.contains("hunter2-wrong"), "{reason}");
    // A response that ends early is asked for again.
    damaged.store(1, std::sync::atomic::Ordering::SeqCst);
    synced.patch_connection(json!({ "credentials": { "token": "hunter2-right" } })).await;
    let run = synced.ended(&run).await;
    assert_eq!((&run["state"], counts(&run)[1]), (&json!("completed"), 1), "{run}");
    synced.patch_connection(json!({ "credentials": { "username": "ada", "password": "hunter2-right" } })).await;
    assert_eq!(synced.check().await["state"], "ok");

    // A server of another protocol.
    let advertisement =
        "001e# service=git-upload-pack\n0000003d4b825dc642cb6eb9a060e54bf8d69288fbee4904 refs/heads/main\n0000";
    repository.server.respond(move |request| {
        let kind = "application/x-git-upload-pack-advertisement";
        request.target.contains("info/refs").then(|| WebResponse::new(200, kind, advertisement))
    });
    let check = synced.check().await;
    assert!(check.to_string().contains("version 2"), "{check}");
    repository.server.respond(|_| None);
    let check = synced.check().await;
    assert!(check.to_string().contains("no such repository"), "{check}");
    synced.app.stop().await;
}
