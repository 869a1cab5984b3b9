//! The table of metrics that dashboards and alerts may query.

/// The specification of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// Dotted. Prometheus replaces the dots by underscores and appends the unit.
    pub name: &'static str,
    /// UCUM: `s`, `By`, or the counted things in braces.
    pub unit: &'static str,
    /// The kind of instrument.
    pub kind: InstrumentKind,
    /// One sentence.
    pub help: &'static str,
}

/// The kind of instrument behind a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentKind {
    /// A sum that only grows.
    Counter,
    /// A sum that goes up and down.
    UpDownCounter,
    /// The last value seen.
    Gauge,
    /// A distribution of values.
    Histogram,
}

const fn new(kind: InstrumentKind, name: &'static str, unit: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, unit, kind, help }
}

macro_rules! names {
    ($($constant:ident = $kind:ident $name:literal $unit:literal $help:literal;)+) => {
        $(pub(super) const $constant: MetricSpec = new(InstrumentKind::$kind, $name, $unit, $help);)+

        /// All of them.
        pub const METRIC_SPECS: &[MetricSpec] = &[$($constant),+];
    };
}

names! {
    HTTP_DURATION = Histogram "http.server.request.duration" "s" "How long a request took.";
    UPLOAD_BYTES = Counter "nvisy.upload.bytes" "By" "Bytes of accepted uploads.";
    LIMIT_REFUSED = Counter "nvisy.limit.refused" "{request}" "Requests rejected by a rate limit.";
    LIMIT_UNSHARED = Counter "nvisy.limit.unshared" "{question}" "Times a rate limit could not be shared between replicas.";
    JOB_DURATION = Histogram "nvisy.job.duration" "s" "How long an attempt at a job took.";
    JOB_WAIT = Histogram "nvisy.job.wait" "s" "How long a job was due before a worker claimed it.";
    JOB_IN_FLIGHT = UpDownCounter "nvisy.job.in_flight" "{job}" "Jobs in progress.";
    JOB_DEAD = Counter "nvisy.job.dead" "{job}" "Jobs moved to the dead jobs.";
    JOB_BACKLOG = Gauge "nvisy.job.backlog" "{job}" "Unfinished jobs.";
    JOB_OLDEST = Gauge "nvisy.job.oldest" "s" "Age of the oldest unfinished job.";
    RUN_REPAIRED = Counter "nvisy.run.repaired" "{job}" "Lost jobs of runs that maintenance has replaced, and runs that it has ended.";
    FILE_SEARCHABLE = Histogram "nvisy.file.time_to_searchable" "s" "Time from the upload of a file to its last vector.";
    FILE_FAILED = Counter "nvisy.file.failed" "{file}" "Files that could not be processed.";
    CHECK_FAILED = Counter "nvisy.check.failed" "{check}" "Checks with severity `warn` that did not hold.";
    EXTRACT_CONFINED = Gauge "nvisy.extract.confined" "{process}" "Whether a layer confines the processes of a worker that read files: 1, or 0.";
    CHUNK_EMBEDDED = Counter "nvisy.chunk.embedded" "{chunk}" "Chunks whose vectors were written.";
    TOKEN_EMBEDDED = Counter "nvisy.token.embedded" "{token}" "Tokens of the chunks whose vectors were written.";
    PROVIDER_ERROR = Counter "nvisy.provider.error" "{error}" "Failed calls of a model provider.";
    POOL_CONNECTIONS = Gauge "nvisy.db.pool.connections" "{connection}" "Connections to the database.";
    OUTBOX_LAG = Gauge "nvisy.outbox.lag" "s" "How long the oldest row of the outbox has waited to be published.";
    SEARCH_DURATION = Histogram "nvisy.search.duration" "s" "How long a search took.";
    SEARCH_RECALL = Histogram "nvisy.search.recall" "{share}" "Share of the nearest passages that a sampled search by vector finds.";
    SEARCH_RECALL_DROPPED = Counter "nvisy.search.recall_dropped" "{search}" "Sampled searches whose recall was not measured.";
}
