//! Changes of a file's name, tags and metadata.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, part, send};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    file: String,
}

impl Setup {
    async fn of(app: TestApp) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let parts = vec![part("tide.txt", "The tide turns at noon.")];
        let accepted = app.upload(&ada, &workspace, parts).await.expect(202);
        let file = format!("/api/v1/workspaces/{workspace}/files/{}", accepted["items"][0]["id"].as_str().unwrap());
        Self { app, ada, workspace, file }
    }

    async fn patch(&self, body: &Value, tag: Option<&str>) -> TestResponse {
        self.app.patch_if(&self.ada, &self.file, body, tag).await
    }

    async fn change(&self, body: Value) -> Value {
        self.patch(&body, None).await.expect(200)
    }

    async fn read(&self) -> TestResponse {
        self.app.get(&self.ada, &self.file).await
    }

    async fn types(&self, table: &str, column: &str) -> Vec<String> {
        let sql = format!("select {column} as type from {table} where {column} like 'file.%' order by seq");
        self.app.rows(&sql).await.iter().map(|row| row.try_get("", "type").unwrap()).collect()
    }
}

#[actix_web::test]
async fn change_sets_the_fields_of_the_body_and_keeps_the_others() {
    let setup = Setup::of(TestApp::start().await).await;
    let changed = setup.change(json!({ "name": " Größe.md ", "tags": [" b", "a", "b"] })).await;
    assert_eq!((&changed["name"], &changed["tags"]), (&json!("Größe.md"), &json!(["b", "a"])));
    assert_eq!(setup.read().await.expect(200), changed);
    let changed = setup.change(json!({ "metadata": { "a": { "b": 1, "c": 2 }, "d": [1, 2] } })).await;
    assert_eq!((&changed["name"], &changed["tags"]), (&json!("Größe.md"), &json!(["b", "a"])));
    // Metadata are merged: null removes a key, objects are merged, lists are replaced.
    let changed = setup.change(json!({ "metadata": { "a": { "b": null, "e": 3 }, "d": [3], "f": "x" } })).await;
    assert_eq!(changed["metadata"], json!({ "a": { "c": 2, "e": 3 }, "d": [3], "f": "x" }));
    let changed = setup.change(json!({ "tags": null, "metadata": null })).await;
    assert_eq!((&changed["tags"], &changed["metadata"]), (&json!([]), &json!({})));

    let download = setup.app.get(&setup.ada, &format!("{}/content", setup.file)).await;
    assert!(download.header("content-disposition").contains("filename*=UTF-8''Gr%C3%B6%C3%9Fe.md"));
    let expected = ["file.updated"; 4];
    assert_eq!(setup.types("event", "type").await[1..], expected);
    assert_eq!(setup.types("activity", "action").await[1..], expected);
    let log = format!("/api/v1/workspaces/{}/activities?type=file.updated", setup.workspace);
    let log = setup.app.get(&setup.ada, &log).await.expect(200);
    assert_eq!(log["items"][3]["details"], json!({ "fields": ["name", "tags"] }));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn change_and_deletion_require_the_revision_that_the_client_has_read() {
    let setup = Setup::of(TestApp::start().await).await;
    let first = setup.read().await.header("etag").to_owned();
    let changed = setup.patch(&json!({ "tags": ["a"] }), Some(&first)).await;
    let second = changed.header("etag").to_owned();
    assert_ne!(second, first);
    changed.expect(200);
    // The same again is no change.
    let same = setup.patch(&json!({ "tags": ["a"], "name": "tide.txt", "metadata": {} }), Some(&second)).await;
    assert_eq!(same.header("etag"), second);
    assert_eq!(setup.patch(&json!({}), Some("*")).await.header("etag"), second);
    assert_eq!(setup.types("event", "type").await, ["file.queued", "file.updated"]);

    setup.patch(&json!({ "tags": ["b"] }), Some(&first)).await.problem(412, "precondition_failed");
    let delete = async |tag: &str| {
        send(setup.app.request(Method::DELETE, &setup.file).bearer_auth(&setup.ada.token).header("if-match", tag)).await
    };
    delete(&first).await.problem(412, "precondition_failed");
    assert_eq!(setup.read().await.expect(200)["tags"], json!(["a"]));
    assert_eq!(delete(&second).await.status, 204);
    delete(&second).await.problem(404, "not_found");
    setup.patch(&json!({ "tags": ["b"] }), None).await.problem(404, "not_found");
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn progress_of_indexing_does_not_change_the_etag() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let tag = setup.read().await.header("etag").to_owned();
    let id = setup.file.rsplit('/').next().unwrap();
    setup.app.finished_file(&setup.ada, &setup.workspace, id).await;
    setup.patch(&json!({ "tags": ["a"] }), Some(&tag)).await.expect(200);
    setup.app.stop().await;
}

#[actix_web::test]
async fn search_filters_see_a_change_at_once() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let id = setup.file.rsplit('/').next().unwrap();
    setup.app.finished_file(&setup.ada, &setup.workspace, id).await;
    let hits = async |field: &str, value: Value| {
        let filter = json!({ "field": field, "op": "eq", "value": value });
        let path = format!("/api/v1/workspaces/{}/search", setup.workspace);
        let query = json!({ "query": "tide", "filter": filter });
        setup.app.post(&setup.ada, &path, &query).await.expect(200)["hits"].as_array().unwrap().len()
    };
    for (field, value, body) in [
        ("tags", json!("manual"), json!({ "tags": ["manual"] })),
        ("metadata.review.state", json!("done"), json!({ "metadata": { "review": { "state": "done" } } })),
        ("name", json!("ebb.txt"), json!({ "name": "ebb.txt" })),
    ] {
        assert_eq!(hits(field, value.clone()).await, 0, "{field}");
        setup.change(body).await;
        assert_eq!(hits(field, value).await, 1, "{field}");
    }
    setup.change(json!({ "tags": [], "metadata": { "review": null } })).await;
    assert_eq!(hits("tags", json!("manual")).await + hits("metadata.review.state", json!("done")).await, 0);
    setup.app.stop().await;
}

#[actix_web::test]
async fn invalid_change_is_rejected_and_its_field_named() {
    let setup = Setup::of(TestApp::start().await).await;
    setup.change(json!({ "metadata": { "old": "x".repeat(55_000), "list": vec![0; 4_000] } })).await;
    let before = setup.read().await.expect(200);
    let deep = (0..8).fold(json!(1), |inner, _| json!([inner]));
    for (field, body) in [
        ("name", json!({ "name": "" })),
        ("name", json!({ "name": "a/b.txt" })),
        ("name", json!({ "name": r"a\b.txt" })),
        ("name", json!({ "name": ".." })),
        ("name", json!({ "name": "n".repeat(256) })),
        ("name", json!({ "name": "a\u{202e}fdp.exe" })),
        ("tags", json!({ "tags": "manual" })),
        ("tags", json!({ "tags": (0..101).map(|n| n.to_string()).collect::<Vec<_>>() })),
        ("tags[1]", json!({ "tags": ["a", ""] })),
        ("tags[0]", json!({ "tags": ["x".repeat(101)] })),
        ("tags[0]", json!({ "tags": ["a\nb"] })),
        ("tags[0]", json!({ "tags": [null] })),
        ("metadata", json!({ "metadata": [] })),
        ("metadata", json!({ "metadata": { "a": deep } })),
        // Together with the metadata that the file has.
        ("metadata", json!({ "metadata": { "new": "x".repeat(6_000) } })),
        ("metadata", json!({ "metadata": { "new": vec![0; 100] } })),
        ("colour", json!({ "colour": "red" })),
        ("externalId", json!({ "externalId": "a" })),
    ] {
        let problem = setup.patch(&body, None).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let null = setup.patch(&json!({ "metadata": { "a": "\0" } }), None).await;
    null.problem(422, "invalid_body");
    assert_eq!(setup.read().await.expect(200), before);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn concurrent_merges_of_metadata_keep_every_key() {
    let setup = Setup::of(TestApp::start().await).await;
    let changes = (0..8).map(|n| setup.change(json!({ "metadata": { n.to_string(): n } })));
    futures::future::join_all(changes).await;
    let file = setup.read().await;
    assert_eq!(file.header("etag"), "\"9\"");
    assert_eq!(file.expect(200)["metadata"].as_object().unwrap().len(), 8);
    setup.app.stop_and_drop_jobs().await;
}
