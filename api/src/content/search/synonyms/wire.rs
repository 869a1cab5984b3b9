//! Request and response of the operations on synonyms.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::synonym::{MAX_CHARS, MAX_ENTRIES, MAX_SETS, SynonymSet, invalid_entries},
    store,
};
use schemars::{JsonSchema, r#gen::SchemaGenerator, schema::Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    http::{string_schema::Line, validation::present},
    problem::{FieldError, Problem},
};

/// `MAX_CHARS` as the schema of a string has it.
const MAX_ENTRY_CHARS: u32 = MAX_CHARS as u32;
/// Errors that a problem lists.
const MAX_ERRORS: usize = 20;

/// Sets of synonyms, in place of the present ones.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "example")]
pub struct ReplaceSynonyms {
    /// The sets.
    #[garde(length(max = MAX_SETS))]
    #[schemars(length(max = 1000))]
    sets: Vec<SynonymSetBody>,
}

fn example() -> Value {
    json!({ "sets": [
        { "words": ["car", "automobile", "motor vehicle"] },
        { "from": ["tv"], "to": ["television"] },
    ] })
}

/// A set of synonyms: `words`, or `from` and `to`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SynonymSetBody {
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    words: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    from: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    to: Option<Vec<String>>,
}

/// The derived one would not say which fields belong together.
impl JsonSchema for SynonymSetBody {
    fn schema_name() -> String {
        "SynonymSet".to_owned()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = json!(Line::<1, MAX_ENTRY_CHARS>::json_schema(generator));
        let entries = |least: usize, description: &str| {
            json!({
                "type": "array", "items": entry, "minItems": least, "maxItems": MAX_ENTRIES, "description": description,
            })
        };
        let group = json!({
            "type": "object", "description": "Words and phrases that find each other.",
            "properties": { "words": entries(2, "Words and phrases that mean the same.") },
            "required": ["words"], "additionalProperties": false,
        });
        let mapping = json!({
            "type": "object", "description": "Words and phrases that find others, but not the other way round.",
            "properties": {
                "from": entries(1, "Words and phrases that have synonyms."), "to": entries(1, "Their synonyms."),
            },
            "required": ["from", "to"], "additionalProperties": false,
        });
        let forms = [("SynonymGroup", group), ("SynonymMapping", mapping)];
        let references = forms.each_ref().map(|(name, _)| json!({ "$ref": format!("#/components/schemas/{name}") }));
        for (name, form) in forms {
            generator.definitions_mut().insert(name.to_owned(), schema(form));
        }
        schema(json!({
            "description": "A set of synonyms. An entry has 1 to 5 words; several are found as they follow each other. No two \
                            entries of a list are the same words.",
            "anyOf": references,
        }))
    }
}

fn schema(json: Value) -> Schema {
    serde_json::from_value(json).expect("the schema is valid")
}

impl ReplaceSynonyms {
    /// The sets; 422 with the places of bad entries.
    pub fn into_sets(self) -> Result<Vec<SynonymSet>, Problem> {
        let mut errors = Vec::new();
        let read = |(place, set): (usize, SynonymSetBody)| set.read(&format!("sets[{place}]"), &mut errors);
        let sets = self.sets.into_iter().enumerate().filter_map(read).collect();
        errors.truncate(MAX_ERRORS);
        if errors.is_empty() { Ok(sets) } else { Err(Problem::invalid(errors)) }
    }
}

impl SynonymSetBody {
    fn read(self, path: &str, errors: &mut Vec<FieldError>) -> Option<SynonymSet> {
        let mut check = |field: &str, least: usize, entries: &[String]| {
            let path = format!("{path}.{field}");
            if !(least..=MAX_ENTRIES).contains(&entries.len()) {
                errors.push(FieldError::new(&path, format!("must have {least} to {MAX_ENTRIES} entries")));
            }
            let invalid = invalid_entries(entries).into_iter();
            errors.extend(invalid.map(|(place, reason)| FieldError::new(format!("{path}[{place}]"), reason)));
        };
        match (self.words, self.from, self.to) {
            (Some(words), None, None) => {
                check("words", 2, &words);
                Some(SynonymSet { from: words, to: None })
            }
            (None, Some(from), Some(to)) => {
                check("from", 1, &from);
                check("to", 1, &to);
                Some(SynonymSet { from, to: Some(to) })
            }
            _ => {
                errors.push(FieldError::new(path, "must have `words`, or `from` and `to`"));
                None
            }
        }
    }
}

/// The synonyms of a workspace.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Synonyms {
    /// The sets.
    sets: Vec<SynonymSetBody>,
    /// The time of the last change; absent before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<DateTime<Utc>>,
}

impl From<store::synonyms::Synonyms> for Synonyms {
    fn from(synonyms: store::synonyms::Synonyms) -> Self {
        let set = |set: SynonymSet| match set.to {
            None => SynonymSetBody { words: Some(set.from), from: None, to: None },
            to => SynonymSetBody { words: None, from: Some(set.from), to },
        };
        Self { sets: synonyms.sets.into_iter().map(set).collect(), updated_at: synonyms.updated_at }
    }
}
