//! Quotas of workspaces, also with concurrent requests.

use std::collections::HashMap;

use futures::future::join_all;
use nvisy_api::cli::quota;
use nvisy_shared::{
    domain::quota::{Amounts, Resource},
    id::WorkspaceId,
    store,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Setup, TestAccount, TestApp, TestResponse, definition, part, send, wait_until};

impl TestApp {
    async fn usage(&self, account: &TestAccount, workspace: &str) -> Value {
        self.get(account, &format!("/api/v1/workspaces/{workspace}/usage")).await.expect(200)
    }

    async fn set_limits(&self, account: &TestAccount, workspace: &str, limits: &Value) {
        self.patch(account, &format!("/api/v1/workspaces/{workspace}"), &json!({ "limits": limits })).await.expect(200);
    }

    /// Compares the counters with the tables.
    async fn assert_counters_match(&self, workspace: &str) {
        let id: WorkspaceId = workspace.parse::<uuid::Uuid>().unwrap().into();
        let counted = store::usage::find(&self.db, id, Amounts::default()).await.unwrap().unwrap();
        let recounted = store::usage::recount(&self.db, id).await.unwrap().unwrap();
        assert_eq!((counted.used, counted.tokens), recounted);
    }
}

fn exceeded(response: TestResponse) -> Vec<String> {
    let problem = response.problem(409, "quota_exceeded");
    problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn upload_over_quota_is_rejected_and_names_the_resource() {
    let app = TestApp::start_with(&[("NVISY_QUOTA_FILES", "3"), ("NVISY_QUOTA_BYTES", "20")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let first = app.upload(&ada, &workspace, vec![part("a", "12345"), part("b", "12345")]).await.expect(202);
    let usage = app.usage(&ada, &workspace).await;
    assert_eq!(usage["files"], json!({ "used": 2, "limit": 3 }));
    assert_eq!(usage["bytes"], json!({ "used": 10, "limit": 20 }));
    assert_eq!(usage["runs"], json!({ "used": 2, "limit": 100_000 }));
    assert_eq!(usage["searches"], json!([]));

    assert_eq!(exceeded(app.upload(&ada, &workspace, vec![part("c", "1"), part("d", "1")]).await), ["files"]);
    assert_eq!(exceeded(app.upload(&ada, &workspace, vec![part("c", "12345678901")]).await), ["bytes"]);
    let both = vec![part("c", "12345678901"), part("d", "1")];
    // The upload is rejected as soon as it exceeds the bytes, before further files are counted.
    assert_eq!(exceeded(app.upload(&ada, &workspace, both).await), ["bytes"]);
    // Rejected uploads left nothing.
    assert_eq!(app.usage(&ada, &workspace).await, usage);
    assert_eq!(app.deployment.stored_objects().await, 1);
    app.upload(&ada, &workspace, vec![part("c", "1234567890")]).await.expect(202);
    assert_eq!(exceeded(app.upload(&ada, &workspace, vec![part("d", "")]).await), ["files"]);

    // A deletion frees quota at once.
    let path = format!("/api/v1/workspaces/{workspace}/files/{}", first["items"][0]["id"].as_str().unwrap());
    assert_eq!(send(app.request(Method::DELETE, &path).bearer_auth(&ada.token)).await.status, 204);
    app.upload(&ada, &workspace, vec![part("d", "12345")]).await.expect(202);
    app.assert_counters_match(&workspace).await;
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn workspaces_per_account_are_limited() {
    let app = TestApp::start_with(&[("NVISY_QUOTA_WORKSPACES", "3")]).await;
    let (ada, bob) = (app.create_account("ada").await, app.create_account("bob").await);
    let body = json!({ "name": "Tidal energy" });
    let responses = join_all((0..6).map(|_| app.post(&ada, "/api/v1/workspaces", &body))).await;
    let (created, rejected): (Vec<_>, Vec<_>) = responses.into_iter().partition(|response| response.status == 201);
    assert_eq!((created.len(), rejected.len()), (3, 3));
    for response in rejected {
        assert_eq!(exceeded(response), ["workspaces"]);
    }
    app.post(&bob, "/api/v1/workspaces", &body).await.expect(201);
    let one = created.into_iter().next().unwrap().expect(201);
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{}", one["id"].as_str().unwrap())).await.status, 204);
    app.post(&ada, "/api/v1/workspaces", &body).await.expect(201);
    app.stop().await;
}

#[actix_web::test]
async fn operator_quota_overrides_the_default_and_workspace_limit_lowers_it() {
    let app = TestApp::start_with(&[("NVISY_QUOTA_FILES", "5")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let limit = async || app.usage(&ada, &workspace).await["files"]["limit"].as_i64().unwrap();
    let id: uuid::Uuid = workspace.parse().unwrap();
    assert_eq!(limit().await, 5);
    // A workspace limit above the default has no effect.
    app.set_limits(&ada, &workspace, &json!({ "files": 9 })).await;
    assert_eq!(limit().await, 5);
    quota(app.config(), id, &HashMap::from([(Resource::Files, 7)])).await.unwrap();
    assert_eq!(limit().await, 7);
    app.set_limits(&ada, &workspace, &json!({ "files": 1 })).await;
    assert_eq!(limit().await, 1);
    app.set_limits(&ada, &workspace, &json!({ "files": null })).await;
    assert_eq!(limit().await, 7);
    quota(app.config(), id, &HashMap::new()).await.unwrap();
    assert_eq!(limit().await, 5);
    quota(app.config(), nvisy_shared::id::new(), &HashMap::new()).await.unwrap_err();

    app.set_limits(&ada, &workspace, &json!({ "runs": 1 })).await;
    app.upload(&ada, &workspace, vec![part("a", "a")]).await.expect(202);
    assert_eq!(exceeded(app.upload(&ada, &workspace, vec![part("b", "b")]).await), ["runs"]);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn concurrent_uploads_use_the_quota_exactly() {
    let app = TestApp::start_with(&[("NVISY_QUOTA_FILES", "7")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let upload = async |n: usize| app.upload(&ada, &workspace, vec![part(&format!("{n}"), format!("{n}"))]).await;
    for round in 0..3 {
        let responses = join_all((0..16).map(|n| upload(round * 100 + n))).await;
        let accepted = responses.into_iter().filter(|response| match response.status.as_u16() {
            202 => true,
            409 => false,
            other => panic!("{other}: {}", response.text),
        });
        let accepted: Vec<_> = accepted.map(|response| response.expect(202)).collect();
        assert_eq!(accepted.len(), 7);
        app.assert_counters_match(&workspace).await;
        // Concurrent deletions and uploads never exceed the quota.
        let ids = accepted.iter().map(|files| files["items"][0]["id"].as_str().unwrap());
        let deletes = join_all(ids.map(|id| {
            let path = format!("/api/v1/workspaces/{workspace}/files/{id}");
            send(app.request(Method::DELETE, &path).bearer_auth(&ada.token))
        }));
        let (deleted, uploaded) = futures::join!(deletes, join_all((0..10).map(|n| upload(round * 100 + 50 + n))));
        assert!(deleted.iter().all(|response| response.status == 204), "{deleted:?}");
        assert!(uploaded.iter().all(|response| [202, 409].contains(&response.status.as_u16())), "{uploaded:?}");
        app.assert_counters_match(&workspace).await;
        let used = app.usage(&ada, &workspace).await["files"]["used"].as_i64().unwrap();
        assert_eq!(used as usize, uploaded.iter().filter(|response| response.status == 202).count());
        app.sql("delete from run; delete from file").await;
        app.assert_counters_match(&workspace).await;
    }
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn file_over_the_chunk_quota_fails_alone() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.set_limits(&ada, &workspace, &json!({ "chunks": 1 })).await;
    let finished =
        async |upload: &Value| app.finished_file(&ada, &workspace, upload["items"][0]["id"].as_str().unwrap()).await;
    let small = app.upload(&ada, &workspace, vec![part("small.txt", "The tide turns at noon.")]).await.expect(202);
    assert_eq!(finished(&small).await["state"], "ready");
    let text = "The tide turns at noon, and the turbines turn with it. ".repeat(200);
    let large = app.upload(&ada, &workspace, vec![part("large.txt", text.clone())]).await.expect(202);
    let failed = finished(&large).await;
    assert_eq!(failed["failure"]["code"], "quota_exceeded");
    let usage = app.usage(&ada, &workspace).await;
    assert_eq!((&usage["chunks"]["used"], &usage["runs"]["used"]), (&json!(1), &json!(0)));
    app.assert_counters_match(&workspace).await;

    app.set_limits(&ada, &workspace, &json!({ "chunks": null })).await;
    let again = app.upload(&ada, &workspace, vec![part("again.txt", text)]).await.expect(202);
    assert_eq!(finished(&again).await["state"], "ready");
    app.assert_counters_match(&workspace).await;

    // Searches are counted by day.
    for _ in 0..3 {
        let search = json!({ "query": "tide", "mode": "text" });
        app.post(&ada, &format!("/api/v1/workspaces/{workspace}/search"), &search).await.expect(200);
    }
    wait_until("searches are counted", async || {
        let searches = app.usage(&ada, &workspace).await["searches"].clone();
        let all: i64 = searches.as_array().unwrap().iter().map(|day| day["count"].as_i64().unwrap()).sum();
        (all == 3).then_some(())
    })
    .await;
    app.stop().await;
}

#[actix_web::test]
async fn files_that_a_pipeline_makes_count_in_the_quotas() {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "all", "type": "filter", "expression": "true" },
        { "id": "out", "type": "sink.file", "suffix": ".copy" },
    ]);
    setup.pipeline("Copies", &definition(&nodes, &["in > all", "all > out"])).await;
    let id = &setup.workspace;
    setup.app.sql(&format!("insert into workspace_quota (workspace_id, files) values ('{id}', 1)")).await;
    let mut failed = setup.upload(&[("a.txt", "The tide turns.")]).await;
    // Room for both files, and for the bytes of one and a half of them.
    setup.app.sql("update workspace_quota set files = 3, bytes = 40").await;
    failed.extend(setup.upload(&[("b.txt", "A turbine turns with it.")]).await);
    for (name, resource) in [("a.txt", "1 files"), ("b.txt", "40 bytes")] {
        let failure = &failed[name]["failure"];
        assert_eq!(failure["code"], "quota_exceeded", "{failure}");
        assert!(failure["detail"].as_str().unwrap().contains(resource), "{failure}");
    }
    assert_eq!(setup.app.count("file where parent_id is not null").await, 0);
    setup.app.sql("update workspace_quota set files = null, bytes = null").await;
    setup.app.post(&setup.ada, &setup.path("items/retry"), &json!({})).await.expect(202);
    let made = async || (setup.app.count("file where parent_id is not null").await == 2).then_some(());
    wait_until("both copies are there", made).await;
    setup.app.wait_until_no_jobs_are_left().await;
    setup.app.assert_counters_match(id).await;
    setup.app.stop().await;
}
