//! The instruments, each behind a function whose parameters are its attributes.
//!
//! Attributes are names from the source code, never ids or values from requests: each new value is a new series.

mod specs;

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};

pub use self::specs::{InstrumentKind, METRIC_SPECS, MetricSpec};

/// Bucket bounds, in seconds, of durations that a user waits for. The defaults of the SDK are milliseconds.
const INTERACTIVE_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bucket bounds, in seconds, of background work, up to an hour.
const BACKGROUND_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Bucket bounds of shares from 0 to 1, most of them where a good recall is; a complete one is above the last.
const RECALL_SHARES: &[f64] = &[0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99];

/// The HTTP methods that have a series of their own.
const KNOWN_METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics::new(&opentelemetry::global::meter(super::INSTRUMENTATION_SCOPE)));

/// The instruments of this process; they do nothing while metrics are off.
#[must_use]
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// The instruments. See [`METRIC_SPECS`] for names and units.
#[derive(Debug)]
pub struct Metrics {
    http_duration: Histogram<f64>,
    upload_bytes: Counter<u64>,
    limit_refused: Counter<u64>,
    limit_unshared: Counter<u64>,
    job_duration: Histogram<f64>,
    job_wait: Histogram<f64>,
    job_in_flight: UpDownCounter<i64>,
    job_dead: Counter<u64>,
    job_backlog: Gauge<u64>,
    job_oldest: Gauge<f64>,
    run_repaired: Counter<u64>,
    file_searchable: Histogram<f64>,
    file_failed: Counter<u64>,
    check_failed: Counter<u64>,
    extract_confined: Gauge<u64>,
    chunk_embedded: Counter<u64>,
    token_embedded: Counter<u64>,
    provider_error: Counter<u64>,
    pool_connections: Gauge<u64>,
    outbox_lag: Gauge<f64>,
    search_duration: Histogram<f64>,
    search_recall: Histogram<f64>,
    search_recall_dropped: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            http_duration: histogram(meter, specs::HTTP_DURATION, INTERACTIVE_SECONDS),
            upload_bytes: counter(meter, specs::UPLOAD_BYTES),
            limit_refused: counter(meter, specs::LIMIT_REFUSED),
            limit_unshared: counter(meter, specs::LIMIT_UNSHARED),
            job_duration: histogram(meter, specs::JOB_DURATION, BACKGROUND_SECONDS),
            job_wait: histogram(meter, specs::JOB_WAIT, BACKGROUND_SECONDS),
            job_in_flight: up_down_counter(meter, specs::JOB_IN_FLIGHT),
            job_dead: counter(meter, specs::JOB_DEAD),
            job_backlog: gauge(meter, specs::JOB_BACKLOG),
            job_oldest: seconds_gauge(meter, specs::JOB_OLDEST),
            run_repaired: counter(meter, specs::RUN_REPAIRED),
            file_searchable: histogram(meter, specs::FILE_SEARCHABLE, BACKGROUND_SECONDS),
            file_failed: counter(meter, specs::FILE_FAILED),
            check_failed: counter(meter, specs::CHECK_FAILED),
            extract_confined: gauge(meter, specs::EXTRACT_CONFINED),
            chunk_embedded: counter(meter, specs::CHUNK_EMBEDDED),
            token_embedded: counter(meter, specs::TOKEN_EMBEDDED),
            provider_error: counter(meter, specs::PROVIDER_ERROR),
            pool_connections: gauge(meter, specs::POOL_CONNECTIONS),
            outbox_lag: seconds_gauge(meter, specs::OUTBOX_LAG),
            search_duration: histogram(meter, specs::SEARCH_DURATION, INTERACTIVE_SECONDS),
            search_recall: histogram(meter, specs::SEARCH_RECALL, RECALL_SHARES),
            search_recall_dropped: counter(meter, specs::SEARCH_RECALL_DROPPED),
        }
    }

    /// A response was sent. `route` is the pattern that matched, `None` if none did.
    pub fn http_request(&self, method: &str, route: Option<&str>, status: u16, took: Duration) {
        let method = KNOWN_METHODS.iter().find(|known| **known == method).copied().unwrap_or("_OTHER");
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        self.http_duration.record(took.as_secs_f64(), &attributes);
    }

    /// A file of this size was accepted.
    pub fn uploaded(&self, bytes: u64) {
        self.upload_bytes.add(bytes, &[]);
    }

    /// A request was rejected by the rate limit `kind`.
    pub fn limit_refused(&self, kind: &'static str) {
        self.limit_refused.add(1, &[KeyValue::new("limit.kind", kind)]);
    }

    /// The shared counter of the rate limit `kind` could not be reached.
    pub fn limit_unshared(&self, kind: &'static str) {
        self.limit_unshared.add(1, &[KeyValue::new("limit.kind", kind)]);
    }

    /// An attempt at a job ended.
    pub fn job_ended(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        let attributes = [KeyValue::new("job.kind", kind), KeyValue::new("job.outcome", outcome)];
        self.job_duration.record(took.as_secs_f64(), &attributes);
    }

    /// A worker claimed a job that had been due for `waited`.
    pub fn job_waited(&self, kind: &'static str, waited: Duration) {
        self.job_wait.record(waited.as_secs_f64(), &[KeyValue::new("job.kind", kind)]);
    }

    /// A job is in progress until the guard is dropped.
    pub fn job_in_flight(&self, lane: &'static str) -> InFlight {
        let guard = InFlight { counter: self.job_in_flight.clone(), lane };
        guard.add(1);
        guard
    }

    /// A job was moved to the dead jobs.
    pub fn job_dead(&self, kind: &'static str, reason: &'static str) {
        self.job_dead.add(1, &[KeyValue::new("job.kind", kind), KeyValue::new("job.reason", reason)]);
    }

    /// The number of jobs of a lane in a state. Callers report every lane and state, zero included, because a gauge keeps its
    /// value.
    pub fn job_backlog(&self, lane: &'static str, state: &'static str, jobs: u64) {
        self.job_backlog.record(jobs, &[KeyValue::new("job.lane", lane), KeyValue::new("job.state", state)]);
    }

    /// The age of the oldest unfinished job of a lane; zero if there is none.
    pub fn job_oldest(&self, lane: &'static str, age: Duration) {
        self.job_oldest.record(age.as_secs_f64(), &[KeyValue::new("job.lane", lane)]);
    }

    /// Maintenance has replaced so many lost jobs of a run, of the kind `repair`, or has ended it.
    pub fn run_repaired(&self, repair: &'static str, count: u64) {
        self.run_repaired.add(count, &[KeyValue::new("run.repair", repair)]);
    }

    /// The last vector of a file was written `took` after its upload.
    pub fn file_searchable(&self, took: Duration) {
        self.file_searchable.record(took.as_secs_f64(), &[]);
    }

    /// A file could not be processed.
    pub fn file_failed(&self, code: &'static str) {
        self.file_failed.add(1, &[KeyValue::new("file.failure", code)]);
    }

    /// The condition of a check did not hold, and its item goes on. Of those that end the item, `nvisy.file.failed` tells.
    pub fn check_failed(&self) {
        self.check_failed.add(1, &[]);
    }

    /// Whether this layer confines the processes of the worker that read files.
    pub fn extract_confined(&self, layer: &'static str, is_present: bool) {
        self.extract_confined.record(is_present.into(), &[KeyValue::new("extract.layer", layer)]);
    }

    /// The vectors of `chunks` chunks with `tokens` tokens in total were written.
    pub fn embedded(&self, chunks: u64, tokens: u64) {
        self.chunk_embedded.add(chunks, &[]);
        self.token_embedded.add(tokens, &[]);
    }

    /// A call of a model provider failed.
    pub fn provider_error(&self, provider: &str, kind: &'static str) {
        let provider = KeyValue::new("provider", provider.to_owned());
        self.provider_error.add(1, &[provider, KeyValue::new("error.type", kind)]);
    }

    /// The number of used and idle connections of the pool.
    pub fn pool_connections(&self, used: u64, idle: u64) {
        self.pool_connections.record(used, &[KeyValue::new("pool.state", "used")]);
        self.pool_connections.record(idle, &[KeyValue::new("pool.state", "idle")]);
    }

    /// The age of the oldest row of the outbox; zero if it is empty.
    pub fn outbox_lag(&self, lag: Duration) {
        self.outbox_lag.record(lag.as_secs_f64(), &[]);
    }

    /// A search was served in `mode` by `plan`.
    pub fn searched(&self, mode: &'static str, plan: &'static str, took: Duration) {
        let attributes = [KeyValue::new("search.mode", mode), KeyValue::new("search.plan", plan)];
        self.search_duration.record(took.as_secs_f64(), &attributes);
    }

    /// A sampled search with a filter of this selectivity finds this share of the nearest passages, 0 to 1.
    pub fn search_recall(&self, selectivity: &'static str, recall: f64) {
        self.search_recall.record(recall, &[KeyValue::new("search.selectivity", selectivity)]);
    }

    /// The recall of a sampled search was not measured.
    pub fn search_recall_dropped(&self, reason: &'static str) {
        self.search_recall_dropped.add(1, &[KeyValue::new("drop.reason", reason)]);
    }
}

/// Counts a job as in flight until it is dropped, so that a panic cannot leave the job counted.
#[must_use = "the job is in flight until this is dropped"]
#[derive(Debug)]
pub struct InFlight {
    counter: UpDownCounter<i64>,
    lane: &'static str,
}

impl InFlight {
    fn add(&self, jobs: i64) {
        self.counter.add(jobs, &[KeyValue::new("job.lane", self.lane)]);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.add(-1);
    }
}

fn counter(meter: &Meter, spec: MetricSpec) -> Counter<u64> {
    meter.u64_counter(spec.name).with_unit(spec.unit).with_description(spec.help).build()
}

fn up_down_counter(meter: &Meter, spec: MetricSpec) -> UpDownCounter<i64> {
    meter.i64_up_down_counter(spec.name).with_unit(spec.unit).with_description(spec.help).build()
}

fn gauge(meter: &Meter, spec: MetricSpec) -> Gauge<u64> {
    meter.u64_gauge(spec.name).with_unit(spec.unit).with_description(spec.help).build()
}

fn seconds_gauge(meter: &Meter, spec: MetricSpec) -> Gauge<f64> {
    meter.f64_gauge(spec.name).with_unit(spec.unit).with_description(spec.help).build()
}

fn histogram(meter: &Meter, spec: MetricSpec, bounds: &[f64]) -> Histogram<f64> {
    let histogram = meter.f64_histogram(spec.name).with_unit(spec.unit).with_description(spec.help);
    histogram.with_boundaries(bounds.to_vec()).build()
}
