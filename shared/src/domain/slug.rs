//! Slugs: short names in URLs.

/// Maximum length of a slug, in characters.
pub const MAX_SLUG_CHARS: usize = 63;

/// Maximum length of a derived slug, in characters.
const MAX_DERIVED_CHARS: usize = 48;

/// Whether the text is a slug: lower-case letters, digits and hyphens, no hyphen at the ends.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let valid_chars = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    valid_chars && (1..=MAX_SLUG_CHARS).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

/// Derives a slug from a name; empty if the name has no usable letters. The slug is short enough for a suffix that makes it
/// unique.
#[must_use]
pub fn derive_slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX_DERIVED_CHARS);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_consists_of_lower_case_letters_digits_and_hyphens() {
        for good in ["a", "tidal-energy", "7", &"a".repeat(63)] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "ä", "a b", &"a".repeat(64)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    #[test]
    fn derived_slug_is_valid_or_empty() {
        assert_eq!(derive_slug("Tidal energy, Ltd."), "tidal-energy-ltd");
        assert_eq!(derive_slug("  Größe 2 "), "gr-e-2");
        assert_eq!(derive_slug("🌊"), "");
        for name in ["Tidal energy", &"wave ".repeat(40), "-- a --"] {
            assert!(is_slug(&derive_slug(name)), "{name}");
        }
    }
}
