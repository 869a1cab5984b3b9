//! Text in pictures: its places on the page, and the languages that restrict it.

use serde_json::{Value, json};

use crate::support::{Setup, TestApp, definition, part};

const SCAN: &[u8] = include_bytes!("../../../worker/extract/tests/data/scan.png");

/// Reads pictures with a hint of languages, and writes documents as JSON.
fn reading(languages: &Value) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition", "languages": languages },
            { "id": "out", "type": "sink.file", "suffix": ".json", "format": "json" },
        ]),
        &["in > read", "read > out"],
    )
}

#[actix_web::test]
async fn document_of_a_picture_says_where_its_lines_stand() {
    let setup = Setup::with_worker().await;
    setup.pipeline("Scans", &reading(&json!(["en", "ja"]))).await;
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![part("scan.png", SCAN)]).await.expect(202);
    let file =
        setup.app.finished_file(&setup.ada, &setup.workspace, accepted["items"][0]["id"].as_str().unwrap()).await;
    assert_eq!(file["state"], "ready", "{file}");
    let list = setup.get("files").await;
    let derived = list["items"].as_array().unwrap().iter().find(|file| file["name"] == "scan.png.json");
    let derived = derived.unwrap_or_else(|| panic!("{list}"))["id"].as_str().unwrap();
    let content = setup.app.get(&setup.ada, &setup.path(&format!("files/{derived}/content"))).await.text;
    let document: Value = serde_json::from_str(&content).unwrap();
    let text = document["text"].as_str().unwrap();
    let boxes = document["boxes"].as_array().unwrap_or_else(|| panic!("{document}"));
    let upper = |words: &str| {
        let place = text.find(words).unwrap_or_else(|| panic!("{text}")) as u64;
        let range = |found: &Value| found["start"].as_u64().unwrap()..found["end"].as_u64().unwrap();
        let found = boxes.iter().find(|found| range(found).contains(&place));
        found.unwrap_or_else(|| panic!("{document}"))["top"].as_f64().unwrap()
    };
    // The picture has two lines.
    assert!(upper("harbour") < 0.4 && (0.4..0.8).contains(&upper("Invoice")), "{document}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn language_that_the_models_do_not_read_is_refused() {
    let setup = Setup::of(TestApp::start().await).await;
    let body = json!({ "definition": reading(&json!(["en", "ru"])) });
    let refused = setup.app.post(&setup.ada, &setup.path("runs"), &body).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("languages[1]"), "{}", refused.text);
    setup.app.stop().await;
}
