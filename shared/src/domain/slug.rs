//! Slugs: short names for addresses.

/// Longest slug, in characters.
pub const SLUG_MAX: usize = 63;

/// Whether it is one: lower-case letters, digits and hyphens, none at the ends.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    letters && (1..=SLUG_MAX).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

/// What can be kept of a name: empty when nothing can. Leaves room for a suffix that makes it unique.
#[must_use]
pub fn derive_slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(48);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lower_case_letters_digits_and_hyphens() {
        for good in ["a", "tidal-energy", "7", &"a".repeat(63)] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "ä", "a b", &"a".repeat(64)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_made_of_a_name_is_a_slug_or_nothing() {
        assert_eq!(derive_slug("Tidal energy, Ltd."), "tidal-energy-ltd");
        assert_eq!(derive_slug("  Größe 2 "), "gr-e-2");
        assert_eq!(derive_slug("🌊"), "");
        for name in ["Tidal energy", &"wave ".repeat(40), "-- a --"] {
            assert!(is_slug(&derive_slug(name)), "{name}");
        }
    }
}
