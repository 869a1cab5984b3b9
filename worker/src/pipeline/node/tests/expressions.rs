//! Nodes whose settings have expressions or branches.

use std::sync::Arc;

use nvisy_shared::{domain::failure::FailureCode, pipeline::port::Flow};
use serde_json::json;

use super::{Fixture, chunk, document, failure, texts};
use crate::pipeline::{
    contract::Effect,
    element::{Elements, RecordElement},
};

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
async fn evaluations_of_all_elements_share_a_budget_of_steps() {
    let fixture = Fixture::new().await;
    let mut file = fixture.file("a.txt", "text/plain", b"words").await;
    file.metadata.insert("a".to_owned(), json!(vec![0; 500]));
    let chunks = |count: u32| Elements::Chunks((0..count).map(|place| chunk(place, "x", None)).collect());
    let settings = json!({ "expression": "metadata.a.exists(a, metadata.a.exists(b, a == b))" });
    let few = fixture.run("filter", settings.clone(), &file, chunks(10)).await.unwrap();
    assert_eq!(few.ports[0].len(), 10);
    let failure = failure(fixture.run("filter", settings, &file, chunks(20_000)).await);
    assert_eq!(failure.code, FailureCode::ExpressionFailed);
    assert!(failure.detail.contains("all elements together take too many steps"), "{}", failure.detail);
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
