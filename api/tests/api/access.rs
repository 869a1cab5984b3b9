//! Every operation of the document, asked by people who may not: a new one is covered by being documented.

use reqwest::Method;
use serde_json::Value;

use crate::app::{TestApp, send};

/// What anybody may ask. Everything else wants a token.
pub(crate) const PUBLIC: [&str; 10] = [
    "signUp",
    "confirmSignUp",
    "forgotPassword",
    "resetPassword",
    "confirmEmail",
    "login",
    "refresh",
    "health",
    "live",
    "ready",
];

#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// A template, until [`Operation::at`] fills it in.
    pub(crate) path: String,
    /// The names of its query parameters.
    pub(crate) query: Vec<String>,
    secured: bool,
    /// The schema of its JSON body.
    body: Option<String>,
}

impl Operation {
    /// The path, with the workspace's id for `{ws}` and an id of nothing for all else.
    pub(crate) fn path(&self, workspace: &str) -> String {
        let nothing = nvisy_shared::id::new().to_string();
        let part = |part: &str| match part {
            "{ws}" => workspace.to_owned(),
            part if part.starts_with('{') => nothing.clone(),
            part => part.to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// The operation, in this workspace.
    pub(crate) fn at(&self, workspace: &str) -> Self {
        Self { path: self.path(workspace), ..self.clone() }
    }

    /// A JSON body as the document shows it.
    pub(crate) fn example(&self, document: &Value) -> Option<Value> {
        let schema = document.pointer(self.body.as_ref()?.strip_prefix('#')?)?;
        Some(schema.get("example").cloned().unwrap_or_else(|| serde_json::json!({})))
    }
}

pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                query: operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|one| one["in"] == "query")
                    .map(|one| one["name"].as_str().unwrap().to_owned())
                    .collect(),
                body: operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                    .as_str()
                    .map(str::to_owned),
                secured: operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()),
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
