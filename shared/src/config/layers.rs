//! The layers of the configuration, weakest first: defaults, `.env`, the environment. A secret may also stand in a
//! file that the variable with `_FILE` at its end names.

use std::{
    collections::{BTreeSet, HashMap},
    env, fmt, fs,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use url::Url;

use super::{Config, ConfigError, PREFIX, TEST_PREFIX, VARIABLES, Variable, rules};
use crate::secret::Secret;

/// Stands for what must not be shown.
const HIDDEN: &str = "[hidden]";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table of variables.
    Default,
    /// The file `.env` of the working directory, or of one above it.
    DotEnv,
    /// The process's environment.
    Environment,
    /// A file that a `*_FILE` variable names.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::DotEnv => f.write_str(".env"),
            Self::Environment => f.write_str("environment"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// One variable and what holds for it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its line of the table.
    pub variable: &'static Variable,
    /// The value; `None` where nothing is set and there is no default.
    pub value: Option<Secret<String>>,
    /// Where the value came from.
    pub origin: Origin,
}

impl Setting {
    /// The value as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let Some(value) = self.value.as_ref().map(Secret::expose) else { return String::new() };
        match Url::parse(value) {
            // Where a service is helps to find a mistake; who we are there is nobody's business.
            Ok(url) if url.has_host() => without_credentials(url),
            _ if self.variable.secret => HIDDEN.to_owned(),
            _ => value.clone(),
        }
    }
}

fn without_credentials(url: Url) -> String {
    let who = if url.username().is_empty() && url.password().is_none() { "" } else { "[hidden]@" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?[hidden]" } else { "" };
    format!("{}://{who}{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// All variables with what holds for each, and what is wrong with them.
#[derive(Clone, Debug)]
pub struct Settings {
    settings: Vec<Setting>,
    mistakes: Vec<String>,
}

/// What one layer says, by name.
pub(super) type Layer = HashMap<String, String>;

impl Settings {
    /// Reads `.env`, if there is one, the environment, and the files they name.
    #[must_use]
    pub fn gather() -> Self {
        let mut mistakes = Vec::new();
        let environment = environment(&mut mistakes);
        let dot_env = dot_env(&mut mistakes);
        // The OTEL_* variables are read from the environment by libraries.
        if mistakes.is_empty() {
            let _ = dotenvy::dotenv();
        }
        Self::of(&[(Origin::Environment, environment), (Origin::DotEnv, dot_env)], mistakes)
    }

    /// As if only these variables were in the environment.
    #[must_use]
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::of(&[(Origin::Environment, variables.into_iter().collect())], Vec::new())
    }

    /// The strongest layer stands first.
    pub(super) fn of(layers: &[(Origin, Layer)], mut mistakes: Vec<String>) -> Self {
        let names: BTreeSet<&str> = layers.iter().flat_map(|(_, layer)| layer.keys().map(String::as_str)).collect();
        for name in names.into_iter().filter(|name| is_ours(name) && !is_known(name)) {
            mistakes.push(format!("{name} is not a setting of Nvisy; .env.example lists them all"));
        }
        let settings: Vec<_> = VARIABLES.iter().map(|variable| setting(variable, layers, &mut mistakes)).collect();
        for setting in &settings {
            mistakes.extend(rules::of_one(setting));
        }
        mistakes.extend(rules::of_all(|name| {
            settings.iter().find(|setting| setting.variable.name == name)?.value.as_ref().map(|value| &**value.expose())
        }));
        Self { settings, mistakes }
    }

    /// The settings as the programs use them.
    ///
    /// # Errors
    /// Names everything that is wrong at once.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let mut mistakes = self.mistakes.clone();
        let given = |setting: &Setting| setting.origin != Origin::Default;
        let given = self.settings.iter().filter(|setting| given(setting)).filter_map(|setting| {
            let value = setting.value.as_ref()?.expose().clone();
            Some((setting.variable.name, value))
        });
        match super::typed(given, &mut mistakes) {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError(mistakes)),
        }
    }
}

/// A line for each variable, secrets hidden.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.settings {
            let assignment = format!("{}={}", setting.variable.name, setting.shown());
            match setting.value {
                Some(_) => writeln!(f, "{assignment:<72} # {}", setting.origin)?,
                None => writeln!(f, "{assignment:<72} # not set")?,
            }
        }
        Ok(())
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX)
}

fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|known| known.name == name || known.file_name().is_some_and(|file| file == name))
}

fn setting(variable: &'static Variable, layers: &[(Origin, Layer)], mistakes: &mut Vec<String>) -> Setting {
    for (origin, layer) in layers {
        // An empty value is what compose files make of an unset one.
        let said = |name: &str| layer.get(name).filter(|value| !value.is_empty());
        let file = variable.file_name().and_then(|name| Some((said(&name)?, name)));
        match (said(variable.name), file) {
            (Some(_), Some((_, name))) => {
                mistakes.push(format!("{} and {name} are both set: set one of them", variable.name));
            }
            (Some(value), None) => {
                return Setting { variable, value: Some(Secret::new(value.clone())), origin: origin.clone() };
            }
            (None, Some((path, name))) => match read(path) {
                Ok(value) => {
                    return Setting { variable, value: Some(Secret::new(value)), origin: Origin::File(path.into()) };
                }
                Err(reason) => mistakes.push(format!("{name} names {path}, which {reason}")),
            },
            (None, None) => {}
        }
    }
    Setting { variable, value: variable.default.map(|value| Secret::new(value.to_owned())), origin: Origin::Default }
}

/// A secret's file, without the newline that editors put at its end.
fn read(path: &str) -> Result<String, String> {
    let text = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(text).map_err(|_| "does not hold text".to_owned())?;
    let value = text.trim_end_matches(['\n', '\r']);
    if value.is_empty() { Err("is empty".to_owned()) } else { Ok(value.to_owned()) }
}

fn environment(mistakes: &mut Vec<String>) -> Layer {
    let ours = env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(PREFIX.as_bytes()));
    ours.filter_map(|(name, value)| {
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
                // The line itself may hold a secret.
                dotenvy::Error::LineParse(..) => ".env has a line that is not NAME=value".to_owned(),
                error => format!(".env cannot be read: {error}"),
            });
            Layer::new()
        }
    }
}
