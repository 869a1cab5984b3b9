use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    super::{
        Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
        limits::{CallLimits, range},
        provider::schema,
        url_problem,
    },
    WebCredentials, default_timeout,
};

/// Maximum number of addresses, hosts or patterns in a setting.
const MAX_ENTRIES: usize = 100;
/// Maximum length of a pattern or path, in bytes.
const MAX_TEXT_BYTES: usize = 1_000;
/// The most pages of a site that a listing reads.
const MAX_PAGES: u32 = 50_000;
/// The most links between a start and a page.
const MAX_DEPTH: u32 = 100;
/// The longest wait between two calls.
const MAX_DELAY_MILLISECONDS: u32 = 60_000;

/// A website.
#[derive(Debug)]
pub struct Website;

/// Settings of a connection to a website.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebsiteSettings {
    /// The addresses at which reading begins. Credentials are sent to the server of the first one only.
    #[schemars(with = "Vec<String>", length(min = 1, max = 100))]
    pub start_urls: Vec<Url>,
    /// Hosts whose pages belong to the site beside those of `startUrls`: names, or `*.example.org` for all names below one.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Sitemaps beside those that `robots.txt` names.
    #[schemars(with = "Vec<String>", length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sitemaps: Vec<Url>,
    /// Whether sitemaps are read; absent: they are.
    #[serde(default = "default_true")]
    pub use_sitemaps: bool,
    /// Whether pages are read that `robots.txt`, `noindex` and `nofollow` exclude. For sites of your own.
    #[serde(default)]
    pub ignore_robots: bool,
    /// The time between two calls of a server, of all jobs together, in milliseconds; a longer `Crawl-delay` of `robots.txt` replaces
    /// it.
    #[schemars(range(min = 0, max = 60000))]
    #[serde(default = "default_delay")]
    pub delay_milliseconds: u32,
    /// Parameters that do not belong to the address of a page: names, `utm_*` for all that begin so.
    #[schemars(length(max = 100))]
    #[serde(default = "default_ignored_parameters")]
    pub ignored_parameters: Vec<String>,
    /// The longest wait for a response, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

const fn default_true() -> bool {
    true
}

const fn default_delay() -> u32 {
    500
}

fn default_ignored_parameters() -> Vec<String> {
    ["utm_*", "gclid", "fbclid", "msclkid", "mc_cid", "mc_eid"].map(str::to_owned).to_vec()
}

impl ProviderSpec for Website {
    const NAME: &'static str = "website";
    const TITLE: &'static str = "Website";
    const KIND: ConnectionKind = ConnectionKind::Web;
    const CAPABILITIES: &'static [Capability] = &[Capability::Discover, Capability::Read];
    const NEEDS_CREDENTIALS: bool = false;
    const DEFAULT_CONCURRENCY: Option<u32> = Some(2);
    type Settings = WebsiteSettings;
    type Credentials = WebCredentials;

    fn settings_problems(settings: &WebsiteSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        if !(1..=MAX_ENTRIES).contains(&settings.start_urls.len()) {
            problems.push(InvalidSetting::new("startUrls", format!("must have 1 to {MAX_ENTRIES} addresses")));
        }
        for (at, url) in settings.start_urls.iter().enumerate() {
            // A start may have a query.
            let plain = without_query(url);
            problems.extend(url_problem(&format!("startUrls.{at}"), &plain));
        }
        for (at, url) in settings.sitemaps.iter().enumerate() {
            problems.extend(url_problem(&format!("sitemaps.{at}"), &without_query(url)));
        }
        for (at, host) in settings.hosts.iter().enumerate() {
            if !is_host_pattern(host) {
                let message = "must be a host name, or `*.` and a host name";
                problems.push(InvalidSetting::new(&format!("hosts.{at}"), message));
            }
        }
        let counts = [
            ("hosts", settings.hosts.len()),
            ("sitemaps", settings.sitemaps.len()),
            ("ignoredParameters", settings.ignored_parameters.len()),
        ];
        for (field, count) in counts {
            if count > MAX_ENTRIES {
                problems.push(InvalidSetting::new(field, format!("must have at most {MAX_ENTRIES} entries")));
            }
        }
        range(&mut problems, "delayMilliseconds", settings.delay_milliseconds, 0, MAX_DELAY_MILLISECONDS);
        range(&mut problems, "timeoutSeconds", settings.timeout_seconds, 1, 600);
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &WebCredentials) -> Vec<InvalidSetting> {
        credentials.problems()
    }

    fn address(settings: &WebsiteSettings) -> Option<Address> {
        Some(Address { field: "startUrls", url: settings.start_urls.first()?.clone() })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<WebsiteStream>())
    }
}

fn without_query(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url
}

/// Whether a text is a host, or `*.` and a host with a dot in it.
fn is_host_pattern(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    let is_allowed = host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'));
    is_allowed && !host.is_empty() && host.len() <= 253 && (host.len() == text.len() || host.contains('.'))
}

/// The setting `stream` of a `source.connection` that reads a website.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebsiteStream {
    /// The beginning of the paths of the pages that are read, such as `docs/`; absent: all. Starts are read for their links in any case.
    #[schemars(length(max = 1000))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The most links between a start, or an address of a sitemap, and a page; 0: no links are followed.
    #[schemars(range(min = 0, max = 100))]
    #[serde(default = "default_depth")]
    pub max_depth: u32,
    /// The most addresses that a sync reads.
    #[schemars(range(min = 1, max = 50000))]
    #[serde(default = "default_pages")]
    pub max_pages: u32,
    /// Patterns of paths that are not read at all, such as `calendar/**`.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
}

const fn default_depth() -> u32 {
    10
}

const fn default_pages() -> u32 {
    1_000
}

impl WebsiteStream {
    /// Everything that the schema does not say.
    #[must_use]
    pub fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        if self.path.len() > MAX_TEXT_BYTES || self.path.contains(char::is_control) {
            let message = format!("must have at most {MAX_TEXT_BYTES} bytes without control characters");
            problems.push(InvalidSetting::new("path", message));
        }
        range(&mut problems, "maxDepth", self.max_depth, 0, MAX_DEPTH);
        range(&mut problems, "maxPages", self.max_pages, 1, MAX_PAGES);
        if self.skip.len() > MAX_ENTRIES {
            problems.push(InvalidSetting::new("skip", format!("must have at most {MAX_ENTRIES} patterns")));
        }
        for (at, pattern) in self.skip.iter().enumerate() {
            if pattern.is_empty() || pattern.len() > MAX_TEXT_BYTES {
                let message = format!("must have 1 to {MAX_TEXT_BYTES} bytes");
                problems.push(InvalidSetting::new(&format!("skip.{at}"), message));
            }
        }
        problems
    }
}
