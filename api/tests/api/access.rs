//! Every operation of the document, asked by people who may not: a new one is covered by being documented.

use reqwest::Method;
use serde_json::Value;

use crate::app::{TestApp, send};

/// What anybody may ask. Everything else wants a token.
const PUBLIC: [&str; 5] = ["signUp", "login", "health", "live", "ready"];

struct Operation {
    id: String,
    method: Method,
    path: String,
    secured: bool,
}

impl Operation {
    /// The path, with the workspace's id for `{ws}` and an id of nothing for all else.
    fn path(&self, workspace: &str) -> String {
        let nothing = nvisy_shared::id::new().to_string();
        let part = |part: &str| match part {
            "{ws}" => workspace.to_owned(),
            part if part.starts_with('{') => nothing.clone(),
            part => part.to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                secured: operation["security"] == serde_json::json!([{ "bearer": [] }]),
            });
        }
    }
    assert!(all.len() > PUBLIC.len(), "the document is incomplete");
    all
}

#[actix_web::test]
async fn nobody_does_anything_without_a_token() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    for operation in operations(&app.document().await) {
        assert_eq!(operation.secured, !PUBLIC.contains(&operation.id.as_str()), "{}", operation.id);
        if operation.secured {
            let path = operation.path(&workspace);
            for token in [None, Some("x.y.z")] {
                let request = app.request(operation.method.clone(), &path);
                let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
                send(request).await.problem(401, "unauthenticated");
            }
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_stranger_finds_nothing_in_a_workspace() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let stranger = app.person("stranger").await;
    for operation in operations(&app.document().await) {
        if operation.path.contains("{ws}") {
            assert!(operation.secured, "{}", operation.id);
            // Without a body or with a broken one: nothing a stranger sends is looked at.
            for body in [None, Some("{")] {
                let request = app.request(operation.method.clone(), &operation.path(&workspace));
                let request = request.bearer_auth(&stranger.token).header("content-type", "application/json");
                let request = body.into_iter().fold(request, |request, body| request.body(body));
                send(request).await.problem(404, "not_found");
            }
        }
    }
    app.stop().await;
}
