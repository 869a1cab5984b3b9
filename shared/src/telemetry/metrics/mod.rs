//! Every instrument, each behind a function that says what it measures and by what.
//!
//! Attributes are names that our code spells, never ids or what somebody sent: each new value is a new series.

mod names;

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};

pub use self::names::{Kind, NAMES, Name};

/// Bounds, in seconds, of what somebody waits for. The SDK's own are meant for milliseconds.
const INTERACTIVE: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds, in seconds, of what happens behind: up to an hour.
const BACKGROUND: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// The methods that are worth a series.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new(&opentelemetry::global::meter(super::SCOPE)));

/// The instruments of this process; they do nothing while metrics are off.
#[must_use]
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// The instruments. See [`NAMES`] for names and units.
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
    file_searchable: Histogram<f64>,
    file_failed: Counter<u64>,
    chunk_embedded: Counter<u64>,
    token_embedded: Counter<u64>,
    provider_error: Counter<u64>,
    pool_connections: Gauge<u64>,
    outbox_lag: Gauge<f64>,
    search_duration: Histogram<f64>,
}

impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            http_duration: histogram(meter, names::HTTP_DURATION, INTERACTIVE),
            upload_bytes: counter(meter, names::UPLOAD_BYTES),
            limit_refused: counter(meter, names::LIMIT_REFUSED),
            limit_unshared: counter(meter, names::LIMIT_UNSHARED),
            job_duration: histogram(meter, names::JOB_DURATION, BACKGROUND),
            job_wait: histogram(meter, names::JOB_WAIT, BACKGROUND),
            job_in_flight: up_down_counter(meter, names::JOB_IN_FLIGHT),
            job_dead: counter(meter, names::JOB_DEAD),
            job_backlog: gauge(meter, names::JOB_BACKLOG),
            job_oldest: seconds_gauge(meter, names::JOB_OLDEST),
            file_searchable: histogram(meter, names::FILE_SEARCHABLE, BACKGROUND),
            file_failed: counter(meter, names::FILE_FAILED),
            chunk_embedded: counter(meter, names::CHUNK_EMBEDDED),
            token_embedded: counter(meter, names::TOKEN_EMBEDDED),
            provider_error: counter(meter, names::PROVIDER_ERROR),
            pool_connections: gauge(meter, names::POOL_CONNECTIONS),
            outbox_lag: seconds_gauge(meter, names::OUTBOX_LAG),
            search_duration: histogram(meter, names::SEARCH_DURATION, INTERACTIVE),
        }
    }

    /// A request was answered. `route` is the pattern that matched, `None` if none did.
    pub fn http_request(&self, method: &str, route: Option<&str>, status: u16, took: Duration) {
        let method = METHODS.iter().find(|known| **known == method).copied().unwrap_or("_OTHER");
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        self.http_duration.record(took.as_secs_f64(), &attributes);
    }

    /// A file of so many bytes was accepted.
    pub fn uploaded(&self, bytes: u64) {
        self.upload_bytes.add(bytes, &[]);
    }

    /// A request was refused because somebody made too many; `kind` is whose limit it was.
    pub fn limit_refused(&self, kind: &'static str) {
        self.limit_refused.add(1, &[KeyValue::new("limit.kind", kind)]);
    }

    /// What all replicas share of a limit could not be asked for.
    pub fn limit_unshared(&self, kind: &'static str) {
        self.limit_unshared.add(1, &[KeyValue::new("limit.kind", kind)]);
    }

    /// An attempt at a job ended.
    pub fn job_ended(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        let attributes = [KeyValue::new("job.kind", kind), KeyValue::new("job.outcome", outcome)];
        self.job_duration.record(took.as_secs_f64(), &attributes);
    }

    /// A worker took a job that had been due for so long.
    pub fn job_waited(&self, kind: &'static str, waited: Duration) {
        self.job_wait.record(waited.as_secs_f64(), &[KeyValue::new("job.kind", kind)]);
    }

    /// A job is being worked on, until the guard is dropped.
    pub fn job_in_flight(&self, lane: &'static str) -> InFlight {
        let guard = InFlight { counter: self.job_in_flight.clone(), lane };
        guard.add(1);
        guard
    }

    /// A job was given up.
    pub fn job_dead(&self, kind: &'static str, reason: &'static str) {
        self.job_dead.add(1, &[KeyValue::new("job.kind", kind), KeyValue::new("job.reason", reason)]);
    }

    /// So many jobs of this lane are in this state. Say it of every lane and state, zero too: a gauge keeps its value.
    pub fn job_backlog(&self, lane: &'static str, state: &'static str, jobs: u64) {
        self.job_backlog.record(jobs, &[KeyValue::new("job.lane", lane), KeyValue::new("job.state", state)]);
    }

    /// The oldest unfinished job of this lane is so old; zero where there is none.
    pub fn job_oldest(&self, lane: &'static str, age: Duration) {
        self.job_oldest.record(age.as_secs_f64(), &[KeyValue::new("job.lane", lane)]);
    }

    /// The last vector of a file was written, so long after its upload.
    pub fn file_searchable(&self, took: Duration) {
        self.file_searchable.record(took.as_secs_f64(), &[]);
    }

    /// A file could not be processed.
    pub fn file_failed(&self, code: &'static str) {
        self.file_failed.add(1, &[KeyValue::new("file.failure", code)]);
    }

    /// The vectors of so many chunks, with so many tokens in all, were written.
    pub fn embedded(&self, chunks: u64, tokens: u64) {
        self.chunk_embedded.add(chunks, &[]);
        self.token_embedded.add(tokens, &[]);
    }

    /// A call of a model failed.
    pub fn provider_error(&self, provider: &'static str, kind: &'static str) {
        self.provider_error.add(1, &[KeyValue::new("provider", provider), KeyValue::new("error.type", kind)]);
    }

    /// So many of the pool's connections are in use, so many are not.
    pub fn pool_connections(&self, used: u64, idle: u64) {
        self.pool_connections.record(used, &[KeyValue::new("pool.state", "used")]);
        self.pool_connections.record(idle, &[KeyValue::new("pool.state", "idle")]);
    }

    /// The oldest row of the outbox has waited so long; zero when it is empty.
    pub fn outbox_lag(&self, lag: Duration) {
        self.outbox_lag.record(lag.as_secs_f64(), &[]);
    }

    /// A search was answered, by this mode and plan.
    pub fn searched(&self, mode: &'static str, plan: &'static str, took: Duration) {
        let attributes = [KeyValue::new("search.mode", mode), KeyValue::new("search.plan", plan)];
        self.search_duration.record(took.as_secs_f64(), &attributes);
    }
}

/// Counts a job as in flight for as long as it lives, so that a panic cannot leave it counted.
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

fn counter(meter: &Meter, name: Name) -> Counter<u64> {
    meter.u64_counter(name.name).with_unit(name.unit).with_description(name.help).build()
}

fn up_down_counter(meter: &Meter, name: Name) -> UpDownCounter<i64> {
    meter.i64_up_down_counter(name.name).with_unit(name.unit).with_description(name.help).build()
}

fn gauge(meter: &Meter, name: Name) -> Gauge<u64> {
    meter.u64_gauge(name.name).with_unit(name.unit).with_description(name.help).build()
}

fn seconds_gauge(meter: &Meter, name: Name) -> Gauge<f64> {
    meter.f64_gauge(name.name).with_unit(name.unit).with_description(name.help).build()
}

fn histogram(meter: &Meter, name: Name, bounds: &[f64]) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name.name).with_unit(name.unit).with_description(name.help);
    histogram.with_boundaries(bounds.to_vec()).build()
}
