//! Files as users see them.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// Longest file name, in characters.
pub const NAME_MAX: usize = 255;

/// Where a file version is on its way to being searchable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Accepted; no worker has begun.
    Queued,
    /// A worker is, or has been, at it.
    Processing,
    /// Searchable.
    Ready,
    /// It will not become searchable; the failure says why.
    Failed,
}

/// A file name as it may be stored: the last path segment, without control characters,
/// at most [`NAME_MAX`] characters, never empty. The extension survives shortening.
#[must_use]
pub fn clean_name(raw: &str) -> String {
    let segment = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    // Bidirectional overrides can make `exe.pdf` look like `fdp.exe`.
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = segment.chars().filter(|c| !hidden(*c)).collect();
    let name = name.trim();
    if name.is_empty() || name.chars().all(|c| c == '.') {
        return "unnamed".to_owned();
    }
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() < 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let room = NAME_MAX - extension.chars().count();
    stem.chars().take(room).collect::<String>() + &extension
}

#[cfg(test)]
mod tests {
    use super::{NAME_MAX, clean_name};

    #[test]
    fn a_path_leaves_only_its_last_segment() {
        assert_eq!(clean_name("../../etc/passwd"), "passwd");
        assert_eq!(clean_name("C:\\Users\\me\\plan.docx"), "plan.docx");
    }

    #[test]
    fn emoji_stay_and_control_characters_go() {
        assert_eq!(clean_name("🌊 tide\u{0}s\n.md"), "🌊 tides.md");
        assert_eq!(clean_name("a\u{202e}fdp.exe"), "afdp.exe");
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = clean_name(&format!("{}.pdf", "ü".repeat(300)));
        assert_eq!(name.chars().count(), NAME_MAX);
        assert!(name.ends_with("ü.pdf"));
    }

    #[test]
    fn nothing_left_is_still_a_name() {
        for raw in ["", "..", "/", "a/", "\u{7}"] {
            assert_eq!(clean_name(raw), "unnamed");
        }
    }
}
