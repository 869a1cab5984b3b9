//! The table of metrics: what a dashboard may ask for.

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Dotted; a Prometheus backend makes underscores of the dots and appends the unit.
    pub name: &'static str,
    /// UCUM: `s`, `By`, or what is counted, in braces.
    pub unit: &'static str,
    /// What can be done with it.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that goes up and down.
    UpDownCounter,
    /// The last value seen.
    Gauge,
    /// How often which values.
    Histogram,
}

const fn new(kind: Kind, name: &'static str, unit: &'static str, help: &'static str) -> Name {
    Name { name, unit, kind, help }
}

macro_rules! names {
    ($($constant:ident = $kind:ident $name:literal $unit:literal $help:literal;)+) => {
        $(pub(super) const $constant: Name = new(Kind::$kind, $name, $unit, $help);)+

        /// All of them.
        pub const NAMES: &[Name] = &[$($constant),+];
    };
}

names! {
    HTTP_DURATION = Histogram "http.server.request.duration" "s" "How long a request took.";
    UPLOAD_BYTES = Counter "nvisy.upload.bytes" "By" "Bytes of accepted uploads.";
    LIMIT_REFUSED = Counter "nvisy.limit.refused" "{request}" "Requests refused because there were too many.";
    LIMIT_UNSHARED = Counter "nvisy.limit.unshared" "{question}" "Times a limit could not be counted across replicas.";
    JOB_DURATION = Histogram "nvisy.job.duration" "s" "How long an attempt at a job took.";
    JOB_WAIT = Histogram "nvisy.job.wait" "s" "How long a job was due before a worker took it.";
    JOB_IN_FLIGHT = UpDownCounter "nvisy.job.in_flight" "{job}" "Jobs that are being worked on.";
    JOB_DEAD = Counter "nvisy.job.dead" "{job}" "Jobs that were given up.";
    JOB_BACKLOG = Gauge "nvisy.job.backlog" "{job}" "Jobs that are not finished.";
    JOB_OLDEST = Gauge "nvisy.job.oldest" "s" "Age of the oldest job that is not finished.";
    FILE_SEARCHABLE = Histogram "nvisy.file.time_to_searchable" "s" "From the upload of a file to its last vector.";
    FILE_FAILED = Counter "nvisy.file.failed" "{file}" "Files that could not be processed.";
    CHUNK_EMBEDDED = Counter "nvisy.chunk.embedded" "{chunk}" "Chunks whose vectors were written.";
    TOKEN_EMBEDDED = Counter "nvisy.token.embedded" "{token}" "Tokens of these chunks.";
    PROVIDER_ERROR = Counter "nvisy.provider.error" "{error}" "Failed calls of a model.";
    POOL_CONNECTIONS = Gauge "nvisy.db.pool.connections" "{connection}" "Connections to the database.";
    OUTBOX_LAG = Gauge "nvisy.outbox.lag" "s" "How long the oldest row of the outbox has waited to be published.";
    SEARCH_DURATION = Histogram "nvisy.search.duration" "s" "How long a search took.";
}
