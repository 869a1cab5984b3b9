//! The layers of the subscriber, and the spans and events that each receives.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
};

use super::{INSTRUMENTATION_SCOPE, InitError, otlp::Providers};
use crate::config::{self, LogFormat};

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Targets of the code that exports. Exporting their events would cause further events without end.
const EXPORT_TARGETS: &[&str] =
    &["opentelemetry", "reqwest", "hyper", "h2", "rustls", "tower", "nvisy_shared::telemetry::otlp"];

/// Targets of the code that signs requests: its events have keys, at the level of warnings, too.
const CREDENTIAL_TARGETS: &[&str] = &["reqsign"];

/// The configured filter applies to log lines on stderr and over OTLP, but not to traces: a stricter log filter would leave gaps
/// in traces.
pub(super) fn build(log: &config::LogConfig, providers: &Providers) -> Result<Dispatch, InitError> {
    let mut layers = vec![stderr(log)?];
    if let Some(provider) = &providers.traces {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(INSTRUMENTATION_SCOPE));
        layers.push(layer.with_filter(filter_fn(is_traced)).boxed());
    }
    if let Some(provider) = &providers.logs {
        let filter = EnvFilter::try_new(&log.filter)?;
        let filter = filter.and(filter_fn(|metadata| !is_export(metadata) && !has_credentials(metadata)));
        layers.push(OpenTelemetryTracingBridge::new(provider).with_filter(filter).boxed());
    }
    Ok(Registry::default().with(layers).into())
}

fn stderr(log: &config::LogConfig) -> Result<BoxedLayer, InitError> {
    let filter = EnvFilter::try_new(&log.filter)?.and(filter_fn(|metadata| !has_credentials(metadata)));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    Ok(match log.format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        // The span list would repeat the current span in every line.
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    })
}

/// Spans of level `info` and above, with their warnings and errors: an error marks its span as failed.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let least = if metadata.is_span() { Level::INFO } else { Level::WARN };
    *metadata.level() <= least && !is_export(metadata) && !has_credentials(metadata)
}

fn is_export(metadata: &Metadata<'_>) -> bool {
    EXPORT_TARGETS.iter().any(|target| metadata.target().starts_with(target))
}

fn has_credentials(metadata: &Metadata<'_>) -> bool {
    CREDENTIAL_TARGETS.iter().any(|target| metadata.target().starts_with(target))
}
