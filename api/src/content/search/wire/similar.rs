//! Request of a search for similar passages.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::{
    id::{ChunkId, FileId},
    store::search::Threshold,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    controls::{ExpandOption, GroupBy, ThresholdOption, choice, group_size, per_file_of_groups},
    expand_schema::ExpandSchema,
    facets::{FacetName, facet_fields, field},
    request::{MAX_CURSOR_CHARS, ResponseParts, default_limit},
};
use crate::{
    content::search::{
        command::SearchOptions,
        filter_schema::FilterSchema,
        similar::{Origin, SimilarCommand},
    },
    http::validation::present,
};

/// A search for passages that are similar to a passage or a file, by their stored vectors.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "example")]
pub struct SimilarRequest {
    /// The file; either this or `chunk`. Its other passages are not found.
    #[garde(custom(one_origin(self.chunk.as_ref())))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Uuid")]
    file: Option<Uuid>,
    /// The passage, `chunkId` of a hit; either this or `file`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Uuid")]
    chunk: Option<Uuid>,
    /// The collections to search, by name or id; absent: all.
    #[garde(inner(length(min = 1, max = 100)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<String>", length(min = 1, max = 100))]
    collections: Option<Vec<String>>,
    /// Finds passages as they were at this RFC 3339 time, or at the time of the snapshot with this name or id; absent: now.
    #[garde(inner(length(min = 1, max = 63)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 63))]
    as_of: Option<String>,
    /// A filter of the files, as that of a search.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "FilterSchema")]
    filter: Option<Value>,
    /// The largest number of hits; with `groupBy`, of files.
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "default_limit")]
    limit: u32,
    /// `nextCursor` of the previous page of the same search; absent for the first page.
    #[garde(inner(length(min = 1, max = MAX_CURSOR_CHARS)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 8100))]
    cursor: Option<String>,
    /// Groups the hits by file: the response has `groups`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "choice")]
    #[schemars(with = "GroupBy")]
    group_by: Option<GroupBy>,
    /// The largest number of hits of a file, with `groupBy`; 1 by default.
    #[garde(inner(range(min = 1, max = 10)), custom(per_file_of_groups(&self.group_by)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "u32", range(min = 1, max = 10))]
    per_file: Option<u32>,
    /// Adds the text around each hit as `context`.
    #[garde(dive)]
    #[serde(default, deserialize_with = "choice")]
    #[schemars(with = "ExpandSchema")]
    expand: Option<ExpandOption>,
    /// The least cosine similarity.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ThresholdOption")]
    threshold: Option<ThresholdOption>,
    /// Files that are not found.
    #[garde(length(max = 100))]
    #[serde(default)]
    #[schemars(length(max = 100))]
    hidden: Vec<Uuid>,
    /// Fields whose values are counted, as those of a search.
    #[garde(length(max = 10), custom(facet_fields))]
    #[serde(default)]
    #[schemars(with = "Vec<FacetName>", length(max = 10))]
    facets: Vec<String>,
    /// Whether the response explains the search and each hit.
    #[garde(skip)]
    #[serde(default)]
    explain: bool,
}

impl SimilarRequest {
    /// The parts of the response that the request asks for.
    pub fn parts(&self) -> ResponseParts {
        ResponseParts { explain: self.explain, facets: self.facets.clone() }
    }
}

/// Rule of `file`: a request has one of both.
fn one_origin(chunk: Option<&Uuid>) -> impl FnOnce(&Option<Uuid>, &()) -> garde::Result {
    let has_chunk = chunk.is_some();
    move |file, ()| match (file.is_some(), has_chunk) {
        (true, false) | (false, true) => Ok(()),
        _ => Err(garde::Error::new("either `file` or `chunk` is needed")),
    }
}

impl From<SimilarRequest> for SimilarCommand {
    fn from(body: SimilarRequest) -> Self {
        let origin = match (body.file, body.chunk) {
            (Some(file), _) => Origin::File(FileId(file)),
            (None, chunk) => Origin::Chunk(ChunkId(chunk.unwrap_or_default())),
        };
        Self {
            origin,
            threshold: body.threshold.map(Threshold::from).unwrap_or_default(),
            facets: body.facets.iter().filter_map(|name| field(name)).collect(),
            options: SearchOptions {
                collections: body.collections,
                filter: body.filter,
                limit: body.limit.into(),
                cursor: body.cursor,
                per_file: group_size(body.group_by, body.per_file),
                expand: body.expand.and_then(ExpandOption::into_domain),
                hidden: body.hidden.into_iter().map(FileId).collect(),
                as_of: body.as_of,
            },
        }
    }
}

fn example() -> Value {
    json!({ "file": Uuid::nil(), "groupBy": "file", "limit": 5 })
}
