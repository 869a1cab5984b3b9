//! Checks of values beyond their type.

use tracing_subscriber::EnvFilter;

use super::{Variable, layers::Setting};

/// A check of a value. The error completes "has a value that is not".
pub(super) type Rule = fn(&str) -> Result<(), &'static str>;

/// The mistake in one setting, if any.
pub(super) fn check_one(setting: &Setting) -> Option<String> {
    let Variable { name, range, rule, .. } = setting.variable;
    let value = setting.value.as_ref()?.expose();
    if let Some((min, max)) = range
        && let Ok(number) = value.parse::<i128>()
        && !(i128::from(*min)..=i128::from(*max)).contains(&number)
    {
        return Some(format!("{name} has a value that is not between {min} and {max}"));
    }
    let expected = (*rule)?(value).err()?;
    Some(format!("{name} has a value that is not {expected}"))
}

/// The mistakes in combinations of settings. `value` returns the value of a name.
pub(super) fn check_together<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let mut mistakes = Vec::new();
    if value("NVISY_EMBEDDING_PROVIDER") == Some("openai") {
        for name in ["NVISY_EMBEDDING_URL", "NVISY_EMBEDDING_MODEL", "NVISY_EMBEDDING_DIMENSIONS"] {
            if value(name).is_none() {
                mistakes.push(format!("{name} must be set if NVISY_EMBEDDING_PROVIDER is openai"));
            }
        }
    }
    let mail = ["NVISY_SMTP_URL", "NVISY_SMTP_FROM", "NVISY_SMTP_LINK_URL"];
    if mail.iter().any(|name| value(name).is_some()) {
        let missing = mail.iter().filter(|name| value(name).is_none());
        mistakes.extend(missing.map(|name| format!("{name} must be set if another NVISY_SMTP_* address is")));
    }
    let pair = ["NVISY_HTTP_TLS_CERTIFICATE_FILE", "NVISY_HTTP_TLS_KEY_FILE"];
    for (here, there) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        if value(here).is_some() && value(there).is_none() {
            mistakes.push(format!("{there} must be set if {here} is"));
        }
    }
    mistakes
}

pub(super) fn postgres_url(value: &str) -> Result<(), &'static str> {
    let known = ["postgres://", "postgresql://"].iter().any(|scheme| value.starts_with(scheme));
    let usable = known && value.parse::<sea_orm::sqlx::postgres::PgConnectOptions>().is_ok();
    usable.then_some(()).ok_or("a PostgreSQL URL: postgres://user:password@host:5432/database")
}

pub(super) fn smtp_url(value: &str) -> Result<(), &'static str> {
    let url = url::Url::parse(value).ok().filter(|url| url.has_host());
    // Opportunistic STARTTLS does not protect: an attacker in between can suppress the offer.
    let usable = url.is_some_and(|url| match (url.scheme(), url.query()) {
        ("smtps", None) | ("smtp", Some("tls=required")) => true,
        ("smtp", None) => url.username().is_empty() && url.password().is_none(),
        _ => false,
    });
    usable.then_some(()).ok_or(
        "an SMTP URL: smtps://user:password@host, smtp://user:password@host:587?tls=required, or smtp://host in plain text \
         and without a password",
    )
}

pub(super) fn proxy_url(value: &str) -> Result<(), &'static str> {
    // A path or a query would have no effect.
    let usable = url::Url::parse(value).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    usable.then_some(()).ok_or("a proxy URL: http://user:password@proxy.example.org:3128")
}

pub(super) fn nats_url(value: &str) -> Result<(), &'static str> {
    let usable = value.split(',').all(|server| server.trim().parse::<async_nats::ServerAddr>().is_ok());
    usable.then_some(()).ok_or("a NATS URL: nats://user:password@host:4222")
}

/// The characters that names of streams and tokens of subjects both allow.
pub(super) fn nats_name(value: &str) -> Result<(), &'static str> {
    let usable = value.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_');
    usable.then_some(()).ok_or("made of letters, digits, - and _")
}

pub(super) fn share(value: &str) -> Result<(), &'static str> {
    let usable = value.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share));
    usable.then_some(()).ok_or("a number from 0 to 1")
}

pub(super) fn log_filter(value: &str) -> Result<(), &'static str> {
    EnvFilter::try_new(value).map(drop).map_err(|_| "a filter of log lines, such as info or info,nvisy_api=debug")
}
