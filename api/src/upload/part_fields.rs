//! The form fields of an upload that describe one of its files.

use nvisy_shared::domain::{
    file::{MAX_EXTERNAL_ID_CHARS, MAX_TAG_CHARS, MAX_TAGS, clean_tags},
    metadata,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    http::{
        extract::invalid_field,
        validation::{line, text},
    },
    problem::Problem,
};

const EXTERNAL_ID: &str = "externalId";
const TAGS: &str = "tags";
const METADATA: &str = "metadata";
const COLLECTION: &str = "collection";
const PIPELINE: &str = "pipeline";

/// Maximum length of the name of a collection or pipeline, in characters.
const MAX_NAME_CHARS: usize = 100;

/// The largest field, in bytes. Metadata are the largest ones.
pub const FIELD_LIMIT_BYTES: usize = metadata::MAX_BYTES;

/// The description of a file; fields that the upload does not have are `None`.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct PartFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// Only pipelines that write to this collection process the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Only this pipeline processes the file, by its name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
}

impl PartFields {
    /// Whether a part with this name is such a field.
    pub fn has(name: &str) -> bool {
        [EXTERNAL_ID, TAGS, METADATA, COLLECTION, PIPELINE].contains(&name)
    }

    /// Whether a part with this name is a field that says neither which file it is nor which pipelines process it.
    pub fn labels(name: &str) -> bool {
        [TAGS, METADATA].contains(&name)
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a field with a name that [`PartFields::has`].
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        let text = String::from_utf8(bytes).map_err(|_| invalid_field(name, "must be UTF-8"))?;
        self.merge(parse(name, text)?)
    }

    /// Adds fields. Only tags may be given more than once.
    pub fn merge(&mut self, other: Self) -> Result<(), Problem> {
        set_once(EXTERNAL_ID, &mut self.external_id, other.external_id)?;
        set_once(METADATA, &mut self.metadata, other.metadata)?;
        set_once(COLLECTION, &mut self.collection, other.collection)?;
        set_once(PIPELINE, &mut self.pipeline, other.pipeline)?;
        if let Some(tags) = other.tags {
            let tags = clean_tags([self.tags.take().unwrap_or_default(), tags].concat());
            if tags.len() > MAX_TAGS {
                return Err(invalid_field(TAGS, format!("must be at most {MAX_TAGS} tags")));
            }
            self.tags = Some(tags);
        }
        Ok(())
    }
}

fn set_once<T>(name: &str, field: &mut Option<T>, value: Option<T>) -> Result<(), Problem> {
    match (&field, value) {
        (Some(_), Some(_)) => Err(invalid_field(name, "must be given once for a file")),
        (None, Some(value)) => {
            *field = Some(value);
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

fn parse(name: &str, value: String) -> Result<PartFields, Problem> {
    let invalid = |error: garde::Error| invalid_field(name, error.message());
    let mut fields = PartFields::default();
    match name {
        EXTERNAL_ID => {
            line(1, MAX_EXTERNAL_ID_CHARS)(&value, &()).map_err(invalid)?;
            fields.external_id = Some(value);
        }
        COLLECTION | PIPELINE => {
            line(1, MAX_NAME_CHARS)(&value, &()).map_err(invalid)?;
            let field = if name == COLLECTION { &mut fields.collection } else { &mut fields.pipeline };
            *field = Some(value);
        }
        TAGS => {
            let tags = match value.trim_start().starts_with('[') {
                true => serde_json::from_str(&value)
                    .map_err(|error| invalid_field(name, format!("must be a tag, or a JSON list of tags: {error}")))?,
                false => vec![value],
            };
            tags.iter().try_for_each(|tag| text(1, MAX_TAG_CHARS)(tag, &())).map_err(invalid)?;
            fields.tags = Some(tags);
        }
        _ => {
            let object = serde_json::from_str(&value)
                .map_err(|error| invalid_field(name, format!("must be a JSON object: {error}")))?;
            metadata::check(&object).map_err(|error| invalid_field(name, error.to_string()))?;
            fields.metadata = Some(object);
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<PartFields, Problem> {
        let mut all = PartFields::default();
        for (name, value) in fields {
            all.merge(parse(name, (*value).to_owned())?)?;
        }
        Ok(all)
    }

    fn error(fields: &[(&str, &str)]) -> String {
        let problem = read(fields).unwrap_err().to_json();
        format!("{} {}", problem["errors"][0]["field"], problem["errors"][0]["message"]).replace('"', "")
    }

    #[test]
    fn tags_are_single_fields_or_a_json_list() {
        let fields = [("tags", "wind"), ("tags", r#"["tide", " wind ", "[x]"]"#), ("tags", "a, b")];
        assert_eq!(read(&fields).unwrap().tags.unwrap(), ["wind", "tide", "[x]", "a, b"]);
        assert_eq!(read(&[("tags", "[]")]).unwrap().tags.unwrap(), [""; 0]);
        assert_eq!(read(&[]).unwrap(), PartFields::default());
    }

    #[test]
    fn errors_name_the_field_and_its_rule() {
        let long = "x".repeat(513);
        for (fields, expected) in [
            (vec![("externalId", "")], "externalId must have 1 to 512 characters"),
            (vec![("externalId", long.as_str())], "externalId must have 1 to 512 characters"),
            (vec![("externalId", "a\nb")], "externalId control characters are not allowed"),
            (vec![("externalId", "a"), ("externalId", "a")], "externalId must be given once for a file"),
            (vec![("tags", " ")], "tags must have 1 to 100 characters"),
            (vec![("tags", &long[..101])], "tags must have 1 to 100 characters"),
            (vec![("tags", "a\u{200b}b")], "tags invisible characters are not allowed"),
            (vec![("metadata", "{}"), ("metadata", "{}")], "metadata must be given once for a file"),
            (vec![("metadata", r#"{"a":"\u0000"}"#)], "metadata must not contain a NUL character"),
        ] {
            assert_eq!(error(&fields), expected);
        }
        for (field, value) in [("tags", "[1]"), ("tags", "["), ("metadata", "[]"), ("metadata", "x"), ("metadata", "")]
        {
            assert!(error(&[(field, value)]).starts_with(&format!("{field} must be a ")), "{field} {value}");
        }
        let many = json!((0..101).map(|n| n.to_string()).collect::<Vec<_>>()).to_string();
        assert_eq!(error(&[("tags", &many)]), "tags must be at most 100 tags");
        assert!(read(&[("metadata", &"[".repeat(60_000))]).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_values_are_handled(name in "(externalId|tags|metadata|collection|pipeline)", value: String) {
            let _ = parse(&name, value);
        }

        #[test]
        fn metadata_are_stored_as_given(key in "[a-z]{1,9}", value: i64) {
            let metadata = json!({ key: value });
            prop_assert_eq!(Value::Object(read(&[("metadata", &metadata.to_string())]).unwrap().metadata.unwrap()), metadata);
        }
    }
}
