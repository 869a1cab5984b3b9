//! Short files behind a long one: each tenant and each file gets its turn.

use crate::support::{TestAccount, TestApp, part, wait_until};

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
