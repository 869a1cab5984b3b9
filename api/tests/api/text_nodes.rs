//! Nodes that change texts, from uploads to their results.

use serde_json::{Value, json};

use crate::support::{Setup, definition};

#[actix_web::test]
async fn redacted_chunks_lead_to_their_places_in_the_stored_text() {
    const TEXT: &str =
        "Grüße an Ada.\n\nShe is ada@example.org, DE89 3704 0044 0532 0130 00, and reads CASE-123456 today.\n\nEnd.";
    let setup = Setup::with_worker().await;
    setup
        .pipeline(
            "Redact",
            &definition(
                &json!([
                    { "id": "in", "type": "source.files" },
                    { "id": "read", "type": "partition" },
                    { "id": "redact", "type": "redact", "counts": "redacted", "replaceWith": "mask",
                      "patterns": [{ "name": "case", "pattern": r"CASE-\d+" }] },
                    { "id": "cut", "type": "chunk.characters", "maxCharacters": 60 },
                    { "id": "out", "type": "sink.collection" },
                ]),
                &["in > read", "read > redact", "redact > cut", "cut > out"],
            ),
        )
        .await;
    let files = setup.upload(&[("a.txt", TEXT)]).await;
    assert_eq!(files["a.txt"]["metadata"]["redacted"], json!({ "case": 1, "email": 1, "iban": 1 }), "{files:?}");
    let rows = setup.app.rows("select text, start_byte, end_byte from chunk order by start_byte").await;
    let chunks: Vec<(String, i64, i64)> = rows
        .iter()
        .map(|row| {
            let number = |column: &str| {
                row.try_get::<i64>("", column).or_else(|_| row.try_get::<i32>("", column).map(i64::from))
            };
            (row.try_get("", "text").unwrap(), number("start_byte").unwrap(), number("end_byte").unwrap())
        })
        .collect();
    let all: String = chunks.iter().map(|(text, ..)| format!("{text} ")).collect();
    assert!(all.contains("[EMAIL]") && all.contains("[IBAN]") && all.contains("[CASE]"), "{all}");
    assert!(!all.contains("example.org") && !all.contains("3704"), "{all}");
    for (text, start, end) in &chunks {
        let source = &TEXT[usize::try_from(*start).unwrap()..usize::try_from(*end).unwrap()];
        let redacted = source
            .replace("ada@example.org", "[EMAIL]")
            .replace("DE89 3704 0044 0532 0130 00", "[IBAN]")
            .replace("CASE-123456", "[CASE]");
        assert_eq!(*text, redacted, "{source}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn texts_of_other_files_of_the_run_and_of_the_collection_are_duplicates() {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" },
        { "id": "read", "type": "partition" },
        { "id": "unique", "type": "deduplicate", "scope": "run", "similarity": 0.7 },
        { "id": "out", "type": "sink.file", "suffix": ".unique" },
        { "id": "again", "type": "sink.file", "suffix": ".duplicate" },
    ]);
    let edges = ["in > read", "read > unique", "unique.unique > out", "unique.duplicates > again"];
    let run = setup.pipeline("Run", &definition(&nodes, &edges)).await;
    let mut collection = nodes.clone();
    collection[2] = json!({ "id": "unique", "type": "deduplicate", "scope": "collection", "collection": "default" });
    let collection = setup.pipeline("Collection", &definition(&collection, &edges)).await;
    let text = "The spring tide turns the blades of the turbines twice a day, and divers clean them at slack water.";
    let near = text.replace("blades", "wheels");
    setup.upload(&[("a.txt", text), ("b.txt", &near), ("c.txt", "Seals rest on the sandbank at low water.")]).await;
    let made = async |suffix: &str| setup.app.count(&format!("file where name like '%.{suffix}'")).await;
    for _ in 0..2 {
        assert_eq!(setup.run(&run).await["state"], "completed");
        assert_eq!((made("unique").await, made("duplicate").await), (2, 1));
    }
    setup.app.sql("delete from file where parent_id is not null").await;
    // Only equal texts are duplicates here, and the files keep their own in the next run.
    for _ in 0..2 {
        assert_eq!(setup.run(&collection).await["state"], "completed");
        assert_eq!((made("unique").await, made("duplicate").await), (3, 0));
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn tables_and_keywords_become_files_and_metadata() {
    let setup = Setup::with_worker().await;
    setup
        .pipeline(
            "Tables",
            &definition(
                &json!([
                    { "id": "in", "type": "source.files" },
                    { "id": "read", "type": "partition" },
                    { "id": "about", "type": "extract.keywords", "max": 3 },
                    { "id": "tables", "type": "convert.table", "format": "csv" },
                    { "id": "document", "type": "sink.file", "suffix": ".txt" },
                    { "id": "records", "type": "sink.file", "suffix": ".jsonl" },
                ]),
                &[
                    "in > read",
                    "read > about",
                    "about > tables",
                    "tables.document > document",
                    "tables.tables > records",
                ],
            ),
        )
        .await;
    let html = "<h1>Turbines</h1><p>Tidal turbines turn tidal energy into electricity. Tidal turbines are cleaned.</p>\
                <table><tr><th>Name</th><th>Note</th></tr><tr><td>T1</td><td>a, b</td></tr></table><p>End</p>";
    let files = setup.upload(&[("a.html", html)]).await;
    let keywords = files["a.html"]["metadata"]["keywords"].as_array().unwrap();
    assert!(keywords.iter().any(|keyword| keyword["text"].as_str().unwrap().contains("turbines")), "{keywords:?}");
    let list = setup.get("files").await;
    let content = async |name: &str| {
        let derived = list["items"].as_array().unwrap().iter().find(|file| file["name"] == name).unwrap();
        let path = format!("files/{}/content", derived["id"].as_str().unwrap());
        setup.app.get(&setup.ada, &setup.path(&path)).await.text
    };
    assert!(content("a.html.txt").await.contains("Name,Note\nT1,\"a, b\"\n\nEnd"), "{}", content("a.html.txt").await);
    let record: Value = serde_json::from_str(content("a.html.jsonl").await.trim()).unwrap();
    assert_eq!((&record["format"], &record["headings"]), (&json!("csv"), &json!(["Turbines"])), "{record}");
    assert_eq!(record["content"], "Name,Note\nT1,\"a, b\"");
    setup.app.stop().await;
}
