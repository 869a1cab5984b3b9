//! Which page follows another one, and whether the pages go in a circle.

use nvisy_shared::domain::connection::web::{Paging, RestStream};
use reqwest::{Url, header::LINK};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::service::Reply;

/// The place of a page in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Place {
    /// The first one.
    First,
    /// The number of the page, or of the items before it.
    Number(u64),
    /// The value that the page before gave.
    Value(String),
    /// The address that the page before gave.
    Address(Url),
}

/// The parameters of a page.
pub(super) fn parameters(stream: &RestStream, place: &Place) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    match (&stream.paging, place) {
        (Paging::Page { parameter, first, size_parameter, size }, place) => {
            let number = if let Place::Number(number) = place { *number } else { u64::from(*first) };
            parameters.push((parameter.clone(), number.to_string()));
            parameters.extend(size_parameter.clone().map(|name| (name, size.to_string())));
        }
        (Paging::Offset { parameter, size_parameter, size }, place) => {
            let offset = if let Place::Number(offset) = place { *offset } else { 0 };
            parameters.push((parameter.clone(), offset.to_string()));
            parameters.extend(size_parameter.clone().map(|name| (name, size.to_string())));
        }
        (Paging::Cursor { parameter, .. }, Place::Value(value)) => parameters.push((parameter.clone(), value.clone())),
        _ => {}
    }
    parameters
}

/// The place of the page behind one with so many items, which was read from `url`; `None`: it was the last one.
pub(super) fn next(stream: &RestStream, place: &Place, items: usize, url: &Url, reply: &Reply) -> Option<Place> {
    match &stream.paging {
        Paging::None => None,
        Paging::Page { first, .. } => {
            let number = if let Place::Number(number) = place { *number } else { u64::from(*first) };
            (items > 0).then(|| Place::Number(number + 1))
        }
        Paging::Offset { .. } => {
            let offset = if let Place::Number(offset) = place { *offset } else { 0 };
            // Some services give fewer items than were asked for.
            (items > 0).then(|| Place::Number(offset + items as u64))
        }
        Paging::Cursor { next, .. } => text(reply.json.pointer(next)?).map(Place::Value),
        Paging::Next { next } => url.join(&text(reply.json.pointer(next)?)?).ok().map(Place::Address),
        Paging::Link => {
            let values = reply.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
            let address = values.flat_map(links).find(|(_, relation)| relation == "next")?.0;
            url.join(&address).ok().map(Place::Address)
        }
    }
}

/// An address without a parameter.
pub(super) fn without_parameter(mut url: Url, name: &str) -> Url {
    let others = url.query_pairs().filter(|(other, _)| other != name);
    let others: Vec<(String, String)> = others.map(|(other, value)| (other.into(), value.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(others);
    url
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The addresses of a header `Link` with each of their relations. An address may have commas in it.
fn links(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((address, after)) = rest.split_once('<').and_then(|(_, after)| after.split_once('>')) {
        let parameters = &after[..after.find('<').unwrap_or(after.len())];
        for parameter in parameters.split([';', ',']) {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            if name.trim().eq_ignore_ascii_case("rel") {
                let relations = value.trim().trim_matches('"').split_ascii_whitespace();
                found.extend(relations.map(|relation| (address.to_owned(), relation.to_ascii_lowercase())));
            }
        }
        rest = &after[parameters.len()..];
    }
    found
}

/// Finds out whether pages repeat, with the memory of one page: each is compared with an earlier one, which is replaced after 1, 2, 4,
/// 8.. pages (Brent's algorithm). A circle is found before it was read three times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CircleFinder {
    earlier: Option<String>,
    power: u64,
    steps: u64,
}

impl CircleFinder {
    /// Adds a page by what identifies it; returns whether it was there before.
    pub(super) fn repeats(&mut self, page: &[u8]) -> bool {
        let page = hex::encode(&Sha256::digest(page)[..16]);
        if self.earlier.as_ref() == Some(&page) {
            return true;
        }
        self.steps += 1;
        if self.earlier.is_none() || self.steps >= self.power {
            self.power = (self.power * 2).max(1);
            self.steps = 0;
            self.earlier = Some(page);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn stream(paging: Value) -> RestStream {
        serde_json::from_value(json!({ "paging": paging })).unwrap()
    }

    fn reply(json: Value, link: &str) -> Reply {
        let headers =
            if link.is_empty() { HeaderMap::new() } else { HeaderMap::from_iter([(LINK, link.parse().unwrap())]) };
        Reply { headers, json }
    }

    fn after(paging: Value, place: &Place, items: usize, json: Value, link: &str) -> Option<Place> {
        let url = "https://h/api/items?page=1".parse().unwrap();
        next(&stream(paging), place, items, &url, &reply(json, link))
    }

    #[test]
    fn each_style_leads_to_the_next_page_and_ends() {
        let page = json!({ "type": "page", "sizeParameter": "per" });
        assert_eq!(
            parameters(&stream(page.clone()), &Place::First),
            [("page".into(), "1".into()), ("per".into(), "100".into())]
        );
        assert_eq!(after(page.clone(), &Place::First, 3, json!({}), ""), Some(Place::Number(2)));
        assert_eq!(after(page, &Place::Number(9), 0, json!({}), ""), None);
        let offset = json!({ "type": "offset" });
        assert_eq!(after(offset, &Place::Number(50), 25, json!({}), ""), Some(Place::Number(75)));
        let cursor = json!({ "type": "cursor", "next": "/meta/next" });
        assert_eq!(
            after(cursor.clone(), &Place::First, 0, json!({ "meta": { "next": 7 } }), ""),
            Some(Place::Value("7".into()))
        );
        for end in [json!({}), json!({ "meta": { "next": null } }), json!({ "meta": { "next": "" } })] {
            assert_eq!(after(cursor.clone(), &Place::First, 5, end, ""), None);
        }
        let address = |url: &str| Some(Place::Address(url.parse().unwrap()));
        assert_eq!(
            after(json!({ "type": "next", "next": "/n" }), &Place::First, 1, json!({ "n": "?page=2" }), ""),
            address("https://h/api/items?page=2")
        );
        let link = "<https://h/a?x=1,2>; rel=\"prev first\", </b>; title=\"a\"; rel=next";
        assert_eq!(after(json!({ "type": "link" }), &Place::First, 1, json!([]), link), address("https://h/b"));
        assert_eq!(after(json!({ "type": "link" }), &Place::First, 1, json!([]), "<broken; rel=next"), None);
    }

    #[test]
    fn secret_parameter_is_taken_out_of_an_address() {
        let url = "https://h/a?x=1&key=s%20ecret&y=%26&key=2".parse().unwrap();
        assert_eq!(without_parameter(url, "key").as_str(), "https://h/a?x=1&y=%26");
    }

    #[test]
    fn circles_of_any_length_are_found_and_other_lists_have_none() {
        for (before, length) in [(0_u32, 1_u32), (0, 2), (3, 1), (5, 7), (100, 30)] {
            let mut finder = CircleFinder::default();
            let pages = (0..10_000_u32).map(|at| if at < before { at } else { before + (at - before) % length });
            let found = pages.map(|page| finder.repeats(&page.to_be_bytes())).position(|repeats| repeats).unwrap();
            assert!(found as u32 <= 3 * (before + length), "{before} {length}: {found}");
        }
        let mut finder = CircleFinder::default();
        assert!((0..10_000_u32).all(|page| !finder.repeats(&page.to_be_bytes())));
    }
}
