//! The OpenAPI document: collected once, at start, from the routes that the server mounts.
//!
//! apistos describes routes, parameters, bodies and successes. The passes of the modules here add what it does not know, and
//! rewrite what foreign tools would misread.

mod errors;
mod headers;
mod operations;
mod samples;
mod schemas;
mod security;
mod version_3_1;

use std::collections::HashMap;

use actix_web::{
    App, HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderValue},
    test::{TestRequest, call_and_read_body, init_service},
    web::Data,
};
use apistos::{ApiComponent, app::OpenApiWrapper, info::Info, server::Server, spec::Spec, tag::Tag};
use serde_json::{Value, json};

use self::operations::each_operation;
use super::{routes, static_body::StaticBody};
use crate::{auth::member::PERMISSION_EXTENSION, problem};

/// The path of the document in OpenAPI 3.0.
pub const PATH: &str = "/api/openapi.json";

/// The path of the document in OpenAPI 3.1.
pub const PATH_3_1: &str = "/api/openapi-3.1.json";

/// The name of the service.
pub const TITLE: &str = "Nvisy";

/// The version of the HTTP API: `/api/v1`.
pub const VERSION: &str = "1";

const LICENSE_URL: &str = "https://www.apache.org/licenses/LICENSE-2.0";

const TAGS: [(&str, &str); 17] = [
    ("accounts", "Sign-up, and the caller's own account."),
    ("sessions", "Login, refresh and logout; the caller's sessions and second factor."),
    ("tokens", "API tokens: credentials with which programs act for an account."),
    ("workspaces", "Workspaces: tenants that are isolated from each other."),
    ("members", "The members of a workspace and their roles."),
    ("invites", "Invites to a workspace."),
    ("files", "The files of a workspace, and the state of their indexing."),
    ("connections", "Connections: accounts at other systems, such as model providers, with which pipelines work."),
    ("collections", "Collections: the named indexes of a workspace, which pipelines write to and search reads."),
    ("chunks", "Chunks: the passages of files in collections, which search finds."),
    ("pipelines", "Pipelines: definitions of the processing of files, their versions, validation and plans."),
    ("runs", "Runs of pipelines over files, their items, and the outputs of their nodes."),
    ("search", "Semantic and full-text search."),
    ("evaluations", "Judged queries, and evaluations of searches on them."),
    ("events", "The live events of a workspace."),
    ("activities", "The activity logs of workspaces and of the caller's account."),
    ("health", "Liveness and readiness of the service."),
];

/// The serialized document in both versions, and the methods of its paths.
#[derive(Debug)]
pub struct OpenApiDocument {
    version_3_0: StaticBody,
    version_3_1: StaticBody,
    /// The value of `Allow` by path template.
    methods: HashMap<String, HeaderValue>,
}

impl OpenApiDocument {
    pub async fn collect() -> Self {
        let document = Self::collect_json().await;
        let body = |document: &Value| {
            let json = serde_json::to_vec(document).expect("a JSON value is serializable");
            StaticBody::new("application/json", "no-cache", json)
        };
        Self {
            version_3_0: body(&document),
            version_3_1: body(&version_3_1::converted(&document)),
            methods: methods(&document),
        }
    }

    /// Collects the document. apistos returns it only as a response of an app, so this requests it from one.
    pub async fn collect_json() -> Value {
        let app = App::new().document(spec()).configure(routes::mount).build(PATH);
        let raw = call_and_read_body(&init_service(app).await, TestRequest::get().uri(PATH).to_request()).await;
        let mut document = serde_json::from_slice(&raw).expect("the document is JSON");
        complete(&mut document);
        document
    }

    /// The methods of a path template, as `Allow` lists them.
    pub fn methods(&self, path: &str) -> Option<HeaderValue> {
        self.methods.get(path).cloned()
    }
}

/// `GET /api/openapi.json`
pub async fn serve(document: Data<OpenApiDocument>, request: HttpRequest) -> HttpResponse {
    document.version_3_0.respond(&request)
}

/// `GET /api/openapi-3.1.json`
pub async fn serve_3_1(document: Data<OpenApiDocument>, request: HttpRequest) -> HttpResponse {
    document.version_3_1.respond(&request)
}

fn spec() -> Spec {
    Spec {
        info: Info {
            title: TITLE.to_owned(),
            description: Some(
                "Makes uploaded files searchable. Errors are RFC 9457 problems with a stable `code`; lists are \
                 keyset-paginated; every POST that creates a resource accepts an `Idempotency-Key`. `HEAD` works wherever \
                 `GET` does. This document is also available in OpenAPI 3.1, at `/api/openapi-3.1.json`."
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

/// Completes the document that apistos collects.
fn complete(document: &mut Value) {
    for (name, schema) in problem::ProblemBody::child_schemas().into_iter().chain(problem::ProblemBody::schema()) {
        document["components"]["schemas"][name] = json!(schema);
    }
    document["info"]["license"] = json!({ "name": "Apache-2.0", "url": LICENSE_URL });
    security::declare(document);
    errors::declare(document);
    headers::declare(document);
    samples::declare(document);
    schemas::simplify(document);
    each_operation(document, |mut operation| {
        operation.object.remove("deprecated");
        for (status, response) in operation.responses() {
            // A description is mandatory in OpenAPI, and apistos leaves it empty.
            if response["description"] == "" {
                response["description"] = json!(reason_phrase(status));
            }
        }
        for parameter in operation.object.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(parameter) = parameter.as_object_mut() else { continue };
            parameter.remove(PERMISSION_EXTENSION);
            // apistos leaves it in the schema.
            let description =
                parameter.get_mut("schema").and_then(|schema| schema.as_object_mut()?.remove("description"));
            if let Some(description) = description {
                parameter.entry("description").or_insert(description);
            }
        }
    });
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
