//! Reading one page: its content and links, or that it has not changed.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use nvisy_shared::{
    clock,
    domain::failure::{Failure, FailureCode},
    outbound::OutboundFailure,
};
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::http::{compressed, is_encoded, of_status, text, with_header},
    address::path_name,
    links::PageLinks,
    scope::Scope,
    server::{Site, redirect},
};
use crate::connectors::{CallFailure, ListedObject};

/// Bytes of a page whose links are read; larger ones are files without links.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// What a listing keeps of a page for the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Kept {
    /// The settings with which its links were chosen.
    pub(super) scope: String,
    etag: Option<String>,
    last_modified: Option<String>,
    revision: String,
    media_type: Option<String>,
    bytes: Option<u64>,
    /// The addresses that it leads to.
    pub(super) links: Vec<Url>,
}

/// Where the job that reads a document finds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Locator {
    pub(super) url: Url,
    /// The wait that the server asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) delay: Option<Duration>,
}

/// The outcome of a call.
pub(super) enum Visit {
    /// A page or document that becomes a file, unless it says no; and where it leads.
    Read {
        /// The file; `None`: the page asks not to be indexed.
        object: Option<Box<ListedObject>>,
        /// The addresses that it leads to.
        links: Vec<Url>,
        /// Another address under which it wants to be known.
        canonical: Option<Url>,
        /// Bytes that were read.
        bytes: usize,
    },
    /// It is at another address.
    Moved(Url),
    /// There is none.
    Gone(StatusCode),
    /// This page alone cannot be read.
    Failed(Failure),
}

impl Site {
    /// Reads a page, on the condition that it changed if an earlier listing kept something of it.
    ///
    /// # Errors
    /// [`CallFailure`] that may concern other pages too.
    pub(super) async fn visit(&self, url: &Url, scope: &Scope, kept: Option<Kept>) -> Result<Visit, CallFailure> {
        let kept = kept.filter(|kept| kept.scope == scope.fingerprint());
        let condition = |value: Option<&String>| value.and_then(|value| HeaderValue::from_str(value).ok());
        let mut request = compressed(self.request(url));
        if let Some(kept) = &kept {
            request = with_header(request, IF_NONE_MATCH, condition(kept.etag.as_ref()));
            request = with_header(request, IF_MODIFIED_SINCE, condition(kept.last_modified.as_ref()));
        }
        let response = self.send(request).await?;
        let status = response.status();
        match (status.as_u16(), kept) {
            (304, Some(kept)) => {
                let links = kept.links.clone();
                Ok(Visit::Read {
                    object: Some(Box::new(self.listed(url, None, kept))),
                    links,
                    canonical: None,
                    bytes: 0,
                })
            }
            (200, _) => self.read(url, scope, response).await,
            (300..=399, _) => match redirect(&response) {
                Some(target) => Ok(Visit::Moved(target)),
                None => Ok(Visit::Failed(rejected("it redirects to no address"))),
            },
            (404 | 410, _) => Ok(Visit::Gone(status)),
            _ => match of_status(status, response.headers(), b"") {
                CallFailure::Item(failure) => Ok(Visit::Failed(failure)),
                failure => Err(failure),
            },
        }
    }

    async fn read(&self, url: &Url, scope: &Scope, response: Response) -> Result<Visit, CallFailure> {
        let headers = response.headers().clone();
        let media_type = text(&headers, CONTENT_TYPE);
        let length = response.content_length().filter(|_| !is_encoded(&headers));
        let mut kept = Kept {
            scope: scope.fingerprint(),
            etag: text(&headers, ETAG),
            last_modified: text(&headers, LAST_MODIFIED),
            media_type,
            bytes: length,
            ..Kept::default()
        };
        let mut found = PageLinks::default();
        if !self.settings.ignore_robots
            && let Some(value) = text(&headers, HeaderName::from_static("x-robots-tag"))
        {
            found.add_robots(&value);
        }
        // A document that is no page is read by the job that fetches it.
        let is_page = kept.media_type.as_deref().is_some_and(is_html);
        let body = if is_page && length.is_none_or(|length| length <= MAX_PAGE_BYTES as u64) {
            match self.client.read(response, MAX_PAGE_BYTES).await {
                Ok(body) => Some(body),
                Err(OutboundFailure::TooLarge(_)) => None,
                Err(failure) => return Err(failure.into()),
            }
        } else {
            None
        };
        kept.revision = revision(body.as_ref(), &kept);
        if let Some(body) = &body {
            let said = PageLinks::read(&String::from_utf8_lossy(body), url);
            let (no_index, no_follow) = (found.no_index, found.no_follow);
            found = said;
            found.no_index |= no_index;
            found.no_follow |= no_follow;
            kept.bytes = Some(body.len() as u64);
        }
        if self.settings.ignore_robots {
            (found.no_index, found.no_follow) = (false, false);
        }
        if !found.no_follow {
            let mut links: Vec<_> = found.links.iter().filter_map(|link| scope.followed(link)).collect();
            links.sort_unstable();
            links.dedup();
            kept.links = links;
        }
        let canonical = found.canonical.as_ref().and_then(|canonical| scope.followed(canonical));
        let (links, bytes) = (kept.links.clone(), body.as_ref().map_or(0, Bytes::len));
        let object = (!found.no_index).then(|| Box::new(self.listed(url, body, kept)));
        Ok(Visit::Read { object, links, canonical: canonical.filter(|canonical| canonical != url), bytes })
    }

    /// A page or document as an object. The job that reads it keeps the pace that the server asks for.
    fn listed(&self, url: &Url, content: Option<Bytes>, kept: Kept) -> ListedObject {
        let modified = kept.last_modified.as_ref().and_then(|time| DateTime::parse_from_rfc2822(time).ok());
        let modified = modified.map(|time| time.with_timezone(&Utc));
        let mut metadata = Map::new();
        metadata.insert("sourceUrl".to_owned(), url.as_str().into());
        if let Some(modified) = modified {
            metadata.insert("sourceModifiedAt".to_owned(), json!(modified));
        }
        let locator = Locator { url: url.clone(), delay: self.asked_delay(url) };
        ListedObject {
            external_id: url.to_string(),
            name: path_name(url),
            revision: kept.revision.clone(),
            bytes: kept.bytes,
            modified,
            media_type: kept.media_type.clone(),
            metadata,
            acl: None,
            locator: serde_json::to_value(locator).ok(),
            kept: serde_json::to_value(kept).ok().filter(Value::is_object),
            content,
        }
    }
}

/// The failure of a page that is as the server says.
pub(super) fn rejected(reason: impl Into<String>) -> Failure {
    Failure::new(FailureCode::SourceRejected, reason)
}

fn is_html(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|html| kind.eq_ignore_ascii_case(html))
}

/// Changes with the content. A page has its hash; of a document the server's validators count, and without any it is read each time.
fn revision(body: Option<&Bytes>, kept: &Kept) -> String {
    match (body, &kept.etag, &kept.last_modified) {
        (Some(body), _, _) => hex::encode(&Sha256::digest(body)[..16]),
        (None, Some(etag), _) => etag.clone(),
        (None, None, Some(modified)) => format!("{modified} {}", kept.bytes.unwrap_or_default()),
        (None, None, None) => format!("read {}", clock::now().to_rfc3339()),
    }
}
