//! W3C trace context in and out of headers.
//!
//! A job's span is a child of the span that enqueued it, so that one trace runs from the upload to the last vector. It also
//! links that span: backends show the link across the wait in the queue, and it remains where the parent is lost, as in a span
//! that began before its job was known.
//!
//! With tracing off, these functions do nothing.

use std::collections::HashMap;

use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt, SetParentError};

/// The header, in HTTP, in NATS and in the outbox.
pub const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The current span as a `traceparent`; `None` outside of any span and when traces are off.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
    headers.remove(TRACEPARENT)
}

/// Makes `span` a child of the remote span. A value that does not parse is ignored, because it comes from unauthenticated
/// callers.
///
/// Call it before the span is entered for the first time; a span that has begun keeps its parent.
pub fn set_parent(span: &Span, traceparent: &str) {
    set_parent_context(span, context(|name| (name == TRACEPARENT).then_some(traceparent)));
}

/// Links the remote span, of any trace, as a cause of `span`. A value that does not parse is ignored.
pub fn link(span: &Span, traceparent: &str) {
    let context = context(|name| (name == TRACEPARENT).then_some(traceparent));
    span.add_link(context.span().span_context().clone());
}

/// Connects a job with its producer: [`set_parent`] and [`link`].
pub fn continue_from(span: &Span, traceparent: &str) {
    set_parent(span, traceparent);
    link(span, traceparent);
}

/// Makes the span of a request a child of the span in its headers, vendor state included.
///
/// `header` looks a header up by its lower-case name. As [`set_parent`], before the span is entered.
pub fn extract_parent<'a>(span: &Span, header: impl Fn(&str) -> Option<&'a str>) {
    set_parent_context(span, context(header));
}

fn set_parent_context(span: &Span, parent: Context) {
    if !parent.span().span_context().is_valid() {
        return;
    }
    let result = span.set_parent(parent);
    debug_assert!(
        !matches!(result, Err(SetParentError::AlreadyStarted)),
        "the parent must be set before the span is entered"
    );
}

/// The remote context; an empty one if the headers contain none.
fn context<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Context {
    let found =
        [TRACEPARENT, TRACESTATE].into_iter().filter_map(|name| Some((name.to_owned(), header(name)?.to_owned())));
    let headers: HashMap<String, String> = found.collect();
    // Based on an empty context: the current one would replace a missing header.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}
