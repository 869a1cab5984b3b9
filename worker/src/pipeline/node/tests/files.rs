//! Files into documents, and elements into derived files.

use std::sync::Arc;

use nvisy_shared::{domain::failure::FailureCode, id::ConnectionId, pipeline::port::Flow};
use serde_json::{Map, Value, json};

use super::{Fixture, chunk, document, failure, texts};
use crate::pipeline::{
    contract::{Effect, TextBlob},
    element::{Elements, Origin, RecordElement},
};

#[tokio::test]
async fn sources_give_the_content_of_the_file() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let connection = json!({ "connection": ConnectionId::new() });
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
