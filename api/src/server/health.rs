//! Liveness and readiness of the process.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::StatusCode, web::Data};
use apistos::{
    ApiComponent, api_operation,
    paths::{MediaType, Response, Responses},
    reference_or::ReferenceOr,
    web::{ServiceConfig, get, resource},
};
use nvisy_shared::{lifecycle::Lifecycle, queue::Queue, store::Db};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::{api_component::api_component, cached_probe::CachedProbe, extract::Json};

/// A service that takes longer to answer is down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a result is reused: anyone may call these operations, but not load the services with them.
const CACHE_DURATION: Duration = Duration::from_secs(1);

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/health").route(get().to(health)))
        .service(resource("/health/live").route(get().to(live)))
        .service(resource("/health/ready").route(get().to(ready)));
}

/// The health of the service and its dependencies.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
struct Health {
    /// The worst status of all components.
    status: Status,
    /// The status of each dependency, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    components: Components,
}

type Components = BTreeMap<&'static str, Status>;

/// Component: probes the services that the API needs.
pub struct Readiness {
    db: Db,
    queue: Queue,
    lifecycle: Lifecycle,
    last: CachedProbe<Components>,
}

impl Readiness {
    pub fn new(db: Db, queue: Queue, lifecycle: Lifecycle) -> Self {
        Self { db, queue, lifecycle, last: CachedProbe::new(CACHE_DURATION) }
    }

    /// The current status; `stopping` from the soft stop on.
    async fn report(&self) -> Report {
        let components = self.last.get(self.probe()).await;
        let status = if self.lifecycle.soft().is_cancelled() {
            Status::Stopping
        } else if components.values().all(|status| *status == Status::Up) {
            Status::Up
        } else {
            Status::Down
        };
        Report(Health { status, components })
    }

    async fn probe(&self) -> Components {
        let (postgres, nats) = tokio::join!(status_of(self.db.ping()), status_of(self.queue.ping()));
        BTreeMap::from([("postgres", postgres), ("nats", nats)])
    }
}

/// The status of the service or of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// Working.
    Up,
    /// Not working.
    Down,
    /// The process is stopping.
    Stopping,
}

/// A [`Health`] as a response: 200 if it is up, else 503.
struct Report(Health);

#[api_operation(operation_id = "health", tag = "health", summary = "Readiness, as `/health/ready`")]
async fn health(readiness: Data<Readiness>) -> Report {
    readiness.report().await
}

#[api_operation(operation_id = "live", tag = "health", summary = "Liveness: whether the process responds")]
async fn live() -> Json<Health> {
    Json(Health { status: Status::Up, components: BTreeMap::new() })
}

#[api_operation(operation_id = "ready", tag = "health", summary = "Readiness: whether the service can handle requests")]
async fn ready(readiness: Data<Readiness>) -> Report {
    readiness.report().await
}

async fn status_of<T, E>(probe: impl Future<Output = Result<T, E>>) -> Status {
    match tokio::time::timeout(PROBE_TIMEOUT, probe).await {
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

api_component!(Report as Health {
    fn responses(_: Option<String>) -> Option<Responses> {
        let schema = ReferenceOr::Reference { _ref: "#/components/schemas/Health".to_owned() };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let response =
            Response { content: BTreeMap::from([("application/json".to_owned(), media)]), ..Response::default() };
        let both = ["200", "503"].map(|status| (status.to_owned(), ReferenceOr::Object(response.clone())));
        Some(Responses { responses: both.into(), ..Responses::default() })
    }
});
