//! Schemas of strings for the OpenAPI document, which say the same as the rules of [`super::validation`]: for
//! `#[schemars(with = "..")]`.

use nvisy_shared::domain::{failure::FailureCode, file::FileState};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Schema, SchemaObject, StringValidation},
};

/// Control characters, as `char::is_control` has them.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// The characters of `validation::is_hidden`.
const HIDDEN: &str = r"\u00ad\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff";

/// Text for people: the rule `text(MIN, MAX)`.
pub struct Text<const MIN: u32, const MAX: u32>;

/// A line without control characters: the rule `line(MIN, MAX)`.
pub struct Line<const MIN: u32, const MAX: u32>;

/// The name of a file: the rule `file_name`.
pub struct FileName;

/// Text of several lines: the rule `prose(MAX)`.
pub struct Prose<const MAX: u32>;

/// An e-mail address: the rule `email_address`.
pub struct Email;

/// A secret or another text whose form only the server knows; it has no NUL character, as no text of a body has one.
pub struct Opaque;

/// A query in words: not blank, and without NUL characters.
pub struct Words<const MAX: u32>;

/// The codes of failures: for `#[schemars(schema_with = "..")]`.
pub fn failure_codes(_: &mut SchemaGenerator) -> Schema {
    identifiers(FailureCode::all().map(FailureCode::as_str))
}

/// The states of files: for `#[schemars(schema_with = "..")]`.
pub fn file_states(_: &mut SchemaGenerator) -> Schema {
    identifiers(FileState::ALL.into_iter().map(FileState::name))
}

fn identifiers(names: impl Iterator<Item = &'static str>) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(names.map(Into::into).collect()),
        ..SchemaObject::default()
    }
    .into()
}

/// An inline string in the OpenAPI document.
macro_rules! string_schema {
    ($({$($generics:tt)*})? $type:ty, $name:literal, $schema:expr) => {
        impl $(<$($generics)*>)? JsonSchema for $type {
            fn is_referenceable() -> bool {
                false
            }

            fn schema_name() -> String {
                $name.to_owned()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

string_schema!({const MIN: u32, const MAX: u32} Text<MIN, MAX>, "Text", {
    string(MIN, MAX, Some(pattern(MIN, &format!("{CONTROL}{HIDDEN}"))), None)
});
string_schema!({const MIN: u32, const MAX: u32} Line<MIN, MAX>, "Line", string(MIN, MAX, Some(pattern(MIN, CONTROL)), None));
string_schema!(FileName, "FileName", {
    let any = format!(r"[^{CONTROL}{HIDDEN}/\\]");
    string(1, 255, Some(format!(r"^{any}*[^{CONTROL}{HIDDEN}/\\.\s]{any}*$")), None)
});

string_schema!({const MAX: u32} Prose<MAX>, "Prose", {
    string(0, MAX, Some(format!(r"^([^{CONTROL}{HIDDEN}]|[\t\n\r])*$")), None)
});
string_schema!({const MAX: u32} Words<MAX>, "Words", string(1, MAX, Some(pattern(1, r"\u0000")), None));
string_schema!(Email, "Email", string(3, 254, None, Some("email")));
string_schema!(Opaque, "Opaque", string(1, 512, Some(r"^[^\u0000]*$".to_owned()), None));

fn string(min: u32, max: u32, pattern: Option<String>, format: Option<&str>) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        format: format.map(str::to_owned),
        string: Some(Box::new(StringValidation { min_length: Some(min), max_length: Some(max), pattern })),
        ..SchemaObject::default()
    }
    .into()
}

/// At least `min` characters between the white space at both ends, and none of `excluded`.
fn pattern(min: u32, excluded: &str) -> String {
    let (any, visible) = (format!("[^{excluded}]"), format!(r"[^{excluded}\s]"));
    match min {
        0 | 1 => format!("^{any}*{visible}{any}*$"),
        2 => format!("^{any}*{visible}{any}*{visible}{any}*$"),
        min => format!("^{any}*{visible}{any}{{{},}}{visible}{any}*$", min - 2),
    }
}
