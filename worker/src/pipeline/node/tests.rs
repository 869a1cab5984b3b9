//! Behaviours with a deployment: object store, child process, model.

use std::{collections::BTreeMap, io::Write, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::stream;
use nvisy_extract::Document;
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::{BlobId, FileId, PipelineId, RunId, WorkspaceId},
    pipeline::content_key::ContentKey,
    pipeline::{node::Settings, port::Flow},
    platform::Platform,
    store::file::StoredBlob,
    testing::TestDeployment,
};
use serde_json::{Map, Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::instantiate;
use crate::{
    context::Context,
    pipeline::{
        contract::{Call, Effect, FileFacts, Output, TextBlob},
        element::{ChunkElement, DocumentElement, Elements, FileElement, Origin, RecordElement},
        spaces::OpenSpace,
    },
    runner::JobError,
};

struct Fixture {
    deployment: TestDeployment,
    cx: Context,
    workspace: WorkspaceId,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(changes: &[(&str, &str)]) -> Self {
        let deployment = TestDeployment::new().await;
        let platform = Platform::open(deployment.config(changes)).await.unwrap();
        Self { cx: Context::new(platform, worker(), None), workspace: WorkspaceId::new(), deployment }
    }

    async fn close(self) {
        drop(self.cx);
        self.deployment.close().await;
    }

    async fn store(&self, content: &[u8]) -> StoredBlob {
        let (id, bytes) = (BlobId::new(), content.len() as u64);
        let parts = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(content))]);
        let stored = self.cx.blobs.put(self.workspace, id, parts, bytes).await.unwrap();
        StoredBlob { id, sha256: stored.sha256, bytes }
    }

    async fn read(&self, blob: StoredBlob) -> String {
        let content = self.cx.blobs.read_all(self.workspace, blob.id, u64::MAX).await.unwrap();
        String::from_utf8(content).unwrap()
    }

    /// An uploaded file.
    async fn file(&self, name: &str, media_type: &str, content: &[u8]) -> FileFacts {
        let blob = self.store(content).await;
        let content = FileElement {
            blob: blob.id,
            bytes: blob.bytes,
            sha256: hex::encode(blob.sha256),
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            origin: Arc::default(),
            staged: None,
        };
        let variables = json!({ "name": name, "mediaType": media_type, "size": blob.bytes, "tags": [] });
        let metadata = Map::from_iter([("state".to_owned(), json!("final"))]);
        FileFacts { id: FileId::new(), content, variables, metadata, key: ContentKey([0; 32]) }
    }

    async fn run(&self, kind: &str, settings: Value, file: &FileFacts, input: Elements) -> Result<Output, JobError> {
        self.run_for(&[], kind, settings, file, input).await
    }

    async fn run_for(
        &self,
        spaces: &[OpenSpace],
        kind: &str,
        settings: Value,
        file: &FileFacts,
        input: Elements,
    ) -> Result<Output, JobError> {
        let Value::Object(settings) = settings else { panic!("settings are a map") };
        let settings = Settings::read(kind, settings).expect("a known type").expect("valid settings");
        let ports = settings.ports().outputs.len();
        let call = Call {
            cx: &self.cx,
            workspace: self.workspace,
            run: RunId::new(),
            pipeline: PipelineId::new(),
            preview: false,
            node: "step",
            key: ContentKey([7; 32]),
            file,
            spaces,
            model_access: None,
            target_access: None,
        };
        let output = instantiate(&settings).run(&call, input).await;
        if let Ok(output) = &output {
            assert_eq!(output.ports.len(), ports, "{kind} has other ports than its settings say");
        }
        output
    }
}

/// The program that extracts files, built with the tests.
fn worker() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test program");
    let program = test.parent().and_then(|deps| deps.parent()).expect("a target folder").join("nvisy-worker");
    assert!(program.exists(), "{} is not built: run the tests through `just test`", program.display());
    program
}

fn failure(output: Result<Output, JobError>) -> Failure {
    match output {
        Err(JobError::Fail(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn document(text: &str) -> DocumentElement {
    let document = Document { text: text.to_owned(), ..Document::default() };
    DocumentElement { document: Arc::new(document), origin: Arc::default(), edits: Arc::default() }
}

fn chunk(ordinal: u32, text: &str, prefix: Option<&str>) -> ChunkElement {
    ChunkElement {
        ordinal,
        text: text.to_owned(),
        bytes: 0..text.len() as u64,
        page: Some(1),
        headings: Vec::new(),
        tokens: 1,
        prefix: prefix.map(str::to_owned),
        language: None,
        origin: Arc::default(),
    }
}

fn texts(elements: &Elements) -> Vec<&str> {
    match elements {
        Elements::Documents(documents) => documents.iter().map(|element| element.document.text.as_str()).collect(),
        Elements::Chunks(chunks) => chunks.iter().map(|chunk| chunk.text.as_str()).collect(),
        Elements::Bytes(files) => files.iter().map(|file| file.name.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sources_give_the_content_of_the_file() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let connection = json!({ "connection": nvisy_shared::id::ConnectionId::new() });
    for (kind, settings) in
        [("source.files", json!({})), ("source.search", json!({ "query": "words" })), ("source.connection", connection)]
    {
        let output = fixture.run(kind, settings, &file, Elements::empty(Flow::Bytes)).await.unwrap();
        assert_eq!(texts(&output.ports[0]), ["a.txt"]);
        assert!(output.effects.is_empty());
    }
    fixture.close().await;
}

#[tokio::test]
async fn partition_reads_every_file_and_records_the_extraction_of_the_own_content() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.html", "text/plain", b"<title>T</title><h1>Head</h1><p>Gr&uuml;n").await;
    let other = fixture.file("b.txt", "text/plain", b"other words").await;
    let mut own = file.content.clone();
    own.origin = Arc::new(Origin { metadata: Map::from_iter([("a".to_owned(), json!(1))]), document: None });
    let input = Elements::Bytes(vec![other.content.clone(), own]);
    let output = fixture.run("partition", json!({}), &file, input.clone()).await.unwrap();
    assert_eq!(texts(&output.ports[0]), ["other words", "Head\n\nGrün"]);
    let origin = output.ports[0].origins()[1];
    let info = origin.document.clone().unwrap();
    assert_eq!((info.characters, info.title.as_deref(), info.page_count), (10, Some("T"), None));
    assert_eq!(origin.metadata["a"], 1);
    let [Effect::Extraction { media_type, text: TextBlob::New(text), page_count: None }] = output.effects.as_slice()
    else {
        panic!("{:?}", output.effects)
    };
    assert_eq!((media_type.as_str(), fixture.read(*text).await.as_str()), ("text/html", "Head\n\nGrün"));

    // The text of a text file is the file.
    let output = fixture.run("partition", json!({}), &other, input).await.unwrap();
    assert!(matches!(
        output.effects.as_slice(),
        [Effect::Extraction { text: TextBlob::Stored(blob), .. }] if *blob == other.content.blob
    ));

    let fast = fixture.run("partition", json!({ "mode": "fast" }), &file, Elements::Bytes(vec![file.content.clone()]));
    let fast = fast.await.unwrap();
    let Elements::Documents(documents) = &fast.ports[0] else { panic!("documents") };
    assert_eq!(documents[0].document.elements.len(), 1);

    let pdf = fixture.file("a.pdf", "application/pdf", b"%PDF-1.7 cut").await;
    let failed = fixture.run("partition", json!({}), &pdf, Elements::Bytes(vec![pdf.content.clone()])).await;
    assert_eq!(failure(failed).code, FailureCode::Corrupt);
    fixture.close().await;
}

#[tokio::test]
async fn unpack_stores_members_and_passes_other_files() {
    let fixture = Fixture::new().await;
    let docx = zip(&[("[Content_Types].xml", b"<Types/>")]);
    let archive = zip(&[("b/one.md", b"# One"), ("two.pdf", b"%PDF"), ("c.docx", &docx)]);
    let archive = fixture.file("a.zip", "application/zip", &archive).await;
    let note = fixture.file("note.txt", "text/plain", b"words").await;
    let office = fixture.file("plan.docx", "application/zip", &docx).await;
    let mail = fixture.file("m.eml", "message/rfc822", b"From: a@example.org\r\n\r\nHello").await;
    let files = [&archive, &note, &archive, &office, &mail].map(|file| file.content.clone());
    let output = fixture.run("unpack", json!({}), &archive, Elements::Bytes(files.to_vec())).await.unwrap();
    assert!(output.ports[0].is_empty());
    assert_eq!(texts(&output.ports[1]), ["note.txt", "plan.docx", "m.eml"]);
    let mut members = BTreeMap::new();
    for effect in output.effects {
        let Effect::Member { path, media_type, content } = effect else { panic!("{effect:?}") };
        assert_eq!(members.insert(path, (media_type, content)).map(|_| ()), None);
    }
    let paths: Vec<_> = members.iter().map(|(path, (media_type, _))| (path.as_str(), media_type.as_str())).collect();
    let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    assert_eq!(paths, [("b/one.md", "text/markdown"), ("c.docx", word), ("two.pdf", "application/pdf")]);
    assert_eq!(fixture.read(members["b/one.md"].1).await, "# One");
    assert_eq!(members["c.docx"].1.bytes, docx.len() as u64);
    fixture.close().await;
}

/// An archive with a damaged member between two good ones.
fn damaged_archive() -> Vec<u8> {
    let mut archive = zip(&[("one.txt", b"one"), ("two.txt", b"two and more"), ("three.txt", b"three")]);
    let name = archive.windows(7).position(|window| window == b"two.txt").expect("its header");
    archive[name + 7] ^= 0xFF;
    archive
}

#[tokio::test]
async fn bad_member_of_an_archive_fails_alone() {
    let fixture = Fixture::new().await;
    let archive = fixture.file("a.zip", "application/zip", &damaged_archive()).await;
    let output = fixture.run("unpack", json!({}), &archive, Elements::Bytes(vec![archive.content.clone()])).await;
    let effects = output.unwrap().effects;
    let [one, Effect::Incomplete { path: Some(path), failure }, three] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((path.as_str(), failure.code), ("two.txt", FailureCode::Corrupt));
    for (effect, name, text) in [(one, "one.txt", "one"), (three, "three.txt", "three")] {
        let Effect::Member { path, content, .. } = effect else { panic!("{effect:?}") };
        assert_eq!((path.as_str(), fixture.read(*content).await.as_str()), (name, text));
    }
    fixture.close().await;
}

#[tokio::test]
async fn archive_without_a_readable_member_fails_and_mail_does_not() {
    let fixture = Fixture::new().await;
    let archive = fixture.file("a.zip", "application/zip", &damaged_archive()[..60]).await;
    let failed = fixture.run("unpack", json!({}), &archive, Elements::Bytes(vec![archive.content.clone()])).await;
    assert_eq!(failure(failed).code, FailureCode::Corrupt);
    let mail = "From: a@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\n\
                Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLj";
    let mail = fixture.file("m.eml", "message/rfc822", mail.as_bytes()).await;
    let output = fixture.run("unpack", json!({}), &mail, Elements::Bytes(vec![mail.content.clone()])).await.unwrap();
    assert_eq!(texts(&output.ports[1]), ["m.eml"]);
    assert!(matches!(output.effects.as_slice(), [Effect::Incomplete { path: Some(path), .. }] if path == "a.pdf"));
    fixture.close().await;
}

#[tokio::test]
async fn archive_that_exceeds_a_limit_leaves_no_members() {
    let fixture = Fixture::new().await;
    let archive = fixture.file("a.tar", "application/x-tar", &tar(&["one.txt", "two.txt", "three.txt"])).await;
    let stored = fixture.deployment.stored_objects().await;
    let few = json!({ "maxMembers": 2 });
    let failed = fixture.run("unpack", few, &archive, Elements::Bytes(vec![archive.content.clone()])).await;
    assert_eq!(failure(failed).code, FailureCode::TooLarge);
    assert_eq!(fixture.deployment.stored_objects().await, stored);
    fixture.close().await;
}

/// A tape archive of these files, each with its name as content.
fn tar(names: &[&str]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(name.len() as u64);
        tar.append_data(&mut header, name, name.as_bytes()).expect("written to memory");
    }
    tar.into_inner().expect("written to memory")
}

#[tokio::test]
async fn partition_keeps_what_it_read_before_damage_if_a_part_is_enough() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.rtf", "application/rtf", b"{\\rtf1 one\\par two").await;
    let input = || Elements::Bytes(vec![file.content.clone()]);
    let failed = fixture.run("partition", json!({}), &file, input()).await;
    assert_eq!(failure(failed).code, FailureCode::Corrupt);
    let output = fixture.run("partition", json!({ "partial": true }), &file, input()).await.unwrap();
    assert_eq!(texts(&output.ports[0]), ["one\n\ntwo"]);
    let [Effect::Extraction { .. }, Effect::Incomplete { path: None, failure }] = output.effects.as_slice() else {
        panic!("{:?}", output.effects)
    };
    assert_eq!(failure.code, FailureCode::Corrupt);
    let document = output.ports[0].origins()[0].document.clone().unwrap();
    assert!(document.partial && document.warnings == [failure.detail.as_str()], "{document:?}");
    let branches = json!({ "branches": [{ "port": "cut", "expression": "document.partial" }] });
    let output = fixture.run("switch.when", branches, &file, output.ports[0].clone()).await.unwrap();
    assert_eq!((output.ports[0].len(), output.ports[1].len()), (1, 0));
    fixture.close().await;
}

#[tokio::test]
async fn source_code_is_cut_between_definitions() {
    let fixture = Fixture::new().await;
    let code = "use std::io;\n\n/// Rises.\nfn rise() {\n    water();\n}\n\nstruct Sea;\n\nimpl Sea {\n    fn fall(&self) {\n        ebb();\n    }\n}\n";
    let file = fixture.file("a.rs", "text/plain", code.as_bytes()).await;
    let input = Elements::Bytes(vec![file.content.clone()]);
    let documents = fixture.run("partition", json!({}), &file, input).await.unwrap();
    let cut = fixture.run("chunk.section", json!({}), &file, documents.ports[0].clone()).await.unwrap();
    let Elements::Chunks(chunks) = &cut.ports[0] else { panic!("chunks") };
    let found: Vec<_> = chunks.iter().map(|chunk| (chunk.headings.join(" > "), chunk.text.as_str())).collect();
    assert_eq!(
        found,
        [
            (String::new(), "use std::io;"),
            ("fn rise".to_owned(), "/// Rises.\nfn rise() {\n    water();\n}"),
            (
                "impl Sea > fn fall".to_owned(),
                "struct Sea;\n\nimpl Sea {\n    fn fall(&self) {\n        ebb();\n    }\n}"
            ),
        ]
    );
    assert!(chunks.iter().all(|chunk| code[chunk.bytes.start as usize..chunk.bytes.end as usize] == chunk.text));
    fixture.close().await;
}

#[tokio::test]
async fn map_sets_metadata_and_makes_records() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let chunks = || Elements::Chunks(vec![chunk(0, "one", None), chunk(1, "two", None)]);
    let settings = json!({
        "metadata": { "last": "item.text", "final": "metadata.state == 'final'" },
        "record": "{'name': file.name, 'place': item.ordinal, 'seen': has(metadata.last)}",
    });
    let output = fixture.run("map", settings, &file, chunks()).await.unwrap();
    let Elements::Records(records) = &output.ports[0] else { panic!("records") };
    assert_eq!(records[1].row, json!({ "name": "a.txt", "place": 1, "seen": false }));
    assert_eq!(json!(records[0].origin.metadata), json!({ "last": "one", "final": true }));
    let [Effect::Metadata(metadata)] = output.effects.as_slice() else { panic!("{:?}", output.effects) };
    assert_eq!(json!(metadata), json!({ "last": "two", "final": true }));

    // Without `record` the elements stay, and later nodes see the metadata.
    let output = fixture.run("map", json!({ "metadata": { "last": "item.text" } }), &file, chunks()).await.unwrap();
    let filtered =
        fixture.run("filter", json!({ "expression": "metadata.last == 'two'" }), &file, output.ports[0].clone());
    assert_eq!(texts(&filtered.await.unwrap().ports[0]), ["two"]);

    let nothing = fixture.run("map", json!({ "metadata": { "a": "1" } }), &file, Elements::empty(Flow::Chunks)).await;
    assert!(nothing.unwrap().effects.is_empty());

    for (settings, code) in [
        (json!({ "metadata": { "a": "item.text + '\\u0000'" } }), FailureCode::ExpressionFailed),
        (json!({ "record": "metadata.missing" }), FailureCode::ExpressionFailed),
        (json!({ "record": "item.tokens == 3 ? dyn({'a': 1}) : dyn(item.text)" }), FailureCode::ExpressionFailed),
    ] {
        let failure = failure(fixture.run("map", settings.clone(), &file, chunks()).await);
        assert_eq!(failure.code, code, "{settings}");
        assert!(!failure.detail.contains("one"), "{}", failure.detail);
    }
    let large = Elements::Chunks(vec![chunk(0, &"x".repeat(70_000), None)]);
    let failed = fixture.run("map", json!({ "metadata": { "a": "item.text" } }), &file, large).await;
    assert_eq!(failure(failed).code, FailureCode::TooLarge);
    fixture.close().await;
}

#[tokio::test]
async fn failed_evaluation_tells_the_place_and_no_text() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let chunks = Elements::Chunks(vec![chunk(0, "12", None), chunk(1, "secret", None)]);
    for (kind, settings) in [
        ("filter", json!({ "expression": "int(item.text) > 1" })),
        ("check", json!({ "expression": "int(item.text) > 1" })),
        ("switch.when", json!({ "branches": [{ "port": "a", "expression": "int(item.text) > 100" }] })),
    ] {
        let failure = failure(fixture.run(kind, settings, &file, chunks.clone()).await);
        assert_eq!(failure.code, FailureCode::ExpressionFailed);
        assert_eq!(
            failure.detail,
            "an expression of the node `step` failed at element 2 of 2: a value is missing or has the wrong type"
        );
    }
    fixture.close().await;
}

#[tokio::test]
async fn check_warns_or_fails() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let records = || {
        let record = |number: u32| RecordElement { row: json!({ "n": number }), origin: Arc::default() };
        Elements::Records((0..4).map(record).collect())
    };
    let check = |severity: &str, least: u32| json!({ "expression": format!("item.n >= {least}"), "severity": severity, "message": "too small" });
    let output = fixture.run("check", check("warn", 3), &file, records()).await.unwrap();
    assert_eq!(output.ports[0].len(), 4);
    let [Effect::CheckFailed { message, elements: 3 }] = output.effects.as_slice() else { panic!("{output:?}") };
    assert_eq!(message, "too small");
    let failed = failure(fixture.run("check", check("block", 1), &file, records()).await);
    assert_eq!((failed.code, failed.detail.as_str()), (FailureCode::CheckFailed, "too small"));
    for severity in ["warn", "block"] {
        let output = fixture.run("check", check(severity, 0), &file, records()).await.unwrap();
        assert_eq!((output.ports[0].len(), output.effects.len()), (4, 0));
    }
    let bare = json!({ "expression": "item.n > 9", "severity": "block" });
    assert_eq!(failure(fixture.run("check", bare, &file, records()).await).detail, "item.n > 9");
    fixture.close().await;
}

#[tokio::test]
async fn switches_divide_elements_in_order() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.rs", "text/plain", b"fn main() {}").await;
    let chunks = Elements::Chunks((0..6).map(|place| chunk(place, &place.to_string(), None)).collect());
    let branches = json!({ "branches": [
        { "port": "small", "expression": "item.ordinal < 2" },
        { "port": "even", "expression": "item.ordinal % 2 == 0" },
    ] });
    let output = fixture.run("switch.when", branches, &file, chunks).await.unwrap();
    let ports: Vec<_> = output.ports.iter().map(texts).collect();
    assert_eq!(ports, [vec!["0", "1"], vec!["2", "4"], vec!["3", "5"]]);

    let branches = json!({ "branches": { "b": ["code", "archive"], "a": ["image"] } });
    let picture = fixture.file("p.png", "image/png", b"").await;
    let video = fixture.file("v.mp4", "video/mp4", b"").await;
    let files = Elements::Bytes([&video, &file, &picture].map(|file| file.content.clone()).to_vec());
    let output = fixture.run("switch.category", branches.clone(), &file, files).await.unwrap();
    assert_eq!(output.ports.iter().map(texts).collect::<Vec<_>>(), [["p.png"], ["a.rs"], ["v.mp4"]]);
    let documents = Elements::Documents(vec![document("fn main() {}")]);
    let output = fixture.run("switch.category", branches, &file, documents).await.unwrap();
    assert_eq!(output.ports.iter().map(Elements::len).collect::<Vec<_>>(), [0, 1, 0]);

    let german = "Die Turbinen werden jedes Frühjahr gereinigt, wenn das Wasser ruhig ist.";
    let documents = Elements::Documents(vec![document("1 2 3"), document(german)]);
    let branches = json!({ "branches": { "german": ["de"] }, "minConfidence": 0.5 });
    let output = fixture.run("switch.language", branches, &file, documents).await.unwrap();
    assert_eq!(output.ports.iter().map(texts).collect::<Vec<_>>(), [[german], ["1 2 3"]]);
    fixture.close().await;
}

#[tokio::test]
async fn embed_computes_a_vector_for_prefix_and_text() {
    let fixture = Fixture::with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let chunks = vec![chunk(0, "blades", None), chunk(1, "blades", Some("Turbines")), chunk(2, "blades", None)];
    let served = fixture.cx.spaces.default().clone();
    let space = served.id;
    let open = OpenSpace { served, connection: None };
    let output = fixture.run_for(&[open], "embed", json!({}), &file, Elements::Chunks(chunks.clone())).await.unwrap();
    let Elements::Vectors(vectors) = &output.ports[0] else { panic!("vectors") };
    assert_eq!(vectors.iter().map(|element| element.chunk.clone()).collect::<Vec<_>>(), chunks);
    let vector = |place: usize| vectors[place].vectors[&space].clone();
    assert_eq!(vector(0).len(), 384);
    assert_eq!(vector(0), vector(2));
    let whole = vec!["Turbines\n\nblades".to_owned()];
    let whole = fixture.cx.spaces.default().embedder.embed(nvisy_embed::InputType::Passage, whole).await.unwrap();
    assert_eq!(vector(1).as_ref(), whole[0].as_slice());

    let sink = json!({ "collection": "default" });
    let output = fixture.run("sink.collection", sink.clone(), &file, output.ports[0].clone()).await.unwrap();
    let [Effect::Collection { collection, rows }] = output.effects.as_slice() else { panic!("{output:?}") };
    assert_eq!((collection.as_str(), rows.len()), ("default", 3));
    let output = fixture.run("sink.collection", sink.clone(), &file, Elements::Chunks(chunks.clone())).await.unwrap();
    let [Effect::Collection { rows, .. }] = output.effects.as_slice() else { panic!("{output:?}") };
    assert!(rows.iter().all(|row| row.vectors.is_empty()));
    let output = fixture.run("sink.collection", sink, &file, Elements::empty(Flow::Vectors)).await.unwrap();
    assert!(output.effects.is_empty());
    fixture.close().await;
}

#[tokio::test]
async fn similarity_separates_subjects() {
    let fixture = Fixture::with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let text = "The cat sleeps on the warm sofa. The kitten plays with a ball of wool. \
        Interest rates were raised by the central bank. The bank expects lower inflation and interest rates next year.";
    let documents = Elements::Documents(vec![document(text)]);
    let output = fixture.run("chunk.similarity", json!({ "threshold": 0.3 }), &file, documents).await.unwrap();
    let chunks = texts(&output.ports[0]);
    assert_eq!(chunks.len(), 2, "{chunks:?}");
    assert!(chunks[0].ends_with("wool.") && chunks[1].starts_with("Interest"), "{chunks:?}");
    fixture.close().await;
}

#[tokio::test]
async fn chunkers_fit_the_model_and_fail_without_text() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let words = "A sentence with several words. ".repeat(300);
    for kind in ["chunk.section", "chunk.characters", "chunk.page"] {
        let run = |text: &str| fixture.run(kind, json!({}), &file, Elements::Documents(vec![document(text)]));
        let output = run(&words).await.unwrap();
        let Elements::Chunks(chunks) = &output.ports[0] else { panic!("chunks") };
        let most = fixture.cx.spaces.default().embedder.max_tokens();
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.tokens as usize <= most), "{kind}");
        assert_eq!(failure(run(" \n").await).code, FailureCode::Empty, "{kind}");
        let none = fixture.run(kind, json!({}), &file, Elements::empty(Flow::Document)).await.unwrap();
        assert!(none.ports[0].is_empty());
    }
    fixture.close().await;
}

#[tokio::test]
async fn derived_files_are_stored() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.pdf", "application/pdf", b"%PDF").await;
    let derived = async |input: Elements, format: &str| {
        let settings = json!({ "suffix": ".out", "format": format });
        let output = fixture.run("sink.file", settings, &file, input).await.unwrap();
        let mut files = Vec::new();
        for effect in output.effects {
            let Effect::DerivedFile { name, media_type, content } = effect else { panic!("{effect:?}") };
            files.push((name, media_type, fixture.read(content).await));
        }
        files
    };
    let owned =
        |name: &str, media_type: &str, content: &str| (name.to_owned(), media_type.to_owned(), content.to_owned());

    let bytes = Elements::Bytes(vec![file.content.clone()]);
    assert_eq!(derived(bytes, "auto").await, [owned("a.pdf.out", "application/pdf", "%PDF")]);
    let documents = Elements::Documents(vec![document("one"), document("two")]);
    let expected = [owned("a.pdf.out", "text/plain", "one"), owned("a.pdf (2).out", "text/plain", "two")];
    assert_eq!(derived(documents, "auto").await, expected);
    let chunks = Elements::Chunks(vec![chunk(0, "one", Some("Head")), chunk(1, "two", None)]);
    let lines = "{\"ordinal\":0,\"text\":\"one\",\"start\":0,\"end\":3,\"page\":1,\"headingPath\":[],\"tokens\":1,\"prefix\":\"Head\"}\n\
        {\"ordinal\":1,\"text\":\"two\",\"start\":0,\"end\":3,\"page\":1,\"headingPath\":[],\"tokens\":1}\n";
    assert_eq!(derived(chunks, "auto").await, [owned("a.pdf.out", "application/x-ndjson", lines)]);
    let record = |row: Value| RecordElement { row, origin: Arc::default() };
    let records = Elements::Records(vec![record(json!({ "a": 1 })), record(json!({}))]);
    assert_eq!(derived(records, "json").await, [owned("a.pdf.out", "application/json", "[{\"a\":1},\n{}]\n")]);
    assert_eq!(derived(Elements::empty(Flow::Records), "json").await, []);
    fixture.close().await;
}
