//! The OpenAPI document: collected once, at start, from the routes that the server mounts.

use std::collections::{BTreeMap, HashMap};

use actix_web::{
    App, HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderValue},
    test::{TestRequest, call_and_read_body, init_service},
    web::Data,
};
use apistos::{
    ApiComponent, ApiErrorComponent, app::OpenApiWrapper, info::Info, paths::Response, server::Server, spec::Spec,
    tag::Tag,
};
use serde_json::{Value, json};

use super::{routes, static_body::StaticBody};
use crate::{
    auth::bearer,
    http::idempotency,
    problem::{self, Problem},
};

/// The path of the document.
pub const PATH: &str = "/api/openapi.json";

/// The name of the service.
pub const TITLE: &str = "Nvisy";

/// The version of the HTTP API: `/api/v1`.
pub const VERSION: &str = "1";

const TAGS: [(&str, &str); 11] = [
    ("accounts", "Sign-up, and the caller's own account."),
    ("sessions", "Login, refresh and logout; the caller's sessions and second factor."),
    ("tokens", "API tokens: credentials with which programs act for an account."),
    ("workspaces", "Workspaces: tenants that are isolated from each other."),
    ("members", "The members of a workspace and their roles."),
    ("invites", "Invites to a workspace."),
    ("files", "The files of a workspace, and the state of their indexing."),
    ("search", "Semantic and full-text search."),
    ("events", "The live events of a workspace."),
    ("activities", "The activity logs of workspaces and of the caller's account."),
    ("health", "Liveness and readiness of the service."),
];

/// The serialized document, and the methods of its paths.
#[derive(Debug)]
pub struct OpenApiDocument {
    body: StaticBody,
    /// The value of `Allow` by path template.
    methods: HashMap<String, HeaderValue>,
}

impl OpenApiDocument {
    /// Collects the document. apistos returns it only as a response of an app, so this requests it from one.
    pub async fn collect() -> Self {
        let app = App::new().document(spec()).configure(routes::mount).build(PATH);
        let raw = call_and_read_body(&init_service(app).await, TestRequest::get().uri(PATH).to_request()).await;
        let mut document = serde_json::from_slice(&raw).expect("the document is JSON");
        complete(&mut document);
        let json = serde_json::to_vec(&document).expect("a JSON value is serializable");
        Self { body: StaticBody::new("application/json", "no-cache", json), methods: methods(&document) }
    }

    /// The methods of a path template, as `Allow` lists them.
    pub fn methods(&self, path: &str) -> Option<HeaderValue> {
        self.methods.get(path).cloned()
    }
}

/// `GET /api/openapi.json`
pub async fn serve(document: Data<OpenApiDocument>, request: HttpRequest) -> HttpResponse {
    document.body.respond(&request)
}

fn spec() -> Spec {
    Spec {
        info: Info {
            title: TITLE.to_owned(),
            description: Some(
                "Makes uploaded files searchable. Errors are RFC 9457 problems with a stable `code`; lists are \
                 keyset-paginated; every POST that creates a resource accepts an `Idempotency-Key`."
                    .to_owned(),
            ),
            // The version of the API. The document does not reveal the build.
            version: VERSION.to_owned(),
            ..Info::default()
        },
        // Relative to the address of the document.
        servers: vec![Server { url: "/".to_owned(), ..Server::default() }],
        tags: TAGS
            .map(|(name, text)| Tag { name: name.to_owned(), description: Some(text.to_owned()), ..Tag::default() })
            .to_vec(),
        ..Spec::default()
    }
}

/// Adds the errors that follow from the shape of an operation: those of extractors and of the framework. The `error_code`s
/// of an operation list only further ones (and at least one, because without any, apistos lists all).
fn complete(document: &mut Value) {
    let problems: BTreeMap<String, Response> = Problem::error_responses().into_iter().collect();
    add_session_alternatives(document);
    each_operation(document, |path, operation| {
        let statuses = implied_errors(path, operation);
        let Some(responses) = operation["responses"].as_object_mut() else { return };
        for status in statuses {
            responses.entry(status).or_insert_with(|| json!(problems[status]));
        }
        for (status, response) in responses {
            // A description is mandatory in OpenAPI, and apistos leaves it empty.
            if response["description"] == "" {
                response["description"] = json!(reason_phrase(status));
            }
        }
    });
    for (name, schema) in problem::ProblemBody::child_schemas().into_iter().chain(problem::ProblemBody::schema()) {
        document["components"]["schemas"][name] = json!(schema);
    }
}

/// An operation that accepts an API token accepts a session, too. Outside of workspaces, API tokens can only read.
fn add_session_alternatives(document: &mut Value) {
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            if operation["security"] == json!([{ (bearer::TOKEN): [] }]) {
                let both = json!([{ (bearer::SESSION): [] }, { (bearer::TOKEN): [] }]);
                let session = json!([{ (bearer::SESSION): [] }]);
                operation["security"] = if method == "get" || path.contains("{ws}") { both } else { session };
            }
        }
    }
}

/// The error statuses of every operation of this shape.
fn implied_errors(path: &str, operation: &Value) -> Vec<&'static str> {
    let mut statuses = vec!["500", "503", "504"];
    if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
        statuses.extend(["401", "403"]);
    }
    if path.starts_with("/api/v1/") {
        statuses.push("429");
    }
    if operation.get("requestBody").is_some() {
        statuses.extend(["400", "408", "413", "415", "422"]);
    }
    if operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["in"] != "path")) {
        statuses.extend(["400", "422"]);
    }
    let names_header = |one: &Value| one["name"].as_str().is_some_and(|name| name == idempotency::HEADER);
    if operation["parameters"].as_array().is_some_and(|all| all.iter().any(names_header)) {
        statuses.push("409");
    }
    if path.contains('{') {
        statuses.push("404");
    }
    statuses
}

fn reason_phrase(status: &str) -> &'static str {
    StatusCode::from_bytes(status.as_bytes()).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

fn methods(document: &Value) -> HashMap<String, HeaderValue> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let allow = |operations: &Value| {
        let mut names: Vec<_> =
            operations.as_object().into_iter().flatten().map(|(name, _)| name.to_uppercase()).collect();
        if names.iter().any(|name| name == "GET") {
            names.push("HEAD".to_owned());
        }
        HeaderValue::try_from(names.join(", ")).expect("methods are ASCII")
    };
    paths.map(|(path, operations)| (path.clone(), allow(operations))).collect()
}

fn each_operation(document: &mut Value, mut visit: impl FnMut(&str, &mut Value)) {
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (_, operation) in operations.as_object_mut().into_iter().flatten() {
            visit(path, operation);
        }
    }
}
