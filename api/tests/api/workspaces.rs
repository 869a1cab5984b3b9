//! Workspaces: creation, changes, deletion, retention.

use futures::future::join_all;
use nvisy_shared::pipeline;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, part, send, wait_until};

#[actix_web::test]
async fn creator_owns_and_reads_the_workspace() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let response = app.post(&ada, "/api/v1/workspaces", &json!({ "name": " Tidal energy " })).await;
    let location = response.header("location").to_owned();
    let workspace = response.expect(201);
    assert_eq!(workspace["name"], "Tidal energy");
    assert_eq!(workspace["role"], "owner");
    assert_eq!(location, format!("/api/v1/workspaces/{}", workspace["id"].as_str().unwrap()));
    assert_eq!(app.get(&ada, &location).await.expect(200), workspace);
    app.stop().await;
}

#[actix_web::test]
async fn new_workspace_has_the_builtin_pipeline() {
    let app = TestApp::start_with(&[("NVISY_CHUNK_MAX_TOKENS", "128"), ("NVISY_CHUNK_OVERLAP_TOKENS", "16")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let sql = format!(
        "select definition from pipeline join pipeline_version version
             on version.workspace_id = pipeline.workspace_id and pipeline_id = id and number = pipeline.version
         where pipeline.workspace_id = '{workspace}' and builtin and name = 'default' and state = 'enabled'"
    );
    let rows = app.rows(&sql).await;
    assert_eq!(rows.len(), 1);
    let stored: Value = rows[0].try_get("", "definition").unwrap();
    let compiled = pipeline::compile(&stored).unwrap();
    assert_eq!(compiled.definition, pipeline::builtin::definition(Some(128), 16));
    app.stop().await;
}

#[actix_web::test]
async fn other_tenants_workspace_looks_like_an_unknown_one() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let foreign = app.get(&bob, &format!("/api/v1/workspaces/{workspace}")).await.anonymous_problem(404, "not_found");
    let unknown = app.get(&bob, &format!("/api/v1/workspaces/{}", bob.id)).await.anonymous_problem(404, "not_found");
    assert_eq!(foreign, unknown);
    let list = app.get(&bob, "/api/v1/workspaces").await.expect(200);
    assert_eq!(list["items"], json!([]));
    app.stop().await;
}

#[actix_web::test]
async fn invalid_workspace_names_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    for name in ["", "   ", "a\u{7}b", &"x".repeat(101)] {
        let problem = app.post(&ada, "/api/v1/workspaces", &json!({ "name": name })).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], "name");
    }
    let name = "\u{1f30a}".repeat(100);
    let workspace = app.post(&ada, "/api/v1/workspaces", &json!({ "name": name })).await.expect(201);
    assert_eq!(workspace["name"], name);
    app.stop().await;
}

#[actix_web::test]
async fn workspace_update_checks_the_etag_and_changes_only_given_fields() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}");
    let change = async |body: Value, tag: Option<&str>| app.patch_if(&ada, &path, &body, tag).await;
    let first = app.get(&ada, &path).await;
    let tag = first.header("etag").to_owned();
    assert_eq!(first.expect(200)["slug"], "tidal-energy");

    let body = json!({ "name": " Wind ", "slug": "wind", "retentionDays": 30, "limits": { "files": 5, "bytes": 0 } });
    let changed = change(body, Some(&tag)).await;
    let next = changed.header("etag").to_owned();
    assert_ne!(next, tag);
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["name"], &changed["slug"], &changed["retentionDays"]),
        (&json!("Wind"), &json!("wind"), &json!(30))
    );
    assert_eq!(changed["limits"], json!({ "files": 5, "bytes": 0 }));
    assert_eq!(app.get(&ada, &path).await.expect(200), changed);

    change(json!({ "name": "Waves" }), Some(&tag)).await.problem(412, "precondition_failed");
    change(json!({ "name": "Waves" }), Some("\"x\"")).await.problem(412, "precondition_failed");
    // Absent fields are kept and null removes a value; an update without a change is not recorded.
    let changed = change(json!({ "retentionDays": null, "limits": { "bytes": null } }), Some(&next)).await.expect(200);
    assert_eq!((changed.get("retentionDays"), &changed["limits"]), (None, &json!({ "files": 5 })));
    let same = change(json!({ "name": "Wind" }), None).await.expect(200);
    assert_eq!(same, changed);
    let log = app.get(&ada, &format!("{path}/activities?type=workspace.updated")).await.expect(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
    assert_eq!(log["items"][0]["details"], json!({ "fields": ["retentionDays", "limits.bytes"] }));

    for bad in [
        json!({ "name": "" }),
        json!({ "slug": "Wind Energy" }),
        json!({ "slug": "-wind" }),
        json!({ "retentionDays": 0 }),
        json!({ "limits": { "files": -1 } }),
        json!({ "colour": "red" }),
    ] {
        change(bad.clone(), None).await.problem(422, "invalid_body");
    }
    app.stop().await;
}

#[actix_web::test]
async fn slug_is_unique() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let create = |body: Value| {
        let app = &app;
        let ada = &ada;
        async move { app.post(ada, "/api/v1/workspaces", &body).await }
    };
    let first = create(json!({ "name": "Tidal energy" })).await.expect(201);
    let second = create(json!({ "name": "Tidal energy" })).await.expect(201);
    assert_eq!(first["slug"], "tidal-energy");
    assert!(second["slug"].as_str().unwrap().starts_with("tidal-energy-"), "{second}");
    assert!(create(json!({ "name": "🌊" })).await.expect(201)["slug"].as_str().unwrap().len() > 5);
    create(json!({ "name": "x", "slug": "tidal-energy" })).await.problem(409, "slug_taken");
    let path = |workspace: &Value| format!("/api/v1/workspaces/{}", workspace["id"].as_str().unwrap());
    let rename = |workspace: &Value, slug: &str| {
        app.request(Method::PATCH, &path(workspace)).bearer_auth(&ada.token).json(&json!({ "slug": slug }))
    };
    send(rename(&second, "tidal-energy")).await.problem(409, "slug_taken");

    // Of concurrent requests for one slug, one succeeds.
    let responses = join_all((0..8).map(|n| {
        let renamed = (n % 2 == 0).then(|| rename(if n % 4 == 0 { &first } else { &second }, "waves"));
        let created = create(json!({ "name": "x", "slug": "waves" }));
        async move {
            match renamed {
                Some(request) => send(request).await,
                None => created.await,
            }
        }
    }))
    .await;
    assert!(responses.iter().all(|response| response.status.is_success() || response.status == 409), "{responses:?}");
    let owners = app.rows("select from workspace where slug = 'waves'").await.len();
    assert_eq!(owners, 1);

    let holder = app.rows("select id::text as id from workspace where slug = 'waves'").await;
    let holder: String = holder[0].try_get("", "id").unwrap();
    let delete = app.request(Method::DELETE, &format!("/api/v1/workspaces/{holder}")).bearer_auth(&ada.token);
    assert_eq!(send(delete).await.status, 204);
    create(json!({ "name": "x", "slug": "waves" })).await.expect(201);
    app.stop().await;
}

#[actix_web::test]
async fn deleted_workspace_is_hidden_at_once_and_erased_by_the_worker() {
    let mut app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let kept = app.create_workspace(&ada, "Wind").await;
    app.add_member(&workspace, &bob, "member").await;
    app.upload(&ada, &workspace, vec![part("a.txt", "tide"), part("b.txt", "ebb")]).await.expect(202);
    app.upload(&ada, &kept, vec![part("a.txt", "tide")]).await.expect(202);
    let path = format!("/api/v1/workspaces/{workspace}");
    let invites = format!("{path}/invites");
    let invite = app.post(&ada, &invites, &json!({ "role": "guest" })).await.expect(201);
    let tag = app.get(&ada, &path).await.header("etag").to_owned();

    send(app.request(Method::DELETE, &path).bearer_auth(&bob.token)).await.problem(403, "forbidden");
    let delete = || app.request(Method::DELETE, &path).bearer_auth(&ada.token);
    send(delete().header("if-match", "\"77\"")).await.problem(412, "precondition_failed");
    assert_eq!(send(delete().header("if-match", tag)).await.status, 204);
    send(delete()).await.problem(404, "not_found");
    for account in [&ada, &bob] {
        for suffix in ["", "/files", "/members", "/activities", "/usage"] {
            app.get(account, &format!("{path}{suffix}")).await.problem(404, "not_found");
        }
        let search = json!({ "query": "tide", "mode": "text" });
        app.post(account, &format!("{path}/search"), &search).await.problem(404, "not_found");
    }
    let list = app.get(&ada, "/api/v1/workspaces").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let code = json!({ "code": invite["code"] });
    app.post(&bob, "/api/v1/invites/accept", &code).await.problem(404, "not_found");

    assert_eq!(app.deployment.stored_objects().await, 3);
    app.start_worker().await;
    wait_until("the workspace is erased", async || {
        let rows = app.rows(&format!("select from workspace where id = '{workspace}'")).await;
        rows.is_empty().then_some(())
    })
    .await;
    // Only rows and objects of this workspace are erased; its activity log is kept.
    for table in ["file", "file_version", "blob", "run", "event", "workspace_usage", "pipeline", "chunk"] {
        assert!(
            app.rows(&format!("select from {table} where workspace_id = '{workspace}'")).await.is_empty(),
            "{table}"
        );
    }
    let other = app.file_ready(&ada, &kept).await;
    assert_eq!(app.get(&ada, &format!("/api/v1/workspaces/{kept}/files/{other}/content")).await.text, "tide");
    assert_eq!(app.deployment.stored_objects().await, 1);
    let log = app.rows(&format!("select action from activity where chain = '{workspace}' order by seq desc")).await;
    let last: Vec<String> = log.iter().take(3).map(|row| row.try_get("", "action").unwrap()).collect();
    assert_eq!(last, ["workspace.erased", "invite.cancelled", "workspace.deleted"]);
    app.stop().await;
}

#[actix_web::test]
async fn files_are_deleted_after_the_workspaces_retention() {
    let mut app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}");
    let parts = vec![part("old.txt", "old"), part("new.txt", "new"), part("renewed.txt", "renewed")];
    let accepted = app.upload(&ada, &workspace, parts).await.expect(202);
    let [old, new, renewed] = [0, 1, 2].map(|n| accepted["items"][n]["id"].as_str().unwrap().to_owned());
    let age = "set created_at = now() - interval '8 days'";
    app.sql(&format!("update file_version {age} where file_id = '{old}'")).await;
    // Its newest version is from today.
    app.sql(&format!("update file {age} where id in ('{old}', '{renewed}')")).await;
    let body = json!({ "retentionDays": 7 });
    app.patch(&ada, &path, &body).await.expect(200);
    app.start_worker().await;
    wait_until("the old file is deleted", async || {
        (app.get(&ada, &format!("{path}/files/{old}")).await.status == 404).then_some(())
    })
    .await;
    for kept in [&new, &renewed] {
        app.file(&ada, &workspace, kept).await;
    }
    let log = app.get(&ada, &format!("{path}/activities?type=file.deleted")).await.expect(200);
    assert_eq!(log["items"][0]["actor"], json!({ "type": "system" }));
    assert_eq!(log["items"][0]["details"], json!({ "reason": "retention" }));
    app.file_ready(&ada, &workspace).await;
    app.stop().await;
}

impl TestApp {
    /// The id of the newest file of a workspace, once it is ready.
    async fn file_ready(&self, account: &TestAccount, workspace: &str) -> String {
        wait_until("the file is ready", async || {
            let files = self.get(account, &format!("/api/v1/workspaces/{workspace}/files")).await.expect(200);
            let file = &files["items"][0];
            (file["state"] == "ready").then(|| file["id"].as_str().unwrap().to_owned())
        })
        .await
    }
}
