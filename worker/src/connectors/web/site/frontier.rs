//! The addresses that a listing has still to read, and those that it knows: bounded, and small enough to be stored with each page.

use std::{
    collections::{HashSet, VecDeque},
    io::{Read, Write},
};

use base64::Engine as _;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::address;

/// Bytes of addresses that wait to be read.
const MAX_WAITING_BYTES: usize = 8 << 20;
/// Sitemaps of a listing.
const MAX_SITEMAPS: u32 = 500;
/// Bytes of a checkpoint that is read again.
const MAX_CHECKPOINT_BYTES: u64 = 64 << 20;

/// An address to be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The address.
    #[serde(rename = "u")]
    pub(super) url: Url,
    /// Links between it and a start.
    #[serde(rename = "d")]
    pub(super) depth: u32,
    /// The form that is expected there.
    #[serde(rename = "k", default, skip_serializing_if = "Kind::is_page")]
    pub(super) kind: Kind,
    /// Hashes of the addresses that were redirected to it.
    #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) via: Vec<u64>,
}

/// The form that is expected at an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// A page that links or sitemaps name.
    #[default]
    Page,
    /// A page of the settings: it must be readable.
    Start,
    /// A sitemap that `robots.txt` or the settings name, this many sitemaps below them.
    Sitemap(u8),
    /// The sitemap at the usual place, which need not exist.
    UsualSitemap,
}

impl Kind {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
    fn is_page(&self) -> bool {
        *self == Self::Page
    }
}

/// The order of reading: starts, sitemaps, then links, nearest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Frontier {
    waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    seen: HashSet<u64>,
    pages: u32,
    sitemaps: u32,
    max_pages: u32,
    /// Addresses were left out because there are too many.
    pub(super) is_capped: bool,
    /// A list of addresses could not be read, so that not all pages are known.
    pub(super) is_incomplete: bool,
    /// Failures of calls in a row.
    pub(super) failures: u32,
    /// Whether any page was read.
    pub(super) has_read: bool,
}

impl Frontier {
    /// Begins with the addresses of the settings.
    pub(super) fn new(starts: Vec<Url>, max_pages: u32) -> Self {
        let mut frontier = Self { max_pages, ..Self::default() };
        for url in starts {
            frontier.add(Entry { url, depth: 0, kind: Kind::Start, via: Vec::new() }, false);
        }
        frontier
    }

    /// Goes on where [`Frontier::checkpoint`] was taken; `None`: it cannot be read.
    pub(super) fn resume(checkpoint: &Value) -> Option<Self> {
        let packed = checkpoint.get("frontier")?.as_str()?;
        let packed = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
        let mut json = Vec::new();
        ZlibDecoder::new(packed.as_slice()).take(MAX_CHECKPOINT_BYTES).read_to_end(&mut json).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Addresses resemble each other, so the compressed form has a fifth of the bytes.
    pub(super) fn checkpoint(&self) -> Value {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let json = serde_json::to_vec(self).unwrap_or_default();
        let packed = encoder.write_all(&json).and_then(|()| encoder.finish()).unwrap_or_default();
        json!({ "frontier": base64::engine::general_purpose::STANDARD.encode(packed) })
    }

    /// Adds an address that is not known yet; a sitemap before all others. Returns whether it is new.
    pub(super) fn add(&mut self, entry: Entry, first: bool) -> bool {
        let hash = address::hash(&entry.url);
        if self.seen.contains(&hash) {
            return false;
        }
        let is_sitemap = matches!(entry.kind, Kind::Sitemap(_) | Kind::UsualSitemap);
        let count = if is_sitemap { self.sitemaps } else { self.pages };
        let max = if is_sitemap { MAX_SITEMAPS } else { self.max_pages };
        let bytes = entry.url.as_str().len();
        if count >= max || self.waiting_bytes + bytes > MAX_WAITING_BYTES {
            self.is_capped = true;
            return false;
        }
        if is_sitemap {
            self.sitemaps += 1;
        } else {
            self.pages += 1;
        }
        self.seen.insert(hash);
        self.waiting_bytes += bytes;
        if first {
            self.waiting.push_front(entry)
        } else {
            self.waiting.push_back(entry)
        }
        true
    }

    /// The next address.
    pub(super) fn take(&mut self) -> Option<Entry> {
        let entry = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(entry.url.as_str().len());
        Some(entry)
    }

    /// Puts an address back that was not read.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.waiting_bytes += entry.url.as_str().len();
        self.waiting.push_front(entry);
    }

    /// Whether nothing is left to read.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(url: &str, kind: Kind) -> Entry {
        Entry { url: url.parse().unwrap(), depth: 1, kind, via: Vec::new() }
    }

    #[test]
    fn each_address_is_read_once_and_the_cap_is_noted() {
        let mut frontier = Frontier::new(vec!["http://h/".parse().unwrap()], 3);
        assert!(frontier.add(entry("http://h/a", Kind::Page), false));
        assert!(!frontier.add(entry("http://h/a", Kind::Page), false) && !frontier.is_capped);
        assert!(frontier.add(entry("http://h/s.xml", Kind::Sitemap(0)), true));
        assert!(frontier.add(entry("http://h/b", Kind::Page), false) && !frontier.is_capped);
        assert!(!frontier.add(entry("http://h/c", Kind::Page), false) && frontier.is_capped);
        let order: Vec<_> = std::iter::from_fn(|| frontier.take()).map(|entry| entry.url.path().to_owned()).collect();
        assert_eq!(order, ["/s.xml", "/", "/a", "/b"]);
    }

    #[test]
    fn checkpoint_goes_on_in_another_process_and_is_small() {
        let mut frontier = Frontier::new(Vec::new(), 50_000);
        for at in 0..10_000 {
            frontier.add(entry(&format!("http://example.org/articles/2026/{at}.html"), Kind::Page), false);
        }
        let first = frontier.take().unwrap();
        let checkpoint = frontier.checkpoint();
        assert!(checkpoint.to_string().len() < 400_000, "{}", checkpoint.to_string().len());
        let mut resumed = Frontier::resume(&checkpoint).unwrap();
        assert!(!resumed.add(first, false));
        assert_eq!(resumed.take(), frontier.take());
        assert!(Frontier::resume(&json!({ "frontier": "no" })).is_none());
    }

    #[test]
    fn long_addresses_that_wait_are_bounded() {
        let mut frontier = Frontier::new(Vec::new(), 50_000);
        for at in 0..20_000 {
            frontier.add(entry(&format!("http://h/{at}/{}", "x".repeat(500)), Kind::Page), false);
        }
        assert!(frontier.is_capped && frontier.waiting_bytes <= MAX_WAITING_BYTES);
    }
}
