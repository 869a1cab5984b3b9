//! Counts of values.

use nvisy_shared::store::search::{Facet, FacetField};
use schemars::{JsonSchema, r#gen::SchemaGenerator, schema::Schema};
use serde::Serialize;
use serde_json::{Value, json};

/// Characters of the longest name.
const MAX_NAME_CHARS: usize = 1_000;

/// The field with this name; `None`: there is no such one.
pub fn field(name: &str) -> Option<FacetField> {
    match name {
        "mediaType" => Some(FacetField::MediaType),
        "tags" => Some(FacetField::Tags),
        "language" => Some(FacetField::Language),
        name => {
            let path: Vec<String> = name.strip_prefix("metadata.")?.split('.').map(str::to_owned).collect();
            let is_path = name.chars().count() <= MAX_NAME_CHARS && path.iter().all(|key| !key.is_empty());
            is_path.then_some(FacetField::Metadata(path))
        }
    }
}

/// Rule of `facets`.
pub fn facet_fields(names: &[String], (): &()) -> garde::Result {
    match names.iter().find(|name| field(name).is_none()) {
        Some(_) => Err(garde::Error::new("fields are mediaType, tags, language and metadata.<key>")),
        None => Ok(()),
    }
}

/// The name of a field; for `#[schemars(with = "..")]`.
pub struct FacetName;

impl JsonSchema for FacetName {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "FacetName".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let schema = json!({
            "type": "string", "maxLength": MAX_NAME_CHARS,
            "pattern": r"^(mediaType|tags|language|metadata(\.[^.\u0000]+)+)$",
        });
        serde_json::from_value(schema).expect("the schema is valid")
    }
}

/// The counts of a field's values.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Facet")]
pub struct FacetCounts {
    /// The field.
    field: String,
    /// The values of the most files, at most 20.
    values: Vec<FacetValue>,
    /// The sum of the counts of all other values.
    other: i64,
}

/// The count of a value.
#[derive(Debug, Serialize, JsonSchema)]
struct FacetValue {
    /// The value: a text, or the number or boolean of metadata.
    #[schemars(schema_with = "value_schema")]
    value: Value,
    /// The number of files that have it.
    files: i64,
}

fn value_schema(_: &mut SchemaGenerator) -> Schema {
    let schema = json!({ "oneOf": [{ "type": "string" }, { "type": "number" }, { "type": "boolean" }] });
    serde_json::from_value(schema).expect("the schema is valid")
}

impl FacetCounts {
    pub fn new(field: String, facet: Facet) -> Self {
        let values = facet.values.into_iter().map(|(value, files)| FacetValue { value, files }).collect();
        Self { field, values, other: facet.other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_read_and_others_rejected() {
        assert_eq!(field("metadata.a.b"), Some(FacetField::Metadata(vec!["a".to_owned(), "b".to_owned()])));
        for unknown in ["", "size", "metadata", "metadata.", "metadata.a..b", "Tags"] {
            assert_eq!(field(unknown), None, "{unknown}");
        }
    }
}
