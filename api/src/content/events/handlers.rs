//! The event stream operation.

use std::collections::BTreeMap;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    body::{BodyStream, BoxBody},
    dev::Payload,
    http::header::{self, HeaderValue},
    web::Data,
};
use apistos::{
    api_operation,
    paths::{MediaType, Parameter, ParameterDefinition, ParameterIn, Response, Responses},
    reference_or::ReferenceOr,
};
use futures::future::LocalBoxFuture;
use nvisy_shared::store::{self, event::EventRange};

use super::{sse::Subscription, wire::Event};
use crate::{
    auth::member::{Member, ReadFiles},
    http::{api_component::api_component, gate::Gate, single_header::single_header},
    problem::{Code, Problem},
    state::State,
};

const LAST_EVENT_ID: &str = "Last-Event-ID";
/// With the charset: by the rules of `text/*`, clients such as Python's `requests` decode as ISO 8859-1 without one.
const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";

#[api_operation(
    operation_id = "streamEvents",
    tag = "events",
    summary = "Stream the workspace's events",
    description = "Server-sent events, in order. With `Last-Event-ID` the stream continues after that event, without gaps or repetitions; `0` starts with the first event. Without the header, the stream starts with the next event. If the events after `Last-Event-ID` have been deleted, the response is 410. When the caller loses access, the stream ends without later events."
)]
pub async fn stream(state: Data<State>, member: Member<ReadFiles>, last: LastEventId) -> Result<EventStream, Problem> {
    let permit = state.streams.acquire(member.account, state.platform.config.limit.account_streams)?;
    let live = state.feed.listen();
    let db = state.platform.db.clone();
    let range = store::event::range(&db, member.workspace).await?;
    let newest = range.last;
    let last = match last.0 {
        Some(seq) if seq < range.deleted_through => return Err(events_deleted(range)),
        // From another workspace, or from before a backup was restored: the events after it are not its successors.
        Some(seq) if seq > newest => return Err(invalid_last_event_id()),
        Some(seq) => seq,
        None => newest,
    };
    let (workspace, right, lifecycle) = (member.workspace, member.access_grant(), state.lifecycle.clone());
    Ok(EventStream(Subscription { db, live, workspace, right, last, newest, lifecycle, _permit: permit }))
}

/// Extractor: the last event that the client received before it reconnects.
pub struct LastEventId(Option<i64>);

impl FromRequest for LastEventId {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let last = single_header(request.headers(), LAST_EVENT_ID).and_then(|value| value.map(parse).transpose());
        Box::pin(async move {
            gate.passed().await;
            last.map(Self)
        })
    }
}

fn parse(value: &HeaderValue) -> Result<i64, Problem> {
    let seq = value.to_str().ok().and_then(|value| value.parse().ok()).filter(|seq| *seq >= 0);
    seq.ok_or_else(invalid_last_event_id)
}

fn invalid_last_event_id() -> Problem {
    Problem::new(Code::InvalidHeader).detail("Last-Event-ID must be the id of an event of this stream")
}

/// 410: a client must not miss events without noticing. One that has been away for too long reads the files again.
fn events_deleted(range: EventRange) -> Problem {
    let EventRange { deleted_through, .. } = range;
    Problem::new(Code::EventsDeleted).detail(format!(
        "events up to {deleted_through} have been deleted: read the files again, then continue with Last-Event-ID {deleted_through}"
    ))
}

api_component!(LastEventId {
    fn parameters() -> Vec<Parameter> {
        vec![Parameter {
            name: LAST_EVENT_ID.to_owned(),
            _in: ParameterIn::Header,
            description: Some("The `id` of the last event received.".to_owned()),
            definition: u64::raw_schema().map(|schema| ParameterDefinition::Schema(Box::new(schema))),
            ..Parameter::default()
        }]
    }
});

/// A response that lasts until the client disconnects.
pub struct EventStream(Subscription);

impl Responder for EventStream {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            // Proxies must not buffer events.
            .insert_header(("x-accel-buffering", "no"))
            .body(BodyStream::new(self.0.frames()))
    }
}

api_component!(EventStream as Event {
    fn responses(_: Option<String>) -> Option<Responses> {
        let schema = ReferenceOr::Reference { _ref: "#/components/schemas/Event".to_owned() };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let response =
            Response { content: BTreeMap::from([(CONTENT_TYPE.to_owned(), media)]), ..Response::default() };
        let responses = BTreeMap::from([("200".to_owned(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
    }
});
