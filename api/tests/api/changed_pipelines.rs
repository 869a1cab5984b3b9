//! Pipelines that are changed, disabled or deleted while a run of them waits for a service.

use serde_json::{Value, json};

use crate::support::{ModelServer, Setup, definition, model_response, part, wait_until};

/// Passes everything on.
async fn service() -> ModelServer {
    let server = ModelServer::start().await;
    server.respond(|request| {
        let items = request.body["data"]["items"].as_array().unwrap().iter().map(|item| json!({ "id": item["id"] }));
        model_response("200", "", &json!({ "items": items.collect::<Vec<_>>() }).to_string())
    });
    server
}

/// Writes uploads to a collection after two calls of the service, each in a job of its own.
fn calling(server: &ModelServer, collection: &str) -> Value {
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "step", "type": "http", "url": server.base_url, "requestTimeoutSeconds": 600 },
        { "id": "again", "type": "http", "url": server.base_url },
        { "id": "out", "type": "sink.collection", "collection": collection },
    ]);
    definition(&nodes, &["in > read", "read > cut", "cut > step", "step > again", "again > out"])
}

/// Uploads a file and waits until as many calls have been made; returns the file's id.
async fn upload_and_wait_for_call(setup: &Setup, server: &ModelServer, name: &str, calls: usize) -> String {
    let content = part(name, format!("The tide of {name} turns twice a day."));
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![content]).await.expect(202);
    wait_until("a call is in progress", async || (server.requests().len() == calls).then_some(())).await;
    accepted["items"][0]["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn run_goes_on_with_its_version_when_its_pipeline_is_changed_and_disabled() {
    let setup = Setup::with_worker().await;
    setup.collection("first").await;
    setup.collection("second").await;
    let server = service().await;
    let pipeline = setup.pipeline("Calling", &calling(&server, "first")).await;
    server.hold();
    let file = upload_and_wait_for_call(&setup, &server, "a.txt", 1).await;
    let change = json!({ "definition": calling(&server, "second"), "state": "disabled" });
    let changed = setup.patch(&pipeline, &change).await;
    assert_eq!((&changed["version"], &changed["state"]), (&json!(2), &json!("disabled")), "{changed}");
    server.release();
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &file).await;
    assert_eq!((&file["state"], &file["chunkCount"]), (&json!("ready"), &json!(1)), "{file}");
    let runs = setup.get("runs").await;
    let run = &runs["items"][0];
    assert_eq!((&run["pipelineVersion"], &run["state"]), (&json!(1), &json!("completed")), "{run}");
    let found = setup.live_chunks().await;
    assert_eq!((found["first"].len(), found.get("second")), (1, None), "{found:?}");

    // Nothing starts it while it is disabled; then its new version runs.
    setup.upload(&[("b.txt", "The ebb begins.")]).await;
    setup.patch(&pipeline, &json!({ "state": "enabled" })).await;
    setup.upload(&[("c.txt", "The moon rises.")]).await;
    let found = setup.live_chunks().await;
    assert_eq!((found["first"].len(), &found["second"]), (1, &vec!["The moon rises.".to_owned()]), "{found:?}");
    assert_eq!(setup.get("runs").await["items"].as_array().unwrap().len(), 2);
    setup.app.stop().await;
}

#[actix_web::test]
async fn files_are_finished_when_their_pipeline_is_deleted_in_the_middle_of_a_run() {
    let setup = Setup::with_worker().await;
    setup.collection("first").await;
    let server = service().await;
    server.hold();
    let delete = async |pipeline: &str| {
        assert_eq!(setup.app.delete(&setup.ada, &setup.path(pipeline)).await.status, 204);
    };
    // Nothing else processes the file.
    let pipeline = setup.pipeline("Alone", &calling(&server, "first")).await;
    let file = upload_and_wait_for_call(&setup, &server, "a.txt", 1).await;
    delete(&pipeline).await;
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &file).await;
    assert_eq!((&file["state"], &file["failure"]["code"]), (&json!("failed"), &json!("cancelled")), "{file}");
    wait_until("the call has ended", async || (server.abandoned() == 1).then_some(())).await;

    // Another pipeline does.
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection" },
    ]);
    setup.pipeline("Indexing", &definition(&nodes, &["in > read", "read > cut", "cut > out"])).await;
    let pipeline = setup.pipeline("Beside", &calling(&server, "first")).await;
    let file = upload_and_wait_for_call(&setup, &server, "b.txt", 2).await;
    wait_until("the other pipeline is done", async || {
        let completed = setup.get("runs?state=completed").await;
        (!completed["items"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    delete(&pipeline).await;
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &file).await;
    assert_eq!((&file["state"], &file["chunkCount"]), (&json!("ready"), &json!(1)), "{file}");
    wait_until("the call has ended", async || (server.abandoned() == 2).then_some(())).await;

    let runs = setup.get("runs").await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 1, "{runs}");
    assert_eq!(setup.live_chunks().await.into_keys().collect::<Vec<_>>(), ["default"]);
    let sql = "select type from event where type in ('run.ended', 'pipeline.deleted') order by seq";
    let events: Vec<String> = setup.app.rows(sql).await.iter().map(|row| row.try_get("", "type").unwrap()).collect();
    assert_eq!(events, ["run.ended", "pipeline.deleted", "run.ended", "pipeline.deleted"]);
    assert_eq!(server.requests().len(), 2);
    server.release();
    setup.app.stop().await;
}
