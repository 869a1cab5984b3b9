//! Every environment variable Nvisy reads, with its default and meaning.
//!
//! `.env.example` is this table printed; a test holds the two together.

use super::{
    compose,
    rules::{self, Rule},
};

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// `NVISY_<GROUP>_<KEY>`; the group is the field of [`super::Config`] it belongs to.
    pub name: &'static str,
    /// What holds when it is not set; `None` where it must be set or may be absent.
    pub default: Option<&'static str>,
    /// One sentence, with the unit.
    pub help: &'static str,
    /// Whether the value may not be shown, and may stand in a file that `<name>_FILE` names.
    pub secret: bool,
    /// The least and the greatest number it may be.
    pub(super) range: Option<(u64, u64)>,
    /// What it must be besides.
    pub(super) rule: Option<Rule>,
}

const fn variable(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable { name, default: Some(default), help, secret: false, range: None, rule: None }
}

const fn optional(name: &'static str, help: &'static str) -> Variable {
    Variable { name, default: None, help, secret: false, range: None, rule: None }
}

impl Variable {
    /// The variable that may name a file with the value instead.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.name))
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn within(self, least: u64, most: u64) -> Self {
        Self { range: Some((least, most)), ..self }
    }

    const fn rule(self, rule: Rule) -> Self {
        Self { rule: Some(rule), ..self }
    }
}

/// Waits beyond these are mistakes, and would overflow what computes with them.
const YEAR_SECONDS: u64 = 31_536_000;
const DAY_MILLIS: u64 = 86_400_000;
/// More of one kind at the same time than any machine has.
const MANY: u64 = 1024;

/// All of them, in the order of `.env.example`.
pub const VARIABLES: &[Variable] = &[
    variable(
        "NVISY_DATABASE_URL",
        "postgres://postgres:postgres@127.0.0.1:5432/postgres",
        "PostgreSQL 18 or newer, with pgvector.",
    ).secret().rule(rules::postgres_url),
    variable("NVISY_DATABASE_CONNECTIONS", "16", "Most connections a process opens.").within(2, 10_000),
    optional(
        "NVISY_MIGRATION_DATABASE_URL",
        "The same database with the owner of its schema: the API migrates with it at start, and gives the user of NVISY_DATABASE_URL its rights, who then owns nothing.",
    ).secret().rule(rules::postgres_url),
    variable(
        "NVISY_NATS_URL",
        "nats://127.0.0.1:4222",
        "NATS 2.10 or newer, with JetStream; user and password or a token may stand in it.",
    ).secret().rule(rules::nats_url),
    variable(
        "NVISY_NATS_PREFIX",
        "nvisy",
        "Begins the name of every stream, subject and bucket: two deployments can share a server.",
    ).rule(rules::nats_name),
    variable("NVISY_NATS_REPLICAS", "1", "Copies of each stream and bucket; 3 on a cluster of three.").within(1, 5),
    variable("NVISY_HTTP_ADDRESS", "127.0.0.1:8080", "Where the API listens."),
    variable("NVISY_HTTP_UPLOAD_BYTES", "2147483648", "Largest file that can be uploaded, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_HTTP_UPLOAD_FILES", "100", "Most files in one upload request.").within(1, 10_000),
    variable("NVISY_HTTP_JSON_BYTES", "1048576", "Largest JSON body, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_HTTP_WORKERS", "2", "Threads that serve requests.").within(1, MANY),
    variable("NVISY_HTTP_HEAD_SECONDS", "10", "Longest wait for the head of a request.").within(1, 3600),
    variable("NVISY_HTTP_BODY_SECONDS", "30", "Longest wait for the next 1024 bytes of a body, or for its end.").within(1, 3600),
    variable("NVISY_HTTP_REQUEST_SECONDS", "60", "Longest wait for an answer to begin; uploads have no such limit.").within(1, 3600),
    variable(
        "NVISY_HTTP_IDEMPOTENCY_SECONDS",
        "86400",
        "How long a repeated request with the same `Idempotency-Key` gets its first answer.",
    ),
    variable(
        "NVISY_HTTP_CORS_ORIGINS",
        "",
        "Origins whose pages may use the API from a browser, such as `https://app.example.org`; separated by commas.",
    ),
    optional(
        "NVISY_HTTP_HSTS_SECONDS",
        "How long browsers are to insist on TLS; 0 does not ask it. Where not set: a year (31536000) with NVISY_HTTP_TLS_CERTIFICATE_FILE, else 0.",
    ).within(0, 10 * YEAR_SECONDS),
    variable(
        "NVISY_HTTP_DRAIN_SECONDS",
        "5",
        "How long a stopping API still takes connections while `/health/ready` says that it stops, so that a balancer looks away first.",
    )
    .within(0, YEAR_SECONDS),
    optional("NVISY_HTTP_TLS_CERTIFICATE_FILE", "Certificate chain in PEM; set, the API speaks HTTPS only."),
    optional("NVISY_HTTP_TLS_KEY_FILE", "Private key of that certificate, in PEM."),
    optional(
        "NVISY_HTTP_TRUSTED_PROXIES",
        "Networks of the proxies whose `X-Forwarded-For` and `X-Request-Id` are believed, such as `10.0.0.0/8, ::1`; nobody's where not set.",
    ),
    variable(
        "NVISY_LIMIT_ACCOUNT_MINUTE",
        "6000",
        "Requests the people signed in to an account may make in a minute; 0 for any number, as with the others of this group.",
    )
    .within(0, 1_000_000_000),
    variable("NVISY_LIMIT_TOKEN_MINUTE", "6000", "Requests that may be made with an API token in a minute.")
        .within(0, 1_000_000_000),
    variable("NVISY_LIMIT_WORKSPACE_MINUTE", "30000", "Requests that may be made to a workspace in a minute, by all its members.")
        .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_ADDRESS_MINUTE",
        "60",
        "Requests below `/api/v1/auth`, except refresh and logout, that may come from an address (IPv6: a /64) in a minute; and refreshes of one session.",
    )
    .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_NAME_MINUTE",
        "20",
        "Tries at the password of one account that may be made from an address (IPv6: a /64) in a minute, and requests for mail to one mailbox; the account need not exist.",
    )
    .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_NAME_FAILURES_MINUTE",
        "200",
        "Wrong passwords for one account in a minute, from anywhere; then only addresses go on from which somebody is signed in.",
    )
    .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_REFUSED_MINUTE",
        "600",
        "Tokens that are nobody's which may be presented from an address (IPv6: a /64) in a minute; then only those go on that were good lately.",
    )
    .within(0, 1_000_000_000),
    variable("NVISY_LIMIT_ACCOUNT_STREAMS", "100", "Event streams an account may have open at one API at the same time.")
        .within(0, 1_000_000_000),
    variable("NVISY_AUTH_PRIVATE_KEY_FILE", "private.pem", "Ed25519 private key that signs access tokens."),
    variable("NVISY_AUTH_PUBLIC_KEY_FILE", "public.pem", "Ed25519 public key that verifies them."),
    variable(
        "NVISY_AUTH_ISSUER",
        "nvisy",
        "Names this deployment in access tokens; those of another name are refused, also under the same keys.",
    ),
    variable("NVISY_AUTH_TOKEN_SECONDS", "900", "How long an access token is valid.").within(1, YEAR_SECONDS),
    variable("NVISY_AUTH_SESSION_SECONDS", "2592000", "How long a session lasts without being refreshed.")
        .within(1, YEAR_SECONDS),
    variable(
        "NVISY_AUTH_SESSION_LONGEST_SECONDS",
        "7776000",
        "How long a session lasts at most; then a new login is due.",
    ).within(1, YEAR_SECONDS),
    variable(
        "NVISY_AUTH_ERASE_SECONDS",
        "2592000",
        "How long a deleted account can be taken back by logging in, before it is erased.",
    ).within(0, YEAR_SECONDS),
    optional(
        "NVISY_AUTH_SIGN_UP",
        "Who may sign up: `open` everybody; `invited` whoever has an invite to their address, of a workspace or of `nvisy-api admit`; `closed` only those of `nvisy-api admit`. Unset: `open` where mail is sent, since an address is proved by its mailbox there, else `closed`.",
    ),
    variable("NVISY_AUTH_HASHES", "2", "Most passwords hashed at the same time; each takes 64 MiB.").within(1, MANY),
    optional(
        "NVISY_SMTP_URL",
        "Mail server: `smtps://user:password@host`, or `smtp://user:password@host:587?tls=required` for STARTTLS; `smtp://host` sends in clear, and no password. No mail is sent without it.",
    )
    .secret()
    .rule(rules::smtp_url),
    optional(
        "NVISY_SMTP_CA_FILE",
        "Certificates in PEM of who vouches for the mail server, instead of those the system trusts.",
    ),
    optional("NVISY_SMTP_FROM", "Who mails are from: `Nvisy <nvisy@example.org>`."),
    optional(
        "NVISY_SMTP_LINK_URL",
        "Begins the links in mails: pages of yours at `/sign-up`, `/password-reset`, `/email` and `/invite` that send on what is behind `#token=`.",
    ),
    variable("NVISY_SMTP_LINK_SECONDS", "3600", "How long a link in a mail is good.").within(60, YEAR_SECONDS),
    variable(
        "NVISY_ENCRYPTION_KEY_FILE",
        "encryption.key",
        "The 32-byte master key from which every workspace's keys are derived.",
    ),
    variable(
        "NVISY_EMBEDDING_PROVIDER",
        "local",
        "Who computes vectors: `local` or `openai` (any OpenAI-compatible endpoint).",
    ),
    variable(
        "NVISY_EMBEDDING_DIRECTORY",
        ".local/models/all-MiniLM-L6-v2",
        "local: folder with model.safetensors and tokenizer.json.",
    ),
    variable("NVISY_EMBEDDING_THREADS", "0", "local: threads that compute; 0 takes one for each core.").within(0, MANY),
    optional("NVISY_EMBEDDING_URL", "openai: base URL, up to and including `/v1`."),
    optional("NVISY_EMBEDDING_API_KEY", "openai: key, where the endpoint wants one.").secret(),
    optional("NVISY_EMBEDDING_MODEL", "openai: the model's name."),
    optional("NVISY_EMBEDDING_DIMENSIONS", "openai: length of a vector.").within(1, 16_000),
    variable(
        "NVISY_EMBEDDING_REQUEST_DIMENSIONS",
        "false",
        "openai: ask the endpoint for that length; many know only one and refuse the question.",
    ),
    variable("NVISY_EMBEDDING_MAX_TOKENS", "512", "openai: longest passage the model takes, in tokens.").within(16, 1_000_000),
    variable("NVISY_EMBEDDING_CONCURRENCY", "4", "openai: most requests at the same time.").within(1, MANY),
    variable("NVISY_EMBEDDING_TIMEOUT_SECONDS", "60", "openai: longest wait for an answer.").within(1, YEAR_SECONDS),
    optional("NVISY_EMBEDDING_TOKENIZER_FILE", "openai: tokenizer.json of the model; tokens are estimated without it."),
    variable("NVISY_EMBEDDING_QUERY_PREFIX", "", "Put before a query; part of the embedding space."),
    variable("NVISY_EMBEDDING_PASSAGE_PREFIX", "", "Put before a passage; part of the embedding space."),
    variable("NVISY_EXTRACT_MEMORY_BYTES", "1073741824", "Most memory the reading of one file may take, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_EXTRACT_SECONDS", "120", "Longest time the reading of one file may take.").within(1, YEAR_SECONDS),
    variable("NVISY_EXTRACT_PAGES", "5000", "Most pages a file may have.").within(1, 1_000_000),
    variable("NVISY_EXTRACT_TEXT_BYTES", "33554432", "Most text a file may hold, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_EXTRACT_EXPANDED_BYTES", "268435456", "Most bytes a compressed file may expand to.").within(1, i64::MAX as u64),
    optional(
        "NVISY_CHUNK_MAX_TOKENS",
        "Most tokens in a chunk, in workspaces created from now on; the model's own limit where not set or larger.",
    ),
    variable(
        "NVISY_CHUNK_OVERLAP_TOKENS",
        "0",
        "Tokens a chunk repeats of the one before, in workspaces created from now on; at most 256 and half of a chunk.",
    ),
    variable("NVISY_QUOTA_FILES", "1000000", "Most files of a workspace.").within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_BYTES", "1099511627776", "Most bytes of all versions of all files of a workspace.")
        .within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_CHUNKS", "50000000", "Most chunks of a workspace; a file that would bring more fails.")
        .within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_RUNS", "100000", "Most runs of a workspace that are not finished; each upload of a file is one.")
        .within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_WORKSPACES", "100", "Most workspaces an account may own and still make another; each has the quota above.")
        .within(0, i64::MAX as u64),
    variable(
        "NVISY_EVENT_DAYS",
        "30",
        "How long events are kept, in days: so long may a listener be away and still go on where it was.",
    )
    .within(1, 36_500),
    variable("NVISY_WORKER_HEALTH_ADDRESS", "127.0.0.1:8081", "Where the worker answers `GET /health`."),
    variable("NVISY_WORKER_EXTRACT_SLOTS", "2", "Files a worker reads at the same time.").within(0, MANY),
    variable("NVISY_WORKER_MODEL_SLOTS", "4", "Embedding batches a worker has at hand at the same time.").within(0, MANY),
    variable("NVISY_WORKER_MAIL_SLOTS", "2", "Mails a worker sends at the same time.").within(1, MANY),
    variable("NVISY_WORKER_BATCH_CHUNKS", "32", "Chunks in an embedding batch: what one failure repeats at most.").within(1, MANY),
    variable(
        "NVISY_QUEUE_LEASE_SECONDS",
        "15",
        "How long a worker may be silent before its jobs are given to another.",
    ).within(1, YEAR_SECONDS),
    variable("NVISY_QUEUE_GRACE_SECONDS", "20", "How long a stopping process may finish what it has begun.").within(0, YEAR_SECONDS),
    variable("NVISY_QUEUE_ATTEMPTS", "6", "Tries before a job is dead.").within(1, 1000),
    variable(
        "NVISY_QUEUE_BACKOFF_MILLIS",
        "1000",
        "Wait before the second try; doubles with each further one, with jitter, to five minutes.",
    ).within(1, DAY_MILLIS),
    variable(
        "NVISY_QUEUE_WORKSPACE_JOBS",
        "32",
        "Most jobs of one workspace and lane that are with the workers at the same time.",
    ).within(1, 1_000_000),
    variable("NVISY_QUEUE_POLL_MILLIS", "1000", "How often the outbox is looked at when no notification comes.").within(1, DAY_MILLIS),
    variable("NVISY_LOG_FILTER", "info", "Which log lines to write, in the syntax of tracing's `EnvFilter`.").rule(rules::log_filter),
    variable("NVISY_LOG_FORMAT", "text", "`text` for people, `json` for collectors."),
];

/// The text of `.env.example`.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# Every setting of Nvisy. Copy to `.env`; a line that is commented out shows the default or an optional setting.\n\
         # Telemetry follows the standard OTEL_* variables and is off until OTEL_EXPORTER_OTLP_ENDPOINT is set.\n",
    );
    let mut group = "";
    for variable in VARIABLES {
        let next = variable.name.split('_').nth(1).unwrap_or_default();
        if next != group {
            text.push('\n');
            group = next;
        }
        let default = variable.default.unwrap_or_default();
        text.push_str(&format!("# {}\n", variable.help));
        if let Some(file) = variable.file_name() {
            text.push_str(&format!("# Or {file}, which names a file that holds it.\n"));
        }
        text.push_str(&format!("# {}={default}\n", variable.name));
    }
    text.push_str(&compose::example());
    text
}
