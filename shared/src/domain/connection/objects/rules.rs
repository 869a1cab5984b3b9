//! Rules that settings of several stores have.

use url::Url;

use crate::domain::connection::{Capability, InvalidSetting};

/// The abilities of every provider of objects.
pub(crate) const OBJECTS: &[Capability] =
    &[Capability::Discover, Capability::Read, Capability::Write, Capability::Delete];
/// Those of providers of files with owners.
pub(crate) const OBJECTS_WITH_ACL: &[Capability] =
    &[Capability::Discover, Capability::Read, Capability::Acl, Capability::Write, Capability::Delete];

/// Maximum length of a path, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

pub(crate) fn text(field: &str, value: &str, max_chars: usize, problems: &mut Vec<InvalidSetting>) {
    if value.is_empty() || value.chars().count() > max_chars || value.contains(char::is_control) {
        problems.push(InvalidSetting::new(
            field,
            format!("must have 1 to {max_chars} characters, none of them a control character"),
        ));
    }
}

pub(crate) fn bucket(field: &str, value: &str, problems: &mut Vec<InvalidSetting>) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$');
    if !(1..=255).contains(&value.len()) || !value.chars().all(allowed) || value.chars().all(|c| c == '.') {
        problems.push(InvalidSetting::new(field, "must have 1 to 255 letters, digits, `.`, `-` and `_`"));
    }
}

pub(crate) fn root(field: &str, value: &str, problems: &mut Vec<InvalidSetting>) {
    let climbs = value.split('/').any(|part| part == "..");
    if value.len() > MAX_PATH_BYTES || value.contains(char::is_control) || climbs {
        problems.push(InvalidSetting::new(field, "must be a path without `..` and control characters"));
    }
}

pub(crate) fn web_address(field: &str, url: &Url, problems: &mut Vec<InvalidSetting>) {
    if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
        problems.push(InvalidSetting::new(field, "must be an http or https URL"));
    } else if !url.username().is_empty() || url.password().is_some() {
        problems.push(InvalidSetting::new(field, "must not contain credentials"));
    } else if url.query().is_some() || url.fragment().is_some() {
        problems.push(InvalidSetting::new(field, "must have neither query nor fragment"));
    }
}
