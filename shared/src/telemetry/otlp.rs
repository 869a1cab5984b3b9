//! OTLP over HTTP with protobuf bodies.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::SdkLoggerProvider,
    metrics::SdkMeterProvider,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::SdkTracerProvider,
};
use tokio::runtime::Handle;

use super::{InitError, export::ExportSettings};
use crate::id;

/// Longest wait for the last flush.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// One provider for each signal that is exported.
///
/// Each batches on its own thread, which the SDK starts when the provider is built.
#[derive(Clone, Debug, Default)]
pub(super) struct Providers {
    pub(super) traces: Option<SdkTracerProvider>,
    pub(super) metrics: Option<SdkMeterProvider>,
    pub(super) logs: Option<SdkLoggerProvider>,
}

impl Providers {
    pub(super) fn build(service: &'static str, export: &ExportSettings) -> Result<Self, InitError> {
        if export.is_off() {
            return Ok(Self::default());
        }
        let client: Arc<dyn HttpClient> = Arc::new(OtlpClient::build(export)?);
        let resource = resource(service, export);
        let mut providers = Self::default();
        if let Some(endpoint) = &export.traces {
            let exporter = SpanExporter::builder().with_http().with_shared_http_client(client.clone());
            let exporter = exporter.with_endpoint(endpoint).with_protocol(Protocol::HttpBinary).build()?;
            let provider = SdkTracerProvider::builder().with_resource(resource.clone());
            providers.traces = Some(provider.with_batch_exporter(exporter).build());
        }
        if let Some(endpoint) = &export.metrics {
            let exporter = MetricExporter::builder().with_http().with_shared_http_client(client.clone());
            let exporter = exporter.with_endpoint(endpoint).with_protocol(Protocol::HttpBinary).build()?;
            let provider = SdkMeterProvider::builder().with_resource(resource.clone());
            providers.metrics = Some(provider.with_periodic_exporter(exporter).build());
        }
        if let Some(endpoint) = &export.logs {
            let exporter = LogExporter::builder().with_http().with_shared_http_client(client);
            let exporter = exporter.with_endpoint(endpoint).with_protocol(Protocol::HttpBinary).build()?;
            let provider = SdkLoggerProvider::builder().with_resource(resource);
            providers.logs = Some(provider.with_batch_exporter(exporter).build());
        }
        Ok(providers)
    }

    /// Flushes and stops all of them at the same time, each within [`FLUSH_TIMEOUT`].
    pub(super) async fn shutdown(self) {
        // On blocking threads, because the SDK blocks until this runtime has carried out its requests.
        let traces = tokio::task::spawn_blocking(move || self.traces.map(|it| it.shutdown_with_timeout(FLUSH_TIMEOUT)));
        let metrics =
            tokio::task::spawn_blocking(move || self.metrics.map(|it| it.shutdown_with_timeout(FLUSH_TIMEOUT)));
        let logs = tokio::task::spawn_blocking(move || self.logs.map(|it| it.shutdown_with_timeout(FLUSH_TIMEOUT)));
        for (signal, task) in [("traces", traces), ("metrics", metrics), ("logs", logs)] {
            let result: Option<OTelSdkResult> = task.await.expect("shutting a provider down does not panic");
            if let Some(Err(error)) = result {
                tracing::warn!(signal, %error, "telemetry was not flushed");
            }
        }
    }
}

/// The attributes of this process: the defaults below, then `OTEL_RESOURCE_ATTRIBUTES`, then `OTEL_SERVICE_NAME`. Later ones win.
fn resource(service: &'static str, export: &ExportSettings) -> Resource {
    let resource = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", id::new().to_string()),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()));
    match &export.service {
        Some(name) => resource.with_service_name(name.clone()).build(),
        None => resource.build(),
    }
}

/// An HTTP client for the threads of the SDK, which run outside tokio: the runtime in which the client was built carries out the
/// requests.
#[derive(Debug)]
struct OtlpClient {
    http: reqwest::Client,
    runtime: Handle,
}

impl OtlpClient {
    #[expect(
        clippy::disallowed_methods,
        reason = "the collector is the operator's choice and usually on a private address, which `outbound` rejects"
    )]
    fn build(export: &ExportSettings) -> Result<Self, InitError> {
        // reqwest has no default cryptography and panics without one. An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder().timeout(export.timeout);
        if !export.is_encrypted() {
            // Otherwise an image without trusted certificates could not export over plain HTTP either.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { http: builder.build()?, runtime: Handle::try_current()? })
    }
}

#[async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        self.runtime.spawn(async move { http.send_bytes(request).await }).await?
    }
}
