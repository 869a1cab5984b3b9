//! Request and response of the operations on synonyms.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::synonym::{MAX_ENTRIES, MAX_SETS, SynonymSet, invalid_entries},
    store,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    http::{string_schema::Words, validation::present},
    problem::{FieldError, Problem},
};

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

/// A set of synonyms: `words` that find each other, or words `from` that find those of `to`, but not the other way round. An
/// entry has 1 to 5 words; several are found as they follow each other.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "SynonymSet")]
struct SynonymSetBody {
    /// Words and phrases that mean the same.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Words<100>>", length(min = 2, max = 20))]
    words: Option<Vec<String>>,
    /// Words and phrases that have synonyms.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Words<100>>", length(min = 1, max = 20))]
    from: Option<Vec<String>>,
    /// Their synonyms.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Words<100>>", length(min = 1, max = 20))]
    to: Option<Vec<String>>,
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
