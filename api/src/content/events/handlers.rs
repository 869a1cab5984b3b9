//! The event operation.

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

#[api_operation(
    operation_id = "streamEvents",
    tag = "events",
    summary = "Follow the workspace's events",
    description = "Server-sent events, in order. With `Last-Event-ID` the stream goes on after that event, without a gap or a repetition; `0` begins with the first, without it with the next. Where events after it are not kept any more the answer is 410. It ends when the caller may not listen any more, and what happens from then on is not sent.",
    error_code = 410
)]
pub async fn stream(state: Data<State>, member: Member<ReadFiles>, last: LastEventId) -> Result<EventStream, Problem> {
    let counted = state.streams.acquire(member.account, state.platform.config.limit.account_streams)?;
    let live = state.feed.listen();
    let db = state.platform.db.clone();
    let range = store::event::range(&db, member.workspace).await?;
    let newest = range.last;
    let last = match last.0 {
        Some(seq) if seq < range.deleted_through => return Err(forgotten(range)),
        // Of another workspace, or from before an older backup was brought back: what comes next is not what follows.
        Some(seq) if seq > newest => return Err(stranger()),
        Some(seq) => seq,
        None => newest,
    };
    let (workspace, right, lifecycle) = (member.workspace, member.access_grant(), state.lifecycle.clone());
    Ok(EventStream(Subscription { db, live, workspace, right, last, newest, lifecycle, _permit: counted }))
}

/// Extractor: where the listener was when the connection broke.
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
    seq.ok_or_else(stranger)
}

fn stranger() -> Problem {
    Problem::new(Code::InvalidHeader).detail("Last-Event-ID is the id of an event of this stream")
}

/// Nobody is to miss events without being told: who has been away for too long reads anew what there is.
fn forgotten(range: EventRange) -> Problem {
    let EventRange { deleted_through, .. } = range;
    Problem::new(Code::EventsForgotten).detail(format!(
        "events up to {deleted_through} are not kept any more: read the files anew, then follow from Last-Event-ID {deleted_through} on"
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

/// An answer that goes on until the client leaves.
pub struct EventStream(Subscription);

impl Responder for EventStream {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/event-stream"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            // Proxies must pass events on as they come.
            .insert_header(("x-accel-buffering", "no"))
            .body(BodyStream::new(self.0.frames()))
    }
}

api_component!(EventStream as Event {
    fn responses(_: Option<String>) -> Option<Responses> {
        let schema = ReferenceOr::Reference { _ref: "#/components/schemas/Event".to_owned() };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        let response =
            Response { content: BTreeMap::from([("text/event-stream".to_owned(), media)]), ..Response::default() };
        let responses = BTreeMap::from([("200".to_owned(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
    }
});
