//! Which addresses belong to a site, and which of them a stream reads.

use globset::{GlobSet, GlobSetBuilder};
use nvisy_shared::{
    domain::{
        connection::{
            self,
            web::{WebsiteSettings, WebsiteStream},
        },
        failure::FailureCode,
    },
    pipeline::node::source_connection::glob,
};
use reqwest::Url;
use serde_json::Value;

use super::address::{normalize, path_name};
use crate::connectors::CallFailure;

/// The addresses of a listing.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    settings: WebsiteSettings,
    /// The settings of the stream.
    pub(super) stream: WebsiteStream,
    skip: GlobSet,
}

impl Scope {
    /// Of a site and the setting `stream` of a node.
    pub(super) fn new(settings: &WebsiteSettings, stream: &Value) -> Result<Self, CallFailure> {
        let rejected = |reason: String| {
            CallFailure::item(FailureCode::SourceRejected, format!("`stream` of the source cannot be used: {reason}"))
        };
        let stream: WebsiteStream = connection::read(stream).map_err(|invalid| rejected(invalid.to_string()))?;
        if let Some(problem) = stream.problems().first() {
            return Err(rejected(problem.to_string()));
        }
        let mut skip = GlobSetBuilder::new();
        for pattern in &stream.skip {
            skip.add(glob(pattern).map_err(|reason| rejected(format!("skip: {reason}")))?);
        }
        let skip = skip.build().map_err(|error| rejected(format!("skip: {error}")))?;
        Ok(Self { settings: settings.clone(), stream, skip })
    }

    /// The addresses at which reading begins.
    pub(super) fn starts(&self) -> Vec<Url> {
        self.settings.start_urls.iter().filter_map(|url| self.normalize(url)).collect()
    }

    /// The spelling of an address that is compared.
    pub(super) fn normalize(&self, url: &Url) -> Option<Url> {
        normalize(url, &self.settings.ignored_parameters)
    }

    /// Whether an address is one of the site.
    pub(super) fn is_of_site(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_start = |start: &Url| start.host_str() == Some(host) && start.port() == url.port();
        self.settings.start_urls.iter().any(is_start)
            || self.settings.hosts.iter().any(|pattern| {
                let pattern = pattern.to_lowercase();
                match pattern.strip_prefix('*') {
                    Some(end) => host.ends_with(end),
                    None => host == pattern,
                }
            })
    }

    /// Whether the page at an address of the site becomes a file.
    pub(super) fn takes(&self, url: &Url) -> bool {
        url.path().trim_start_matches('/').starts_with(self.stream.path.trim_start_matches('/'))
    }

    /// The address of a link, if it is followed.
    pub(super) fn followed(&self, link: &Url) -> Option<Url> {
        let url = self.normalize(link)?;
        (self.is_of_site(&url) && self.takes(&url) && !self.skips(&url)).then_some(url)
    }

    /// Whether an address is not read at all.
    pub(super) fn skips(&self, url: &Url) -> bool {
        self.skip.is_match(path_name(url))
    }

    /// Changes with the settings that decide which links of a page are followed.
    pub(super) fn fingerprint(&self) -> String {
        let WebsiteSettings { start_urls, hosts, ignored_parameters, ignore_robots, .. } = &self.settings;
        let text = format!(
            "{start_urls:?} {hosts:?} {ignored_parameters:?} {ignore_robots} {} {:?}",
            self.stream.path, self.stream.skip
        );
        hex::encode(&<sha2::Sha256 as sha2::Digest>::digest(text.as_bytes())[..8])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(stream: Value) -> Scope {
        let settings = json!({ "startUrls": ["https://a.org/x?y"], "hosts": ["*.b.org", "c.org"] });
        Scope::new(&serde_json::from_value(settings).unwrap(), &stream).unwrap()
    }

    #[test]
    fn site_has_the_hosts_of_starts_and_settings() {
        let scope = scope(json!({}));
        for (url, expected) in [
            ("http://a.org/", true),
            ("https://a.org:8443/", false),
            ("https://sub.a.org/", false),
            ("https://x.y.b.org/", true),
            ("https://b.org/", false),
            ("https://evilb.org/", false),
            ("https://c.org:1/", true),
            ("https://169.254.169.254/", false),
        ] {
            assert_eq!(scope.is_of_site(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn path_and_patterns_of_the_stream_select_links() {
        let scope = scope(json!({ "path": "docs/", "skip": ["docs/calendar/**", "**/*.zip"] }));
        let followed = |path: &str| scope.followed(&format!("https://a.org/{path}").parse().unwrap()).is_some();
        assert!(followed("docs/") && followed("docs/a/b") && followed("docs/a#x"));
        assert!(!followed("") && !followed("doc") && !followed("docs/calendar/2026") && !followed("docs/a.zip"));
    }
}
