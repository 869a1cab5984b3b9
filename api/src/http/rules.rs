//! Validation rules for `garde(custom(..))` that several slices share.

use nvisy_shared::domain::slug::{SLUG_MAX, is_slug};
use serde::{Deserialize, Deserializer};

/// For `deserialize_with`: tells a field that is `null` from one that is absent (with `default`).
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// A slug.
pub(crate) fn slug(value: &str, (): &()) -> garde::Result {
    if is_slug(value) {
        Ok(())
    } else {
        let rule = format!("must have 1 to {SLUG_MAX} lower-case letters, digits and hyphens, no hyphen at the ends");
        Err(garde::Error::new(rule))
    }
}

/// Text for people: so many characters, not counting space around it, and no control characters
/// (PostgreSQL cannot even store the first of them).
pub(crate) fn text(min: usize, max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
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
}
