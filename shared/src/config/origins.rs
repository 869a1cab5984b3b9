//! A setting that lists origins: scheme, host and port.

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// A list of origins as browsers send them in the header `Origin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// The origins.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse(list: &str) -> Option<Self> {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let origins = names.map(|name| {
            let url = Url::parse(name).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
            // A pattern looks like an origin but matches none.
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
    fn only_origins_as_browsers_send_them_are_accepted() {
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
