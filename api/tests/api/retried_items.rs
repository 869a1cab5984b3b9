//! Items that begin again: nothing of an earlier attempt is among what they write.

use serde_json::{Value, json};

use crate::{
    support::{ModelServer, Setup, TestApp, definition, targets::connect, wait_until},
    table_targets::postgres_settings,
};

/// Titles of documents, by a model, into a table.
fn titles_into(model: &str, database: &str) -> Value {
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "read", "type": "partition" },
        { "id": "title", "type": "title", "connection": model },
        { "id": "out", "type": "sink.connection", "connection": database, "into": "outside.titles",
          "fields": { "title": "metadata.title" } },
    ]);
    definition(&nodes, &["in > read", "read > title", "title > out"])
}

/// A file whose title the model `m-1` has given, and that failed because there is no table; returns the connection to the model.
async fn failed_at_the_table(setup: &Setup, server: &ModelServer) -> (String, Value) {
    setup.app.sql("create schema outside").await;
    server.answer(json!({ "title": "First" }));
    let settings = json!({ "model": "m-1", "baseUrl": server.base_url });
    let model = connect(setup, "openai", settings, json!({ "apiKey": "hunter2" })).await;
    let (settings, credentials) = postgres_settings(setup);
    let database = connect(setup, "postgresql", settings, credentials).await;
    setup.pipeline("Titles", &titles_into(&model, &database)).await;
    let file = setup.upload(&[("a.txt", "The tide turns.")]).await["a.txt"].clone();
    assert_eq!(file["failure"]["code"], "target_mismatch", "{file}");
    (model, file)
}

/// Creates the table, retries, and returns the titles in the table.
async fn titles_after_retry(setup: &Setup, file: &Value) -> Vec<String> {
    setup.app.sql("create table outside.titles (id uuid primary key, text text not null, title text not null)").await;
    let retried = setup.app.post(&setup.ada, &setup.path("items/retry"), &json!({})).await.expect(202);
    assert_eq!(retried["items"], 1, "{retried}");
    let path = format!("files/{}", file["id"].as_str().unwrap());
    wait_until("the file is ready", async || (setup.get(&path).await["state"] == "ready").then_some(())).await;
    let rows = setup.app.rows("select title from outside.titles").await;
    rows.iter().map(|row| row.try_get("", "title").unwrap()).collect()
}

#[actix_web::test]
async fn retried_item_writes_the_answers_of_its_last_attempt() {
    let setup = Setup::with_worker().await;
    let server = ModelServer::start().await;
    let (model, file) = failed_at_the_table(&setup, &server).await;
    server.answer(json!({ "title": "Second" }));
    let other = json!({ "settings": { "model": "m-2", "baseUrl": server.base_url } });
    setup.patch(&format!("connections/{model}"), &other).await;
    assert_eq!(titles_after_retry(&setup, &file).await, ["Second"]);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn job_that_a_failed_item_has_left_is_none_of_its_next_attempt() {
    let setup = Setup::with_worker().await;
    let server = ModelServer::start().await;
    let (_, file) = failed_at_the_table(&setup, &server).await;
    // A unit that waits for its next attempt, while another one has failed the item.
    setup
        .app
        .sql(
            "insert into job (id, workspace_id, kind, version, lane, payload, run_id, run_at)
             select gen_random_uuid(), workspace_id, 'run.segment', 2, 'model', jsonb_build_object(
                 'run', run_id, 'item', id, 'segment', 1, 'units', jsonb_build_object('first', 0, 'end', 1)),
                 run_id, now() + interval '1 day' from run_item where state = 'failed'",
        )
        .await;
    assert_eq!(titles_after_retry(&setup, &file).await, ["First"]);
    assert_eq!(setup.app.count("job where kind = 'run.segment'").await, 0);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn item_waits_for_a_stored_output_that_is_incomplete() {
    let setup = Setup::of(TestApp::start_with_worker(&[("NVISY_QUEUE_ATTEMPTS", "50")]).await).await;
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "vec", "type": "embed" },
        { "id": "out", "type": "sink.collection" },
    ]);
    setup.pipeline("Vectors", &definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > out"])).await;
    // Puts all parts where no job looks for them.
    setup
        .app
        .sql(
            "create function move_part() returns trigger language plpgsql as $$
                 begin
                     new.first := new.first + 1000000;
                     return new;
                 end $$;
             create trigger part_moved before insert on artifact_part for each row execute function move_part()",
        )
        .await;
    let accepted = setup.app.upload_as(&setup.ada, &setup.workspace, "a", "The tide turns.").await;
    let waits = "job where last_error like '%a stored output is incomplete%'";
    wait_until("the job is retried", async || (setup.app.count(waits).await == 1).then_some(())).await;
    setup.app.sql("drop trigger part_moved on artifact_part").await;
    setup.app.sql("update artifact_part set first = first - 1000000").await;
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, accepted["id"].as_str().unwrap()).await;
    assert_eq!(file["state"], "ready", "{file}");
    assert_eq!(setup.live_chunks().await["default"], ["The tide turns."]);
    setup.app.stop().await;
}
