//! Who sees which span and which event.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
};

use super::{InitError, SCOPE, otlp::Providers};
use crate::config::{self, LogFormat};

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What carries the export; exporting its own doings would never end.
const TRANSPORT: &[&str] =
    &["opentelemetry", "reqwest", "hyper", "h2", "rustls", "tower", "nvisy_shared::telemetry::otlp"];

/// Log lines follow the configured filter, wherever they go; traces do not, or a quieter log would tear them.
pub(super) fn build(log: &config::Log, providers: &Providers) -> Result<Dispatch, InitError> {
    let mut layers = vec![stderr(log)?];
    if let Some(provider) = &providers.traces {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(SCOPE));
        layers.push(layer.with_filter(filter_fn(is_traced)).boxed());
    }
    if let Some(provider) = &providers.logs {
        let filter = EnvFilter::try_new(&log.filter)?.and(filter_fn(|metadata| !is_transport(metadata)));
        layers.push(OpenTelemetryTracingBridge::new(provider).with_filter(filter).boxed());
    }
    Ok(Registry::default().with(layers).into())
}

fn stderr(log: &config::Log) -> Result<BoxedLayer, InitError> {
    let filter = EnvFilter::try_new(&log.filter)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    Ok(match log.format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        // The span list would repeat the current span in every line.
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    })
}

/// Spans of `info` and above, and the warnings and errors within them: an error marks its span as failed.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let least = if metadata.is_span() { Level::INFO } else { Level::WARN };
    *metadata.level() <= least && !is_transport(metadata)
}

fn is_transport(metadata: &Metadata<'_>) -> bool {
    TRANSPORT.iter().any(|target| metadata.target().starts_with(target))
}
