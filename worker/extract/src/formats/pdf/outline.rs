//! The outline that a file has: titles of chapters and sections with their levels.

use std::collections::{HashMap, HashSet};

use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::{Dict, String as PdfString};

use super::annotations::text_string;

/// Most entries of an outline.
const MAX_ENTRIES: usize = 20_000;
/// Deepest level.
const MAX_DEPTH: usize = 32;

/// Titles as [`key`] spells them, with the level of each.
pub(super) fn titles(pdf: &Pdf) -> HashMap<String, u8> {
    let mut titles = HashMap::new();
    let root = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let outline = root.and_then(|root| root.get::<Dict<'_>>(b"Outlines"));
    let mut open: Vec<Dict<'_>> = outline.and_then(|outline| outline.get::<Dict<'_>>(b"First")).into_iter().collect();
    let mut seen = HashSet::new();
    let mut level = vec![1_u8; open.len()];
    while let (Some(entry), Some(depth)) = (open.pop(), level.pop()) {
        if titles.len() >= MAX_ENTRIES || entry.obj_id().is_some_and(|id| !seen.insert(id)) {
            continue;
        }
        if let Some(title) = entry.get::<PdfString<'_>>(b"Title") {
            let title = key(&text_string(title.as_bytes()));
            if title.len() > 1 {
                titles.entry(title).or_insert(depth.min(6));
            }
        }
        for (next, depth) in [(&b"Next"[..], depth), (b"First", depth.saturating_add(1))] {
            if usize::from(depth) <= MAX_DEPTH
                && let Some(next) = entry.get::<Dict<'_>>(next)
            {
                open.push(next);
                level.push(depth);
            }
        }
    }
    titles
}

/// A title without its number, white space and signs.
pub(super) fn key(title: &str) -> String {
    let words = title.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' ' | '\u{A0}' | '§'));
    let words = if words.is_empty() { title } else { words };
    words.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
