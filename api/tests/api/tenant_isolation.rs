//! Two tenants that look alike: every request of the one, repeated with ids of the other, finds nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    support::app::{PASSWORD, Person, TestApp, send},
    support::valid_requests::{Body, Fixture, of_workspaces},
};

#[actix_web::test]
async fn other_tenants_ids_are_not_found() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    let [eve, mallory] = [app.person("eve").await, app.person("mallory").await];
    let hers = Fixture::new(&app, &ada, &grace).await;
    let before = state(&app, &hers).await;
    for operation in of_workspaces(&app).await {
        // A workspace for each: what succeeds may leave little behind.
        let own = Fixture::new(&app, &eve, &mallory).await;
        // Each id alone, and all together: a file of hers in a workspace of one's own, and the other way round.
        let parameters = operation.parameters();
        for swapped in parameters.iter().map(|parameter| vec![*parameter]).chain([parameters.clone()]) {
            let path = operation.path(|parameter| {
                let from = if swapped.contains(&parameter) { &hers } else { &own };
                from.id(parameter).unwrap().to_owned()
            });
            for body in [operation.body(&own), operation.body(&hers)] {
                send(operation.request(&app, &eve, &path, body)).await.problem(404, "not_found");
            }
        }
        // Ids in a body name nothing either.
        if let (Body::Json(own_body), Body::Json(body)) = (operation.body(&own), operation.body(&hers))
            && own_body != body
        {
            let request = operation.request(&app, &eve, &operation.path_in(&own), Body::Json(body));
            send(request).await.problem(404, "not_found");
        }
        // With one's own ids the same request is answered: it was the ids.
        if operation.id != "streamEvents" && operation.id != "leaveWorkspace" {
            let answer = send(operation.request(&app, &eve, &operation.path_in(&own), operation.body(&own))).await;
            let fine = answer.status.is_success() || operation.id == "readFileText";
            assert!(fine, "{}: {} {}", operation.id, answer.status, answer.text);
        }
    }
    assert_eq!(state(&app, &hers).await, before);
    app.stop_with_jobs().await;
}

/// What a person has beside workspaces, with the ids that paths have for it.
struct Own {
    session: String,
    token: String,
}

impl Own {
    async fn new(app: &TestApp, person: &Person) -> Self {
        let (_, token) = app.program(person, &["search"]).await;
        app.again(person).await;
        let sessions = app.get(person, "/api/v1/account/sessions").await.expect(200);
        Self { session: sessions["items"][0]["id"].as_str().unwrap().to_owned(), token }
    }
}

#[actix_web::test]
async fn other_accounts_ids_are_not_found() {
    let app = TestApp::start().await;
    let [ada, eve] = [app.person("ada").await, app.person("eve").await];
    let hers = Own::new(&app, &ada).await;
    let own = Own::new(&app, &eve).await;
    let document = app.document().await;
    let mut tried = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if path.contains("{ws}") || !path.contains('{') {
            continue;
        }
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let ask = async |of: &Own, nothing: Option<&str>| {
                let path = path
                    .replace("{session}", nothing.unwrap_or(&of.session))
                    .replace("{token}", nothing.unwrap_or(&of.token));
                assert!(!path.contains('{'), "{id} has a parameter: give `Own` one");
                send(app.request(method.to_uppercase().parse().unwrap(), &path).bearer_auth(&eve.token)).await
            };
            let anothers = told(ask(&hers, None).await.problem(404, "not_found"));
            let nothing = nvisy_shared::id::new().to_string();
            assert_eq!(anothers, told(ask(&hers, Some(&nothing)).await.problem(404, "not_found")), "{id}");
            // It was the id.
            assert!(ask(&own, None).await.status.is_success(), "{id}");
            tried.push(id.to_owned());
        }
    }
    tried.sort();
    assert_eq!(tried, ["revokeSession", "revokeToken"]);
    let sessions = app.get(&ada, "/api/v1/account/sessions").await.expect(200);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 2);
    assert_eq!(app.get(&ada, "/api/v1/account/tokens").await.expect(200)["items"][0]["id"], json!(hers.token));
    app.stop().await;
}

/// Where the bodies of the document name something by its id.
const IN_BODIES: [(&str, &str); 3] =
    [("createToken", "workspaces"), ("transferWorkspace", "accountId"), ("updateWorkspace", "defaultSpaceId")];

#[actix_web::test]
async fn other_tenants_ids_in_bodies_look_like_unknown_ids() {
    let app = TestApp::start().await;
    assert_eq!(in_bodies(&app.document().await), IN_BODIES.map(|(id, field)| (id.to_owned(), field.to_owned())));
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    let [eve, mallory] = [app.person("eve").await, app.person("mallory").await];
    let hers = Fixture::new(&app, &ada, &grace).await;
    let own = Fixture::new(&app, &eve, &mallory).await;
    // She has a space of another model.
    let space = nvisy_shared::id::new().to_string();
    app.sql(&format!(
        "insert into embedding_space select (jsonb_populate_record(s, '{{\"id\": \"{space}\", \"model\": \"hers\"}}')).*
         from embedding_space s limit 1;
         update workspace set default_space_id = '{space}' where id = '{}'",
        hers.workspace
    ))
    .await;
    let before = state(&app, &hers).await;
    let ask = async |operation: &str, id: &str| match operation {
        "createToken" => {
            // Beside one that is there, too.
            let expires = nvisy_shared::clock::now() + chrono::Days::new(1);
            let body = json!({ "name": "T", "password": PASSWORD, "permissions": ["search"], "expiresAt": expires, "workspaces": [own.workspace, id] });
            app.post(&eve, "/api/v1/account/tokens", &body).await
        }
        "transferWorkspace" => {
            app.post(&eve, &format!("/api/v1/workspaces/{}/transfer", own.workspace), &json!({ "accountId": id })).await
        }
        "updateWorkspace" => {
            let path = format!("/api/v1/workspaces/{}", own.workspace);
            let body = json!({ "defaultSpaceId": id, "name": "Wind" });
            send(app.request(Method::PATCH, &path).bearer_auth(&eve.token).json(&body)).await
        }
        other => panic!("{other} has an id in its body: ask it here"),
    };
    for (operation, _) in IN_BODIES {
        let (anothers, there) = match operation {
            "createToken" => (&hers.workspace, &own.workspace),
            "transferWorkspace" => (&hers.member.id, &own.member.id),
            _ => (&space, &hers.workspace),
        };
        let answer = told(ask(operation, anothers).await.problem(404, "not_found"));
        let nothing = nvisy_shared::id::new().to_string();
        assert_eq!(answer, told(ask(operation, &nothing).await.problem(404, "not_found")), "{operation}");
        ask(operation, "nonsense").await.problem(422, "invalid_body");
        if operation != "updateWorkspace" {
            assert!(ask(operation, there).await.status.is_success(), "{operation}");
        }
    }
    // The workspace has kept its name: all of it was refused, or nothing.
    assert_eq!(
        app.get(&eve, &format!("/api/v1/workspaces/{}", own.workspace)).await.expect(200)["name"],
        "Tidal energy"
    );
    assert_eq!(state(&app, &hers).await, before);
    app.stop_with_jobs().await;
}

/// A problem without what differs each time.
fn told(mut problem: Value) -> Value {
    problem["requestId"].take();
    problem
}

/// Operations, and the fields of their JSON bodies that hold ids.
fn in_bodies(document: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for operation in
        document["paths"].as_object().unwrap().values().flat_map(|methods| methods.as_object().unwrap().values())
    {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let mut fields = Vec::new();
        ids(document, body, "", &mut fields);
        let id = operation["operationId"].as_str().unwrap();
        found.extend(fields.into_iter().map(|field| (id.to_owned(), field)));
    }
    found.sort();
    found
}

fn ids(document: &Value, schema: &Value, field: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        ids(document, document.pointer(name).unwrap(), field, found);
    }
    if schema["format"] == "uuid" {
        found.push(field.to_owned());
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        ids(document, schema, name, found);
    }
    ids_of_each(document, &schema["items"], field, found);
    for several in ["allOf", "anyOf", "oneOf"] {
        ids_of_each(document, &schema[several], field, found);
    }
}

fn ids_of_each(document: &Value, schemas: &Value, field: &str, found: &mut Vec<String>) {
    match schemas {
        Value::Array(schemas) => schemas.iter().for_each(|schema| ids(document, schema, field, found)),
        Value::Object(_) => ids(document, schemas, field, found),
        _ => {}
    }
}

/// Everything that could have been changed.
async fn state(app: &TestApp, fixture: &Fixture) -> Vec<String> {
    let mut state = Vec::new();
    for table in ["workspace", "member", "file", "file_version", "invite", "activity"] {
        let key = match table {
            "workspace" => "id",
            "activity" => "chain",
            _ => "workspace_id",
        };
        let sql = format!("select t::text as row from {table} t where {key} = '{}' order by 1", fixture.workspace);
        for row in app.rows(&sql).await {
            state.push(row.try_get("", "row").unwrap());
        }
    }
    state
}
