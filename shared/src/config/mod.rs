//! Settings: environment variables only, checked as a whole before anything starts.

mod sections;
mod variables;

use std::collections::HashMap;

use serde::de::DeserializeOwned;

pub use sections::*;
pub use variables::{VARIABLES, Variable, example};

const PREFIX: &str = "NVISY_";
/// Variables that steer tests and recipes, not the binaries.
const TEST_PREFIX: &str = "NVISY_TEST_";

/// Everything both binaries read. Each reads all of it: they share one environment.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the sections and `variables` say it")]
pub struct Config {
    pub database: Database,
    pub nats: Nats,
    pub http: Http,
    pub auth: Auth,
    pub encryption: Encryption,
    pub embedding: Embedding,
    pub extract: Extract,
    pub chunk: Chunk,
    pub worker: Worker,
    pub queue: Queue,
    pub log: Log,
}

/// All mistakes in the environment, one sentence a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Reads `.env` in the working directory, if there is one, and the environment, which wins.
    ///
    /// # Errors
    /// Names every variable that is unknown or has a value that cannot be used.
    pub fn load() -> Result<Self, ConfigError> {
        match dotenvy::dotenv() {
            Err(error) if !error.not_found() => return Err(ConfigError(vec![format!(".env cannot be read: {error}")])),
            _ => {}
        }
        Self::from_variables(std::env::vars())
    }

    /// Reads the given variables; those that do not begin with `NVISY_` are not ours.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut mistakes = Vec::new();
        let mut given = HashMap::new();
        for (name, value) in variables {
            if !name.starts_with(PREFIX) || name.starts_with(TEST_PREFIX) {
                continue;
            }
            if VARIABLES.iter().any(|known| known.name == name) {
                // An empty value is what compose files make of an unset one.
                if !value.is_empty() {
                    given.insert(path(&name), value);
                }
            } else {
                mistakes.push(format!("{name} is not a setting of Nvisy; .env.example lists them all"));
            }
        }
        let source = match layered(given) {
            Ok(source) => source,
            Err(error) => return Err(ConfigError(vec![error.to_string()])),
        };
        let config = Self::sections(&source, &mut mistakes);
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError(mistakes)),
        }
    }

    fn sections(source: &config::Config, mistakes: &mut Vec<String>) -> Option<Self> {
        // Every section is read before any is given up, so that all mistakes are told at once.
        let database = section(source, "database", mistakes);
        let nats = section(source, "nats", mistakes);
        let http = section(source, "http", mistakes);
        let auth = section(source, "auth", mistakes);
        let encryption = section(source, "encryption", mistakes);
        let embedding = section(source, "embedding", mistakes);
        let extract = section(source, "extract", mistakes);
        let chunk = section(source, "chunk", mistakes);
        let worker = section(source, "worker", mistakes);
        let queue = section(source, "queue", mistakes);
        let log = section(source, "log", mistakes);
        Some(Self {
            database: database?,
            nats: nats?,
            http: http?,
            auth: auth?,
            encryption: encryption?,
            embedding: embedding?,
            extract: extract?,
            chunk: chunk?,
            worker: worker?,
            queue: queue?,
            log: log?,
        })
    }
}

/// `NVISY_HTTP_UPLOAD_BYTES` is `http.upload_bytes`.
fn path(name: &str) -> String {
    name[PREFIX.len()..].to_lowercase().replacen('_', ".", 1)
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
        Err(error) => {
            mistakes.push(format!("the {group}_* settings cannot be read: {error}"));
            return None;
        }
    };
    // Tells which field was at fault, which the library does not always do.
    match serde_path_to_error::deserialize(values) {
        Ok(section) => Some(section),
        Err(error) => {
            let field = error.path().to_string().to_uppercase();
            let reason = error.into_inner();
            mistakes.push(match reason {
                config::ConfigError::NotFound(field) => format!("{group}_{} must be set", field.to_uppercase()),
                // Other reasons than the type quote the value, which may be secret.
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
    fn the_environment_wins_and_digits_stay_a_string() {
        let config = with(&[("NVISY_NATS_PREFIX", "007"), ("NVISY_HTTP_JSON_BYTES", "99")]).unwrap();
        assert_eq!(config.nats.prefix, "007");
        assert_eq!(config.http.json_bytes, 99);
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let error =
            with(&[("NVISY_HTTP_ADRESS", "x"), ("NVISY_HTTP_ADDRESS", "nowhere"), ("NVISY_QUEUE_ATTEMPTS", "many")])
                .unwrap_err()
                .to_string();
        for name in ["NVISY_HTTP_ADRESS is not", "NVISY_HTTP_ADDRESS has", "NVISY_QUEUE_ATTEMPTS has"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_example_is_up_to_date() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../.env.example")).unwrap_or_default();
        assert!(file == example(), "run `just generate-example` and commit .env.example");
    }
}
