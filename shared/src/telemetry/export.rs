//! What the standard `OTEL_*` variables ask for.
//!
//! The SDK itself reads the sampler (`OTEL_TRACES_SAMPLER`), the batch and interval settings (`OTEL_BSP_*`,
//! `OTEL_BLRP_*`, `OTEL_METRIC_EXPORT_INTERVAL`), `OTEL_RESOURCE_ATTRIBUTES`, and of the exporters the headers,
//! the compression and the time limits. What is here, it does not know or would decide otherwise.

use std::time::Duration;

use super::InitError;

/// What is exported, and where to; a signal without an address is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) traces: Option<String>,
    pub(super) metrics: Option<String>,
    pub(super) logs: Option<String>,
    /// `OTEL_SERVICE_NAME`.
    pub(super) service: Option<String>,
    /// Longest wait for the answer to one request.
    pub(super) timeout: Duration,
}

impl Export {
    /// Reads the variables through `get`. Nothing is exported unless an endpoint is named: the standard's
    /// default of a collector on the local host would make every laptop knock on a closed door.
    pub(super) fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, InitError> {
        // The standard: an empty variable is an unset one.
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

    /// Whether any of the addresses needs TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.endpoints().any(|endpoint| endpoint.starts_with("https:"))
    }

    fn endpoints(&self) -> impl Iterator<Item = &String> {
        [&self.traces, &self.metrics, &self.logs].into_iter().flatten()
    }
}

/// The address of one signal: its own is taken as it is, the common one is a base.
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

    fn read(variables: &[(&str, &str)]) -> Result<Export, InitError> {
        Export::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_named() {
        assert!(read(&[]).unwrap().is_off());
        assert!(read(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_off());
    }

    #[test]
    fn the_common_endpoint_is_a_base_and_a_signals_own_is_not() {
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
    fn disabled_wins_over_everything() {
        let export =
            read(&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]).unwrap();
        assert!(export.is_off());
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
        let error = read(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert_eq!(error.to_string(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported: http/protobuf is");
        assert!(read(&[endpoint, ("OTEL_LOGS_EXPORTER", "console")]).is_err());
        // Nobody is bothered about a protocol that would not be spoken.
        assert!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap().is_off());
    }
}
