//! Validation rules for `garde(custom(..))` that several slices share.

use nvisy_shared::domain::slug::{SLUG_MAX, is_slug};
use serde::{Deserialize, Deserializer};

/// For `deserialize_with`: tells a field that is `null` from one that is absent (with `default`).
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// A slug.
pub fn slug(value: &str, (): &()) -> garde::Result {
    if is_slug(value) {
        Ok(())
    } else {
        let rule = format!("must have 1 to {SLUG_MAX} lower-case letters, digits and hyphens, no hyphen at the ends");
        Err(garde::Error::new(rule))
    }
}

/// Text for people: so many characters, not counting space around it, no control characters, and none that turn the
/// text around or are not seen: two names that look the same are the same.
pub fn text(min: usize, max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
    move |value, ()| {
        if value.chars().any(is_hidden) {
            return Err(garde::Error::new("invisible characters are not allowed"));
        }
        line(min, max)(value, &())
    }
}

/// Characters without a place of their own: breaks, and what changes the direction. Joiners (U+200C, U+200D) are not
/// among them, for some scripts cannot be written without.
pub fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What something is looked up by: so many characters, not counting space around it, and no control characters
/// (PostgreSQL cannot even store the first of them).
pub fn line(min: usize, max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
    move |value, ()| {
        let length = value.trim().chars().count();
        if value.chars().any(char::is_control) {
            Err(garde::Error::new("control characters are not allowed"))
        } else if (min..=max).contains(&length) {
            Ok(())
        } else {
            Err(garde::Error::new(format!("must have {min} to {max} characters")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn length_is_counted_in_characters_without_the_space_around() {
        assert!(text(2, 3)("äöü", &()).is_ok());
        assert!(text(2, 3)(" a ", &()).is_err());
        assert!(text(2, 3)("abcd", &()).is_err());
        assert!(text(2, 3)("a\0", &()).is_err());
    }

    #[test]
    fn what_is_not_seen_is_not_taken() {
        for hidden in ["\u{ad}", "\u{200b}", "\u{202e}", "\u{2066}", "\u{2060}", "\u{feff}"] {
            assert!(text(2, 30)(&format!("Ada{hidden}Lovelace"), &()).is_err(), "{hidden:?}");
        }
        // Persian, Hindi, a family, and Hebrew as it is.
        for seen in [
            "\u{645}\u{6cc}\u{200c}\u{62e}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{1f468}\u{200d}\u{1f469}",
            "\u{5d0}\u{5d3}\u{5d4}",
        ] {
            assert!(text(2, 30)(seen, &()).is_ok(), "{seen:?}");
        }
    }
}
