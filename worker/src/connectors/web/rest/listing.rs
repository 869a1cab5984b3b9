//! A listing of items, page by page.

use std::{cmp::Ordering, sync::Arc};

use nvisy_shared::domain::{
    connection::web::RestStream,
    failure::{Failure, FailureCode},
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    item,
    paging::{self, CircleFinder, Place},
    service::{Reply, Service},
};
use crate::connectors::{CallFailure, ListRequest, ObjectFailure, Page, source::Listing};

/// Where a listing goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkpoint {
    place: Place,
    pages: u32,
    circles: CircleFinder,
    /// The largest cursor so far.
    largest: Option<Value>,
}

/// A listing of the items of a stream.
pub(super) struct ItemListing {
    service: Arc<Service>,
    stream: RestStream,
    /// The cursor from which on items count; `None`: all.
    from: Option<Value>,
    at: Checkpoint,
}

fn rejected(reason: impl Into<String>) -> CallFailure {
    CallFailure::item(FailureCode::SourceRejected, reason)
}

impl ItemListing {
    pub(super) fn new(service: Arc<Service>, stream: RestStream, request: ListRequest) -> Self {
        let can_start = stream.cursor.as_ref().is_some_and(|cursor| cursor.parameter.is_some());
        let from = request.cursor.filter(|_| can_start);
        let first =
            Checkpoint { place: Place::First, pages: 0, circles: CircleFinder::default(), largest: from.clone() };
        let at = request.checkpoint.and_then(|checkpoint| serde_json::from_value(checkpoint).ok()).unwrap_or(first);
        Self { service, stream, from, at }
    }

    fn address(&self) -> Result<Url, CallFailure> {
        if let Place::Address(url) = &self.at.place {
            // The credentials go along.
            return if self.service.is_own(url) {
                Ok(url.clone())
            } else {
                Err(rejected("the next page is on another server than `baseUrl`"))
            };
        }
        let mut url = self.service.address(&self.stream.path);
        let from = self
            .stream
            .cursor
            .as_ref()
            .and_then(|cursor| cursor.parameter.clone())
            .zip(self.from.as_ref().map(as_text));
        let paged = paging::parameters(&self.stream, &self.at.place);
        let fixed = self.stream.query.iter().map(|(name, value)| (name.clone(), value.clone()));
        let parameters: Vec<_> = fixed.chain(from).chain(paged).collect();
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(url)
    }

    fn items<'a>(&self, reply: &'a Reply) -> Result<&'a [Value], CallFailure> {
        match reply.json.pointer(&self.stream.items) {
            Some(Value::Array(items)) => Ok(items),
            Some(Value::Null) => Ok(&[]),
            _ => Err(rejected(format!("the response has no list at `{}`", self.stream.items))),
        }
    }

    /// Adds the items of a response.
    fn add(&mut self, items: &[Value], page: &mut Page) {
        for (at, value) in items.iter().enumerate() {
            match item::listed(&self.stream, value) {
                Ok(object) => page.objects.push(object),
                Err(failure) => {
                    let known = item::id(&self.stream, value);
                    let id = known.unwrap_or_else(|_| format!("(page {}, item {})", self.at.pages + 1, at + 1));
                    let external_id = item::external_id(&self.stream, &id);
                    page.failures.push(ObjectFailure { external_id, name: id, failure });
                }
            }
            let cursor = self.stream.cursor.as_ref().and_then(|cursor| value.pointer(&cursor.field));
            let cursor = cursor.filter(|value| value.is_string() || value.is_number());
            if let Some(cursor) = cursor
                && self.at.largest.as_ref().is_none_or(|largest| compare(cursor, largest).is_gt())
            {
                self.at.largest = Some(cursor.clone());
            }
        }
    }

    /// The end of the listing. `capped`: further pages are not read.
    fn last(&self, page: &mut Page, capped: bool) {
        page.complete = self.from.is_none() && !capped;
        page.cursor = self.at.largest.clone().filter(|_| !capped);
        if capped {
            let reason = format!(
                "the list has more than {} pages: further ones were not read, and deleted items not looked for; raise `maxPages`",
                self.stream.max_pages
            );
            let failure = Failure::new(FailureCode::SourceRejected, reason);
            let external_id = item::external_id(&self.stream, "#maxPages");
            page.failures.push(ObjectFailure { external_id, name: "maxPages".to_owned(), failure });
        }
    }
}

/// The order of cursors: numbers by value, texts as times in RFC 3339 are ordered.
fn compare(one: &Value, other: &Value) -> Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => as_text(one).cmp(&as_text(other)),
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Listing for ItemListing {
    async fn next(&mut self) -> Result<Page, CallFailure> {
        let mut page = Page::default();
        let url = self.address()?;
        let Some(reply) = self.service.get(url.clone()).await? else {
            // Behind the last page some services have nothing.
            return match self.at.place {
                Place::Number(_) => {
                    self.last(&mut page, false);
                    Ok(page)
                }
                _ => Err(rejected("the service has nothing at the path of the stream (404)")),
            };
        };
        let items = self.items(&reply)?;
        let next = paging::next(&self.stream, &self.at.place, items.len(), &url, &reply);
        let next = next.map(|next| match next {
            Place::Address(url) => Place::Address(self.service.without_secret(url)),
            next => next,
        });
        // Items are compared, because a service can ignore the parameter, or invent a new cursor each time; of empty pages the place.
        let page_identity = if items.is_empty() { json!(self.at.place) } else { json!(items) };
        let is_again = self.at.circles.repeats(page_identity.to_string().as_bytes());
        if is_again || next.as_ref().is_some_and(|next| *next == self.at.place) {
            return Err(rejected(
                "a page of the list came again, so it goes in a circle: check `paging` of the stream, such as the name of its parameter",
            ));
        }
        self.add(items, &mut page);
        self.at.pages += 1;
        match next {
            Some(_) if self.at.pages >= self.stream.max_pages => self.last(&mut page, true),
            Some(place) => {
                self.at.place = place;
                page.checkpoint = Some(json!(self.at));
            }
            None => self.last(&mut page, false),
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_ordered_as_numbers_or_times() {
        assert!(compare(&json!(9), &json!(10)).is_lt());
        assert!(compare(&json!("2026-01-02T00:00:00Z"), &json!("2026-01-01T23:00:00Z")).is_gt());
        assert!(compare(&json!("b"), &json!("a")).is_gt());
    }
}
