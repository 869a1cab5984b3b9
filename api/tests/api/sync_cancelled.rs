//! Syncs that are cancelled while their files are processed: the next sync processes these files.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    ModelServer, TestApp, definition, model_response,
    synced::{LOOPBACK, Synced, counts},
    wait_until,
    web_server::{WebResponse, WebServer},
};

/// A service that returns elements as they are, once it is released.
async fn held_service() -> ModelServer {
    let service = ModelServer::start().await;
    service.respond(|request| {
        let items = request.body["data"]["items"].as_array().cloned().unwrap_or_default();
        let items: Vec<_> =
            items.iter().map(|item| json!({ "id": item["id"], "metadata": { "seen": true } })).collect();
        model_response("200", "content-type: application/json\r\n", &json!({ "items": items }).to_string())
    });
    service.hold();
    service
}

fn call_of(service: &ModelServer) -> Value {
    json!({ "id": "step", "type": "http", "url": service.base_url, "requestTimeoutSeconds": 600 })
}

/// Starts a sync, and cancels it when everything is listed and read, and the service holds its files back.
async fn cancel_sync(synced: &Synced, service: &ModelServer) {
    let run = synced.start_sync(json!({})).await;
    let is_read = "run where admitted and objects_pending = 0 and state = 'running'";
    wait_until("the files of the sync wait for the service", async || {
        (!service.requests().is_empty() && synced.app.count(is_read).await == 1).then_some(())
    })
    .await;
    let cancel = synced.path(&format!("runs/{run}/cancel"));
    let cancelled = synced.app.post(&synced.ada, &cancel, &json!({})).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    service.release();
}

#[actix_web::test]
async fn incremental_sync_after_a_cancelled_one_reads_the_objects_of_cancelled_items() {
    let server = WebServer::start().await;
    server.respond(|request| {
        let since = request.parameter("since").unwrap_or_default().replace("%3A", ":");
        let rows = (1..=3).map(|at| {
            let body = format!("The gauge{at} is read.");
            json!({ "id": at, "title": format!("Item {at}"), "body": body, "at": format!("2026-0{at}-01T00:00:00Z") })
        });
        let rows: Vec<_> = rows.filter(|row| row["at"].as_str().unwrap() >= since.as_str()).collect();
        request.target.starts_with("/api/rows").then(|| WebResponse::json(&json!(rows)))
    });
    let service = held_service().await;
    let settings = json!({ "baseUrl": format!("{}/api/", server.url) });
    let mut synced = Synced::start("rest", settings, Value::Null, json!({ "stream": { "path": "rows" } })).await;
    let stream = json!({
        "path": "rows", "name": "/title", "content": "/body", "cursor": { "field": "/at", "parameter": "since" },
    });
    let nodes = json!([
        {
            "id": "in", "type": "source.connection", "connection": synced.connection, "stream": stream,
            "mode": "incremental",
        },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        call_of(&service),
        { "id": "out", "type": "sink.collection" },
    ]);
    let edges = ["in > read", "read > cut", "cut > step", "step > out"];
    synced.pipeline = synced.add_definition("called", &definition(&nodes, &edges)).await;
    cancel_sync(&synced, &service).await;
    assert!(synced.find("gauge2").await.is_empty());

    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [3, 0, 3, 0, 0, 0]), "{run}");
    for at in 1..=3 {
        assert_eq!(synced.find(&format!("gauge{at}")).await, [format!("Item {at}.txt")]);
    }
    let files = synced.files().await;
    assert!(files.iter().all(|file| file["state"] == "ready" && file["version"] == 1), "{files:?}");
    // From the largest cursor on, as always.
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 0, 0]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn sync_after_a_cancelled_one_processes_cancelled_members_again() {
    let folder = tempfile::tempdir().unwrap();
    let mail = "from: ada@example.org\r\nsubject: Tides\r\nmime-version: 1.0\r\n\
                content-type: multipart/mixed; boundary=x\r\n\r\n--x\r\ncontent-type: text/plain\r\n\r\nSee below.\r\n\
                --x\r\ncontent-type: text/plain\r\ncontent-disposition: attachment; filename=\"tide.txt\"\r\n\r\n\
                Spring tides are high.\r\n--x--\r\n";
    fs::write(folder.path().join("report.eml"), mail).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let app = TestApp::start_with_worker(&[LOOPBACK, ("NVISY_OUTBOUND_LOCAL_FOLDERS", &path)]).await;
    let mut synced = Synced::of(app, "local_folder", json!({ "path": path }), Value::Null, json!({})).await;
    let service = held_service().await;
    let nodes = json!([
        { "id": "in", "type": "source.connection", "connection": synced.connection },
        { "id": "open", "type": "unpack" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        call_of(&service),
        { "id": "out", "type": "sink.collection" },
    ]);
    let edges = ["in > open", "open.members > read", "read > cut", "cut > step", "step > out"];
    synced.pipeline = synced.add_definition("members", &definition(&nodes, &edges)).await;
    cancel_sync(&synced, &service).await;
    assert_eq!(synced.app.count("run_item where state = 'cancelled'").await, 1, "the item of the mail has ended");

    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 0, 1, 0, 0, 0]), "{run}");
    assert_eq!(synced.find("spring").await, ["tide.txt"]);
    assert_eq!(counts(&synced.sync().await), [1, 0, 0, 1, 0, 0]);
    synced.app.stop().await;
}
