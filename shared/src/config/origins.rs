//! Origins that are named exactly: scheme, host and port, nothing else.

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// A list of origins as browsers write them in the header `Origin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse(list: &str) -> Option<Self> {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let origins = names.map(|name| {
            let url = Url::parse(name).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
            // A pattern would look like an origin and match none.
            (url.origin().ascii_serialization() == name && !name.contains('*')).then(|| name.to_owned())
        });
        origins.collect::<Option<_>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = String::deserialize(deserializer)?;
        Self::parse(&list).ok_or_else(|| D::Error::custom("not a list of origins"))
    }
}

#[cfg(test)]
mod tests {
    use super::Origins;

    #[test]
    fn only_what_a_browser_would_send_is_an_origin() {
        let two = Origins::parse("https://app.example.org, http://localhost:3000").unwrap();
        assert_eq!(two.iter().collect::<Vec<_>>(), ["https://app.example.org", "http://localhost:3000"]);
        assert_eq!(Origins::parse(""), Some(Origins::default()));
        for bad in [
            "*",
            "null",
            "app.example.org",
            "https://app.example.org/",
            "https://Example.org",
            "ftp://a.b",
            "https://*.a.b",
        ] {
            assert_eq!(Origins::parse(bad), None, "{bad}");
        }
    }
}
