//! File states, file names and tags.

use std::collections::HashSet;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// Maximum length of a file name, in characters.
pub const MAX_NAME_CHARS: usize = 255;

/// Maximum number of tags of a file.
pub const MAX_TAGS: usize = 100;
/// Maximum length of a tag, in characters.
pub const MAX_TAG_CHARS: usize = 100;

/// Maximum length of an external id, in characters. An index entry, which holds the id, has a limit of 2,700 bytes.
pub const MAX_EXTERNAL_ID_CHARS: usize = 512;

/// The source of uploaded files. Source and external id identify a file.
pub const UPLOAD_SOURCE: &str = "upload";

/// The processing state of a file version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Accepted, but no worker has started.
    Queued,
    /// A worker has started.
    Processing,
    /// Searchable.
    Ready,
    /// Not searchable; the failure has the reason.
    Failed,
}

impl FileState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Processing, Self::Ready, Self::Failed];

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// Cleans a file name for storage: the last path segment, without control characters, at most [`MAX_NAME_CHARS`]
/// characters, never empty. A shortened name keeps its extension.
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
    if name.chars().count() <= MAX_NAME_CHARS {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() < 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let stem_chars = MAX_NAME_CHARS - extension.chars().count();
    stem.chars().take(stem_chars).collect::<String>() + &extension
}

/// Tags without white space at the ends, each of them once, in the order of their first occurrence.
#[must_use]
pub fn clean_tags(tags: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    let trimmed = tags.into_iter().map(|tag| tag.trim().to_owned());
    trimmed.filter(|tag| seen.insert(tag.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME_CHARS, clean_name, clean_tags};

    #[test]
    fn tags_are_trimmed_and_unique_in_their_order() {
        let tags = [" wind ", "tide", "wind", "Wind"].map(str::to_owned).to_vec();
        assert_eq!(clean_tags(tags), ["wind", "tide", "Wind"]);
    }

    #[test]
    fn path_is_reduced_to_its_last_segment() {
        assert_eq!(clean_name("../../etc/passwd"), "passwd");
        assert_eq!(clean_name("C:\\Users\\me\\plan.docx"), "plan.docx");
    }

    #[test]
    fn control_characters_are_removed_and_emoji_kept() {
        assert_eq!(clean_name("🌊 tide\u{0}s\n.md"), "🌊 tides.md");
        assert_eq!(clean_name("a\u{202e}fdp.exe"), "afdp.exe");
    }

    #[test]
    fn long_name_is_shortened_and_keeps_its_extension() {
        let name = clean_name(&format!("{}.pdf", "ü".repeat(300)));
        assert_eq!(name.chars().count(), MAX_NAME_CHARS);
        assert!(name.ends_with("ü.pdf"));
    }

    #[test]
    fn empty_result_becomes_unnamed() {
        for raw in ["", "..", "/", "a/", "\u{7}"] {
            assert_eq!(clean_name(raw), "unnamed");
        }
    }
}
