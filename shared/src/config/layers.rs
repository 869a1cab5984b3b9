//! The layers of the configuration, weakest first: defaults, `.env`, the environment. A secret may also be in a file that its
//! variable with the suffix `_FILE` names.

use std::{
    collections::{BTreeSet, HashMap},
    env, fmt, fs,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use url::Url;

use super::{Config, ConfigError, PREFIX, TEST_PREFIX, VARIABLES, Variable, models, rules};
use crate::secret::Secret;

/// Replaces hidden values.
const REDACTED: &str = "[hidden]";

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// The table of variables.
    Default,
    /// The file `.env` in the working directory or one above it.
    DotEnv,
    /// The process's environment.
    Environment,
    /// A file that a `*_FILE` variable names.
    File(PathBuf),
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::DotEnv => f.write_str(".env"),
            Self::Environment => f.write_str("environment"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// One variable and its value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its entry in the table.
    pub variable: &'static Variable,
    /// The value; `None` if it is unset and has no default.
    pub value: Option<Secret<String>>,
    /// The source of the value.
    pub source: SettingSource,
}

impl Setting {
    /// The value without secrets.
    #[must_use]
    pub fn redacted(&self) -> String {
        let Some(value) = self.value.as_ref().map(Secret::expose) else { return String::new() };
        match Url::parse(value) {
            // The address of a service helps to find a mistake; the credentials stay hidden.
            Ok(url) if url.has_host() => without_credentials(url),
            _ if self.variable.secret => REDACTED.to_owned(),
            _ => value.clone(),
        }
    }
}

fn without_credentials(url: Url) -> String {
    let credentials = if url.username().is_empty() && url.password().is_none() { "" } else { "[hidden]@" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?[hidden]" } else { "" };
    format!("{}://{credentials}{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// All variables with their values, and the mistakes in them.
#[derive(Clone, Debug)]
pub struct LayeredSettings {
    settings: Vec<Setting>,
    mistakes: Vec<String>,
}

/// The values of one layer by name.
pub(super) type Layer = HashMap<String, String>;

impl LayeredSettings {
    /// Reads the environment, `.env` if it exists, and the files that they name.
    #[must_use]
    pub fn read() -> Self {
        let mut mistakes = Vec::new();
        let environment = environment(&mut mistakes);
        let dot_env = dot_env(&mut mistakes);
        // Libraries read the OTEL_* variables from the environment.
        if mistakes.is_empty() {
            let _ = dotenvy::dotenv();
        }
        Self::of(&[(SettingSource::Environment, environment), (SettingSource::DotEnv, dot_env)], mistakes)
    }

    /// Takes these variables in place of the environment.
    #[must_use]
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::of(&[(SettingSource::Environment, variables.into_iter().collect())], Vec::new())
    }

    /// Combines the layers, strongest first.
    pub(super) fn of(layers: &[(SettingSource, Layer)], mut mistakes: Vec<String>) -> Self {
        let names: BTreeSet<&str> = layers.iter().flat_map(|(_, layer)| layer.keys().map(String::as_str)).collect();
        for name in names.into_iter().filter(|name| has_prefix(name) && !is_known(name)) {
            mistakes.push(format!("{name} is not a setting of Nvisy; .env.example lists all settings"));
        }
        let settings: Vec<_> = VARIABLES.iter().map(|variable| setting(variable, layers, &mut mistakes)).collect();
        for setting in &settings {
            mistakes.extend(rules::check_one(setting));
        }
        mistakes.extend(rules::check_together(|name| {
            settings.iter().find(|setting| setting.variable.name == name)?.value.as_ref().map(|value| &**value.expose())
        }));
        Self { settings, mistakes }
    }

    /// The typed configuration.
    ///
    /// # Errors
    /// Lists all mistakes.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let mut mistakes = self.mistakes.clone();
        let given = |setting: &Setting| setting.source != SettingSource::Default;
        let given = self.settings.iter().filter(|setting| given(setting)).filter_map(|setting| {
            let value = setting.value.as_ref()?.expose().clone();
            Some((setting.variable.name, value))
        });
        let mut config = super::typed(given, &mut mistakes);
        if let Some(config) = &mut config
            && let Some(file) = &config.embedding.models_file
        {
            config.embedding.models = models::read(file, &mut mistakes);
        }
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError(mistakes)),
        }
    }
}

/// A line for each variable, secrets hidden.
impl fmt::Display for LayeredSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.settings {
            let assignment = format!("{}={}", setting.variable.name, setting.redacted());
            match setting.value {
                Some(_) => writeln!(f, "{assignment:<72} # {}", setting.source)?,
                None => writeln!(f, "{assignment:<72} # not set")?,
            }
        }
        Ok(())
    }
}

fn has_prefix(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX)
}

fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|known| known.name == name || known.file_name().is_some_and(|file| file == name))
}

fn setting(variable: &'static Variable, layers: &[(SettingSource, Layer)], mistakes: &mut Vec<String>) -> Setting {
    for (source, layer) in layers {
        // Compose files pass an unset variable as an empty value.
        let value_of = |name: &str| layer.get(name).filter(|value| !value.is_empty());
        let file = variable.file_name().and_then(|name| Some((value_of(&name)?, name)));
        match (value_of(variable.name), file) {
            (Some(_), Some((_, name))) => {
                mistakes.push(format!("{} and {name} are both set: set one of them", variable.name));
            }
            (Some(value), None) => {
                return Setting { variable, value: Some(Secret::new(value.clone())), source: source.clone() };
            }
            (None, Some((path, name))) => match read_file(path) {
                Ok(value) => {
                    return Setting {
                        variable,
                        value: Some(Secret::new(value)),
                        source: SettingSource::File(path.into()),
                    };
                }
                Err(reason) => mistakes.push(format!("{name} names {path}, which {reason}")),
            },
            (None, None) => {}
        }
    }
    Setting {
        variable,
        value: variable.default.map(|value| Secret::new(value.to_owned())),
        source: SettingSource::Default,
    }
}

/// The content of a secret's file, without the newline that editors append.
fn read_file(path: &str) -> Result<String, String> {
    let text = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(text).map_err(|_| "does not hold text".to_owned())?;
    let value = text.trim_end_matches(['\n', '\r']);
    if value.is_empty() { Err("is empty".to_owned()) } else { Ok(value.to_owned()) }
}

fn environment(mistakes: &mut Vec<String>) -> Layer {
    let prefixed = env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(PREFIX.as_bytes()));
    prefixed
        .filter_map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => Some((name, value)),
                Err(_) => {
                    mistakes.push(format!("{name} has a value that is not UTF-8"));
                    None
                }
            }
        })
        .collect()
}

fn dot_env(mistakes: &mut Vec<String>) -> Layer {
    let read = dotenvy::dotenv_iter().and_then(Iterator::collect);
    match read {
        Ok(variables) => variables,
        Err(error) if error.not_found() => Layer::new(),
        Err(error) => {
            mistakes.push(match error {
                // The line may contain a secret, so the message omits it.
                dotenvy::Error::LineParse(..) => ".env has a line that is not NAME=value".to_owned(),
                error => format!(".env cannot be read: {error}"),
            });
            Layer::new()
        }
    }
}
