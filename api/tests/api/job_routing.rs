//! Jobs of collections whose model only some of the workers have.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{OtherModel, TestAccount, TestApp, embedding_settings, part, start_embedding_server, wait_until};

/// Records each wait that is longer than a few seconds.
const RECORD_WAITS: [&str; 3] = [
    "create table long_wait (reason text)",
    "create function record_wait() returns trigger language plpgsql as $$ begin
         insert into long_wait values (new.last_error); return null; end $$",
    "create trigger record_wait after update on job for each row
         when (new.state = 'waiting' and new.run_at > now() + interval '5 seconds') execute function record_wait()",
];

async fn upload(app: &TestApp, ada: &TestAccount, workspace: &str, name: &str) -> String {
    let accepted = app.upload(ada, workspace, vec![part(name, format!("Seals rest on {name}."))]).await.expect(202);
    accepted["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn workers_are(app: &TestApp, count: i64) {
    wait_until("all workers are registered", async || (app.count("worker").await == count).then_some(())).await;
}

async fn waiting_reason(app: &TestApp, ada: &TestAccount, workspace: &str, file: &str) -> String {
    wait_until("the file says why it waits", async || {
        app.file(ada, workspace, file).await["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await
}

#[actix_web::test]
async fn jobs_go_to_the_worker_that_has_the_model_without_a_long_wait() {
    let url = start_embedding_server().await;
    let mut app = TestApp::start_with(&embedding_settings(&url, "small")).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    for sql in RECORD_WAITS {
        app.sql(sql).await;
    }
    let others = [OtherModel::start(&app, &url, "large").await, OtherModel::start(&app, &url, "large").await];
    app.start_worker().await;
    workers_are(&app, 3).await;
    let mut files = Vec::new();
    for number in 0..12 {
        files.push(upload(&app, &ada, &workspace, &format!("{number}.txt")).await);
    }
    for file in &files {
        assert_eq!(app.finished_file(&ada, &workspace, file).await["state"], "ready");
    }
    assert_eq!((app.count("long_wait").await, app.count("dead_job").await), (0, 0));
    assert_eq!(app.count("embedding").await, 12);
    for other in others {
        other.stop().await;
    }
    // A worker that stops is no longer waited for.
    workers_are(&app, 1).await;
    app.stop().await;
}

#[actix_web::test]
async fn file_says_which_model_it_waits_for_and_goes_on_with_the_first_worker_that_has_it() {
    let url = start_embedding_server().await;
    let mut app = TestApp::start_with(&embedding_settings(&url, "small")).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let other = OtherModel::start(&app, &url, "large").await;
    workers_are(&app, 1).await;
    let file = upload(&app, &ada, &workspace, "a.txt").await;
    let reason = waiting_reason(&app, &ada, &workspace, &file).await;
    assert!(reason.contains("a worker with the embedding model `small`"), "{reason}");
    assert_eq!(app.count("job where attempts = 0 and state = 'waiting'").await, 1, "no attempt is spent");
    // The first worker with the model does not wait for the next try.
    app.sql("update job set run_at = now() + interval '1 hour' where spaces is not null").await;
    app.start_worker().await;
    let file = app.finished_file(&ada, &workspace, &file).await;
    assert_eq!((&file["state"], file.get("waiting")), (&json!("ready"), None), "{file}");
    other.stop().await;
    app.stop().await;
}

#[actix_web::test]
async fn job_that_needs_the_models_of_two_workers_waits_instead_of_going_to_and_fro() {
    let url = start_embedding_server().await;
    let mut app = TestApp::start_with(&embedding_settings(&url, "small")).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let other = OtherModel::start(&app, &url, "large").await;
    app.start_worker().await;
    workers_are(&app, 2).await;
    let second = format!("/api/v1/workspaces/{workspace}/collections/default/second-space");
    other.request(&app, &ada, Method::POST, &second, &json!({ "model": "large" })).await.expect(201);
    app.wait_until_no_jobs_are_left().await;
    let file = upload(&app, &ada, &workspace, "a.txt").await;
    let both = "job where state = 'waiting' and cardinality(spaces) = 2 and attempts = 0";
    wait_until("the job waits for both models", async || (app.count(both).await == 1).then_some(())).await;
    let reason = waiting_reason(&app, &ada, &workspace, &file).await;
    assert!(reason.contains("embedding model"), "{reason}");
    // Without the second space the job needs one model, which it learns at its next try.
    assert_eq!(other.request(&app, &ada, Method::DELETE, &second, &Value::Null).await.status, 204);
    app.sql("update job set run_at = now() where state = 'waiting'").await;
    assert_eq!(app.finished_file(&ada, &workspace, &file).await["state"], "ready");
    app.wait_until_no_jobs_are_left().await;
    other.stop().await;
    app.stop().await;
}
