//! Addresses of pages: one spelling for each, and the names that people and patterns see.

use std::fmt::Write;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use sha2::{Digest, Sha256};

/// Maximum length of an address, in bytes: longer ones are not followed. An external id has at most 512 characters.
const MAX_BYTES: usize = 512;

/// An address in the spelling that is compared: without fragment, user and the ignored parameters. Host names, default ports and dots
/// in paths are normalised by the parser. `None`: it is no address of a page.
pub(super) fn normalize(url: &Url, ignored_parameters: &[String]) -> Option<Url> {
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return None;
    }
    let mut url = url.clone();
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    let path = same_escapes(url.path());
    url.set_path(&path);
    if let Some(query) = url.query().map(str::to_owned) {
        let is_kept = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && !ignored_parameters.iter().any(|ignored| matches(ignored, name))
        };
        let kept: Vec<_> = query.split('&').filter(is_kept).collect();
        let kept = same_escapes(&kept.join("&"));
        url.set_query(Some(kept.as_str()).filter(|query| !query.is_empty()));
    }
    (url.as_str().len() <= MAX_BYTES).then_some(url)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// Escapes in capital letters, and none of characters that need none.
fn same_escapes(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        result.push_str(&rest[..at]);
        let escape = rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(byte) => {
                let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                if is_plain {
                    result.push(char::from(byte));
                } else {
                    let _ = write!(result, "%{byte:02X}");
                }
                rest = &rest[at + 3..];
            }
            None => {
                result.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    result.push_str(rest);
    result
}

/// The path of a page as people read it, without the first `/`: what patterns are compared with. The page of a folder is `index.html`
/// in it.
pub(super) fn path_name(url: &Url) -> String {
    let path = url.path().trim_start_matches('/');
    let mut name = decoded(path);
    if name.is_empty() || name.ends_with('/') {
        name.push_str("index.html");
    }
    if let Some(query) = url.query() {
        name.push('?');
        name.push_str(&decoded(query).replace(['/', '\\'], "_"));
    }
    name
}

/// A text without its escapes, if it is one then.
fn decoded(text: &str) -> String {
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if !decoded.contains(char::is_control) => decoded.into_owned(),
        _ => text.to_owned(),
    }
}

/// A number that stands for an address, the same in all processes.
pub(super) fn hash(url: &Url) -> u64 {
    let digest = Sha256::digest(url.as_str().as_bytes());
    digest.iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        let ignored = ["utm_*".to_owned(), "sid".to_owned()];
        normalize(&text.parse().unwrap(), &ignored).map_or_else(|| "none".to_owned(), |url| url.to_string())
    }

    #[test]
    fn spellings_of_an_address_are_the_same() {
        for text in [
            "http://Example.ORG:80/a/b?x=1#top",
            "http://example.org/a/./c/../b?x=1",
            "http://example.org/%61/b?utm_source=mail&x=1&sid=7&utm_x",
            "http://u:p@example.org/a/%2e/b?&x=1",
        ] {
            assert_eq!(normal(text), "http://example.org/a/b?x=1", "{text}");
        }
        assert_eq!(normal("http://h/%c3%bc?#x"), "http://h/%C3%BC");
        assert_eq!(normal("http://h/../../etc/passwd"), "http://h/etc/passwd");
        assert_eq!(normal("http://h/%zz%"), "http://h/%zz%");
        assert_eq!(normal("mailto:a@example.org"), "none");
        assert_eq!(normal(&format!("http://h/{}", "x".repeat(600))), "none");
    }

    #[test]
    fn names_are_paths_without_escapes() {
        let name = |text: &str| path_name(&text.parse().unwrap());
        assert_eq!(name("http://h/"), "index.html");
        assert_eq!(name("http://h/docs/"), "docs/index.html");
        assert_eq!(name("http://h/a%20%C3%BC.html"), "a ü.html");
        assert_eq!(name("http://h/a?b=c/d"), "a?b=c_d");
        // Neither UTF-8 nor a control character becomes a part of a name.
        assert_eq!(name("http://h/%FF"), "%FF");
        assert_eq!(name("http://h/a%00b"), "a%00b");
    }
}
