//! Settings: environment variables, all checked before a program starts.

mod compose;
mod layers;
mod local_folders;
mod models;
mod networks;
mod no_proxy;
mod origins;
mod rules;
mod sections;
mod variables;

use std::collections::HashMap;

use serde::de::DeserializeOwned;

pub use layers::{LayeredSettings, Setting, SettingSource};
pub use local_folders::LocalFolders;
pub use networks::Networks;
pub use no_proxy::NoProxy;
pub use origins::Origins;
pub use sections::*;
pub use variables::{VARIABLES, Variable, example};

const PREFIX: &str = "NVISY_";
/// Prefix of variables for tests and recipes, which the programs ignore.
const TEST_PREFIX: &str = "NVISY_TEST_";

/// The settings of both programs. Each reads all of them, because they share one environment.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the sections and `variables` describe them")]
pub struct Config {
    pub database: DatabaseConfig,
    pub migration: MigrationConfig,
    pub nats: NatsConfig,
    pub http: HttpConfig,
    pub limit: LimitConfig,
    pub auth: AuthConfig,
    pub smtp: SmtpConfig,
    pub encryption: EncryptionConfig,
    pub embedding: EmbeddingConfig,
    pub reranking: RerankingConfig,
    pub outbound: OutboundConfig,
    pub extract: ExtractConfig,
    pub chunk: ChunkConfig,
    pub search: SearchConfig,
    pub quota: QuotaConfig,
    pub event: EventConfig,
    pub worker: WorkerConfig,
    pub queue: QueueConfig,
    pub log: LogConfig,
}

/// All mistakes in the settings, one sentence per line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Reads the layers: see [`LayeredSettings`].
    ///
    /// # Errors
    /// Lists every variable that is unknown or has an invalid value.
    pub fn load() -> Result<Self, ConfigError> {
        LayeredSettings::read().check()
    }

    /// Reads the given variables; those without the prefix `NVISY_` are ignored.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        LayeredSettings::from_variables(variables).check()
    }

    /// The sign-up policy. Without mail an address is not verified, and a sign-up reveals whether it is taken; therefore the default
    /// is then that an operator allows each address.
    #[must_use]
    pub fn sign_up(&self) -> SignUpPolicy {
        let default = if self.smtp.server().is_some() { SignUpPolicy::Open } else { SignUpPolicy::Closed };
        self.auth.sign_up.unwrap_or(default)
    }

    fn sections(source: &config::Config, mistakes: &mut Vec<String>) -> Option<Self> {
        // All sections are read before the first `?`, so that all mistakes are reported at once.
        let database = section(source, "database", mistakes);
        let migration = section(source, "migration", mistakes);
        let nats = section(source, "nats", mistakes);
        let http = section(source, "http", mistakes);
        let limit = section(source, "limit", mistakes);
        let auth = section(source, "auth", mistakes);
        let smtp = section(source, "smtp", mistakes);
        let encryption = section(source, "encryption", mistakes);
        let embedding = section(source, "embedding", mistakes);
        let reranking = section(source, "reranking", mistakes);
        let outbound = section(source, "outbound", mistakes);
        let extract = section(source, "extract", mistakes);
        let chunk = section(source, "chunk", mistakes);
        let search = section(source, "search", mistakes);
        let quota = section(source, "quota", mistakes);
        let event = section(source, "event", mistakes);
        let worker = section(source, "worker", mistakes);
        let queue = section(source, "queue", mistakes);
        let log = section(source, "log", mistakes);
        Some(Self {
            database: database?,
            migration: migration?,
            nats: nats?,
            http: http?,
            limit: limit?,
            auth: auth?,
            smtp: smtp?,
            encryption: encryption?,
            embedding: embedding?,
            reranking: reranking?,
            outbound: outbound?,
            extract: extract?,
            chunk: chunk?,
            search: search?,
            quota: quota?,
            event: event?,
            worker: worker?,
            queue: queue?,
            log: log?,
        })
    }
}

/// The path of a variable in the configuration: `http.upload_bytes` for `NVISY_HTTP_UPLOAD_BYTES`.
fn path(name: &str) -> String {
    name[PREFIX.len()..].to_lowercase().replacen('_', ".", 1)
}

/// The typed configuration from the values that are not defaults. Adds every mistake to `mistakes`.
fn typed(given: impl Iterator<Item = (&'static str, String)>, mistakes: &mut Vec<String>) -> Option<Config> {
    match layered(given.map(|(name, value)| (path(name), value)).collect()) {
        Ok(source) => Config::sections(&source, mistakes),
        Err(error) => {
            mistakes.push(error.to_string());
            None
        }
    }
}

fn layered(given: HashMap<String, String>) -> Result<config::Config, config::ConfigError> {
    let mut builder = config::Config::builder();
    for variable in VARIABLES {
        if let Some(default) = variable.default {
            builder = builder.set_default(path(variable.name), default)?;
        }
    }
    builder.add_source(config::Environment::default().separator(".").source(Some(given))).build()
}

fn section<T: DeserializeOwned>(source: &config::Config, name: &str, mistakes: &mut Vec<String>) -> Option<T> {
    let group = format!("{PREFIX}{}", name.to_uppercase());
    let values = match source.get::<config::Value>(name) {
        Ok(values) => values,
        // The section has no defaults, and none of its variables is set.
        Err(config::ConfigError::NotFound(_)) => config::Map::<String, config::Value>::new().into(),
        Err(error) => {
            mistakes.push(format!("the {group}_* settings cannot be read: {error}"));
            return None;
        }
    };
    // Finds the name of the invalid field, which the library does not always report.
    match serde_path_to_error::deserialize(values) {
        Ok(section) => Some(section),
        Err(error) => {
            let field = error.path().to_string().to_uppercase();
            let reason = error.into_inner();
            mistakes.push(match reason {
                config::ConfigError::NotFound(field) => format!("{group}_{} must be set", field.to_uppercase()),
                // Errors other than of the type quote the value, which may be secret.
                config::ConfigError::Type { expected, .. } => {
                    format!("{group}_{field} has a value that is not {expected}")
                }
                _ => format!("{group}_{field} has a value that cannot be used"),
            });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn defaults_are_complete_and_valid() {
        let config = with(&[("PATH", "/bin")]).unwrap();
        assert_eq!(config.http.address.port(), 8080);
        assert_eq!(config.queue.attempts, 6);
        assert_eq!((config.chunk.max_tokens, config.chunk.overlap_tokens), (None, 0));
    }

    #[test]
    fn environment_overrides_defaults_and_digits_stay_a_string() {
        let config = with(&[("NVISY_NATS_PREFIX", "007"), ("NVISY_HTTP_JSON_BYTES", "99")]).unwrap();
        assert_eq!(config.nats.prefix, "007");
        assert_eq!(config.http.json_bytes, 99);
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let error =
            with(&[("NVISY_HTTP_ADRESS", "x"), ("NVISY_HTTP_ADDRESS", "nowhere"), ("NVISY_QUEUE_ATTEMPTS", "many")])
                .unwrap_err()
                .to_string();
        for name in ["NVISY_HTTP_ADRESS is not", "NVISY_HTTP_ADDRESS has", "NVISY_QUEUE_ATTEMPTS has"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn invalid_values_are_reported_with_the_expected_form() {
        let error = with(&[
            ("NVISY_DATABASE_URL", "mysql://root:hunter2@db/nvisy"),
            ("NVISY_NATS_URL", "http://nats"),
            ("NVISY_NATS_PREFIX", "a.b"),
            ("NVISY_HTTP_WORKERS", "0"),
            ("NVISY_QUEUE_LEASE_SECONDS", "18446744073709551615"),
            ("NVISY_LOG_FILTER", "info,=="),
            ("NVISY_SEARCH_RECALL_SAMPLE", "1.5"),
            ("NVISY_EMBEDDING_PROVIDER", "openai"),
            ("NVISY_HTTP_TLS_KEY_FILE", "key.pem"),
        ])
        .unwrap_err()
        .to_string();
        for sentence in [
            "NVISY_DATABASE_URL has a value that is not a PostgreSQL URL",
            "NVISY_NATS_URL has a value that is not a NATS URL",
            "NVISY_NATS_PREFIX has a value that is not made of",
            "NVISY_HTTP_WORKERS has a value that is not between 1 and 1024",
            "NVISY_QUEUE_LEASE_SECONDS has a value that is not between",
            "NVISY_LOG_FILTER has a value that is not a filter",
            "NVISY_SEARCH_RECALL_SAMPLE has a value that is not a number from 0 to 1",
            "NVISY_EMBEDDING_URL must be set",
            "NVISY_EMBEDDING_MODEL must be set",
            "NVISY_EMBEDDING_DIMENSIONS must be set",
            "NVISY_HTTP_TLS_CERTIFICATE_FILE must be set",
        ] {
            assert!(error.contains(sentence), "{sentence}: {error}");
        }
        assert_eq!(error.lines().count(), 11, "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn hsts_defaults_to_a_year_with_tls_and_to_zero_without() {
        let tls = [("NVISY_HTTP_TLS_CERTIFICATE_FILE", "chain.pem"), ("NVISY_HTTP_TLS_KEY_FILE", "key.pem")];
        let hsts = |pairs: &[(&str, &str)]| with(pairs).unwrap().http.hsts();
        assert_eq!(hsts(&[]), 0);
        assert_eq!(hsts(&tls), 31_536_000);
        assert_eq!(hsts(&[("NVISY_HTTP_HSTS_SECONDS", "60")]), 60);
        assert_eq!(hsts(&[tls[0], tls[1], ("NVISY_HTTP_HSTS_SECONDS", "0")]), 0);
        assert!(with(&[("NVISY_HTTP_HSTS_SECONDS", "-1")]).is_err());
    }

    #[test]
    fn smtp_url_with_a_password_requires_tls() {
        let server = |url: &str| {
            with(&[
                ("NVISY_SMTP_URL", url),
                ("NVISY_SMTP_FROM", "nvisy@example.org"),
                ("NVISY_SMTP_LINK_URL", "https://app.example.org"),
            ])
        };
        for (url, security) in [
            ("smtps://ada:hunter2@mail.example.org", MailSecurity::Tls("mail.example.org".to_owned())),
            ("smtp://ada:hunter2@mail.example.org?tls=required", MailSecurity::StartTls("mail.example.org".to_owned())),
            ("smtp://mail.example.org:587?tls=required", MailSecurity::StartTls("mail.example.org".to_owned())),
            ("smtp://relay", MailSecurity::Clear),
        ] {
            assert_eq!(server(url).unwrap().smtp.server().unwrap().security(), security, "{url}");
        }
        for url in [
            "smtp://ada:hunter2@mail.example.org",
            "smtp://ada@mail.example.org",
            "smtp://mail.example.org?tls=opportunistic",
            "smtp://mail.example.org?tls=requird",
            "smtp://mail.example.org?tls=required&tls=opportunistic",
            "smtps://mail.example.org?tls=opportunistic",
            "http://mail.example.org",
            "smtps:",
        ] {
            let error = server(url).unwrap_err().to_string();
            assert!(error.contains("NVISY_SMTP_URL has a value that is not an SMTP URL"), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn secret_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database-url");
        std::fs::write(&path, "postgres://nvisy:hunter2@db:5432/nvisy\r\n").unwrap();
        let file = path.to_str().unwrap();
        let config = with(&[("NVISY_DATABASE_URL_FILE", file)]).unwrap();
        assert_eq!(config.database.url.expose(), "postgres://nvisy:hunter2@db:5432/nvisy");

        let both = with(&[("NVISY_DATABASE_URL_FILE", file), ("NVISY_DATABASE_URL", "postgres://db/nvisy")]);
        assert_eq!(
            both.unwrap_err().to_string(),
            "NVISY_DATABASE_URL and NVISY_DATABASE_URL_FILE are both set: set one of them"
        );
        std::fs::write(&path, "\n").unwrap();
        let empty = with(&[("NVISY_DATABASE_URL_FILE", file)]).unwrap_err().to_string();
        assert_eq!(empty, format!("NVISY_DATABASE_URL_FILE names {file}, which is empty"));
        let missing = with(&[("NVISY_NATS_URL_FILE", "/nowhere/url")]).unwrap_err().to_string();
        assert!(missing.starts_with("NVISY_NATS_URL_FILE names /nowhere/url, which cannot be read"), "{missing}");
        // Only secrets have a `_FILE` variable.
        let unknown = with(&[("NVISY_LOG_FILTER_FILE", file)]).unwrap_err().to_string();
        assert!(unknown.starts_with("NVISY_LOG_FILTER_FILE is not a setting"), "{unknown}");
    }

    #[test]
    fn environment_overrides_dot_env_also_with_a_file_variable() {
        let layer = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let settings = LayeredSettings::of(
            &[
                (
                    SettingSource::Environment,
                    layer(&[("NVISY_DATABASE_URL", "postgres://strong/db"), ("NVISY_LOG_FILTER", "")]),
                ),
                (
                    SettingSource::DotEnv,
                    layer(&[("NVISY_DATABASE_URL_FILE", "/nowhere"), ("NVISY_LOG_FILTER", "warn"), ("OTHER", "x")]),
                ),
            ],
            Vec::new(),
        );
        let config = settings.check().unwrap();
        assert_eq!(config.database.url.expose(), "postgres://strong/db");
        assert_eq!(config.log.filter, "warn");
        let shown = settings.to_string();
        assert!(
            shown.lines().any(|line| line.starts_with("NVISY_LOG_FILTER=warn ") && line.ends_with("# .env")),
            "{shown}"
        );
    }

    #[test]
    fn every_variable_is_described_and_has_a_valid_default() {
        let settings = LayeredSettings::from_variables([]);
        assert!(settings.check().is_ok(), "{:?}", settings.check().err());
        for variable in VARIABLES {
            let group = variable.name.split('_').nth(1).unwrap();
            assert!(!group.is_empty(), "{} has no group", variable.name);
            assert!(variable.help.ends_with('.'), "the description of {} is not a sentence", variable.name);
        }
    }

    #[test]
    fn printed_settings_hide_secrets_and_name_sources() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-hunter2").unwrap();
        let shown = LayeredSettings::from_variables(
            [
                ("NVISY_DATABASE_URL", "postgres://ada:hunter2@db:5433/nvisy?password=hunter2"),
                ("NVISY_NATS_URL", "nats://hunter2@nats:4222"),
                ("NVISY_EMBEDDING_URL", "https://ada:hunter2@models/v1"),
                ("NVISY_EMBEDDING_API_KEY_FILE", path.to_str().unwrap()),
                ("NVISY_HTTP_WORKERS", "7"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        )
        .to_string();
        let line = |name: &str| {
            let words = shown.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(!shown.contains("hunter2") && !shown.contains("ada"), "{shown}");
        assert_eq!(
            line("NVISY_DATABASE_URL"),
            "NVISY_DATABASE_URL=postgres://[hidden]@db:5433/nvisy?[hidden] # environment"
        );
        assert_eq!(line("NVISY_NATS_URL"), "NVISY_NATS_URL=nats://[hidden]@nats:4222 # environment");
        assert_eq!(
            line("NVISY_EMBEDDING_API_KEY"),
            format!("NVISY_EMBEDDING_API_KEY=[hidden] # file {}", path.display())
        );
        assert_eq!(line("NVISY_HTTP_WORKERS"), "NVISY_HTTP_WORKERS=7 # environment");
        assert_eq!(line("NVISY_HTTP_JSON_BYTES"), "NVISY_HTTP_JSON_BYTES=1048576 # default");
        assert_eq!(line("NVISY_EMBEDDING_MODEL"), "NVISY_EMBEDDING_MODEL= # not set");
    }

    #[test]
    fn env_example_is_up_to_date() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../.env.example")).unwrap_or_default();
        assert!(file == example(), "run `just generate-example` and commit .env.example");
    }
}
