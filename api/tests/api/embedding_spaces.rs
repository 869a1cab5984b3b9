//! Processes with different models: a collection is indexed and searched in its own space, or the response says why not.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    OtherModel, TestAccount, TestApp, embedding_settings as settings, part, run, start_embedding_server, text,
    wait_until,
};

fn names(response: &Value) -> Vec<&str> {
    response["hits"].as_array().unwrap().iter().map(|hit| hit["file"]["name"].as_str().unwrap()).collect()
}

async fn upload(app: &TestApp, ada: &TestAccount, workspace: &str, name: &str) -> String {
    let accepted = app.upload(ada, workspace, vec![part(name, format!("Seals rest on {name}."))]).await.expect(202);
    accepted["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Attempts and last error of a job that waits for another worker.
async fn waiting_job(app: &TestApp) -> (i32, String) {
    let sql = "select attempts, last_error from job where state = 'waiting' and last_error like '%embed%'";
    let row = wait_until("a job waits for another worker", async || app.rows(sql).await.pop()).await;
    (row.try_get("", "attempts").unwrap(), row.try_get("", "last_error").unwrap())
}

#[actix_web::test]
async fn vector_search_requires_the_collections_own_space() {
    let url = start_embedding_server().await;
    let app = TestApp::start_with(&settings(&url, "small")).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}");
    let search = format!("{path}/search");
    let collection = format!("{path}/collections/default");
    let small = app.get(&ada, &collection).await.expect(200)["space"]["id"].as_str().unwrap().to_owned();

    // With only a worker of another model, the upload waits with a reason and without spending an attempt.
    let other = OtherModel::start(&app, &url, "large").await;
    let old = upload(&app, &ada, &workspace, "old.txt").await;
    let (attempts, error) = waiting_job(&app).await;
    assert!(attempts == 0 && error.contains(&small), "{attempts} {error}");
    assert_eq!(app.get(&ada, &format!("{path}/files/{old}")).await.expect(200)["state"], "queued");
    assert_eq!(app.count("dead_job").await, 0);

    // A worker with the same model starts.
    let mut app = app;
    app.start_worker().await;
    assert_eq!(app.finished_file(&ada, &workspace, &old).await["state"], "ready");
    for mode in ["vector", "hybrid", "text"] {
        let found = app.post(&ada, &search, &json!({ "query": "seals", "mode": mode })).await.expect(200);
        assert_eq!(names(&found), ["old.txt"], "{mode}");
    }

    // The other API rejects a search by vector: it would find nothing. A hybrid one goes on by words, and says so.
    for body in [json!({ "query": "seals", "mode": "vector" }), json!({ "vector": [1, 1, 1, 1], "mode": "vector" })] {
        let problem = other.request(&app, &ada, Method::POST, &search, &body).await.problem(409, "space_not_served");
        assert!(problem["detail"].as_str().unwrap().contains("`default`"), "{problem}");
    }
    for body in [json!({ "query": "seals" }), json!({ "query": "seals", "vector": [1, 1, 1, 1] })] {
        let found = other.request(&app, &ada, Method::POST, &search, &body).await.expect(200);
        assert_eq!((names(&found), &found["mode"]), (vec!["old.txt"], &json!("hybrid")), "{found}");
        let reason = found["degraded"].as_str().unwrap();
        assert!(reason.contains("`default`") && reason.contains("by words only"), "{reason}");
        assert!(found["hits"][0]["scores"].get("vector").is_none(), "{found}");
    }
    let text_search = json!({ "query": "seals", "mode": "text" });
    let found = other.request(&app, &ada, Method::POST, &search, &text_search).await.expect(200);
    assert_eq!((names(&found), found.get("degraded")), (vec!["old.txt"], None), "{found}");

    // The doctor reports the collection.
    let large = settings(&url, "large");
    let report = text(&run("nvisy-api", &["doctor"], &app.deployment, &large).await.stdout);
    let line = report.lines().find(|line| line.starts_with("embedding spaces ")).unwrap();
    assert!(line.contains(" WRONG ") && line.contains("1 of small (openai, 4 dimensions)"), "{report}");

    // A collection can change only to a model of the API that gets the request.
    let change = json!({ "model": "large" });
    let own = app.patch(&ada, &collection, &change).await;
    let problem = own.problem(422, "invalid_body");
    assert!(problem["errors"][0]["message"].as_str().unwrap().contains("`small`"), "{problem}");
    let bob = app.create_account("bob").await;
    app.add_member(&workspace, &bob, "guest").await;
    other.request(&app, &bob, Method::PATCH, &collection, &change).await.problem(403, "forbidden");
    other.request(&app, &ada, Method::PATCH, &collection, &change).await.problem(409, "has_vectors");

    // It moves to the model of the other API and worker, also where no API serves the model that it had.
    let second = format!("{collection}/second-space");
    other.request(&app, &ada, Method::POST, &second, &change).await.expect(201);
    let exchange = format!("{second}/exchange");
    other.request(&app, &ada, Method::POST, &exchange, &Value::Null).await.expect(200);
    wait_until("search reads the second space", async || {
        let changed = app.get(&ada, &collection).await.expect(200);
        (changed["space"]["model"] == "large" && changed["space"]["dimensions"] == 4).then_some(())
    })
    .await;
    let vector_search = json!({ "query": "seals", "mode": "vector" });
    app.post(&ada, &search, &vector_search).await.problem(409, "space_not_served");
    assert_eq!(names(&other.request(&app, &ada, Method::POST, &search, &vector_search).await.expect(200)), ["old.txt"]);
    // Without the second space, new files need no worker with the model before.
    assert_eq!(other.request(&app, &ada, Method::DELETE, &second, &Value::Null).await.status, 204);
    let new = upload(&app, &ada, &workspace, "new.txt").await;
    assert_eq!(app.finished_file(&ada, &workspace, &new).await["state"], "ready");
    let found = other.request(&app, &ada, Method::POST, &search, &vector_search).await.expect(200);
    let mut found = names(&found);
    found.sort_unstable();
    assert_eq!(found, ["new.txt", "old.txt"]);
    app.wait_until_no_jobs_are_left().await;
    other.stop().await;
    app.stop().await;
}

#[actix_web::test]
async fn collection_without_a_space_adopts_the_space_of_its_first_vectors() {
    let url = start_embedding_server().await;
    let mut app = TestApp::start_with(&settings(&url, "small")).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let collection = format!("/api/v1/workspaces/{workspace}/collections/default");
    app.sql("update collection set space_id = null").await;
    assert!(app.get(&ada, &collection).await.expect(200).get("space").is_none());
    // Without vectors there is nothing to find, and nothing to reject.
    for body in [json!({ "query": "seals" }), json!({ "vector": [1, 1, 1, 1], "mode": "vector" })] {
        let search = format!("/api/v1/workspaces/{workspace}/search");
        assert_eq!(names(&app.post(&ada, &search, &body).await.expect(200)), [""; 0]);
    }
    app.start_worker().await;
    let file = upload(&app, &ada, &workspace, "a.txt").await;
    assert_eq!(app.finished_file(&ada, &workspace, &file).await["state"], "ready");
    assert_eq!(app.get(&ada, &collection).await.expect(200)["space"]["model"], "small");
    app.stop().await;
}

#[actix_web::test]
async fn file_with_vectors_in_two_spaces_is_embedded_again() {
    let url = start_embedding_server().await;
    let mut app =
        TestApp::start_with(&[&settings(&url, "small")[..], &[("NVISY_WORKER_BATCH_CHUNKS", "1")]].concat()).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    // Simulates a worker of another model that embedded some chunks before the space was changed.
    app.sql(
        "insert into embedding_space (id, provider, model, dimensions, query_prefix, passage_prefix)
         values ('00000000-0000-7000-8000-000000000001', 'openai', 'large', 4, '', '')",
    )
    .await;
    app.sql(
        "create function other_space() returns trigger language plpgsql as $$ begin
             if not exists (select from embedding) then new.space_id := '00000000-0000-7000-8000-000000000001'; end if;
             return new; end $$",
    )
    .await;
    app.sql("create trigger other_space before insert on embedding for each row execute function other_space()").await;
    app.start_worker().await;
    let text = (0..40).map(|n| format!("# Part {n}\n\n{}\n\n", "Seals rest on sand. ".repeat(40))).collect::<String>();
    let accepted = app.upload(&ada, &workspace, vec![part("a.md", text)]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    wait_until("some vectors are in the other space", async || {
        let sql = "select from embedding where space_id = '00000000-0000-7000-8000-000000000001'";
        (!app.rows(sql).await.is_empty()).then_some(())
    })
    .await;
    app.sql("drop trigger other_space on embedding").await;
    assert_eq!(app.finished_file(&ada, &workspace, &file).await["state"], "ready");
    let rows = app.rows("select (select count(*) from chunk) as chunks, count(*) as vectors, count(distinct space_id) as spaces from embedding").await;
    let number = |name: &str| rows[0].try_get::<i64>("", name).unwrap();
    assert!(number("chunks") > 1);
    assert_eq!((number("vectors"), number("spaces")), (number("chunks"), 1));
    app.stop().await;
}

/// Lets the built-in pipeline write to another collection.
async fn index_into(app: &TestApp, ada: &TestAccount, workspace: &str, collection: &str) {
    let list = app.get(ada, &format!("{workspace}/pipelines")).await.expect(200);
    let path = format!("{workspace}/pipelines/{}", list["items"][0]["id"].as_str().unwrap());
    let mut definition = app.get(ada, &path).await.expect(200)["definition"].take();
    definition["nodes"][5]["collection"] = json!(collection);
    app.patch(ada, &path, &json!({ "definition": definition })).await.expect(200);
}

#[actix_web::test]
async fn collections_with_different_models_are_indexed_and_searched_together() {
    let url = start_embedding_server().await;
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models.json");
    let wide = json!({ "provider": "openai", "url": url, "model": "wide", "dimensions": 4, "query_prefix": "query: " });
    std::fs::write(&models, json!([wide]).to_string()).unwrap();
    let file = ("NVISY_EMBEDDING_MODELS_FILE", models.to_str().unwrap());
    let mut app = TestApp::start_with(&[&settings(&url, "small")[..], &[file]].concat()).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}");
    let models = app.get(&ada, "/api/v1/embedding-models").await.expect(200);
    assert_eq!((&models["items"][0]["name"], &models["items"][1]["name"]), (&json!("small"), &json!("wide")));
    let body = json!({ "name": "notes", "model": "wide" });
    let notes = app.post(&ada, &format!("{path}/collections"), &body).await.expect(201);
    assert_eq!(notes["space"]["model"], "wide");
    app.start_worker().await;
    let small = upload(&app, &ada, &workspace, "small.txt").await;
    assert_eq!(app.finished_file(&ada, &workspace, &small).await["state"], "ready");
    index_into(&app, &ada, &path, "notes").await;
    let wide = upload(&app, &ada, &workspace, "wide.txt").await;
    assert_eq!(app.finished_file(&ada, &workspace, &wide).await["state"], "ready");
    let sql = "select count(distinct space_id) as n from embedding";
    assert_eq!(app.rows(sql).await[0].try_get::<i64>("", "n").unwrap(), 2);

    let search = format!("{path}/search");
    for mode in ["vector", "hybrid", "text"] {
        let found = app.post(&ada, &search, &json!({ "query": "seals", "mode": mode })).await.expect(200);
        let mut found = names(&found);
        found.sort_unstable();
        assert_eq!(found, ["small.txt", "wide.txt"], "{mode}");
        let chosen = json!({ "query": "seals", "mode": mode, "collections": ["notes"] });
        assert_eq!(names(&app.post(&ada, &search, &chosen).await.expect(200)), ["wide.txt"], "{mode}");
    }
    // A vector belongs to one space.
    let vector = json!({ "vector": [1, 1, 1, 1], "mode": "vector" });
    let problem = app.post(&ada, &search, &vector).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "vector");
    let vector = json!({ "vector": [1, 1, 1, 1], "mode": "vector", "collections": ["default"] });
    assert_eq!(names(&app.post(&ada, &search, &vector).await.expect(200)), ["small.txt"]);
    // Vectors of two spaces are no neighbours.
    let reranked = json!({ "query": "seals", "rerank": "neighbours" });
    let found = app.post(&ada, &search, &reranked).await.expect(200);
    assert!(found["degraded"].as_str().unwrap().contains("`collections` that have the same model"), "{found}");

    // An API without the second model searches the other collection, and says which one it does not.
    let other = OtherModel::start(&app, &url, "small").await;
    let request = async |path: &str, body: Value| other.request(&app, &ada, Method::POST, path, &body).await;
    let says = |found: &Value, how: &str| {
        let reason = found["degraded"].as_str().unwrap_or_else(|| panic!("{found}"));
        assert!(reason.contains("`notes`") && !reason.contains("`default`") && reason.contains(how), "{reason}");
    };
    for body in [json!({ "query": "seals" }), json!({ "query": "seals", "collections": ["notes", "default"] })] {
        let found = request(&search, body).await.expect(200);
        let mut both = names(&found);
        both.sort_unstable();
        assert_eq!(both, ["small.txt", "wide.txt"], "{found}");
        says(&found, "searched by words only");
        for hit in found["hits"].as_array().unwrap() {
            let has_vector = hit["scores"].get("vector").is_some();
            assert_eq!(has_vector, hit["file"]["name"] == "small.txt", "{hit}");
        }
    }
    let by_vector = json!({ "query": "seals", "mode": "vector" });
    let found = request(&search, by_vector.clone()).await.expect(200);
    assert_eq!(names(&found), ["small.txt"]);
    says(&found, "not searched");
    // Which of the two spaces the vector of a request belongs to is not known.
    let own_vector = json!({ "vector": [1, 1, 1, 1], "mode": "vector" });
    request(&search, own_vector).await.problem(422, "invalid_body");
    let only = json!({ "query": "seals", "mode": "vector", "collections": ["notes"] });
    request(&search, only.clone()).await.problem(409, "space_not_served");
    let hybrid = json!({ "query": "seals", "collections": ["notes"] });
    let found = request(&search, hybrid).await.expect(200);
    assert_eq!(names(&found), ["wide.txt"]);
    says(&found, "searched by words only");
    for mode in ["vector", "hybrid"] {
        let chosen = json!({ "query": "seals", "mode": mode, "collections": ["default"] });
        let found = request(&search, chosen).await.expect(200);
        assert_eq!((names(&found), found.get("degraded")), (vec!["small.txt"], None), "{found}");
    }
    let text_search = json!({ "query": "seals", "mode": "text", "collections": ["notes"] });
    let found = request(&search, text_search).await.expect(200);
    assert_eq!((names(&found), found.get("degraded")), (vec!["wide.txt"], None), "{found}");
    // Searches of a batch have their own notice or problem; similar passages are found by stored vectors, without a model.
    let batch = request(&format!("{search}/batch"), json!({ "searches": [by_vector, only] })).await.expect(200);
    says(&batch["results"][0]["response"], "not searched");
    assert_eq!(batch["results"][1]["problem"]["code"], "space_not_served", "{batch}");
    let similar = request(&format!("{search}/similar"), json!({ "file": wide })).await.expect(200);
    assert_eq!((names(&similar), similar.get("degraded")), (Vec::<&str>::new(), None), "{similar}");
    other.stop().await;
    app.stop().await;
}
