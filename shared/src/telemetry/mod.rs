//! Logs to stderr, always; traces, metrics and logs over OTLP when the standard `OTEL_*` variables ask for it.
//!
//! ```text
//! subscriber   which layer sees what: stderr, spans, log records
//! export       what the OTEL_* variables ask for
//! otlp         exporters, providers and the HTTP client they share
//! propagation  W3C trace context in and out of headers
//! metrics      every instrument, and the table of their names
//! ```

mod export;
pub mod metrics;
mod otlp;
pub mod propagation;
mod subscriber;
#[cfg(test)]
mod tests;

use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_subscriber::util::SubscriberInitExt;

use self::{export::Export, otlp::Providers};
use crate::config;

pub use self::metrics::metrics;

/// Begins the name of everything we hand to OpenTelemetry ourselves.
const SCOPE: &str = "nvisy";

/// Why a process cannot say what it does.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter of log lines does not parse.
    #[error("NVISY_LOG_FILTER cannot be understood: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// An `OTEL_*` variable asks for something that is not built in.
    #[error("{name}={value} is not supported: {supported}")]
    Unsupported {
        /// The variable.
        name: String,
        /// What it says.
        value: String,
        /// What it may say.
        supported: &'static str,
    },
    /// An `OTEL_EXPORTER_OTLP_*` variable cannot be used.
    #[error("telemetry cannot be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The client that exports cannot be built, for lack of trusted certificates for instance.
    #[error("the HTTP client of telemetry cannot be built")]
    Client(#[from] reqwest::Error),
    /// Exporting needs tokio, and it is not running.
    #[error("telemetry is exported from within a tokio runtime")]
    Runtime(#[from] tokio::runtime::TryCurrentError),
    /// Somebody installed a subscriber before.
    #[error("telemetry is already set up")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// What [`init`] set up; keep it until the end of `main`, then [`Telemetry::shutdown`].
#[must_use = "what was not flushed by `shutdown` is lost"]
#[derive(Debug)]
pub struct Telemetry {
    /// Empty when nothing is exported: no client, no thread.
    providers: Providers,
}

/// Sets up logs, traces and metrics for the whole process. Call it once, first thing, in the runtime:
/// an instrument that was used before stays silent.
///
/// `service` is the `service.name` when `OTEL_SERVICE_NAME` does not say otherwise.
///
/// # Errors
/// When the filter or an `OTEL_*` variable cannot be used, outside of a runtime, or at the second call.
pub fn init(service: &'static str, log: &config::Log) -> Result<Telemetry, InitError> {
    let export = Export::from_variables(|name| std::env::var(name).ok())?;
    let providers = Providers::build(service, &export)?;
    subscriber::build(log, &providers)?.try_init()?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    if let Some(provider) = &providers.metrics {
        opentelemetry::global::set_meter_provider(provider.clone());
    }
    Ok(Telemetry { providers })
}

impl Telemetry {
    /// Sends what is still held back. Takes five seconds at most; what the collector has not taken by then
    /// is lost.
    pub async fn shutdown(self) {
        self.providers.shutdown().await;
    }
}
