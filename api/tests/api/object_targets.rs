//! Results that leave as objects: S3, Google Cloud Storage, Azure Blob, WebDAV, SFTP and folders. The store has what the files have.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    check_writing::assert_can_write,
    support::{
        QuickWorker, Setup, TestApp, definition,
        google_store::GoogleStore,
        object_store::{AZURE_KEY, Azurite, BUCKET, SFTP_PASSWORD, SeaweedFs, s3_credentials},
        send, spawn,
        targets::{connect, delete_file},
        wait_until, wait_until_equal,
    },
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

/// The size of an object that is written in three parts.
const SEVERAL_PARTS: u32 = 17 << 20;

/// A store whose objects a test looks at.
trait Store {
    async fn objects(&self) -> BTreeMap<String, Vec<u8>>;

    async fn texts(&self) -> BTreeMap<String, String> {
        let objects = self.objects().await.into_iter();
        objects.filter_map(|(key, content)| Some((key, String::from_utf8(content).ok()?))).collect()
    }

    /// Texts by their keys without ids.
    async fn named_texts(&self) -> Vec<(String, String)> {
        self.texts().await.into_iter().map(|(key, text)| (without_id(&key), text)).collect()
    }
}

impl Store for SeaweedFs {
    async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        Self::objects(self).await
    }
}

impl Store for Azurite {
    async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        Self::objects(self).await
    }
}

impl Store for GoogleStore {
    async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        Self::objects(self).await
    }
}

struct Folder(tempfile::TempDir);

impl Store for Folder {
    async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        fn read(root: &Path, folder: &Path, objects: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read(root, &path, objects);
                } else {
                    let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    objects.insert(key, fs::read(&path).unwrap());
                }
            }
        }
        let mut objects = BTreeMap::new();
        read(self.0.path(), self.0.path(), &mut objects);
        objects
    }
}

/// `a/b.txt` of `a/b.ID.txt`.
fn without_id(key: &str) -> String {
    let is_id = |part: &&str| part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = key.split('.').find(is_id).unwrap_or_else(|| panic!("{key} has no id"));
    key.replace(&format!(".{id}"), "")
}

/// Texts of documents into a folder of a store.
fn texts_into(connection: &str, object: &Value) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition" },
            { "id": "shown", "type": "filter", "expression": "!has(metadata.hidden) || metadata.hidden != true" },
            { "id": "out", "type": "sink.connection", "connection": connection, "into": "exports/texts", "object": object },
        ]),
        &["in > read", "read > shown", "shown > out"],
    )
}

fn text(name: &str, lines: usize) -> String {
    (0..lines).map(|line| format!("Reading {line} of gauge {name}: the water stood at {} cm.\n", line * 37)).collect()
}

async fn upload(setup: &Setup, id: &str, content: impl Into<Vec<u8>>) -> String {
    let content: Vec<u8> = content.into();
    let part = reqwest::multipart::Part::bytes(content).file_name(format!("{id}.txt"));
    let form = reqwest::multipart::Form::new().text("externalId", id.to_owned()).part("file", part);
    let request = setup.app.request(Method::POST, &setup.path("files")).bearer_auth(&setup.ada.token);
    let accepted = send(request.multipart(form)).await.expect(202);
    accepted["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn ready(setup: &Setup, file: &str) -> Value {
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, file).await;
    assert_eq!(file["state"], "ready", "{file}");
    file
}

async fn delete_pipeline(setup: &Setup, pipeline: &str) {
    setup.patch(pipeline, &json!({ "state": "disabled" })).await;
    assert_eq!(setup.app.delete(&setup.ada, &setup.path(pipeline)).await.status, 204);
}

/// Writes, changes, renames, takes another way and deletes.
async fn assert_store_has_what_the_files_have(
    store: &impl Store,
    app: TestApp,
    (provider, settings, credentials): (&str, Value, Value),
) {
    let setup = Setup::of(app).await;
    let worker = QuickWorker::start(&setup.app).await;
    let connection = connect(&setup, provider, settings, credentials).await;
    // A check leaves nothing, without a pipeline and with one.
    assert_can_write(&setup, &connection, true).await;
    let pipeline = setup.pipeline("Out", &texts_into(&connection, &json!({}))).await;
    assert_can_write(&setup, &connection, false).await;
    assert!(store.objects().await.is_empty());
    let (first, other) = (upload(&setup, "ä b", text("a", 6)).await, upload(&setup, "other", text("b", 1)).await);
    ready(&setup, &first).await;
    ready(&setup, &other).await;
    let named = |name: &str, text: String| (format!("exports/texts/{name}"), text);
    assert_eq!(store.named_texts().await, [named("other.txt", text("b", 1)), named("ä b.txt", text("a", 6))]);

    // A new version stands where the old one stood.
    let keys: Vec<_> = store.objects().await.into_keys().collect();
    upload(&setup, "ä b", text("a2", 2)).await;
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(store.named_texts().await, [named("other.txt", text("b", 1)), named("ä b.txt", text("a2", 2))]);
    assert_eq!(store.objects().await.into_keys().collect::<Vec<_>>(), keys);

    // A renamed file, and one that takes another way.
    setup.patch(&format!("files/{first}"), &json!({ "name": "tides.txt" })).await;
    setup.patch(&format!("files/{other}"), &json!({ "metadata": { "hidden": true } })).await;
    setup.run(&pipeline).await;
    let expected = [named("tides.txt", text("a2", 2))];
    wait_until_equal("the store has the renamed file alone", &expected, async || store.named_texts().await).await;

    // An object of any bytes, in several parts where it is large.
    let bytes = definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "out", "type": "sink.connection", "connection": connection, "into": "exports/raw" },
        ]),
        &["in > out"],
    );
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    let raw = setup.pipeline("Raw", &bytes).await;
    let large: Vec<u8> = (0..SEVERAL_PARTS).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let file = upload(&setup, "large", large.clone()).await;
    ready(&setup, &file).await;
    let objects = store.objects().await;
    let written = objects.iter().find(|(key, _)| without_id(key) == "exports/raw/large.txt").expect("an object").1;
    assert!(*written == large, "{} bytes of {}", written.len(), large.len());

    // A deleted file, and deleted pipelines.
    delete_file(&setup, &file).await;
    wait_until_equal("the object is gone", &expected, async || store.named_texts().await).await;
    delete_pipeline(&setup, &pipeline).await;
    delete_pipeline(&setup, &raw).await;
    wait_until("all objects are gone", async || store.objects().await.is_empty().then_some(())).await;
    let targets = async || (setup.app.count("external_target").await == 0).then_some(());
    wait_until("nothing outside is left", targets).await;
    setup.app.wait_until_no_jobs_are_left().await;
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn bucket_of_s3_has_what_the_files_have() {
    let store = SeaweedFs::start().await;
    let connection = ("s3", store.s3_settings(), s3_credentials());
    assert_store_has_what_the_files_have(&store, TestApp::start_with(&[LOCAL]).await, connection).await;
}

#[actix_web::test]
async fn webdav_server_has_what_the_files_have() {
    let store = SeaweedFs::start().await;
    let settings = json!({ "url": store.webdav, "root": format!("/buckets/{BUCKET}") });
    let connection = ("webdav", settings, Value::Null);
    assert_store_has_what_the_files_have(&store, TestApp::start_with(&[LOCAL]).await, connection).await;
}

#[actix_web::test]
async fn sftp_server_has_what_the_files_have() {
    let store = SeaweedFs::start().await;
    let credentials = json!({ "username": "nvisy", "password": SFTP_PASSWORD });
    let connection = ("sftp", store.sftp_settings(), credentials);
    assert_store_has_what_the_files_have(&store, TestApp::start_with(&[LOCAL]).await, connection).await;
}

#[actix_web::test]
async fn container_of_azure_has_what_the_files_have() {
    let store = Azurite::start().await;
    let connection = ("azure_blob", store.settings(), json!({ "accountKey": AZURE_KEY }));
    assert_store_has_what_the_files_have(&store, TestApp::start_with(&[LOCAL]).await, connection).await;
}

#[actix_web::test]
async fn bucket_of_google_has_what_the_files_have() {
    let store = GoogleStore::start().await;
    let connection = ("gcs", store.settings(), Value::Null);
    assert_store_has_what_the_files_have(&store, TestApp::start_with(&[LOCAL]).await, connection).await;
    let parts = store.take_parts();
    assert!(parts.iter().eq(["1", "2", "3"]), "{parts:?}");
}

#[actix_web::test]
async fn folder_has_what_the_files_have() {
    let store = Folder(tempfile::tempdir().unwrap());
    let path = store.0.path().to_str().unwrap().to_owned();
    let folders = [("NVISY_OUTBOUND_LOCAL_FOLDERS", path.as_str()), ("NVISY_OUTBOUND_WRITABLE_FOLDERS", &path), LOCAL];
    let connection = ("local_folder", json!({ "path": path }), Value::Null);
    assert_store_has_what_the_files_have(&store, TestApp::start_with(&folders).await, connection).await;
}

/// A deployment whose tenants may write a folder.
async fn with_folder() -> (Folder, Setup, String) {
    let store = Folder(tempfile::tempdir().unwrap());
    let path = store.0.path().to_str().unwrap().to_owned();
    let folders = [("NVISY_OUTBOUND_LOCAL_FOLDERS", path.as_str()), ("NVISY_OUTBOUND_WRITABLE_FOLDERS", &path)];
    let setup = Setup::of(TestApp::start_with_worker(&folders).await).await;
    let connection = connect(&setup, "local_folder", json!({ "path": path }), Value::Null).await;
    (store, setup, connection)
}

#[actix_web::test]
async fn formats_of_objects_follow_from_flow_and_setting() {
    let (store, setup, connection) = with_folder().await;
    let sink = |id: &str, more: Value| {
        let mut sink = json!({ "id": id, "type": "sink.connection", "connection": connection, "into": id });
        sink.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sink
    };
    let pipeline = definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition" },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": 50 },
            { "id": "vec", "type": "embed" },
            { "id": "record", "type": "map", "record": "{'name': file.name}" },
            sink("markdown", json!({ "object": { "format": "markdown" } })),
            sink("json", json!({ "object": { "format": "json" } })),
            sink("chunks", json!({ "fields": { "at": "item.ordinal" }, "textField": "words" })),
            sink("vectors", json!({ "vectorField": "vector", "object": { "format": "json" } })),
            sink("records", json!({})),
        ]),
        &[
            "in > read",
            "read > markdown",
            "read > json",
            "read > cut",
            "cut > chunks",
            "cut > vec",
            "vec > vectors",
            "read > record",
            "record > records",
        ],
    );
    setup.pipeline("Formats", &pipeline).await;
    let content = "# Tides\n\nThe ebb begins at noon, and the flood at six.\n";
    let files = setup.upload(&[("tides.md", content)]).await;
    assert_eq!(files["tides.md"]["state"], "ready", "{files:?}");
    let texts: BTreeMap<_, _> = store.named_texts().await.into_iter().collect();
    let keys: Vec<_> = texts.keys().map(String::as_str).collect();
    let expected = [
        "chunks/tides.md.jsonl",
        "json/tides.md.json",
        "markdown/tides.md",
        "records/tides.md.jsonl",
        "vectors/tides.md.json",
    ];
    assert_eq!(keys, expected);
    assert_eq!(texts["markdown/tides.md"], content);
    let document: Value = serde_json::from_str(&texts["json/tides.md.json"]).unwrap();
    assert_eq!((&document["text"], &document["elements"][0]["kind"]), (&json!(content), &json!("heading")));
    let chunks: Vec<Value> =
        texts["chunks/tides.md.jsonl"].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(chunks.len() > 1 && chunks[1]["at"] == 1 && content.contains(chunks[1]["words"].as_str().unwrap()));
    let vectors: Value = serde_json::from_str(&texts["vectors/tides.md.json"]).unwrap();
    assert_eq!(vectors.as_array().unwrap().len(), chunks.len());
    assert!(vectors[0]["vector"].as_array().unwrap().len() == 384 && vectors[0]["ordinal"] == 0, "{vectors}");
    let record: Value = serde_json::from_str(&texts["records/tides.md.jsonl"]).unwrap();
    assert_eq!(record["name"], "tides.md");
    setup.app.stop().await;
}

#[actix_web::test]
async fn objects_stay_in_their_folder_and_never_replace_one_another() {
    let (store, setup, connection) = with_folder().await;
    let object = json!({ "name": "has(metadata.path) ? metadata.path : file.name" });
    for name in ["One", "Two"] {
        setup.pipeline(name, &texts_into(&connection, &object)).await;
    }
    let hostile = ["../../../etc/cron.d/x", "/etc/shadow", "a\u{0}b\r\nc", "..\\..\\x", "", "ü/", "."];
    for (number, path) in hostile.iter().enumerate() {
        let (name, metadata) = (format!("f{number}"), json!({ "path": path.replace('\0', "\u{1}") }).to_string());
        let part = reqwest::multipart::Part::bytes(text(&name, 1).into_bytes()).file_name("same.txt");
        let form = reqwest::multipart::Form::new().text("metadata", metadata).part("file", part);
        let request = setup.app.request(Method::POST, &setup.path("files")).bearer_auth(&setup.ada.token);
        let accepted = send(request.multipart(form)).await.expect(202);
        ready(&setup, accepted["items"][0]["id"].as_str().unwrap()).await;
    }
    let texts = store.texts().await;
    assert_eq!(texts.len(), 2 * hostile.len(), "each file has an object of each pipeline: {:?}", texts.keys());
    let is_inside = |key: &String| key.starts_with("exports/texts/") && key.split('/').all(|part| part != "..");
    assert!(texts.keys().all(is_inside), "{:?}", texts.keys());
    for number in 0..hostile.len() {
        assert_eq!(texts.values().filter(|content| **content == text(&format!("f{number}"), 1)).count(), 2);
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn each_fault_of_a_sink_of_objects_has_its_reason() {
    let (store, setup, connection) = with_folder().await;
    fs::write(store.0.path().join("taken"), "a file").unwrap();
    let into = |into: &str, name: &str| {
        let sink = json!({ "id": "out", "type": "sink.connection", "connection": connection, "into": into,
            "object": { "name": name } });
        let nodes = json!([{ "id": "in", "type": "source.files" }, { "id": "read", "type": "partition" }, sink]);
        definition(&nodes, &["in > read", "read > out"])
    };
    for (definition, code, reason) in [
        (into("../up", "file.name"), "target_mismatch", "`into` has a part `.` or `..`"),
        (into("taken", "file.name"), "target_mismatch", "a file stands"),
        (into("out", "file.size"), "expression_failed", "gave no text"),
        (into("out", "metadata.nowhere"), "expression_failed", "a value is missing"),
    ] {
        let pipeline = setup.pipeline("Out", &definition).await;
        let files = setup.upload(&[("a.txt", &text("secret", 2))]).await;
        let failure = &files["a.txt"]["failure"];
        assert!(failure["code"] == code && failure["detail"].as_str().unwrap().contains(reason), "{failure}");
        delete_pipeline(&setup, &pipeline).await;
    }
    let names: Vec<_> = store.objects().await.into_keys().collect();
    assert_eq!(names, ["taken"]);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn folder_is_written_below_the_operators_writable_folders_only() {
    let (readable, writable) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |folder: &tempfile::TempDir| folder.path().to_str().unwrap().to_owned();
    let (readable_path, writable_path) = (path(&readable), path(&writable));
    let settings =
        [("NVISY_OUTBOUND_LOCAL_FOLDERS", readable_path.as_str()), ("NVISY_OUTBOUND_WRITABLE_FOLDERS", &writable_path)];
    let setup = Setup::of(TestApp::start_with_worker(&settings).await).await;
    let connection = connect(&setup, "local_folder", json!({ "path": readable_path }), Value::Null).await;
    setup.pipeline("Out", &texts_into(&connection, &json!({}))).await;
    let file = upload(&setup, "a", text("a", 1)).await;
    let reason = wait_until("the file says why it waits", async || {
        let file = setup.app.file(&setup.ada, &setup.workspace, &file).await;
        file["waiting"]["reason"].as_str().map(str::to_owned)
    });
    assert!(reason.await.contains("does not allow writing this folder"));
    assert_eq!(fs::read_dir(readable.path()).unwrap().count(), 0);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn file_waits_for_credentials_that_a_bucket_accepts() {
    let store = SeaweedFs::start().await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let wrong = json!({ "accessKeyId": "test-key", "secretAccessKey": "wrong-hunter2" });
    let connection = connect(&setup, "s3", store.s3_settings(), wrong).await;
    setup.pipeline("Out", &texts_into(&connection, &json!({}))).await;
    let file = upload(&setup, "a", text("a", 1)).await;
    let reason = wait_until("the file says why it waits", async || {
        let file = setup.app.file(&setup.ada, &setup.workspace, &file).await;
        file["waiting"]["reason"].as_str().map(str::to_owned)
    });
    let reason = reason.await;
    assert!(reason.contains("does not accept the connection") && !reason.contains("hunter2"), "{reason}");
    assert!(store.objects().await.is_empty());
    setup.patch(&format!("connections/{connection}"), &json!({ "credentials": s3_credentials() })).await;
    ready(&setup, &file).await;
    assert_eq!(Store::named_texts(&store).await, [("exports/texts/a.txt".to_owned(), text("a", 1))]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn bucket_equals_the_files_after_workers_are_killed_at_random() {
    const FILES: usize = 60;
    let store = SeaweedFs::start().await;
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let connection = connect(&setup, "s3", store.s3_settings(), s3_credentials()).await;
    setup.pipeline("Out", &texts_into(&connection, &json!({}))).await;
    let settings = [LOCAL, ("NVISY_QUEUE_ATTEMPTS", "50")];
    let start = || spawn("nvisy-worker", &setup.app.deployment, &settings);
    let name = |number: usize| format!("gauge-{number:02}");
    let changes = async {
        let mut ids = Vec::new();
        for number in 0..FILES {
            ids.push(upload(&setup, &name(number), text(&format!("first {number}"), 1 + number % 7)).await);
        }
        for number in (0..FILES).step_by(3) {
            upload(&setup, &name(number), text(&format!("second {number}"), 1 + number % 5)).await;
        }
        for number in (0..FILES).step_by(5) {
            delete_file(&setup, &ids[number]).await;
        }
    };
    let kills = async {
        let mut running = [start(), start()];
        for round in 0..8_u64 {
            // Times that have nothing to do with those of jobs.
            tokio::time::sleep(Duration::from_millis(700 + round * 7919 % 900)).await;
            let worker = &mut running[(round % 2) as usize];
            worker.kill().await.expect("a killed worker");
            *worker = start();
        }
        running
    };
    let ((), running) = futures::future::join(changes, kills).await;
    let content = |number: usize| match number % 3 {
        0 => text(&format!("second {number}"), 1 + number % 5),
        _ => text(&format!("first {number}"), 1 + number % 7),
    };
    let expected: Vec<_> = (0..FILES)
        .filter(|number| number % 5 != 0)
        .map(|number| (format!("exports/texts/{}.txt", name(number)), content(number)))
        .collect();
    wait_until_equal("the bucket equals the files", &expected, async || Store::named_texts(&store).await).await;
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(Store::named_texts(&store).await, expected);
    assert_eq!(setup.app.count("dead_job").await, 0);
    drop(running);
    setup.app.stop().await;
}
