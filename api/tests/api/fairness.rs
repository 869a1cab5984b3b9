//! Short files behind a long one, and uploads behind a run over many files: each tenant and each file gets its turn.

use serde_json::{Value, json};

use crate::support::{ModelServer, Setup, TestAccount, TestApp, definition, model_response, part, wait_until};

/// Text of about `chunks` chunks.
fn long_text(chunks: usize) -> String {
    (0..chunks * 24).map(|n| format!("Reading {n}: the water stood at {} centimetres.\n", (n * 37) % 911)).collect()
}

/// Uploads a long file and waits until its first vectors are written. Returns its id.
async fn start_long_file(app: &TestApp, ada: &TestAccount, workspace: &str) -> String {
    let accepted = app.upload(ada, workspace, vec![part("long.txt", long_text(240))]).await.expect(202);
    wait_until("embedding has begun", async || (app.count("embedding").await > 0).then_some(())).await;
    accepted["items"][0]["id"].as_str().unwrap().to_owned()
}

/// The chunks of the long file that get their vectors between the upload of a short file and its readiness.
async fn overtaken_by_short_file(app: &TestApp, ada: &TestAccount, workspace: &str) -> i64 {
    let before = app.count("embedding").await;
    let accepted =
        app.upload(ada, workspace, vec![part("short.txt", "The seal was replaced in May.")]).await.expect(202);
    let file = app.finished_file(ada, workspace, accepted["items"][0]["id"].as_str().unwrap()).await;
    assert_eq!(file["state"], "ready", "{file}");
    app.count("embedding").await - before
}

#[actix_web::test]
async fn short_file_waits_for_no_long_one_of_its_own_or_another_workspace() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Gauges").await;
    let long = start_long_file(&app, &ada, &workspace).await;
    // Jobs in progress and those published ahead finish first; the hundreds behind them do not.
    let same = overtaken_by_short_file(&app, &ada, &workspace).await;
    let other_workspace = app.create_workspace(&ada, "Turbines").await;
    let other = overtaken_by_short_file(&app, &ada, &other_workspace).await;
    let state = app.file(&ada, &workspace, &long).await["state"].clone();
    assert_eq!(state, "processing", "the short files were ready before the long one");
    assert!(same <= 100, "{same} chunks of the long file came before the short one in the same workspace");
    assert!(other <= 100, "{other} chunks of the long file came before the short one in another workspace");
    // The long file goes on, too. The rest of its vectors would take most of the time of this test.
    let before = app.count("embedding").await;
    wait_until("the long file goes on", async || {
        let is_ready = app.file(&ada, &workspace, &long).await["state"] == "ready";
        (is_ready || app.count("embedding").await > before).then_some(())
    })
    .await;
    let path = format!("/api/v1/workspaces/{workspace}/files/{long}");
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    app.wait_until_no_jobs_are_left().await;
    app.stop().await;
}

/// A pipeline that sends each file to a service of one's own.
fn service(server: &ModelServer, trigger: &str) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files", "trigger": trigger },
            { "id": "read", "type": "partition" },
            { "id": "step", "type": "http", "url": server.base_url },
            { "id": "out", "type": "sink.file", "suffix": ".out.json", "format": "json" },
        ]),
        &["in > read", "read > step", "step > out"],
    )
}

#[actix_web::test]
async fn upload_overtakes_the_files_of_a_run() {
    const FILES: i64 = 15;
    let setup = Setup::of(TestApp::start_with_worker(&[("NVISY_WORKER_MODEL_SLOTS", "1")]).await).await;
    let server = ModelServer::start().await;
    server.respond(|request| {
        let items = json!([{ "id": request.body["data"]["items"][0]["id"], "metadata": { "seen": true } }]);
        model_response("200", "", &json!({ "items": items }).to_string())
    });
    let parts = (0..FILES).map(|n| part(&format!("{n}.txt"), format!("Gauge {n} was read."))).collect();
    setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    let manual = setup.pipeline("Existing files", &service(&server, "manual")).await;
    setup.pipeline("Uploads", &service(&server, "upload")).await;

    server.hold();
    setup.app.post(&setup.ada, &setup.path(&format!("{manual}/runs")), &json!({})).await.expect(202);
    let waiting = async |trigger: &str| {
        let jobs = format!("job j join run r on r.id = j.run_id where r.trigger = '{trigger}' and j.lane = 'model'");
        setup.app.count(&jobs).await
    };
    wait_until("all files of the run wait for the service", async || (waiting("manual").await == FILES).then_some(()))
        .await;
    let uploaded = part("late.txt", "The gauge was replaced in May.");
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![uploaded]).await.expect(202);
    wait_until("the upload waits, too", async || (waiting("upload").await == 1).then_some(())).await;
    server.release();
    let late = accepted["items"][0]["id"].as_str().unwrap();
    let late = setup.app.finished_file(&setup.ada, &setup.workspace, late).await;
    assert_eq!(late["state"], "ready", "{late}");
    setup.app.wait_until_no_jobs_are_left().await;
    // One file was in progress, two were published ahead, and of four turns one is that of the oldest job.
    let behind = "run_item i join run r on r.id = i.run_id, run_item late join run u on u.id = late.run_id
        where r.trigger = 'manual' and u.trigger = 'upload' and i.finished_at > late.finished_at";
    let behind = setup.app.count(behind).await;
    assert!(behind >= FILES / 3, "the upload came before only {behind} of {FILES} files");
    setup.app.stop().await;
}
