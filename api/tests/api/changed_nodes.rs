//! What runs again after a node of a graph has changed: the node and everything that depends on it, and nothing else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use crate::support::{
    Setup, definition, part,
    web_server::{WebResponse, WebServer},
};

const FILES: usize = 3;
/// The nodes whose outputs are kept.
const KEPT: [&str; 6] = ["read", "language", "sections", "pieces", "tongue", "step"];

/// Two branches behind the same nodes: sections, and pieces that a service sees.
fn graph(url: &str) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files", "trigger": "manual" },
            { "id": "read", "type": "partition" },
            { "id": "language", "type": "language" },
            { "id": "sections", "type": "chunk.section" },
            { "id": "outSections", "type": "sink.collection", "collection": "sections" },
            { "id": "pieces", "type": "chunk.characters", "maxCharacters": 90 },
            { "id": "tongue", "type": "language" },
            { "id": "step", "type": "http", "url": url, "pure": true },
            { "id": "outPieces", "type": "sink.collection", "collection": "pieces" },
        ]),
        &[
            "in > read",
            "read > language",
            "language > sections",
            "sections > outSections",
            "language > pieces",
            "pieces > tongue",
            "tongue > step",
            "step > outPieces",
        ],
    )
}

/// A service that keeps every element; counts its calls.
async fn service() -> (WebServer, Arc<AtomicUsize>) {
    let (server, calls) = (WebServer::start().await, Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&calls);
    server.respond(move |request| {
        counter.fetch_add(1, Ordering::Relaxed);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let items = body["data"]["items"].as_array().unwrap().iter().map(|item| json!({ "id": item["id"] }));
        Some(WebResponse::json(&json!({ "items": items.collect::<Vec<_>>() })))
    });
    (server, calls)
}

/// A run over all files; returns it, and for how many items each node was computed.
async fn run(setup: &Setup, pipeline: &str) -> (Value, BTreeMap<String, usize>) {
    let path = setup.start_run(pipeline).await;
    let ended = setup.ended_run(&path).await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(FILES)), "{ended}");
    let items = setup.get(&format!("{path}/items")).await;
    let mut computed = BTreeMap::new();
    for node in items["items"].as_array().unwrap().iter().flat_map(|item| item["nodes"].as_array().unwrap()) {
        *computed.entry(node["node"].as_str().unwrap().to_owned()).or_default() += usize::from(node["reused"] == false);
    }
    (ended, computed)
}

#[actix_web::test]
async fn changed_node_and_its_dependants_run_again_and_no_other() {
    let setup = Setup::with_worker().await;
    setup.collection("sections").await;
    setup.collection("pieces").await;
    let (server, calls) = service().await;
    let mut definition = graph(&server.url);
    let pipeline = setup.pipeline("Two branches", &definition).await;
    let texts = (0..FILES).map(|n| {
        part(&format!("{n}.md"), format!("# Gauge {n}\n\nThe water rises.\n\n# Tide {n}\n\nIt turns twice a day."))
    });
    setup.app.upload(&setup.ada, &setup.workspace, texts.collect()).await.expect(202);
    let (_, computed) = run(&setup, &pipeline).await;
    assert_eq!(computed.len(), 9, "{computed:?}");
    assert!(computed.values().all(|items| *items == FILES), "{computed:?}");
    assert_eq!(calls.load(Ordering::Relaxed), FILES);

    let changes: [(&str, &str, Value, &[&str]); 7] = [
        // Nothing changes.
        ("step", "batchSize", json!(16), &[]),
        ("step", "requestTimeoutSeconds", json!(29), &["step"]),
        ("tongue", "minConfidence", json!(0.25), &["tongue", "step"]),
        ("pieces", "maxCharacters", json!(80), &["pieces", "tongue", "step"]),
        ("sections", "maxTokens", json!(100), &["sections"]),
        ("language", "minConfidence", json!(0.75), &["language", "sections", "pieces", "tongue", "step"]),
        ("read", "partial", json!(true), &KEPT),
    ];
    for (node, setting, value, expected) in changes {
        let nodes = definition["nodes"].as_array_mut().unwrap();
        nodes.iter_mut().find(|of| of["id"] == node).unwrap()[setting] = value;
        setup.patch(&pipeline, &json!({ "definition": definition })).await;
        let called = calls.load(Ordering::Relaxed);
        let (run, computed) = run(&setup, &pipeline).await;
        for kept in KEPT {
            let items = if expected.contains(&kept) { FILES } else { 0 };
            assert_eq!(computed[kept], items, "{kept}, after a change of {node}: {computed:?}");
        }
        let (recomputed, reused) = (expected.len() * FILES, (KEPT.len() - expected.len()) * FILES);
        assert_eq!((&run["recomputed"], &run["reused"]), (&json!(recomputed), &json!(reused)), "{node}: {run}");
        // The far end agrees.
        let of_step = if expected.contains(&"step") { FILES } else { 0 };
        assert_eq!(calls.load(Ordering::Relaxed) - called, of_step, "calls, after a change of {node}");
    }
    assert_eq!(setup.live_chunks().await["sections"].len(), 2 * FILES);
    setup.app.stop().await;
}
