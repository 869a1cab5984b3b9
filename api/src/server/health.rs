//! Whether the process lives, and whether it can do its work.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::StatusCode, web::Data};
use apistos::{
    ApiComponent, Schema, api_operation,
    paths::{MediaType, Response, Responses},
    reference_or::ReferenceOr,
    web::{ServiceConfig, get, resource},
};
use nvisy_shared::store;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{http::cached_probe::Lately, state::State};

/// A component that takes longer to answer is down.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is good: anybody may ask, and so often a question goes on to the components.
const LATELY: Duration = Duration::from_secs(1);

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/health").route(get().to(health)))
        .service(resource("/health/live").route(get().to(live)))
        .service(resource("/health/ready").route(get().to(ready)));
}

/// The service and what it needs.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
struct Health {
    /// The worst of all below.
    status: Status,
    /// By name, each thing the service cannot work without.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    components: Components,
}

type Components = BTreeMap<&'static str, Status>;

/// What the components said last.
#[derive(Debug)]
pub struct Readiness(Lately<Components>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Lately::new(LATELY))
    }
}

/// Whether something does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It does.
    Up,
    /// It does not.
    Down,
    /// Not for much longer: the process has been told to stop.
    Stopping,
}

/// A [`Health`] as an answer: 200 if it is up, else 503.
struct Report(Health);

#[api_operation(operation_id = "health", tag = "health", summary = "Health, as `/health/ready`")]
async fn health(state: Data<State>) -> Report {
    readiness(&state).await
}

#[api_operation(operation_id = "live", tag = "health", summary = "Whether the process answers")]
async fn live() -> Report {
    Report(Health { status: Status::Up, components: BTreeMap::new() })
}

#[api_operation(operation_id = "ready", tag = "health", summary = "Whether requests can be answered")]
async fn ready(state: Data<State>) -> Report {
    readiness(&state).await
}

/// That the process stops is not asked of anybody, and told at once.
async fn readiness(state: &State) -> Report {
    let components = state.readiness.0.get(components(state)).await;
    let status = if state.lifecycle.soft().is_cancelled() {
        Status::Stopping
    } else if components.values().all(|status| *status == Status::Up) {
        Status::Up
    } else {
        Status::Down
    };
    Report(Health { status, components })
}

/// A further component is a further line here.
async fn components(state: &State) -> Components {
    let platform = &state.platform;
    let (postgres, nats) = tokio::join!(answers(store::ping(&platform.db)), answers(platform.queue.ping()));
    BTreeMap::from([("postgres", postgres), ("nats", nats)])
}

async fn answers<T, E>(question: impl Future<Output = Result<T, E>>) -> Status {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(_)) => Status::Up,
        Ok(Err(_)) | Err(_) => Status::Down,
    }
}

impl Responder for Report {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let up = self.0.status == Status::Up;
        HttpResponse::build(if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }).json(self.0)
    }
}

impl ApiComponent for Report {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        Health::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        Health::schema()
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        let schema = ReferenceOr::Reference { _ref: "#/components/schemas/Health".to_owned() };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let response =
            Response { content: BTreeMap::from([("application/json".to_owned(), media)]), ..Response::default() };
        let both = ["200", "503"].map(|status| (status.to_owned(), ReferenceOr::Object(response.clone())));
        Some(Responses { responses: both.into(), ..Responses::default() })
    }
}
