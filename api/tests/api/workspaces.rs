use nvisy_shared::domain::{pipeline, plan};
use serde_json::{Value, json};

use crate::app::TestApp;

#[actix_web::test]
async fn the_creator_owns_a_workspace_and_can_read_it() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let answer = app.post(&ada, "/api/v1/workspaces", &json!({ "name": " Tidal energy " })).await;
    let location = answer.header("location").to_owned();
    let workspace = answer.expect(201);
    assert_eq!(workspace["name"], "Tidal energy");
    assert_eq!(workspace["role"], "owner");
    assert_eq!(location, format!("/api/v1/workspaces/{}", workspace["id"].as_str().unwrap()));
    assert_eq!(app.get(&ada, &location).await.expect(200), workspace);
    app.stop().await;
}

#[actix_web::test]
async fn a_workspace_is_born_with_the_pipeline_that_indexes_uploads() {
    let app = TestApp::start_with(&[("NVISY_CHUNK_MAX_TOKENS", "128"), ("NVISY_CHUNK_OVERLAP_TOKENS", "16")]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let sql = format!(
        "select definition from pipeline join pipeline_version version
             on version.workspace_id = pipeline.workspace_id and pipeline_id = id and number = pipeline.version
         where pipeline.workspace_id = '{workspace}' and builtin and name = 'index'"
    );
    let rows = app.rows(&sql).await;
    assert_eq!(rows.len(), 1);
    let stored: Value = rows[0].try_get("", "definition").unwrap();
    let definition: pipeline::Definition = serde_json::from_value(stored).unwrap();
    assert_eq!(definition, pipeline::builtin_index(Some(128), 16));
    plan::compile(&definition).unwrap();
    app.stop().await;
}

#[actix_web::test]
async fn another_tenants_workspace_does_not_exist() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let mut hers = app.get(&bob, &format!("/api/v1/workspaces/{workspace}")).await.problem(404, "not_found");
    let mut none = app.get(&bob, &format!("/api/v1/workspaces/{}", bob.id)).await.problem(404, "not_found");
    hers["requestId"].take();
    none["requestId"].take();
    assert_eq!(hers, none);
    let list = app.get(&bob, "/api/v1/workspaces").await.expect(200);
    assert_eq!(list["items"], json!([]));
    app.stop().await;
}

#[actix_web::test]
async fn names_are_text_within_limits() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    for name in ["", "   ", "a\0b", &"x".repeat(101)] {
        let problem = app.post(&ada, "/api/v1/workspaces", &json!({ "name": name })).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], "name");
    }
    let name = "\u{1f30a}".repeat(100);
    let workspace = app.post(&ada, "/api/v1/workspaces", &json!({ "name": name })).await.expect(201);
    assert_eq!(workspace["name"], name);
    app.stop().await;
}
