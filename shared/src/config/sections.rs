//! The sections of the configuration. What each value means stands in [`super::VARIABLES`].
#![allow(missing_docs, reason = "`variables` says it, once")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use url::Url;

use super::{Networks, origins::Origins};
use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize)]
pub struct Database {
    pub url: Secret<String>,
    pub connections: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Migration {
    pub database_url: Option<Secret<String>>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Nats {
    pub url: Secret<String>,
    pub prefix: String,
    pub replicas: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Http {
    pub address: SocketAddr,
    pub upload_bytes: u64,
    pub upload_files: usize,
    pub json_bytes: usize,
    pub workers: usize,
    pub drain_seconds: u64,
    pub tls_certificate_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    pub head_seconds: u64,
    pub body_seconds: u64,
    pub request_seconds: u64,
    pub idempotency_seconds: u64,
    pub cors_origins: Origins,
    pub hsts_seconds: Option<u64>,
    #[serde(default)]
    pub trusted_proxies: Networks,
}

/// As long as browsers insist on TLS where the API itself speaks nothing else.
const YEAR_SECONDS: u64 = 31_536_000;

impl Http {
    /// How long browsers are to insist on TLS; 0 does not ask it.
    #[must_use]
    pub fn hsts(&self) -> u64 {
        self.hsts_seconds.unwrap_or(if self.tls_certificate_file.is_some() { YEAR_SECONDS } else { 0 })
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Limit {
    pub account_minute: u32,
    pub token_minute: u32,
    pub workspace_minute: u32,
    pub address_minute: u32,
    pub name_minute: u32,
    pub name_failures_minute: u32,
    pub refused_minute: u32,
    pub account_streams: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Auth {
    pub private_key_file: PathBuf,
    pub public_key_file: PathBuf,
    pub issuer: String,
    pub token_seconds: u64,
    pub session_seconds: u64,
    pub session_longest_seconds: u64,
    pub erase_seconds: u64,
    pub hashes: usize,
    pub sign_up: Option<SignUp>,
}

/// Who may sign up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    /// Everybody.
    Open,
    /// Whoever is invited, by a workspace or by an operator.
    Invited,
    /// Whom an operator admits.
    Closed,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Smtp {
    pub url: Option<Secret<String>>,
    pub ca_file: Option<PathBuf>,
    pub from: Option<String>,
    pub link_url: Option<Url>,
    pub link_seconds: u64,
}

/// A mail server, wholly described.
#[derive(Clone, Copy, Debug)]
pub struct MailServer<'a> {
    pub url: &'a Secret<String>,
    /// Who vouches for it, where that is not the system's business.
    pub ca_file: Option<&'a Path>,
    pub from: &'a str,
    pub link_url: &'a Url,
}

/// How a connection to a mail server is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// Not at all.
    Clear,
    /// From the first byte, for this name.
    Tls(String),
    /// By STARTTLS before anything is said, for this name.
    StartTls(String),
}

impl MailServer<'_> {
    /// What the URL says of it; a rule makes sure that it says one of these.
    #[must_use]
    pub fn security(&self) -> MailSecurity {
        let url = Url::parse(self.url.expose()).ok();
        let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host_str()?.to_owned()))) else {
            return MailSecurity::Clear;
        };
        match (url.scheme(), url.query()) {
            ("smtps", _) => MailSecurity::Tls(host),
            (_, Some(_)) => MailSecurity::StartTls(host),
            _ => MailSecurity::Clear,
        }
    }
}

impl Smtp {
    /// The mail server, if one is configured; a check at start makes sure that it is so wholly or not at all.
    #[must_use]
    pub fn server(&self) -> Option<MailServer<'_>> {
        Some(MailServer {
            url: self.url.as_ref()?,
            ca_file: self.ca_file.as_deref(),
            from: self.from.as_deref()?,
            link_url: self.link_url.as_ref()?,
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Encryption {
    pub key_file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddingProvider {
    Local,
    Openai,
}

impl EmbeddingProvider {
    /// Its name in the setting, in metrics and in embedding spaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Openai => "openai",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Embedding {
    pub provider: EmbeddingProvider,
    pub directory: PathBuf,
    pub threads: usize,
    pub url: Option<Url>,
    pub api_key: Option<Secret<String>>,
    pub model: Option<String>,
    pub dimensions: Option<u16>,
    pub request_dimensions: bool,
    pub max_tokens: usize,
    pub concurrency: usize,
    pub timeout_seconds: u64,
    pub tokenizer_file: Option<PathBuf>,
    pub query_prefix: String,
    pub passage_prefix: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Extract {
    pub memory_bytes: u64,
    pub seconds: u64,
    pub pages: u32,
    pub text_bytes: u64,
    pub expanded_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Chunk {
    pub max_tokens: Option<u32>,
    pub overlap_tokens: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Quota {
    pub files: i64,
    pub bytes: i64,
    pub chunks: i64,
    pub runs: i64,
    pub workspaces: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    pub days: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Worker {
    pub health_address: SocketAddr,
    pub extract_slots: usize,
    pub model_slots: usize,
    pub mail_slots: usize,
    pub batch_chunks: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Queue {
    pub lease_seconds: u64,
    pub grace_seconds: u64,
    pub attempts: i32,
    pub backoff_millis: u64,
    pub workspace_jobs: i64,
    pub poll_millis: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}
