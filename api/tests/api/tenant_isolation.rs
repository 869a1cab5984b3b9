//! Two tenants with equal data: every request of one tenant with ids of the other gets a 404.

use nvisy_shared::pipeline::builtin;
use reqwest::Method;
use serde_json::json;

use crate::support::{Body, PASSWORD, TestAccount, TestApp, WorkspaceFixture, send};

#[actix_web::test]
async fn other_tenants_ids_are_not_found() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.create_account("ada").await, app.create_account("grace").await];
    let [eve, mallory] = [app.create_account("eve").await, app.create_account("mallory").await];
    let adas = WorkspaceFixture::new(&app, &ada, &grace).await;
    let before = workspace_rows(&app, &adas).await;
    let unchanged = WorkspaceFixture::new(&app, &eve, &mallory).await;
    for operation in app.openapi().await.workspace_operations() {
        // A new workspace for each operation that may delete things.
        let changed;
        let own = if operation.method == Method::GET {
            &unchanged
        } else {
            changed = WorkspaceFixture::new(&app, &eve, &mallory).await;
            &changed
        };
        // Each id of the other tenant alone, and all of them together.
        let mut parameters = operation.path_parameters();
        // The number of a version is the same for both.
        parameters.retain(|parameter| adas.id(parameter) != own.id(parameter));
        for swapped in parameters.iter().map(|parameter| vec![*parameter]).chain([parameters.clone()]) {
            let path = operation.path_with(|parameter| {
                let from = if swapped.contains(&parameter) { &adas } else { own };
                from.id(parameter).unwrap().to_owned()
            });
            for body in [operation.valid_body(own), operation.valid_body(&adas)] {
                send(operation.request(&app, &eve, &path, body)).await.problem(404, "not_found");
            }
        }
        // Ids in the body are not found either.
        if let (Body::Json(own_body), Body::Json(body)) = (operation.valid_body(own), operation.valid_body(&adas))
            && own_body != body
        {
            let request = operation.request(&app, &eve, &operation.path_in(own), Body::Json(body));
            send(request).await.problem(404, "not_found");
        }
        // With the caller's own ids the same request succeeds.
        if operation.id != "streamEvents" && operation.id != "leaveWorkspace" {
            let response =
                send(operation.request(&app, &eve, &operation.path_in(own), operation.valid_body(own))).await;
            let succeeded = response.status.is_success() || operation.id == "readFileText";
            assert!(succeeded, "{}: {} {}", operation.id, response.status, response.text);
        }
    }
    assert_eq!(workspace_rows(&app, &adas).await, before);
    app.stop_and_drop_jobs().await;
}

/// Ids in paths of operations on an account.
struct Credentials {
    session: String,
    token: String,
}

impl Credentials {
    async fn new(app: &TestApp, account: &TestAccount) -> Self {
        let (_, token) = app.api_token(account, &json!({ "permissions": ["search"] })).await;
        app.new_session(account).await;
        let sessions = app.get(account, "/api/v1/account/sessions").await.expect(200);
        Self { session: sessions["items"][0]["id"].as_str().unwrap().to_owned(), token }
    }
}

#[actix_web::test]
async fn other_accounts_ids_are_not_found() {
    let app = TestApp::start().await;
    let [ada, eve] = [app.create_account("ada").await, app.create_account("eve").await];
    let adas = Credentials::new(&app, &ada).await;
    let own = Credentials::new(&app, &eve).await;
    let mut called = Vec::new();
    for operation in app.openapi().await.operations() {
        // The code of a notification is a secret of its own: `source_notifications` covers it.
        let is_of_account = operation.id != "receiveNotification";
        if operation.is_in_workspace() || operation.path_parameters().is_empty() || !is_of_account {
            continue;
        }
        let request = async |session: &str, token: &str| {
            let path = operation.path.replace("{session}", session).replace("{token}", token);
            assert!(!path.contains('{'), "{} has another parameter: add it to `Credentials`", operation.id);
            send(app.request(operation.method.clone(), &path).bearer_auth(&eve.token)).await
        };
        let foreign = request(&adas.session, &adas.token).await.anonymous_problem(404, "not_found");
        let unknown = nvisy_shared::id::new().to_string();
        let unknown = request(&unknown, &unknown).await.anonymous_problem(404, "not_found");
        assert_eq!(foreign, unknown, "{}", operation.id);
        // With the caller's own ids the same request succeeds.
        assert!(request(&own.session, &own.token).await.status.is_success(), "{}", operation.id);
        called.push(operation.id.clone());
    }
    called.sort();
    assert_eq!(called, ["revokeSession", "revokeToken"]);
    let sessions = app.get(&ada, "/api/v1/account/sessions").await.expect(200);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 2);
    assert_eq!(app.get(&ada, "/api/v1/account/tokens").await.expect(200)["items"][0]["id"], json!(adas.token));
    app.stop().await;
}

/// The documented fields of JSON bodies that hold ids.
const ID_FIELDS: [(&str, &str); 13] = [
    ("createCollection", "connection"),
    ("createSecondSpace", "connection"),
    ("createToken", "workspaces"),
    ("estimateSecondSpace", "connection"),
    ("judgeHit", "file"),
    ("previewPipeline", "files"),
    ("retryItems", "pipeline"),
    ("searchSimilar", "chunk"),
    ("searchSimilar", "file"),
    ("startInlineRun", "files"),
    ("startRun", "files"),
    ("transferWorkspace", "accountId"),
    ("updateCollection", "connection"),
];

#[actix_web::test]
async fn other_tenants_ids_in_bodies_look_like_unknown_ids() {
    let app = TestApp::start().await;
    assert_eq!(id_fields(&app).await, ID_FIELDS.map(|(id, field)| (id.to_owned(), field.to_owned())));
    let [ada, grace] = [app.create_account("ada").await, app.create_account("grace").await];
    let [eve, mallory] = [app.create_account("eve").await, app.create_account("mallory").await];
    let adas = WorkspaceFixture::new(&app, &ada, &grace).await;
    let own = WorkspaceFixture::new(&app, &eve, &mallory).await;
    let before = workspace_rows(&app, &adas).await;
    let call = async |operation: &str, field: &str, id: &str| match operation {
        "searchSimilar" => {
            let path = format!("/api/v1/workspaces/{}/search/similar", own.workspace);
            app.post(&eve, &path, &json!({ field: id })).await
        }
        "judgeHit" => {
            let path = format!("/api/v1/workspaces/{}/query-sets/{}/judgements", own.workspace, own.query_set);
            app.put(&eve, &path, &json!({ "query": "tide", field: id, "grade": 1 })).await
        }
        "createToken" => {
            // Together with a workspace of the caller.
            let expires = nvisy_shared::clock::now() + chrono::Days::new(1);
            let body = json!({ "name": "T", "password": PASSWORD, "permissions": ["search"], "expiresAt": expires, "workspaces": [own.workspace, id] });
            app.post(&eve, "/api/v1/account/tokens", &body).await
        }
        "transferWorkspace" => {
            app.post(&eve, &format!("/api/v1/workspaces/{}/transfer", own.workspace), &json!({ "accountId": id })).await
        }
        "startRun" | "previewPipeline" => {
            let operation = if operation == "startRun" { "runs" } else { "preview" };
            let path = format!("/api/v1/workspaces/{}/pipelines/{}/{operation}", own.workspace, own.pipeline);
            // Together with a file of the caller.
            app.post(&eve, &path, &json!({ "files": [own.file, id] })).await
        }
        "startInlineRun" => {
            let body = json!({ "definition": builtin::definition(Some(64), 0), "files": [own.file, id] });
            app.post(&eve, &format!("/api/v1/workspaces/{}/runs", own.workspace), &body).await
        }
        "retryItems" => {
            let path = format!("/api/v1/workspaces/{}/items/retry", own.workspace);
            app.post(&eve, &path, &json!({ "pipeline": id })).await
        }
        "createCollection" => {
            let name = format!("c-{}", nvisy_shared::id::new());
            let path = format!("/api/v1/workspaces/{}/collections", own.workspace);
            app.post(&eve, &path, &json!({ "name": name, "connection": id })).await
        }
        "updateCollection" => {
            let path = format!("/api/v1/workspaces/{}/collections/{}", own.workspace, own.collection);
            app.patch(&eve, &path, &json!({ "connection": id })).await
        }
        "createSecondSpace" => {
            let path = format!("/api/v1/workspaces/{}/collections", own.workspace);
            let name = format!("c-{}", nvisy_shared::id::new());
            app.post(&eve, &path, &json!({ "name": name })).await.expect(201);
            app.post(&eve, &format!("{path}/{name}/second-space"), &json!({ "connection": id })).await
        }
        "estimateSecondSpace" => {
            let path = format!("/api/v1/workspaces/{}/collections/default/second-space/estimate", own.workspace);
            app.post(&eve, &path, &json!({ "connection": id })).await
        }
        other => panic!("{other} has an id in its body: add a request for it"),
    };
    for (operation, field) in ID_FIELDS {
        let (foreign, own_id) = match operation {
            "createToken" => (&adas.workspace, &own.workspace),
            // The fixture's passage has the id of its file.
            "judgeHit" | "previewPipeline" | "searchSimilar" | "startInlineRun" | "startRun" => (&adas.file, &own.file),
            "retryItems" => (&adas.pipeline, &own.pipeline),
            "createCollection" | "updateCollection" | "createSecondSpace" | "estimateSecondSpace" => {
                (&adas.embedding_connection, &own.embedding_connection)
            }
            _ => (&adas.member.id, &own.member.id),
        };
        let response = call(operation, field, foreign).await.anonymous_problem(404, "not_found");
        let unknown = nvisy_shared::id::new().to_string();
        assert_eq!(response, call(operation, field, &unknown).await.anonymous_problem(404, "not_found"), "{operation}");
        call(operation, field, "nonsense").await.problem(422, "invalid_body");
        assert!(call(operation, field, own_id).await.status.is_success(), "{operation}");
    }
    assert_eq!(workspace_rows(&app, &adas).await, before);
    app.stop_and_drop_jobs().await;
}

/// Operations, and the fields of their JSON bodies that hold ids. Without values of filters, which name no object: they are
/// compared with files of the workspace.
async fn id_fields(app: &TestApp) -> Vec<(String, String)> {
    let document = app.openapi().await;
    let mut fields = Vec::new();
    // Ids of searches are conditions, as those of filters: an unknown file is not hidden, and not found.
    let is_condition = |field: &str| ["value", "hidden", "pinned"].contains(&field);
    for operation in document.operations().into_iter().filter(|operation| operation.id != "search") {
        let of_operation = operation.id_fields(&document).into_iter().filter(|field| !is_condition(field));
        fields.extend(of_operation.map(|field| (operation.id.clone(), field)));
    }
    fields.sort();
    fields
}

/// All rows of the workspace that a request could have changed.
async fn workspace_rows(app: &TestApp, fixture: &WorkspaceFixture) -> Vec<String> {
    let mut found = Vec::new();
    for table in ["workspace", "member", "file", "file_version", "invite", "activity"] {
        let key = match table {
            "workspace" => "id",
            "activity" => "chain",
            _ => "workspace_id",
        };
        let sql = format!("select t::text as row from {table} t where {key} = '{}' order by 1", fixture.workspace);
        for row in app.rows(&sql).await {
            found.push(row.try_get("", "row").unwrap());
        }
    }
    found
}
