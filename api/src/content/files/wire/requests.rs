//! Paths, queries and bodies of the file operations.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::{
    domain::{
        failure::FailureCode,
        file::{FileState, MAX_TAG_CHARS, MAX_TAGS, clean_tags},
        filter::{Filter, FilterErrorKind},
    },
    id::FileId,
    store::file::FileQuery,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::service::{FileChange, MetadataChange};
use crate::{
    http::{
        pagination::default_limit,
        string_schema::{FileName, Opaque, Text, failure_codes, file_states},
        validation::{self, nullable, text},
    },
    problem::{Code, FieldError, Problem},
};

/// The path of a file.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct FilePath {
    /// The file's id.
    pub file: Uuid,
}

/// The version of a file to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionQuery {
    /// The id of the version, as in search hits; absent: the newest.
    #[garde(skip)]
    pub version_id: Option<Uuid>,
}

/// Conditions and page of a list of files.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ListQuery {
    /// Only files that match this filter: JSON, as in searches. Media type, size, pages, state and failure are
    /// those of the newest version.
    filter: Option<String>,
    /// Only files in this state.
    #[serde(default)]
    #[schemars(schema_with = "file_states")]
    state: Option<FileState>,
    /// Only files that failed with this code.
    #[serde(default)]
    #[schemars(schema_with = "failure_codes")]
    failure: Option<FailureCode>,
    /// Only files with this tag.
    tag: Option<String>,
    /// Only the file with this external id.
    external_id: Option<String>,
    /// Only files that pipelines made from this file.
    parent_id: Option<Uuid>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    pub cursor: Option<String>,
}

impl ListQuery {
    /// The conditions; 400 if the filter is invalid.
    pub fn conditions(&self) -> Result<FileQuery, Problem> {
        let filter = self.filter.as_deref().map(parse_filter).transpose()?;
        Ok(FileQuery {
            before: None,
            filter,
            state: self.state,
            failure: self.failure,
            tag: self.tag.clone(),
            external_id: self.external_id.clone(),
            parent: self.parent_id.map(FileId),
        })
    }
}

fn parse_filter(json: &str) -> Result<Filter, Problem> {
    let invalid = |field: String, message: String| {
        let error = FieldError::new(field, message);
        Problem::new(Code::InvalidQuery).detail(error.to_string()).fields(vec![error])
    };
    let value =
        serde_json::from_str(json).map_err(|error| invalid("filter".to_owned(), format!("must be JSON: {error}")))?;
    Filter::parse(&value).map_err(|error| {
        let separator = if error.path.is_empty() { "" } else { "." };
        let path = format!("filter{separator}{}", error.path);
        match error.kind {
            FilterErrorKind::UnknownField | FilterErrorKind::UnknownOperator => {
                Problem::new(Code::InvalidFilter).detail(format!("{path} {}", error.kind))
            }
            rule => invalid(path, rule.to_string()),
        }
    })
}

/// Changes of a file; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeFile {
    /// The name, without a path.
    #[garde(inner(custom(validation::file_name)))]
    #[schemars(with = "Option<FileName>")]
    pub name: Option<String>,
    /// All tags; `null`: none.
    #[garde(inner(inner(length(max = MAX_TAGS), inner(custom(text(1, MAX_TAG_CHARS))))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<Vec<Text<1, 100>>>", length(max = 100))]
    pub tags: Option<Option<Vec<String>>>,
    /// Changes of the metadata, as JSON Merge Patch (RFC 7396): keys that are absent stay, `null` removes a key, objects are
    /// merged. `null` instead of an object removes all metadata.
    #[garde(skip)]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub metadata: Option<Option<Map<String, Value>>>,
}

fn change_example() -> Value {
    json!({ "tags": ["manual", "safety"], "metadata": { "review": { "state": "approved" }, "draft": null } })
}

impl From<ChangeFile> for FileChange {
    fn from(body: ChangeFile) -> Self {
        Self {
            name: body.name.map(|name| name.trim().to_owned()),
            tags: body.tags.map(|tags| clean_tags(tags.unwrap_or_default())),
            metadata: body.metadata.map(|metadata| metadata.map_or(MetadataChange::Clear, MetadataChange::Merge)),
        }
    }
}
