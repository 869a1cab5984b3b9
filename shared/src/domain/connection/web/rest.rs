use std::collections::BTreeMap;

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

/// Maximum number of headers or parameters.
const MAX_ENTRIES: usize = 50;
/// Maximum length of a header, parameter, path or pointer, in bytes.
const MAX_TEXT_BYTES: usize = 2_000;
/// The most pages of a listing.
const MAX_PAGES: u32 = 100_000;
/// The most items of a page.
const MAX_PAGE_ITEMS: u32 = 10_000;

/// A service with JSON over HTTP.
#[derive(Debug)]
pub struct Rest;

/// Settings of a connection to a service with JSON over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestSettings {
    /// The address that paths of streams are below.
    #[schemars(with = "String")]
    pub base_url: Url,
    /// How requests prove who they are from.
    #[serde(default)]
    pub auth: RestAuth,
    /// Headers of each request; none of them secret.
    #[schemars(length(max = 50))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The longest wait for a response, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

/// How requests prove who they are from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RestAuth {
    /// Not at all.
    #[default]
    None,
    /// The token, as `Authorization: Bearer`.
    Bearer,
    /// User name and password, as `Authorization: Basic`.
    Basic,
    /// The token in a header.
    Header {
        /// The name of the header.
        #[schemars(length(min = 1, max = 100))]
        name: String,
    },
    /// The token in a parameter of the query.
    Query {
        /// The name of the parameter.
        #[schemars(length(min = 1, max = 100))]
        name: String,
    },
}

impl ProviderSpec for Rest {
    const NAME: &'static str = "rest";
    const TITLE: &'static str = "JSON over HTTP";
    const KIND: ConnectionKind = ConnectionKind::Web;
    const CAPABILITIES: &'static [Capability] = &[Capability::Read, Capability::Incremental];
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = RestSettings;
    type Credentials = WebCredentials;

    fn settings_problems(settings: &RestSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        problems.extend(url_problem("baseUrl", &settings.base_url));
        match &settings.auth {
            RestAuth::Header { name } if !is_header_name(name) || is_own_header(name) => {
                problems.push(InvalidSetting::new("auth.name", "must be the name of a header"));
            }
            RestAuth::Query { name } if name.is_empty() || name.len() > 100 || name.contains(char::is_control) => {
                problems.push(InvalidSetting::new("auth.name", "must have 1 to 100 bytes"));
            }
            _ => {}
        }
        if settings.headers.len() > MAX_ENTRIES {
            problems.push(InvalidSetting::new("headers", format!("must have at most {MAX_ENTRIES} entries")));
        }
        for (name, value) in &settings.headers {
            let field = format!("headers.{name}");
            let is_value = value.len() <= MAX_TEXT_BYTES && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let is_credential = name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("cookie");
            if is_credential {
                problems.push(InvalidSetting::new(&field, "belongs into the credentials, with `auth`"));
            } else if !is_header_name(name) || is_own_header(name) || !is_value {
                problems.push(InvalidSetting::new(&field, "must be a header with visible ASCII characters"));
            }
        }
        range(&mut problems, "timeoutSeconds", settings.timeout_seconds, 1, 600);
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &WebCredentials) -> Vec<InvalidSetting> {
        credentials.problems()
    }

    fn address(settings: &RestSettings) -> Option<Address> {
        Some(Address { field: "baseUrl", url: settings.base_url.clone() })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<RestStream>())
    }
}

fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=100).contains(&name.len()) && name.bytes().all(is_token)
}

/// Whether the HTTP client sets a header.
fn is_own_header(name: &str) -> bool {
    let own = ["host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade"];
    own.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// The setting `stream` of a `source.connection` that reads a service. Pointers are JSON Pointers such as `/data/items`; the empty one
/// is the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestStream {
    /// The path below the base address, such as `articles`.
    #[schemars(length(max = 2000))]
    #[serde(default)]
    pub path: String,
    /// Parameters of the query.
    #[schemars(length(max = 50))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// The pointer to the list of items in a response.
    #[schemars(length(max = 2000))]
    #[serde(default)]
    pub items: String,
    /// The pointer to the id of an item: a text or a number.
    #[schemars(length(max = 2000))]
    #[serde(default = "default_id")]
    pub id: String,
    /// The pointer to the name of an item; absent: its id.
    #[schemars(length(max = 2000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The pointer to the text of an item; absent: the item as a JSON document.
    #[schemars(length(max = 2000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The media type of that text; absent: `text/plain`.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The path of one item below the base address, with `{id}`, if the list has no more than summaries: `name` and `content` are of
    /// its response then.
    #[schemars(length(max = 2000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How the pages of the list follow each other.
    #[serde(default)]
    pub paging: Paging,
    /// What tells which items changed; absent: contents are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<RestCursor>,
    /// The most pages of a sync.
    #[schemars(range(min = 1, max = 100000))]
    #[serde(default = "default_pages")]
    pub max_pages: u32,
}

fn default_id() -> String {
    "/id".to_owned()
}

const fn default_pages() -> u32 {
    10_000
}

/// How the pages of a list follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Paging {
    /// There is one page.
    #[default]
    None,
    /// A parameter has the number of the page. The list ends with a page without items, or with 404.
    Page {
        /// The parameter.
        #[serde(default = "default_page_parameter")]
        parameter: String,
        /// The number of the first page.
        #[serde(default = "default_first_page")]
        first: u32,
        /// The parameter of the number of items.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size_parameter: Option<String>,
        /// The number of items that is asked for.
        #[schemars(range(min = 1, max = 10000))]
        #[serde(default = "default_size")]
        size: u32,
    },
    /// A parameter has the number of items before the page. The list ends with a page without items, or with 404.
    Offset {
        /// The parameter.
        #[serde(default = "default_offset_parameter")]
        parameter: String,
        /// The parameter of the number of items.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size_parameter: Option<String>,
        /// The number of items that is asked for.
        #[schemars(range(min = 1, max = 10000))]
        #[serde(default = "default_size")]
        size: u32,
    },
    /// The response has a value for a parameter of the next request. The list ends where it is absent, null or empty.
    Cursor {
        /// The parameter.
        #[serde(default = "default_cursor_parameter")]
        parameter: String,
        /// The pointer to the value in the response.
        next: String,
    },
    /// The header `Link` has the address of the next page, as `rel="next"`.
    Link,
    /// The response has the address of the next page. The list ends where it is absent, null or empty.
    Next {
        /// The pointer to the address in the response.
        next: String,
    },
}

fn default_page_parameter() -> String {
    "page".to_owned()
}

fn default_offset_parameter() -> String {
    "offset".to_owned()
}

fn default_cursor_parameter() -> String {
    "cursor".to_owned()
}

const fn default_first_page() -> u32 {
    1
}

const fn default_size() -> u32 {
    100
}

/// What tells which items of a list changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestCursor {
    /// The pointer to a value of an item that grows with every change: a time in RFC 3339 or a number.
    #[schemars(length(min = 1, max = 2000))]
    pub field: String,
    /// The parameter that leaves out the items before a value, for the mode `incremental`.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
}

impl RestStream {
    /// Everything that the schema does not say.
    #[must_use]
    pub fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| problems.push(InvalidSetting::new(field, message));
        for (field, path) in [("path", Some(&self.path)), ("detail", self.detail.as_ref())] {
            if path.is_some_and(|path| !is_path(path)) {
                add(field, "must be a path without `..`, query and control characters");
            }
        }
        if self.detail.as_ref().is_some_and(|detail| !detail.contains("{id}")) {
            add("detail", "must contain `{id}`");
        }
        let next = match &self.paging {
            Paging::Cursor { next, .. } | Paging::Next { next } => Some(next),
            _ => None,
        };
        let pointers = [
            ("items", Some(&self.items)),
            ("id", Some(&self.id)),
            ("name", self.name.as_ref()),
            ("content", self.content.as_ref()),
            ("paging.next", next),
            ("cursor.field", self.cursor.as_ref().map(|cursor| &cursor.field)),
        ];
        for (field, pointer) in pointers {
            let is_pointer = |pointer: &String| pointer.is_empty() || pointer.starts_with('/');
            if pointer.is_some_and(|pointer| pointer.len() > MAX_TEXT_BYTES || !is_pointer(pointer)) {
                add(field, "must be a JSON Pointer such as `/data/items`");
            }
        }
        if self.query.len() > MAX_ENTRIES {
            add("query", "must have at most 50 parameters");
        }
        for text in self.query.iter().flat_map(|(name, value)| [name, value]) {
            if text.len() > MAX_TEXT_BYTES || text.contains('\0') {
                add("query", "must have names and values of at most 2000 bytes");
            }
        }
        let names =
            self.paging.parameters().into_iter().chain(self.cursor.iter().filter_map(|it| it.parameter.as_ref()));
        for name in names {
            if name.is_empty() || name.len() > 100 || name.contains(char::is_control) {
                add("paging", "must have names of parameters with 1 to 100 bytes");
            }
        }
        if let Paging::Page { size, .. } | Paging::Offset { size, .. } = self.paging {
            range(&mut problems, "paging.size", size, 1, MAX_PAGE_ITEMS);
        }
        range(&mut problems, "maxPages", self.max_pages, 1, MAX_PAGES);
        problems
    }
}

impl Paging {
    fn parameters(&self) -> Vec<&String> {
        match self {
            Self::Page { parameter, size_parameter, .. } | Self::Offset { parameter, size_parameter, .. } => {
                [parameter].into_iter().chain(size_parameter).collect()
            }
            Self::Cursor { parameter, .. } => vec![parameter],
            Self::None | Self::Link | Self::Next { .. } => Vec::new(),
        }
    }
}

fn is_path(path: &str) -> bool {
    let is_odd = |c: char| c.is_control() || matches!(c, '?' | '#' | '\\');
    path.len() <= MAX_TEXT_BYTES && !path.contains(is_odd) && path.split('/').all(|part| part != "..")
}
