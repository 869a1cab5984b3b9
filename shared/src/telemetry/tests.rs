//! Tests with a minimal collector, which decodes the requests that it receives.

mod dashboards;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    logs::v1::LogRecord,
    metrics::v1::{Metric, metric::Data},
    trace::v1::Span,
};
use prost::Message;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
};

use super::{export::ExportSettings, metrics::Metrics, otlp::Providers, propagation, *};
use crate::config::LogFormat;

const LOG: fn() -> config::LogConfig = || config::LogConfig { filter: "info".to_owned(), format: LogFormat::Json };

/// Path and body of each request.
type Posts = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

struct Collector {
    endpoint: String,
    posts: Posts,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let posts = Posts::default();
        let kept = posts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone()));
            }
        });
        Self { endpoint, posts }
    }

    fn variables(&self) -> ExportSettings {
        let endpoint = self.endpoint.clone();
        ExportSettings::from_variables(move |name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone()))
            .unwrap()
    }

    fn posted<M: Message + Default>(&self, path: &str) -> Vec<M> {
        let posts = self.posts.lock().unwrap();
        posts.iter().filter(|(at, _)| at == path).map(|(_, body)| M::decode(&body[..]).unwrap()).collect()
    }

    /// The spans by name.
    fn spans(&self) -> BTreeMap<String, Span> {
        let posts = self.posted::<ExportTraceServiceRequest>("/v1/traces").into_iter();
        let scopes = posts.flat_map(|post| post.resource_spans).flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| (span.name.clone(), span)).collect()
    }

    fn logs(&self) -> Vec<LogRecord> {
        let posts = self.posted::<ExportLogsServiceRequest>("/v1/logs").into_iter();
        let scopes = posts.flat_map(|post| post.resource_logs).flat_map(|resource| resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let posts = self.posted::<ExportMetricsServiceRequest>("/v1/metrics").into_iter();
        let scopes = posts.flat_map(|post| post.resource_metrics).flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }

    /// The resource attributes of the spans.
    fn resource(&self) -> BTreeMap<String, String> {
        let posts = self.posted::<ExportTraceServiceRequest>("/v1/traces").into_iter();
        let resources = posts.flat_map(|post| post.resource_spans).filter_map(|spans| spans.resource);
        resources.flat_map(|it| it.attributes).map(|it| (it.key, format!("{:?}", it.value))).collect()
    }
}

/// Serves the requests of one connection until it is closed.
async fn serve(stream: TcpStream, posts: Posts) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut length, mut line) = (String::new(), 0, String::new());
        while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
            let lower = line.trim().to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("post ") {
                path = rest.split(' ').next().unwrap().to_owned();
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        if path.is_empty() || stream.read_exact(&mut body).await.is_err() {
            return;
        }
        posts.lock().unwrap().push((path, body));
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn trace_crosses_the_queue_and_is_exported_with_its_logs() {
    let collector = Collector::start().await;
    let providers = Providers::build("nvisy-test", &collector.variables()).unwrap();
    let subscriber = subscriber::build(&LOG(), &providers).unwrap();
    let client = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    {
        let _guard = subscriber.set_default();
        let upload = tracing::info_span!("upload", workspace.id = 7);
        propagation::extract_parent(&upload, |name| (name == "traceparent").then_some(client));
        let traceparent = upload.in_scope(|| {
            tracing::info!(file.id = 1, "file accepted");
            propagation::current_traceparent().unwrap()
        });
        let job = tracing::info_span!("embed");
        propagation::continue_from(&job, &traceparent);
        job.in_scope(|| tracing::error!("provider is down"));
        let other = tracing::info_span!("gc");
        propagation::set_parent(&other, "nonsense");
        propagation::link(&other, &traceparent);
        drop(other.entered());
    }
    Telemetry { providers }.shutdown().await;

    let spans = collector.spans();
    let (upload, embed, gc) = (&spans["upload"], &spans["embed"], &spans["gc"]);
    assert_eq!(hex::encode(&upload.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex::encode(&upload.parent_span_id), "b7ad6b7169203331");
    assert_eq!((&embed.trace_id, &embed.parent_span_id), (&upload.trace_id, &upload.span_id));
    assert_eq!((&embed.links[0].trace_id, &embed.links[0].span_id), (&upload.trace_id, &upload.span_id));
    assert_eq!(embed.status.as_ref().unwrap().code, 2, "an error within a span fails it");
    assert_ne!(gc.trace_id, upload.trace_id);
    assert_eq!(gc.links[0].span_id, upload.span_id);

    let logs = collector.logs();
    let accepted = logs.iter().find(|log| format!("{:?}", log.body).contains("file accepted")).unwrap();
    assert_eq!((&accepted.trace_id, &accepted.span_id), (&upload.trace_id, &upload.span_id));

    let resource = collector.resource();
    assert!(resource["service.name"].contains("nvisy-test"));
    assert!(resource["service.version"].contains(env!("CARGO_PKG_VERSION")));
    assert!(resource.contains_key("service.instance.id"));
}

#[tokio::test]
async fn log_filter_does_not_apply_to_traces() {
    let collector = Collector::start().await;
    let providers = Providers::build("nvisy-test", &collector.variables()).unwrap();
    let log = config::LogConfig { filter: "error".to_owned(), ..LOG() };
    {
        let _guard = subscriber::build(&log, &providers).unwrap().set_default();
        tracing::info_span!("upload").in_scope(|| {
            tracing::info!("below the filter");
            tracing::error!(target: "hyper_util::client", "an event of the export itself");
            tracing::error!("above the filter");
        });
    }
    Telemetry { providers }.shutdown().await;

    assert!(collector.spans().contains_key("upload"));
    let logs: Vec<_> = collector.logs().into_iter().map(|log| format!("{:?}", log.body)).collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert!(logs[0].contains("above the filter"));
}

/// The exported metrics after each instrument was used.
async fn all_metrics() -> Vec<Metric> {
    let collector = Collector::start().await;
    let providers = Providers::build("nvisy-test", &collector.variables()).unwrap();
    let metrics = Metrics::new(&providers.metrics.as_ref().unwrap().meter(INSTRUMENTATION_SCOPE));
    let second = Duration::from_secs(1);
    metrics.http_request("BREW", Some("/api/v1/workspaces"), 200, second);
    metrics.uploaded(10);
    metrics.limit_refused("name");
    metrics.limit_unshared("account");
    metrics.job_ended("embed", "done", second);
    metrics.job_waited("embed", second);
    drop(metrics.job_in_flight("model"));
    let _running = metrics.job_in_flight("model");
    metrics.job_dead("embed", "attempts");
    metrics.job_backlog("model", "waiting", 3);
    metrics.job_oldest("model", second);
    metrics.run_repaired("items", 3);
    metrics.file_searchable(second);
    metrics.file_failed("empty");
    metrics.check_failed();
    metrics.extract_confined("seccomp", true);
    metrics.embedded(2, 200);
    metrics.provider_error("openai", "timeout");
    metrics.pool_connections(1, 2);
    metrics.outbox_lag(second);
    metrics.searched("hybrid", "exact", second);
    metrics.search_recall("10%", 0.9);
    metrics.search_recall_dropped("busy");
    Telemetry { providers }.shutdown().await;

    collector.metrics()
}

#[tokio::test]
async fn exported_metrics_are_those_of_the_table() {
    let seen = all_metrics().await;
    let measured: BTreeSet<_> = seen.iter().map(|it| (it.name.as_str(), it.unit.as_str(), kind(it))).collect();
    let table: BTreeSet<_> =
        metrics::METRIC_SPECS.iter().map(|it| (it.name, it.unit, format!("{:?}", it.kind))).collect();
    assert_eq!(measured, table);
    assert_eq!(metrics::METRIC_SPECS.len(), table.len(), "the table has a name twice");

    let text = |name: &str| format!("{:?}", seen.iter().find(|it| it.name == name).unwrap().data);
    assert!(text("http.server.request.duration").contains("_OTHER"), "unknown methods must not create series");
    assert!(text("nvisy.job.in_flight").contains("AsInt(1)"), "a dropped guard must not count");
}

fn kind(metric: &Metric) -> String {
    let kind = match metric.data.as_ref().unwrap() {
        Data::Gauge(_) => metrics::InstrumentKind::Gauge,
        Data::Sum(sum) if sum.is_monotonic => metrics::InstrumentKind::Counter,
        Data::Sum(_) => metrics::InstrumentKind::UpDownCounter,
        _ => metrics::InstrumentKind::Histogram,
    };
    format!("{kind:?}")
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_silent_collector() {
    // The kernel accepts connections, and no process responds.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let export =
        ExportSettings { traces: Some(endpoint), timeout: Duration::from_secs(60), ..ExportSettings::default() };
    let providers = Providers::build("nvisy-test", &export).unwrap();
    {
        let _guard = subscriber::build(&LOG(), &providers).unwrap().set_default();
        drop(tracing::info_span!("upload").entered());
    }
    let deadline = otlp::FLUSH_TIMEOUT + Duration::from_secs(5);
    tokio::time::timeout(deadline, Telemetry { providers }.shutdown()).await.expect("shutdown has a deadline");
}

#[test]
fn invalid_filter_is_reported_with_its_variable() {
    let log = config::LogConfig { filter: "info,=,".to_owned(), ..LOG() };
    let error = subscriber::build(&log, &Providers::default()).unwrap_err();
    assert!(error.to_string().starts_with("NVISY_LOG_FILTER"), "{error}");
}

#[tokio::test]
async fn process_without_variables_exports_nothing() {
    let printed = process("").await;
    assert_eq!(printed, "threads=0 traceparent=false");
}

#[tokio::test]
async fn process_with_variables_exports_all_signals() {
    let collector = Collector::start().await;
    let printed = process(&collector.endpoint).await;
    assert_eq!(printed, "threads=3 traceparent=true");
    assert!(collector.spans().contains_key("work"));
    assert!(collector.metrics().iter().any(|metric| metric.name == "nvisy.upload.bytes"));
    assert!(collector.logs().iter().any(|log| format!("{:?}", log.body).contains("at work")));
    assert!(collector.resource()["service.name"].contains("from-variables"));
}

/// Runs [`the_process`] in a child process, because variables and subscribers apply to a whole process.
async fn process(endpoint: &str) -> String {
    let test = "telemetry::tests::the_process";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_clear()
        .envs([("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_SERVICE_NAME", "from-variables")])
        // As in an image without certificates: plain HTTP needs none.
        .envs([("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/dev/null")])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    stdout.lines().find(|line| line.contains("threads=")).expect("the process prints its result").to_owned()
}

#[tokio::test]
#[ignore = "the tests above run it as a child process"]
#[expect(clippy::print_stdout, reason = "the tests above read it")]
async fn the_process() {
    let tasks = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = tasks();
    let telemetry = init("nvisy-test", &LOG()).unwrap();
    let threads = tasks() - before;
    let traceparent = tracing::info_span!("work").in_scope(|| {
        tracing::info!("at work");
        metrics().uploaded(1);
        propagation::current_traceparent().is_some()
    });
    println!("\nthreads={threads} traceparent={traceparent}");
    telemetry.shutdown().await;
}
