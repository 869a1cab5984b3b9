//! The list of a workspace's embedding spaces, and the time that a second space is estimated to take.

use nvisy_shared::lifecycle::Lifecycle;
use nvisy_worker::app::Worker;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{OtherModel, TestApp, embedding_settings, part, program, start_embedding_server, wait_until};

/// What a space has of each collection: name, second or not, chunks and vectors.
fn uses(space: &Value) -> Vec<(&str, bool, i64, i64)> {
    let of = |collection: &'static str| move |using: &Value| using[collection].as_i64().unwrap();
    let collections = space["collections"].as_array().unwrap().iter();
    collections
        .map(|using| {
            let (name, is_second) = (using["name"].as_str().unwrap(), using["isSecond"].as_bool().unwrap());
            (name, is_second, of("chunks")(using), of("vectors")(using))
        })
        .collect()
}

#[actix_web::test]
async fn spaces_are_listed_with_their_collections_and_the_processes_that_serve_them() {
    let url = start_embedding_server().await;
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models.json");
    let wide = json!([{ "provider": "openai", "url": url, "model": "wide", "dimensions": 4 }]);
    std::fs::write(&models, wide.to_string()).unwrap();
    let file = ("NVISY_EMBEDDING_MODELS_FILE", models.to_str().unwrap());
    let settings = [&embedding_settings(&url, "small")[..], &[file]].concat();
    let app = TestApp::start_with(&settings).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}");
    let (spaces, second) = (format!("{path}/spaces"), format!("{path}/collections/default/second-space"));
    let estimate =
        async || app.post(&ada, &format!("{second}/estimate"), &json!({ "model": "wide" })).await.expect(200);

    let list = app.get(&ada, &spaces).await.expect(200);
    let [only] = list["items"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&only["space"]["model"], &only["space"]["dimensions"]), (&json!("small"), &json!(4)), "{only}");
    assert_eq!((&only["servesQueries"], &only["servesPassages"]), (&json!(true), &json!(false)), "no worker runs");
    assert_eq!(estimate().await["seconds"], 0, "there is nothing to embed");

    let notes = json!({ "name": "notes", "model": "wide" });
    app.post(&ada, &format!("{path}/collections"), &notes).await.expect(201);
    let lifecycle = Lifecycle::new();
    let worker = Worker::build(app.config().clone(), program("nvisy-worker")).await.unwrap();
    let worker = tokio::spawn(worker.run(lifecycle.clone()));
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Seals rest on sand.")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap();
    assert_eq!(app.finished_file(&ada, &workspace, file).await["state"], "ready");
    assert_eq!(estimate().await.get("seconds"), None, "the speed of the model is not known");
    app.post(&ada, &second, &json!({ "model": "wide" })).await.expect(201);
    app.wait_until_no_jobs_are_left().await;
    let list = wait_until("the worker is registered", async || {
        let list = app.get(&ada, &spaces).await.expect(200);
        (list["items"][0]["servesPassages"] == true).then_some(list)
    })
    .await;
    let [wide, small] = list["items"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&wide["space"]["model"], &small["space"]["model"]), (&json!("wide"), &json!("small")), "{list}");
    assert_eq!(uses(wide), [("default", true, 1, 1), ("notes", false, 0, 0)], "{wide}");
    assert_eq!((&wide["chunks"], &wide["vectors"]), (&json!(1), &json!(1)), "{wide}");
    assert_eq!(uses(small), [("default", false, 1, 1)], "{small}");
    assert_eq!((&small["servesQueries"], &small["servesPassages"]), (&json!(true), &json!(true)), "{small}");

    let page = app.get(&ada, &format!("{spaces}?limit=1")).await.expect(200);
    assert_eq!(page["items"], json!([wide]));
    let cursor = page["nextCursor"].as_str().unwrap();
    let page = app.get(&ada, &format!("{spaces}?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((&page["items"], page.get("nextCursor")), (&json!([small]), None));

    // The worker has measured the model, and its vectors are gone.
    assert_eq!(app.delete(&ada, &second).await.status, 204);
    app.wait_until_no_jobs_are_left().await;
    let seconds = wait_until("the estimate has a time", async || estimate().await["seconds"].as_i64()).await;
    assert!(seconds >= 1, "{seconds}");
    let list = app.get(&ada, &spaces).await.expect(200);
    assert_eq!(uses(&list["items"][0]), [("notes", false, 0, 0)], "{list}");

    // Another API has none of the models, and the worker that has them stops.
    lifecycle.soft().cancel();
    assert!(worker.await.unwrap(), "the worker had to release jobs");
    let other = OtherModel::start(&app, &url, "large").await;
    let list = other.request(&app, &ada, Method::GET, &spaces, &Value::Null).await.expect(200);
    for space in list["items"].as_array().unwrap() {
        assert_eq!((&space["servesQueries"], &space["servesPassages"]), (&json!(false), &json!(false)), "{space}");
    }
    other.stop().await;
    app.stop().await;
}
