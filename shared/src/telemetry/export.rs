//! The settings in the standard `OTEL_*` variables.
//!
//! The SDK itself reads the sampler (`OTEL_TRACES_SAMPLER`), the batch and interval settings (`OTEL_BSP_*`,
//! `OTEL_BLRP_*`, `OTEL_METRIC_EXPORT_INTERVAL`), `OTEL_RESOURCE_ATTRIBUTES`, and of the exporters the headers,
//! the compression and the time limits. This module reads the variables that the SDK ignores or treats differently.

use std::time::Duration;

use super::InitError;

/// The endpoint of each signal; a signal without one is not exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ExportSettings {
    pub(super) traces: Option<String>,
    pub(super) metrics: Option<String>,
    pub(super) logs: Option<String>,
    /// `OTEL_SERVICE_NAME`.
    pub(super) service: Option<String>,
    /// Longest wait for the response to one request.
    pub(super) timeout: Duration,
}

impl ExportSettings {
    /// Reads the variables through `get`. Without an endpoint nothing is exported: with the standard's default, a collector on the
    /// local host, every machine without one would try to connect in vain.
    pub(super) fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, InitError> {
        // By the standard an empty variable counts as unset.
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Self::default());
        }
        let timeout = get("OTEL_EXPORTER_OTLP_TIMEOUT").and_then(|millis| millis.parse().ok());
        Ok(Self {
            traces: endpoint(&get, "TRACES", "v1/traces")?,
            metrics: endpoint(&get, "METRICS", "v1/metrics")?,
            logs: endpoint(&get, "LOGS", "v1/logs")?,
            service: get("OTEL_SERVICE_NAME"),
            timeout: timeout.map_or(opentelemetry_otlp::OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, Duration::from_millis),
        })
    }

    pub(super) fn is_off(&self) -> bool {
        self.endpoints().next().is_none()
    }

    /// Whether any endpoint needs TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.endpoints().any(|endpoint| endpoint.starts_with("https:"))
    }

    fn endpoints(&self) -> impl Iterator<Item = &String> {
        [&self.traces, &self.metrics, &self.logs].into_iter().flatten()
    }
}

/// The endpoint of one signal: its own variable is a full URL, the common one a base URL.
fn endpoint(get: &impl Fn(&str) -> Option<String>, signal: &str, path: &str) -> Result<Option<String>, InitError> {
    let exporter = format!("OTEL_{signal}_EXPORTER");
    match get(&exporter).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(value) => return Err(unsupported(&exporter, value, "otlp and none are")),
    }
    let own = get(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
    let common = || get("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| format!("{}/{path}", base.trim_end_matches('/')));
    let Some(endpoint) = own.or_else(common) else { return Ok(None) };

    let names = [format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL".to_owned()];
    if let Some((name, value)) = names.iter().find_map(|name| Some((name, get(name)?)))
        && value != "http/protobuf"
    {
        return Err(unsupported(name, &value, "http/protobuf is"));
    }
    Ok(Some(endpoint))
}

fn unsupported(name: &str, value: &str, supported: &'static str) -> InitError {
    InitError::Unsupported { name: name.to_owned(), value: value.to_owned(), supported }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ExportSettings, InitError> {
        ExportSettings::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn export_is_off_without_an_endpoint() {
        assert!(read(&[]).unwrap().is_off());
        assert!(read(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_off());
    }

    #[test]
    fn common_endpoint_is_a_base_url_and_that_of_a_signal_is_not() {
        let export = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:1/in"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_SERVICE_NAME", "blue"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ])
        .unwrap();
        assert_eq!(export.traces.as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(export.metrics, None);
        assert_eq!(export.logs.as_deref(), Some("http://logs:1/in"));
        assert_eq!(export.service.as_deref(), Some("blue"));
        assert_eq!(export.timeout, Duration::from_millis(250));
        assert!(!export.is_encrypted());
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector")]).unwrap().is_encrypted());
    }

    #[test]
    fn disabled_sdk_overrides_endpoints() {
        let export =
            read(&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]).unwrap();
        assert!(export.is_off());
    }

    #[test]
    fn unsupported_value_is_rejected_with_the_name_of_its_variable() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
        let error = read(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert_eq!(error.to_string(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported: http/protobuf is");
        assert!(read(&[endpoint, ("OTEL_LOGS_EXPORTER", "console")]).is_err());
        // The protocol does not matter while nothing is exported.
        assert!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap().is_off());
    }
}
