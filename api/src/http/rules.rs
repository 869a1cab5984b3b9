//! Validation rules for `garde(custom(..))` that several slices share.

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
