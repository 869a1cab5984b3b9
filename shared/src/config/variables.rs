//! The environment variables of Nvisy, with their defaults and meanings.
//!
//! `.env.example` is generated from this table; a test compares them.

use super::{
    compose,
    rules::{self, Rule},
};

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// `NVISY_<GROUP>_<KEY>`; the group is the field of [`super::Config`] it belongs to.
    pub name: &'static str,
    /// The value if it is unset; `None` if it must be set or is optional.
    pub default: Option<&'static str>,
    /// One sentence, with the unit.
    pub help: &'static str,
    /// Whether the value must be hidden. Such a value may also be in a file that `<name>_FILE` names.
    pub secret: bool,
    /// The smallest and the largest allowed number.
    pub(super) range: Option<(u64, u64)>,
    /// A further check of the value.
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

    const fn within(self, min: u64, max: u64) -> Self {
        Self { range: Some((min, max)), ..self }
    }

    const fn rule(self, rule: Rule) -> Self {
        Self { rule: Some(rule), ..self }
    }
}

/// Longer waits are mistakes, and would overflow computations.
const YEAR_SECONDS: u64 = 31_536_000;
const DAY_MILLIS: u64 = 86_400_000;
/// Upper bound of slots, threads and connections; more is a mistake.
const MAX_PARALLEL: u64 = 1024;

/// The table, in the order of `.env.example`.
pub const VARIABLES: &[Variable] = &[
    variable(
        "NVISY_DATABASE_URL",
        "postgres://postgres:postgres@127.0.0.1:5432/postgres",
        "URL of PostgreSQL 18 or newer with pgvector.",
    ).secret().rule(rules::postgres_url),
    variable("NVISY_DATABASE_CONNECTIONS", "16", "Most database connections of a process.").within(2, 10_000),
    optional(
        "NVISY_MIGRATION_DATABASE_URL",
        "URL of the same database with the owner of its schema. With it the API migrates at start and grants the user of NVISY_DATABASE_URL, which owns nothing, the necessary privileges.",
    ).secret().rule(rules::postgres_url),
    variable(
        "NVISY_NATS_URL",
        "nats://127.0.0.1:4222",
        "URL of NATS 2.10 or newer with JetStream; it may contain user and password or a token.",
    ).secret().rule(rules::nats_url),
    variable(
        "NVISY_NATS_PREFIX",
        "nvisy",
        "Prefix of all names of streams, subjects and buckets; with different prefixes two deployments share a server.",
    ).rule(rules::nats_name),
    variable("NVISY_NATS_REPLICAS", "1", "Replicas of each stream and bucket; 3 on a cluster of three.").within(1, 5),
    variable("NVISY_HTTP_ADDRESS", "127.0.0.1:8080", "Address on which the API listens."),
    variable("NVISY_HTTP_UPLOAD_BYTES", "2147483648", "Largest file of an upload, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_HTTP_UPLOAD_FILES", "100", "Most files in one upload request.").within(1, 10_000),
    variable("NVISY_HTTP_JSON_BYTES", "1048576", "Largest JSON body, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_HTTP_WORKERS", "2", "Threads that serve requests.").within(1, MAX_PARALLEL),
    variable("NVISY_HTTP_HEAD_SECONDS", "10", "Longest wait for the head of a request.").within(1, 3600),
    variable("NVISY_HTTP_BODY_SECONDS", "30", "Longest wait for the next 1024 bytes of a body, or for its end.").within(1, 3600),
    variable("NVISY_HTTP_REQUEST_SECONDS", "60", "Longest wait for the start of a response; uploads have no such limit.").within(1, 3600),
    variable(
        "NVISY_HTTP_IDEMPOTENCY_SECONDS",
        "86400",
        "How long the first response to an `Idempotency-Key` is replayed to repeated requests.",
    ),
    variable(
        "NVISY_HTTP_CORS_ORIGINS",
        "",
        "Origins whose pages may use the API from a browser, such as `https://app.example.org`, separated by commas.",
    ),
    optional(
        "NVISY_HTTP_HSTS_SECONDS",
        "How long browsers insist on TLS; 0 sends no such header. Unset: a year (31536000) with NVISY_HTTP_TLS_CERTIFICATE_FILE, else 0.",
    ).within(0, 10 * YEAR_SECONDS),
    variable(
        "NVISY_HTTP_DRAIN_SECONDS",
        "5",
        "How long a stopping API still accepts connections while `/health/ready` reports the stop, so that a load balancer removes it first.",
    )
    .within(0, YEAR_SECONDS),
    optional("NVISY_HTTP_TLS_CERTIFICATE_FILE", "Certificate chain in PEM; with it the API serves HTTPS only."),
    optional("NVISY_HTTP_TLS_KEY_FILE", "Private key of that certificate, in PEM."),
    optional(
        "NVISY_HTTP_TRUSTED_PROXIES",
        "Networks of the proxies whose `X-Forwarded-For` and `X-Request-Id` are trusted, such as `10.0.0.0/8, ::1`. Unset: no proxy is trusted.",
    ),
    variable(
        "NVISY_LIMIT_ACCOUNT_MINUTE",
        "6000",
        "Most requests per minute from the sessions of an account; 0 means no limit, as for all settings of this group.",
    )
    .within(0, 1_000_000_000),
    variable("NVISY_LIMIT_TOKEN_MINUTE", "6000", "Most requests per minute with an API token.")
        .within(0, 1_000_000_000),
    variable("NVISY_LIMIT_WORKSPACE_MINUTE", "30000", "Most requests per minute to a workspace, from all its members.")
        .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_ADDRESS_MINUTE",
        "60",
        "Most requests per minute below `/api/v1/auth`, except refresh and logout, from an address (IPv6: a /64); also most refreshes of one session.",
    )
    .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_NAME_MINUTE",
        "20",
        "Most password attempts per minute for one account from an address (IPv6: a /64), and most requests for mail to one mailbox, whether or not the account exists.",
    )
    .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_NAME_FAILURES_MINUTE",
        "200",
        "Most wrong passwords per minute for one account from all addresses; beyond it only addresses from which the account has a session may log in.",
    )
    .within(0, 1_000_000_000),
    variable(
        "NVISY_LIMIT_REFUSED_MINUTE",
        "600",
        "Most requests with invalid tokens per minute from an address (IPv6: a /64); beyond it only recently valid tokens are accepted from there.",
    )
    .within(0, 1_000_000_000),
    variable("NVISY_LIMIT_ACCOUNT_STREAMS", "100", "Most concurrent event streams of an account per API process.")
        .within(0, 1_000_000_000),
    variable("NVISY_AUTH_PRIVATE_KEY_FILE", "private.pem", "Ed25519 private key that signs access tokens."),
    variable("NVISY_AUTH_PUBLIC_KEY_FILE", "public.pem", "Ed25519 public key that verifies access tokens."),
    variable(
        "NVISY_AUTH_ISSUER",
        "nvisy",
        "Issuer in access tokens; tokens of another issuer are rejected, also if they are signed with the same key.",
    ),
    variable("NVISY_AUTH_TOKEN_SECONDS", "900", "Lifetime of an access token.").within(1, YEAR_SECONDS),
    variable("NVISY_AUTH_SESSION_SECONDS", "2592000", "Lifetime of a session without a refresh.")
        .within(1, YEAR_SECONDS),
    variable(
        "NVISY_AUTH_SESSION_LONGEST_SECONDS",
        "7776000",
        "Longest lifetime of a session; afterwards a new login is necessary.",
    ).within(1, YEAR_SECONDS),
    variable(
        "NVISY_AUTH_ERASE_SECONDS",
        "2592000",
        "Grace period of a deleted account, in which a login restores it; afterwards it is erased.",
    ).within(0, YEAR_SECONDS),
    optional(
        "NVISY_AUTH_SIGN_UP",
        "Sign-up policy: `open` accepts every address, `invited` those with an invite of a workspace or of `nvisy-api allow-sign-up`, `closed` only those of `nvisy-api allow-sign-up`. Unset: `open` if mail is sent, because then the mailbox proves the address, else `closed`.",
    ),
    variable("NVISY_AUTH_HASHES", "2", "Most concurrent password hashes.").within(1, MAX_PARALLEL),
    variable(
        "NVISY_AUTH_HASH_MEBIBYTES",
        "64",
        "Memory of a new password hash (Argon2id, three iterations) in MiB: the more, the costlier is guessing from a stolen database. 12 is the least that OWASP recommends.",
    ).within(12, 1024),
    optional(
        "NVISY_SMTP_URL",
        "Mail server: `smtps://user:password@host`, or `smtp://user:password@host:587?tls=required` for STARTTLS; `smtp://host` sends in plain text and without a password. Unset: no mail is sent.",
    )
    .secret()
    .rule(rules::smtp_url),
    optional(
        "NVISY_SMTP_CA_FILE",
        "Certificate authorities of the mail server in PEM, in place of the system's.",
    ),
    optional("NVISY_SMTP_FROM", "Sender of mails: `Nvisy <nvisy@example.org>`."),
    optional(
        "NVISY_SMTP_LINK_URL",
        "Base URL of the links in mails: your pages below it at `/sign-up`, `/password-reset`, `/email` and `/invite` send the token after `#token=` to the API.",
    ),
    variable("NVISY_SMTP_LINK_SECONDS", "3600", "Lifetime of a link in a mail.").within(60, YEAR_SECONDS),
    variable(
        "NVISY_ENCRYPTION_KEY_FILE",
        "encryption.key",
        "The 32-byte master key from which the keys of all workspaces are derived.",
    ),
    variable(
        "NVISY_EMBEDDING_PROVIDER",
        "local",
        "Provider of vectors: `local` or `openai` (any OpenAI-compatible endpoint).",
    ),
    variable(
        "NVISY_EMBEDDING_DIRECTORY",
        ".local/models/all-MiniLM-L6-v2",
        "local: folder with model.safetensors and tokenizer.json.",
    ),
    variable("NVISY_EMBEDDING_THREADS", "0", "local: threads that compute; 0 means one per core.").within(0, MAX_PARALLEL),
    optional("NVISY_EMBEDDING_URL", "openai: base URL, up to and including `/v1`."),
    optional("NVISY_EMBEDDING_API_KEY", "openai: API key, if the endpoint needs one.").secret(),
    optional("NVISY_EMBEDDING_MODEL", "openai: name of the model."),
    optional(
        "NVISY_EMBEDDING_DIMENSIONS",
        "Dimensions of a vector. openai: those of the model, required. local: unset for those of the model; fewer if NVISY_EMBEDDING_TRUNCATABLE is true.",
    )
    .within(1, 4096),
    variable(
        "NVISY_EMBEDDING_TRUNCATABLE",
        "false",
        "Whether the first numbers of a vector are a vector, too, because the model was trained for it (Matryoshka): collections may have fewer dimensions.",
    ),
    variable(
        "NVISY_EMBEDDING_REQUEST_DIMENSIONS",
        "false",
        "openai: whether requests contain the dimensions; many endpoints support only one value and reject the parameter.",
    ),
    variable(
        "NVISY_EMBEDDING_REQUEST_ENCODING",
        "true",
        "openai: whether requests contain `encoding_format`; an endpoint that rejects it is asked without it in any case.",
    ),
    variable(
        "NVISY_EMBEDDING_REQUEST_TEXTS",
        "64",
        "openai: most texts in a request; an endpoint that takes fewer is found out, at the cost of some rejected requests.",
    ).within(1, 2048),
    variable("NVISY_EMBEDDING_MAX_TOKENS", "512", "openai: longest passage of the model, in tokens.").within(16, 1_000_000),
    variable("NVISY_EMBEDDING_CONCURRENCY", "4", "openai: most concurrent requests.").within(1, MAX_PARALLEL),
    variable("NVISY_EMBEDDING_TIMEOUT_SECONDS", "60", "openai: longest wait for a response.").within(1, YEAR_SECONDS),
    optional("NVISY_EMBEDDING_TOKENIZER_FILE", "openai: tokenizer.json of the model. Unset: tokens are estimated."),
    variable("NVISY_EMBEDDING_QUERY_PREFIX", "", "Prefix of each query; part of the embedding space."),
    variable("NVISY_EMBEDDING_PASSAGE_PREFIX", "", "Prefix of each passage; part of the embedding space."),
    optional(
        "NVISY_EMBEDDING_MODELS_FILE",
        "JSON file with further models that collections may have: a list of objects with the settings of this group, such as `{\"provider\": \"openai\", \"url\": .., \"model\": .., \"dimensions\": 768}`.",
    ),
    optional(
        "NVISY_RERANKING_DIRECTORY",
        "Folder of a BERT cross-encoder that reranks searches: model.safetensors, tokenizer.json and config.json. It computes on the threads of NVISY_EMBEDDING_THREADS. Unset: there is none.",
    ),
    variable(
        "NVISY_RERANKING_TIMEOUT_SECONDS",
        "10",
        "Longest wait of a search for that model; after it, the hits stay in their order.",
    )
    .within(1, 3600),
    optional(
        "NVISY_OUTBOUND_ALLOWED_NETWORKS",
        "Networks beside the public internet that calls of tenants may reach (model providers, HTTP steps, webhooks), such as `10.1.0.0/16, ::1`. Unset: none, so that no tenant reaches this machine, private networks or metadata services.",
    ),
    optional(
        "NVISY_OUTBOUND_LOCAL_FOLDERS",
        "Folders of the workers' machines below which connections of tenants may read, such as `/srv/shared, /srv/tenants/{workspace}`, where `{workspace}` is the id of the workspace. Unset: none.",
    ),
    optional(
        "NVISY_OUTBOUND_WRITABLE_FOLDERS",
        "Folders of the workers' machines below which pipelines of tenants may write, in the form of `NVISY_OUTBOUND_LOCAL_FOLDERS`, which must contain them as well. Unset: none.",
    ),
    optional(
        "NVISY_OUTBOUND_PROXY_URL",
        "HTTP proxy of outgoing HTTP requests, such as `http://user:password@proxy.example.org:3128`. Unset: requests go out directly; `HTTPS_PROXY` and its like are ignored.",
    ).secret().rule(rules::proxy_url),
    optional(
        "NVISY_OUTBOUND_NO_PROXY",
        "Hosts that are reached without that proxy, such as `example.org, .example.net, 10.0.0.0/8`: names with their subdomains, and addresses and networks of URLs. Unset: only this machine.",
    ),
    variable("NVISY_OUTBOUND_RESPONSE_BYTES", "16777216", "Largest response to a call of a tenant, in bytes, also after decompression.").within(1024, 1 << 30),
    variable("NVISY_OUTBOUND_TIMEOUT_SECONDS", "120", "Longest wait for the response to a call of a tenant.").within(1, 3600),
    variable("NVISY_EXTRACT_MEMORY_BYTES", "1073741824", "Most memory of the extraction of one file, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_EXTRACT_SECONDS", "120", "Longest duration of the extraction of one file. The recognition of text in pictures may take ten times as long beside it.").within(1, YEAR_SECONDS),
    variable("NVISY_EXTRACT_PAGES", "5000", "Most pages of a file.").within(1, 1_000_000),
    variable("NVISY_EXTRACT_TEXT_BYTES", "33554432", "Most text of a file, in bytes.").within(1, i64::MAX as u64),
    variable("NVISY_EXTRACT_EXPANDED_BYTES", "268435456", "Most bytes to which a compressed file may expand, and of a mail with its attachments.").within(1, i64::MAX as u64),
    variable(
        "NVISY_EXTRACT_OCR_DIRECTORY",
        ".local/models/PP-OCRv6-small",
        "Folder of the models that recognise text in pictures and scanned pages: PP-OCRv6_det_small.rten, PP-OCRv6_rec_small.rten and ppocrv6_dict.txt. Without them such files have no text.",
    ),
    optional(
        "NVISY_CHUNK_MAX_TOKENS",
        "Most tokens of a chunk, in workspaces created from now on. Unset or larger: the limit of the model.",
    ),
    variable(
        "NVISY_CHUNK_OVERLAP_TOKENS",
        "0",
        "Tokens that a chunk repeats of the previous one, in workspaces created from now on; at most 256 and half of a chunk.",
    ),
    variable(
        "NVISY_SEARCH_EMBEDDING_SECONDS",
        "10",
        "Longest wait of a search for the vector of its query; after it, a hybrid search goes on by words.",
    )
    .within(1, 3600),
    variable(
        "NVISY_SEARCH_RECALL_SAMPLE",
        "0.01",
        "Share of the searches by vector, from 0 to 1, that the API repeats exactly in the background to measure their recall; 0 measures none.",
    ).rule(rules::share),
    variable("NVISY_QUOTA_FILES", "1000000", "Most files of a workspace.").within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_BYTES", "1099511627776", "Most bytes of a workspace, over all versions of all files.")
        .within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_CHUNKS", "50000000", "Most chunks of a workspace; a file that would exceed it fails.")
        .within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_COLLECTIONS", "100", "Most collections of a workspace.").within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_RUNS", "100000", "Most unfinished runs of a workspace; each uploaded file is one.")
        .within(0, i64::MAX as u64),
    variable("NVISY_QUOTA_WORKSPACES", "100", "Most workspaces that an account may own; each has the quota above.")
        .within(0, i64::MAX as u64),
    variable(
        "NVISY_EVENT_DAYS",
        "30",
        "How long events are kept, in days; a client that was disconnected for less resumes without a gap.",
    )
    .within(1, 36_500),
    variable("NVISY_WORKER_HEALTH_ADDRESS", "127.0.0.1:8081", "Address on which the worker serves `GET /health`."),
    variable("NVISY_WORKER_EXTRACT_SLOTS", "2", "Files that a worker extracts concurrently.").within(0, MAX_PARALLEL),
    variable("NVISY_WORKER_MODEL_SLOTS", "4", "Embedding batches that a worker processes concurrently.").within(0, MAX_PARALLEL),
    variable("NVISY_WORKER_SOURCE_SLOTS", "2", "Listings and batches of objects that a worker reads from connections concurrently.").within(0, MAX_PARALLEL),
    variable("NVISY_WORKER_MAIL_SLOTS", "2", "Mails that a worker sends concurrently.").within(1, MAX_PARALLEL),
    variable("NVISY_WORKER_BATCH_CHUNKS", "0", "Chunks of an embedding batch; a failure repeats at most one batch. 0: 8 for the local model, 16 of a file with more than 64, 32 for a server.").within(0, MAX_PARALLEL),
    variable(
        "NVISY_QUEUE_LEASE_SECONDS",
        "15",
        "How long a worker may be silent before its jobs go to other workers.",
    ).within(1, YEAR_SECONDS),
    variable("NVISY_QUEUE_GRACE_SECONDS", "20", "How long a stopping process may finish the work in progress.").within(0, YEAR_SECONDS),
    variable("NVISY_QUEUE_ATTEMPTS", "6", "Attempts before a job is moved to the dead jobs.").within(1, 1000),
    variable(
        "NVISY_QUEUE_BACKOFF_MILLIS",
        "1000",
        "Wait before the second attempt; it doubles with each further attempt, with jitter, up to five minutes.",
    ).within(1, DAY_MILLIS),
    variable(
        "NVISY_QUEUE_WORKSPACE_JOBS",
        "32",
        "Most jobs of one workspace and lane that are dispatched to workers at the same time.",
    ).within(1, 1_000_000),
    variable("NVISY_QUEUE_POLL_MILLIS", "1000", "How often the outbox is read when no notification comes.").within(1, DAY_MILLIS),
    variable("NVISY_LOG_FILTER", "info", "Filter of log lines, in the syntax of tracing's `EnvFilter`.").rule(rules::log_filter),
    variable("NVISY_LOG_FORMAT", "text", "`text` for people, `json` for collectors."),
];

/// The text of `.env.example`.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# The settings of Nvisy. Copy this file to `.env`. A commented line shows the default value, or an optional setting.\n\
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
            text.push_str(&format!("# Or set {file} to the path of a file that contains the value.\n"));
        }
        text.push_str(&format!("# {}={default}\n", variable.name));
    }
    text.push_str(&compose::example());
    text
}
