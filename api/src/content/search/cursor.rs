//! Cursors of searches: the marks of the hits, or files, that earlier pages have shown.
//!
//! The next page is the same search without them. So a page never repeats a hit and never misses one, whatever was added or
//! deleted meanwhile, and the server keeps nothing between the pages.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use nvisy_shared::store::search::{Hit, MAX_DEPTH, Seen, SeenMark};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::problem::{Code, Problem};

/// Identifies a search: the hash of what defines its hits. A cursor of one search is invalid for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// Of the parts of a search that its pages must have in common.
    pub fn of(parts: &Value) -> Self {
        let hash: [u8; 32] = Sha256::digest(parts.to_string()).into();
        Self(std::array::from_fn(|index| hash[index]))
    }

    /// The marks in a cursor of this search.
    pub fn decode(self, cursor: Option<&str>) -> Result<Seen, Problem> {
        let Some(cursor) = cursor else { return Ok(Seen::default()) };
        let invalid = || Problem::new(Code::InvalidCursor);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        let (marks, rest) = bytes.strip_prefix(&self.0).ok_or_else(invalid)?.as_chunks();
        let marks: HashSet<SeenMark> = marks.iter().copied().collect();
        if !rest.is_empty() || marks.is_empty() || marks.len() > MAX_DEPTH {
            return Err(invalid());
        }
        Ok(Seen::new(marks))
    }

    /// The cursor of the page behind these hits; `None` at the depth where pages end.
    pub fn encode(self, seen: &Seen, hits: &[Hit], is_grouped: bool) -> Option<String> {
        let mark = |hit: &Hit| if is_grouped { Seen::file_mark(hit.file_id) } else { Seen::passage_mark(hit.passage) };
        let marks = hits.iter().map(mark);
        let marks: HashSet<SeenMark> = seen.iter().copied().chain(marks).collect();
        if marks.len() >= MAX_DEPTH {
            return None;
        }
        let mut bytes = self.0.to_vec();
        let mut marks: Vec<SeenMark> = marks.into_iter().collect();
        marks.sort_unstable();
        marks.iter().for_each(|mark| bytes.extend_from_slice(mark));
        Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(count: u16) -> Seen {
        Seen::new((0..count).map(|number| [0, 0, 0, 0, number.to_be_bytes()[0], number.to_be_bytes()[1]]).collect())
    }

    #[test]
    fn cursor_has_the_marks_of_all_pages_before() {
        let search = Fingerprint::of(&json!(["tide", 1]));
        let cursor = search.encode(&seen(999), &[], false).unwrap();
        assert!(cursor.len() <= 8_100, "{}", cursor.len());
        assert_eq!(search.decode(Some(&cursor)).unwrap(), seen(999));
        assert_eq!(search.decode(None).unwrap(), Seen::default());
        assert_eq!(search.encode(&seen(1_000), &[], false), None);
    }

    #[test]
    fn cursors_of_other_searches_and_damaged_ones_are_invalid() {
        let search = Fingerprint::of(&json!(["tide", 1]));
        let other = Fingerprint::of(&json!(["ebb", 1])).encode(&seen(3), &[], false).unwrap();
        let own = search.encode(&seen(3), &[], false).unwrap();
        for invalid in ["", "!", "AAAA", &other, &own[..own.len() - 2], &BASE64_URL_SAFE_NO_PAD.encode(search.0)] {
            assert!(search.decode(Some(invalid)).is_err(), "{invalid}");
        }
    }
}
