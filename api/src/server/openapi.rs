//! The OpenAPI document: collected once, at start, from the same routes that are served.

use std::collections::{BTreeMap, HashMap};

use actix_web::{
    App, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderValue},
    },
    test::{TestRequest, call_and_read_body, init_service},
    web::{Bytes, Data},
};
use apistos::{
    ApiComponent, ApiErrorComponent, app::OpenApiWrapper, info::Info, paths::Response, server::Server, spec::Spec,
    tag::Tag,
};
use serde_json::{Value, json};

use super::routes;
use crate::{
    auth::bearer,
    http::{chunked_body::chunked_body, idempotency},
    problem::{self, Problem},
};

/// Where it is served.
pub const PATH: &str = "/api/openapi.json";

/// Of the HTTP API: `/api/v1`.
const VERSION: &str = "1";

const TAGS: [(&str, &str); 11] = [
    ("accounts", "Signing up, and the caller's own account."),
    ("sessions", "Logging in, staying logged in, logging out; where the caller is logged in."),
    ("tokens", "API tokens: what programs act for an account with."),
    ("workspaces", "Workspaces: tenants that share nothing with each other."),
    ("members", "Who belongs to a workspace, and in which role."),
    ("invites", "Asking people into a workspace."),
    ("files", "Files of a workspace, and how far each is on its way to being searchable."),
    ("search", "Finding passages by meaning, by words, or by both."),
    ("events", "What happens in a workspace, as it happens."),
    ("activities", "Who did what in a workspace."),
    ("health", "Whether the service can do its work."),
];

/// The document, ready to be sent.
#[derive(Debug)]
pub struct Document {
    json: Bytes,
    /// By path template, what `Allow` says there.
    methods: HashMap<String, HeaderValue>,
}

impl Document {
    /// Collects the document. apistos gives it away only as an answer of an app of its own, so that is asked, once.
    pub async fn collect() -> Self {
        let app = App::new().document(spec()).configure(routes::mount).build(PATH);
        let raw = call_and_read_body(&init_service(app).await, TestRequest::get().uri(PATH).to_request()).await;
        let mut document = serde_json::from_slice(&raw).expect("the document is JSON");
        complete(&mut document);
        let json = serde_json::to_vec(&document).expect("a JSON value can be written").into();
        Self { json, methods: methods(&document) }
    }

    /// The methods of a path template, as `Allow` lists them.
    pub fn methods(&self, path: &str) -> Option<HeaderValue> {
        self.methods.get(path).cloned()
    }
}

/// `GET /api/openapi.json`
pub async fn serve(document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(chunked_body(document.json.clone()))
}

fn spec() -> Spec {
    Spec {
        info: Info {
            title: "Nvisy".to_owned(),
            description: Some(
                "Files in, searchable knowledge out. Errors are RFC 9457 problems with a stable `code`; lists are \
                 keyset-paginated; every POST that creates takes an `Idempotency-Key`."
                    .to_owned(),
            ),
            // Of what is described. Which build serves it is nobody's business.
            version: VERSION.to_owned(),
            ..Info::default()
        },
        // Relative: wherever the document was read.
        servers: vec![Server { url: "/".to_owned(), ..Server::default() }],
        tags: TAGS
            .map(|(name, text)| Tag { name: name.to_owned(), description: Some(text.to_owned()), ..Tag::default() })
            .to_vec(),
        ..Spec::default()
    }
}

/// Adds what follows from an operation's shape, so that no handler has to list it: what extractors and the framework
/// refuse. What is particular to an operation stands in its `error_code`s.
fn complete(document: &mut Value) {
    let problems: BTreeMap<String, Response> = Problem::error_responses().into_iter().collect();
    alternatives(document);
    each_operation(document, |path, operation| {
        let statuses = refusals(path, operation);
        let Some(responses) = operation["responses"].as_object_mut() else { return };
        for status in statuses {
            responses.entry(status).or_insert_with(|| json!(problems[status]));
        }
        for (status, response) in responses {
            // A description is mandatory in OpenAPI, and apistos leaves it empty.
            if response["description"] == "" {
                response["description"] = json!(reason(status));
            }
        }
    });
    for (name, schema) in problem::Body::child_schemas().into_iter().chain(problem::Body::schema()) {
        document["components"]["schemas"][name] = json!(schema);
    }
}

/// Where an API token is enough, so is a session. Outside of workspaces tokens only read.
fn alternatives(document: &mut Value) {
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

/// The statuses with which any operation of this shape may be refused.
fn refusals(path: &str, operation: &Value) -> Vec<&'static str> {
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

fn reason(status: &str) -> &'static str {
    StatusCode::from_bytes(status.as_bytes()).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

fn methods(document: &Value) -> HashMap<String, HeaderValue> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let allow = |operations: &Value| {
        let names: Vec<_> = operations.as_object().into_iter().flatten().map(|(name, _)| name.to_uppercase()).collect();
        HeaderValue::try_from(names.join(", ")).expect("methods are plain words")
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
