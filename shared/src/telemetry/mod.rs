//! Logs to stderr, always; traces, metrics and logs over OTLP when the standard `OTEL_*` variables enable it.
//!
//! ```text
//! subscriber   the layers and their filters: stderr, spans, log records
//! export       the settings in the OTEL_* variables
//! otlp         exporters, providers and the HTTP client they share
//! propagation  W3C trace context in and out of headers
//! metrics      every instrument, and the table of their specifications
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

use self::{export::ExportSettings, otlp::Providers};
use crate::config;

pub use self::metrics::metrics;

/// The instrumentation scope of the spans and metrics of this project.
const INSTRUMENTATION_SCOPE: &str = "nvisy";

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter of log lines does not parse.
    #[error("NVISY_LOG_FILTER cannot be parsed: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// An `OTEL_*` variable has a value that this build does not support.
    #[error("{name}={value} is not supported: {supported}")]
    Unsupported {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// The supported values.
        supported: &'static str,
    },
    /// An `OTEL_EXPORTER_OTLP_*` variable cannot be used.
    #[error("telemetry cannot be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The exporting client cannot be built, for example without trusted certificates.
    #[error("the HTTP client of telemetry cannot be built")]
    Client(#[from] reqwest::Error),
    /// Exporting needs a tokio runtime, and none is running.
    #[error("telemetry can be exported only from within a tokio runtime")]
    Runtime(#[from] tokio::runtime::TryCurrentError),
    /// A subscriber was installed before.
    #[error("telemetry is already set up")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Result of [`init`]. Keep it until the end of `main`, then call [`Telemetry::shutdown`].
#[must_use = "telemetry that `shutdown` has not flushed is lost"]
#[derive(Debug)]
pub struct Telemetry {
    /// Empty when nothing is exported: no client, no thread.
    providers: Providers,
}

/// Sets up logs, traces and metrics for the whole process. Call it once, before everything else, in the runtime: an instrument
/// that was used before never records.
///
/// `service` is the `service.name` unless `OTEL_SERVICE_NAME` is set.
///
/// # Errors
/// When the filter or an `OTEL_*` variable cannot be used, outside of a runtime, or at the second call.
pub fn init(service: &'static str, log: &config::LogConfig) -> Result<Telemetry, InitError> {
    let export = ExportSettings::from_variables(|name| std::env::var(name).ok())?;
    let providers = Providers::build(service, &export)?;
    subscriber::build(log, &providers)?.try_init()?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    if let Some(provider) = &providers.metrics {
        opentelemetry::global::set_meter_provider(provider.clone());
    }
    Ok(Telemetry { providers })
}

impl Telemetry {
    /// Flushes buffered telemetry. Takes at most five seconds; telemetry that the collector has not accepted by then is lost.
    pub async fn shutdown(self) {
        self.providers.shutdown().await;
    }
}
