//! Searches of the past: versions that were replaced, for a number of days or for snapshots.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nvisy_shared::{clock, lifecycle::Lifecycle};
use nvisy_worker::{app::Worker, maintenance::Schedule};
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, program, wait_until};

const OLD: &str = "Grey seals rest on the sandbank.";
const NEW: &str = "The turbine was repaired in autumn.";
const OTHER: &str = "Harbour seals sleep near the turbine.";

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
}

impl Setup {
    async fn new() -> Self {
        Self::of(TestApp::start_with_worker(&[]).await).await
    }

    async fn of(app: TestApp) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        Self { app, ada, workspace }
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.app.post(&self.ada, &self.path(path), body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(&self.ada, &self.path(path)).await.expect(200)
    }

    /// Uploads a version of a file, and waits until it is indexed.
    async fn upload(&self, external_id: &str, content: &str) -> Value {
        let accepted = self.app.upload_as(&self.ada, &self.workspace, external_id, content).await;
        let id = accepted["id"].as_str().unwrap();
        let file = self.app.finished_file(&self.ada, &self.workspace, id).await;
        assert_eq!(file["state"], "ready", "{file}");
        file
    }

    async fn keep(&self, days: u32) -> Value {
        self.app.patch(&self.ada, &self.path("collections/default"), &json!({ "historyDays": days })).await.expect(200)
    }

    async fn search(&self, body: &Value) -> Value {
        self.post("search", body).await.expect(200)
    }

    /// The texts of the hits, in the order of the alphabet.
    async fn found(&self, body: &Value) -> Vec<String> {
        texts(&self.search(body).await)
    }
}

fn texts(response: &Value) -> Vec<String> {
    let groups = response["groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["hits"].as_array().unwrap());
    let hits = response["hits"].as_array().unwrap().iter().chain(grouped);
    let mut texts: Vec<String> = hits.map(|hit| hit["snippet"]["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

/// The body with `asOf`.
fn as_of(body: &Value, time: impl serde::Serialize) -> Value {
    let mut body = body.clone();
    body["asOf"] = json!(time);
    body
}

#[actix_web::test]
async fn search_of_a_past_time_finds_the_version_of_that_time_in_all_modes() {
    let setup = Setup::new().await;
    let collection = setup.keep(30).await;
    assert_eq!(collection["historyDays"], 30);
    assert!(collection["historySince"].is_string(), "{collection}");
    let file = setup.upload("changing", OLD).await;
    let other = setup.upload("constant", OTHER).await;
    let words = json!({ "query": "seals sandbank turbine", "mode": "text" });
    let before = setup.search(&words).await;
    assert_eq!(texts(&before), [OLD, OTHER]);
    let similar = json!({ "file": other["id"] });
    let old_chunk = texts_and_chunks(&before).into_iter().find(|(text, _)| text == OLD).unwrap().1;
    let time = clock::now();
    let new = setup.upload("changing", NEW).await;
    assert_eq!(new["id"], file["id"]);

    for mode in ["text", "vector", "hybrid"] {
        let body = json!({ "query": "seals turbine", "mode": mode, "explain": true });
        assert_eq!(setup.found(&body).await, [OTHER, NEW], "{mode}");
        let past = setup.search(&as_of(&body, time)).await;
        assert_eq!(texts(&past), [OLD, OTHER], "{mode}");
        assert_eq!(past.get("degraded"), None, "{past}");
        let at: DateTime<Utc> = past["asOf"].as_str().unwrap().parse().unwrap();
        assert_eq!(at.timestamp_micros(), time.timestamp_micros());
        for changes in [
            json!({ "filter": { "field": "mediaType", "op": "eq", "value": "text/plain" } }),
            json!({ "collections": ["default"] }),
            json!({ "groupBy": "file" }),
            json!({ "pinned": [file["id"]] }),
            json!({ "boosts": [{ "filter": { "field": "name", "op": "eq", "value": "x" }, "factor": 2 }] }),
            json!({ "rerank": "neighbours", "verify": true }),
        ] {
            let mut body = as_of(&body, time);
            body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            assert_eq!(setup.found(&body).await, [OLD, OTHER], "{body}");
        }
    }
    // Words of one version only.
    let only = async |word: &str, time: Option<DateTime<Utc>>| {
        let body = json!({ "query": word, "mode": "text" });
        setup.found(&time.map_or(body.clone(), |time| as_of(&body, time))).await
    };
    assert_eq!((only("sandbank", None).await, only("autumn", None).await), (vec![], vec![NEW.to_owned()]));
    assert_eq!((only("sandbank", Some(time)).await, only("autumn", Some(time)).await), (vec![OLD.to_owned()], vec![]));
    assert_eq!(only("\"grey seals\"", Some(time)).await, [OLD]);
    assert_eq!(only("seals -sandbank", Some(time)).await, [OTHER]);
    // The scores of words are those that the search had then.
    let past = setup.search(&as_of(&words, time)).await;
    assert_eq!(scores(&past), scores(&before));
    // Context, facets, similar passages, batches.
    let body = json!({ "query": "sandbank", "mode": "text", "expand": { "neighbours": 1 }, "facets": ["mediaType", "language"] });
    let past = setup.search(&as_of(&body, time)).await;
    assert_eq!(past["hits"][0]["context"]["passages"][0]["text"], OLD, "{past}");
    assert_eq!(past["facets"][0]["values"][0]["files"], 2, "{past}");
    let now = setup.post("search/similar", &similar).await.expect(200);
    let past = setup.post("search/similar", &as_of(&similar, time)).await.expect(200);
    assert_eq!((texts(&now), texts(&past)), (vec![NEW.to_owned()], vec![OLD.to_owned()]));
    let of_chunk = json!({ "chunk": old_chunk });
    setup.post("search/similar", &of_chunk).await.problem(404, "not_found");
    let past = setup.post("search/similar", &as_of(&of_chunk, time)).await.expect(200);
    assert_eq!(texts(&past), [OTHER]);
    let batch = json!({ "searches": [words, as_of(&words, time), as_of(&words, "2026-01-01")] });
    let results = setup.post("search/batch", &batch).await.expect(200)["results"].clone();
    assert_eq!(texts(&results[0]["response"]), [OTHER, NEW]);
    assert_eq!(texts(&results[1]["response"]), [OLD, OTHER]);
    assert_eq!(results[2]["status"], 404, "a name that no snapshot has: {results}");
    // Pages of a search are of one time.
    let page = as_of(&json!({ "query": "seals", "mode": "text", "limit": 1 }), time);
    let first = setup.search(&page).await;
    let mut next = page.clone();
    next["cursor"] = first["nextCursor"].clone();
    let mut both = [texts(&first), setup.found(&next).await].concat();
    both.sort();
    assert_eq!(both, [OLD, OTHER]);
    next.as_object_mut().unwrap().remove("asOf");
    setup.post("search", &next).await.problem(400, "invalid_cursor");

    // A collection counts passages of now; a workspace counts what is stored.
    assert_eq!(setup.get("collections/default").await["usage"], json!({ "files": 2, "chunks": 2, "vectors": 2 }));
    assert_eq!(setup.get("usage").await["chunks"]["used"], 3);
    // A deleted file has no past.
    let path = setup.path(&format!("files/{}", file["id"].as_str().unwrap()));
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    assert_eq!(setup.found(&as_of(&words, time)).await, [OTHER]);
    setup.app.stop().await;
}

fn texts_and_chunks(response: &Value) -> Vec<(String, Value)> {
    let hits = response["hits"].as_array().unwrap().iter();
    hits.map(|hit| (hit["snippet"]["text"].as_str().unwrap().to_owned(), hit["chunkId"].clone())).collect()
}

/// The score by words of each hit.
fn scores(response: &Value) -> Vec<(Value, String)> {
    let hits = response["hits"].as_array().unwrap().iter();
    hits.map(|hit| (hit["chunkId"].clone(), format!("{:.9}", hit["scores"]["text"].as_f64().unwrap()))).collect()
}

#[actix_web::test]
async fn times_that_are_not_kept_are_rejected() {
    let setup = Setup::new().await;
    let body = json!({ "query": "seals", "mode": "text" });
    setup.upload("changing", OLD).await;
    let before = clock::now();
    let problem = setup.post("search", &as_of(&body, before)).await.problem(409, "history_not_kept");
    assert!(problem["detail"].as_str().unwrap().contains("`default`"), "{problem}");
    // Before its creation, a collection had nothing.
    assert_eq!(setup.found(&as_of(&body, "2020-01-01T00:00:00Z")).await, Vec::<String>::new());
    setup.keep(7).await;
    let kept = clock::now();
    assert_eq!(setup.found(&as_of(&body, kept)).await, [OLD]);
    setup.post("search", &as_of(&body, before)).await.problem(409, "history_not_kept");
    for invalid in
        [json!(kept + chrono::Days::new(1)), json!("2026-13-01T00:00:00Z"), json!("No name"), json!(""), Value::Null]
    {
        setup.post("search", &as_of(&body, &invalid)).await.problem(422, "invalid_body");
    }
    // A snapshot of a past time needs what the search needs.
    let create =
        async |name: &str, at: DateTime<Utc>| setup.post("snapshots", &json!({ "name": name, "at": at })).await;
    create("early", before).await.problem(409, "history_not_kept");
    create("late", kept + chrono::Days::new(1)).await.problem(422, "invalid_body");
    create("kept", kept).await.expect(201);
    // Without a history, the time of the snapshot remains.
    setup.keep(0).await;
    setup.upload("changing", NEW).await;
    assert_eq!(setup.found(&as_of(&body, kept)).await, [OLD]);
    assert_eq!(setup.found(&as_of(&body, "kept")).await, [OLD]);
    setup.post("search", &as_of(&body, clock::now())).await.problem(409, "history_not_kept");
    setup.app.stop().await;
}

#[actix_web::test]
async fn snapshot_keeps_its_time_until_it_is_deleted() {
    let app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let setup = Setup::of(app).await;
    let lifecycle = Lifecycle::new();
    let schedule = Schedule {
        poll_interval: Duration::from_millis(50),
        gc_interval: Duration::from_millis(100),
        ..Schedule::default()
    };
    let worker = Worker::build(setup.app.config().clone(), program("nvisy-worker")).await.unwrap();
    let worker = tokio::spawn(worker.with_maintenance(schedule).run(lifecycle.clone()));
    setup.upload("changing", OLD).await;
    let created = setup.post("snapshots", &json!({ "name": "before", "description": "The audit." })).await;
    let path = created.header("location").to_owned();
    let snapshot = created.expect(201);
    assert_eq!((&snapshot["name"], &snapshot["description"]), (&json!("before"), &json!("The audit.")));
    setup.post("snapshots", &json!({ "name": "before" })).await.problem(409, "name_taken");
    for invalid in [
        json!({}),
        json!({ "name": "No" }),
        json!({ "name": nvisy_shared::id::new() }),
        json!({ "name": "x", "at": "today" }),
    ] {
        setup.post("snapshots", &invalid).await.problem(422, "invalid_body");
    }
    setup.upload("changing", NEW).await;
    let body = json!({ "query": "seals turbine" });
    assert_eq!(setup.found(&body).await, [NEW]);
    for of in [&snapshot["name"], &snapshot["id"], &snapshot["at"]] {
        assert_eq!(setup.found(&as_of(&body, of)).await, [OLD], "{of}");
    }
    assert_eq!(setup.get("snapshots").await["items"], json!([snapshot]));
    assert_eq!(setup.get("snapshots/before").await, snapshot);
    setup.post("search", &as_of(&body, "unknown")).await.problem(404, "not_found");
    // Another tenant does not know it.
    let eve = setup.app.create_account("eve").await;
    let other = setup.app.create_workspace(&eve, "Wind").await;
    for of in [&snapshot["name"], &snapshot["id"]] {
        let path = format!("/api/v1/workspaces/{other}/search");
        setup.app.post(&eve, &path, &as_of(&body, of)).await.problem(404, "not_found");
        let path = format!("/api/v1/workspaces/{other}/snapshots/{}", of.as_str().unwrap());
        setup.app.get(&eve, &path).await.problem(404, "not_found");
        setup.app.delete(&eve, &path).await.problem(404, "not_found");
    }
    setup
        .app
        .sql(&format!(
            "insert into snapshot (workspace_id, id, name, at)
                 select '{}', uuidv7(), 'n' || n, now() from generate_series(1, 99) n",
            setup.workspace
        ))
        .await;
    setup.post("snapshots", &json!({ "name": "more" })).await.problem(409, "quota_exceeded");
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    setup.app.get(&setup.ada, &path).await.problem(404, "not_found");
    wait_until("the passages of the snapshot are deleted", async || {
        (setup.app.count("chunk").await == 1).then_some(())
    })
    .await;
    setup.post("search", &as_of(&body, &snapshot["at"])).await.problem(409, "history_not_kept");
    assert_eq!(setup.found(&body).await, [NEW]);
    lifecycle.soft().cancel();
    assert!(worker.await.unwrap(), "the worker had to release jobs");
    setup.app.stop().await;
}
