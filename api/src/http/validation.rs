//! Validation rules for `garde(custom(..))` that several slices use.

use chrono::{DateTime, Utc};
use nvisy_shared::{
    domain::{
        account::{MAX_EMAIL_CHARS, normalise_email},
        file::MAX_NAME_CHARS,
        history,
        slug::{MAX_SLUG_CHARS, is_slug},
    },
    secret::Secret,
};
use serde::{Deserialize, Deserializer, de::Error};
use uuid::Uuid;

/// For `deserialize_with`, with `default`: distinguishes a field that is `null` from one that is absent.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// For `deserialize_with`, with `default`: a field that may be absent, but not `null`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// For `deserialize_with`, with `default`: an RFC 3339 time that may be absent, but not `null`.
pub fn present_time<'de, D: Deserializer<'de>>(field: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let time = history::parse_time(&String::deserialize(field)?);
    time.map(Some).ok_or_else(|| D::Error::custom("must be a time such as 2026-01-31T12:00:00Z"))
}

/// A secret of 1 to 512 characters, where it is not looked up. Its schema is `string_schema::Opaque`.
pub fn opaque(value: &Secret<String>, (): &()) -> garde::Result {
    match value.expose().chars().count() {
        1..=512 => Ok(()),
        _ => Err(garde::Error::new("must have 1 to 512 characters")),
    }
}

/// A slug.
pub fn slug(value: &str, (): &()) -> garde::Result {
    if is_slug(value) {
        Ok(())
    } else {
        let rule =
            format!("must have 1 to {MAX_SLUG_CHARS} lower-case letters, digits and hyphens, no hyphen at the ends");
        Err(garde::Error::new(rule))
    }
}

/// A slug that cannot be taken for an id, of things that have both in paths.
pub fn slug_but_no_id(value: &str, context: &()) -> garde::Result {
    match value.parse::<Uuid>() {
        Ok(_) => Err(garde::Error::new("must not be an id")),
        Err(_) => slug(value, context),
    }
}

/// Text for people: as [`line`], and no invisible or direction-changing characters: two names that look the same are the
/// same. Its schema is `string_schema::Text`.
pub fn text(min: usize, max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
    move |value, ()| {
        if value.chars().any(is_hidden) {
            return Err(garde::Error::new("invisible characters are not allowed"));
        }
        line(min, max)(value, &())
    }
}

/// The name of a file: as [`text`], without a path, and not only dots. Its schema is `string_schema::FileName`.
pub fn file_name(value: &str, (): &()) -> garde::Result {
    text(1, MAX_NAME_CHARS)(value, &())?;
    if value.contains(['/', '\\']) || value.chars().all(|c| c == '.' || c.is_whitespace()) {
        return Err(garde::Error::new("must be the name of a file, without a path"));
    }
    Ok(())
}

/// Text of several lines: at most `max` characters, and the same characters as in [`text`], line breaks and tabs. Its schema
/// is `string_schema::Prose`.
pub fn prose(max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
    move |value, ()| {
        let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
        if value.chars().any(|c| is_hidden(c) || is_control(c)) {
            Err(garde::Error::new("control and invisible characters are not allowed"))
        } else if value.chars().count() <= max {
            Ok(())
        } else {
            Err(garde::Error::new(format!("must have at most {max} characters")))
        }
    }
}

/// Invisible characters: breaks, and changes of direction. Joiners (U+200C, U+200D) are not among them, since some scripts
/// cannot be written without them.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A line: at most `max` characters, at least `min` between the white space at both ends, and no control characters
/// (PostgreSQL cannot store NUL). Its schema is `string_schema::Line`.
pub fn line(min: usize, max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
    move |value, ()| {
        let (all, inner) = (value.chars().count(), value.trim().chars().count());
        if value.chars().any(char::is_control) {
            Err(garde::Error::new("control characters are not allowed"))
        } else if all <= max && inner >= min {
            Ok(())
        } else {
            Err(garde::Error::new(format!("must have {min} to {max} characters")))
        }
    }
}

/// Only a mail server can tell whether an address exists; this rejects texts that cannot be addresses, and addresses that
/// look like others, because members see each other's.
pub fn email_address(value: &str, (): &()) -> garde::Result {
    // Before normalization, which removes them from domains.
    if value.chars().any(is_ignorable) {
        return Err(garde::Error::new("invisible characters are not allowed"));
    }
    let value = normalise_email(value);
    let Some((local, domain)) = value.rsplit_once('@') else {
        return Err(garde::Error::new("must be an e-mail address"));
    };
    if !local.is_ascii() {
        // Mail to others needs SMTPUTF8, which the mailer does not offer; and other scripts have letters that look the same.
        return Err(garde::Error::new("must have only ASCII letters before the @"));
    }
    let plausible = value.chars().count() <= MAX_EMAIL_CHARS
        && !local.is_empty()
        && !local.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control() || byte == b'@')
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && !domain.split('.').any(str::is_empty);
    if plausible { Ok(()) } else { Err(garde::Error::new("must be an e-mail address")) }
}

/// The characters that Unicode allows a renderer to leave out (Default_Ignorable_Code_Point), and its other format characters.
fn is_ignorable(c: char) -> bool {
    is_hidden(c)
        || matches!(c,
            '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::{email_address, file_name, text};

    #[test]
    fn file_names_are_names_and_no_paths() {
        for good in ["a", "Größe 🌊.md", ".env", "a. .b", " plan.docx "] {
            assert!(file_name(good, &()).is_ok(), "{good:?}");
        }
        let long = "n".repeat(256);
        for bad in ["", " ", ".", "..", ". .", "a/b", r"C:\plan.docx", "a\nb", "a\u{202e}fdp.exe", &long] {
            assert!(file_name(bad, &()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(text(2, 3)("äöü", &()).is_ok());
        assert!(text(2, 3)(" a ", &()).is_err());
        assert!(text(2, 3)(" ab ", &()).is_err());
        assert!(text(2, 3)("abcd", &()).is_err());
        assert!(text(2, 3)("a\0", &()).is_err());
    }

    #[test]
    fn invisible_characters_are_rejected() {
        for hidden in ["\u{ad}", "\u{200b}", "\u{202e}", "\u{2066}", "\u{2060}", "\u{feff}"] {
            assert!(text(2, 30)(&format!("Ada{hidden}Lovelace"), &()).is_err(), "{hidden:?}");
        }
        // Persian, Hindi, a family, and Hebrew as it is.
        for visible in [
            "\u{645}\u{6cc}\u{200c}\u{62e}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{1f468}\u{200d}\u{1f469}",
            "\u{5d0}\u{5d3}\u{5d4}",
        ] {
            assert!(text(2, 30)(visible, &()).is_ok(), "{visible:?}");
        }
    }

    #[test]
    fn implausible_addresses_are_rejected() {
        for good in ["ada@example.org", " Ada@Example.ORG ", "a+b@localhost", "ada@exämple.org", "ａda＠例え.jp"] {
            assert!(email_address(good, &()).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in
            ["", "ada", "@example.org", "ada@", "a@b@c", "a b@c.org", "a@b..org", "a\0@b.org", "a@b/c", "a@b,c", &long]
        {
            assert!(email_address(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_that_look_like_others_are_rejected() {
        for bad in [
            "ceo\u{200b}@bank.com",
            "ceo\u{ad}@bank.com",
            "ceo\u{2060}@bank.com",
            "\u{202e}ceo@bank.com",
            "\u{feff}ceo@bank.com",
            "ceo@ba\u{ad}nk.com",
            "ceo@ba\u{200d}nk.com",
            "ceo@bank\u{e0061}.com",
            "\u{430}da@bank.com",
            "ünï@bank.com",
        ] {
            assert!(email_address(bad, &()).is_err(), "{bad:?}");
        }
    }
}
