//! The sections of the configuration. [`super::VARIABLES`] describes the values.
#![allow(missing_docs, reason = "`variables` describes them")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use url::Url;

use super::{LocalFolders, Networks, NoProxy, origins::Origins};
use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize)]
pub struct DatabaseConfig {
    pub url: Secret<String>,
    pub connections: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct MigrationConfig {
    pub database_url: Option<Secret<String>>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NatsConfig {
    pub url: Secret<String>,
    pub prefix: String,
    pub replicas: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct HttpConfig {
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

/// How long browsers insist on TLS if the API serves HTTPS only.
const YEAR_SECONDS: u64 = 31_536_000;

impl HttpConfig {
    /// How long browsers insist on TLS; 0 sends no such header.
    #[must_use]
    pub fn hsts(&self) -> u64 {
        self.hsts_seconds.unwrap_or(if self.tls_certificate_file.is_some() { YEAR_SECONDS } else { 0 })
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct LimitConfig {
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
pub struct AuthConfig {
    pub private_key_file: PathBuf,
    pub public_key_file: PathBuf,
    pub issuer: String,
    pub token_seconds: u64,
    pub session_seconds: u64,
    pub session_longest_seconds: u64,
    pub erase_seconds: u64,
    pub hashes: usize,
    pub hash_mebibytes: u32,
    pub sign_up: Option<SignUpPolicy>,
}

/// The sign-up policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUpPolicy {
    /// Every person.
    Open,
    /// Addresses invited by a workspace or by an operator.
    Invited,
    /// Addresses that an operator allows.
    Closed,
}

#[derive(Clone, Debug, Deserialize)]
pub struct SmtpConfig {
    pub url: Option<Secret<String>>,
    pub ca_file: Option<PathBuf>,
    pub from: Option<String>,
    pub link_url: Option<Url>,
    pub link_seconds: u64,
}

/// The complete settings of a mail server.
#[derive(Clone, Copy, Debug)]
pub struct MailServer<'a> {
    pub url: &'a Secret<String>,
    /// Its certificate authorities, in place of the system's.
    pub ca_file: Option<&'a Path>,
    pub from: &'a str,
    pub link_url: &'a Url,
}

/// The encryption of connections to a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// None.
    Clear,
    /// TLS from the first byte, for this host name.
    Tls(String),
    /// STARTTLS before any other command, for this host name.
    StartTls(String),
}

impl MailServer<'_> {
    /// The encryption in the URL, which `rules` has checked.
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

impl SmtpConfig {
    /// The mail server, if one is configured. `rules` has checked that its settings are complete or absent.
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
pub struct EncryptionConfig {
    pub key_file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddingProvider {
    Local,
    Openai,
}

impl EmbeddingProvider {
    /// The name in the setting, in metrics and in embedding spaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Openai => "openai",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct EmbeddingConfig {
    pub provider: EmbeddingProvider,
    pub directory: PathBuf,
    pub threads: usize,
    pub url: Option<Url>,
    pub api_key: Option<Secret<String>>,
    pub model: Option<String>,
    pub dimensions: Option<u16>,
    pub truncatable: bool,
    pub request_dimensions: bool,
    pub request_encoding: bool,
    pub request_texts: usize,
    pub max_tokens: usize,
    pub concurrency: usize,
    pub timeout_seconds: u64,
    pub tokenizer_file: Option<PathBuf>,
    pub query_prefix: String,
    pub passage_prefix: String,
    pub models_file: Option<PathBuf>,
    /// The models in that file.
    #[serde(skip)]
    pub models: Vec<EmbeddingConfig>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RerankingConfig {
    pub directory: Option<PathBuf>,
    pub timeout_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct OutboundConfig {
    #[serde(default)]
    pub allowed_networks: Networks,
    pub response_bytes: usize,
    pub timeout_seconds: u64,
    #[serde(default)]
    pub local_folders: LocalFolders,
    #[serde(default)]
    pub writable_folders: LocalFolders,
    pub proxy_url: Option<Secret<Url>>,
    #[serde(default)]
    pub no_proxy: NoProxy,
}

impl OutboundConfig {
    /// The proxy that requests to a URL go through, if they do.
    #[must_use]
    pub fn proxy_for(&self, url: &Url) -> Option<&Secret<Url>> {
        self.proxy_url.as_ref().filter(|_| !self.no_proxy.contains(url))
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct ExtractConfig {
    pub memory_bytes: u64,
    pub seconds: u64,
    pub pages: u32,
    pub text_bytes: u64,
    pub expanded_bytes: u64,
    pub ocr_directory: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ChunkConfig {
    pub max_tokens: Option<u32>,
    pub overlap_tokens: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct SearchConfig {
    pub embedding_seconds: u64,
    pub recall_sample: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct QuotaConfig {
    pub files: i64,
    pub bytes: i64,
    pub chunks: i64,
    pub runs: i64,
    pub collections: i64,
    pub workspaces: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct EventConfig {
    pub days: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct WorkerConfig {
    pub health_address: SocketAddr,
    pub extract_slots: usize,
    pub model_slots: usize,
    pub source_slots: usize,
    pub mail_slots: usize,
    pub batch_chunks: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct QueueConfig {
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
pub struct LogConfig {
    pub filter: String,
    pub format: LogFormat,
}
