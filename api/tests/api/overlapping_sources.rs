//! Several sources of a pipeline that take the same file: each has its results.

use serde_json::{Value, json};

use crate::support::{Setup, definition};

/// Two sources: `all` leads to `x`, `texts` to `y` and a copy, and both of them to `both`.
fn two_sources() -> Value {
    let texts = json!({ "field": "name", "op": "eq", "value": "tide.txt" });
    let mut nodes = vec![
        json!({ "id": "all", "type": "source.files", "trigger": "upload" }),
        json!({ "id": "texts", "type": "source.files", "trigger": "upload", "filter": texts }),
        json!({ "id": "copy", "type": "sink.file", "suffix": ".copy" }),
    ];
    for source in ["all", "texts"] {
        nodes.push(json!({ "id": format!("{source}-read"), "type": "partition" }));
        nodes.push(json!({ "id": format!("{source}-cut"), "type": "chunk.section" }));
    }
    for sink in ["x", "y", "both"] {
        nodes.push(json!({ "id": sink, "type": "sink.collection", "collection": sink }));
    }
    let edges = [
        "all > all-read",
        "all-read > all-cut",
        "all-cut > x",
        "all-cut > both",
        "texts > copy",
        "texts > texts-read",
        "texts-read > texts-cut",
        "texts-cut > y",
        "texts-cut > both",
    ];
    definition(&json!(nodes), &edges)
}

async fn setup() -> (Setup, String) {
    let setup = Setup::with_worker().await;
    for name in ["x", "y", "both"] {
        setup.collection(name).await;
    }
    let pipeline = setup.pipeline("Two sources", &two_sources()).await;
    (setup, pipeline)
}

/// Every sink has the text of the file once.
async fn assert_every_sink_has(setup: &Setup, text: &str) {
    let chunks = setup.live_chunks().await;
    for sink in ["x", "y", "both"] {
        assert_eq!(chunks.get(sink).map(Vec::as_slice), Some([text.to_owned()].as_slice()), "{sink}: {chunks:?}");
    }
    assert_eq!(setup.app.count("file where name = 'tide.txt.copy'").await, 1);
}

#[actix_web::test]
async fn file_that_two_sources_take_has_the_results_of_both() {
    let (setup, pipeline) = setup().await;
    for text in ["The tide turns.", "The tide turns twice a day."] {
        let file = setup.app.upload_as(&setup.ada, &setup.workspace, "gauge", text).await;
        let file = setup.app.finished_file(&setup.ada, &setup.workspace, file["id"].as_str().unwrap()).await;
        assert_eq!(file["state"], "ready", "{file}");
        setup.app.wait_until_no_jobs_are_left().await;
        assert_every_sink_has(&setup, text).await;
    }
    setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &json!({})).await.expect(202);
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(setup.get("runs?trigger=manual").await["items"][0]["items"], 2, "an item for each source");
    assert_every_sink_has(&setup, "The tide turns twice a day.").await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn file_fails_if_one_of_its_sources_leads_to_a_failure() {
    let setup = Setup::with_worker().await;
    setup.collection("x").await;
    let nodes = json!([
        { "id": "bad", "type": "source.files" },
        { "id": "check", "type": "check", "expression": "file.size > 1000", "severity": "block", "message": "too short" },
        { "id": "copy", "type": "sink.file", "suffix": ".copy" },
        { "id": "good", "type": "source.files" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "x", "type": "sink.collection", "collection": "x" },
    ]);
    let edges = ["bad > check", "check > copy", "good > read", "read > cut", "cut > x"];
    setup.pipeline("A bad source", &definition(&nodes, &edges)).await;
    let files = setup.upload(&[("a.txt", "The tide turns.")]).await;
    assert_eq!(
        (&files["a.txt"]["state"], &files["a.txt"]["failure"]["code"]),
        (&json!("failed"), &json!("check_failed")),
        "{files:?}"
    );
    assert_eq!(setup.live_chunks().await["x"], ["The tide turns."], "the other source has its results");
    setup.app.stop().await;
}

#[actix_web::test]
async fn limit_of_a_search_counts_its_own_files_only() {
    let setup = Setup::with_worker().await;
    let names = ["a.txt", "b.txt", "c.txt"];
    setup.upload(&names.map(|name| (name, "The tide turns."))).await;
    let filter = json!({ "field": "name", "op": "in", "value": names });
    let nodes = json!([
        { "id": "all", "type": "source.files", "trigger": "manual" },
        { "id": "copies", "type": "sink.file", "suffix": ".all" },
        { "id": "search", "type": "source.search", "filter": filter, "limit": 2 },
        { "id": "found", "type": "sink.file", "suffix": ".found" },
    ]);
    let pipeline = setup.pipeline("Search", &definition(&nodes, &["all > copies", "search > found"])).await;
    setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &json!({})).await.expect(202);
    setup.app.wait_until_no_jobs_are_left().await;
    for (suffix, files) in [("all", 3), ("found", 2)] {
        assert_eq!(setup.app.count(&format!("file where name like '%.{suffix}'")).await, files, "{suffix}");
    }
    setup.app.stop().await;
}
