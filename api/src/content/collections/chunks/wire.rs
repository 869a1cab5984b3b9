//! Requests and responses of the operations on chunks.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::chunk::MAX_TEXT_CHARS,
    id::{CollectionId, FileId},
    store::{
        chunk::{ChunkFilter, ChunkRow},
        search::Language,
    },
};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Schema, SchemaObject},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::ChunkChange;
use crate::http::{
    pagination::{PageQuery, default_limit},
    string_schema::{Opaque, Words},
    validation::{nullable, present},
};

/// The path of a chunk.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ChunkPath {
    /// The chunk's id.
    pub chunk: Uuid,
}

/// The page of chunks to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ChunksQuery {
    /// Only chunks of this collection, by its id.
    collection: Option<Uuid>,
    /// Only chunks of this file.
    file: Option<Uuid>,
    /// Only disabled chunks, or only others.
    disabled: Option<bool>,
    /// Only chunks with another text than their source, or only others.
    edited: Option<bool>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    cursor: Option<String>,
}

impl ChunksQuery {
    pub fn into_parts(self) -> (ChunkFilter, PageQuery) {
        let filter = ChunkFilter {
            collection: self.collection.map(CollectionId),
            file: self.file.map(FileId),
            disabled: self.disabled,
            edited: self.edited,
        };
        (filter, PageQuery::new(self.limit, self.cursor))
    }
}

/// The chunks to export.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ExportQuery {
    /// Only chunks of this file.
    file: Option<Uuid>,
    /// Only disabled chunks, or only others.
    disabled: Option<bool>,
    /// Only chunks with another text than their source, or only others.
    edited: Option<bool>,
    /// `vector`: each chunk with its vector in the collection's embedding space, of length one.
    #[serde(default)]
    #[schemars(schema_with = "inclusions")]
    include: Option<Inclusion>,
}

/// A part of an exported chunk that is large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Inclusion {
    Vector,
}

/// Inline, as the parameter's own schema.
fn inclusions(_: &mut SchemaGenerator) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        enum_values: Some(vec!["vector".into()]),
        ..SchemaObject::default()
    }
    .into()
}

impl ExportQuery {
    pub fn filter(&self, collection: CollectionId) -> ChunkFilter {
        ChunkFilter {
            collection: Some(collection),
            file: self.file.map(FileId),
            disabled: self.disabled,
            edited: self.edited,
        }
    }

    pub fn has_vectors(&self) -> bool {
        self.include == Some(Inclusion::Vector)
    }
}

/// Changes of a chunk; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeChunk {
    /// Whether search leaves out the chunk.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    disabled: Option<bool>,
    /// Another text, which search reads in place of that of the source; `null`: the text of the source again.
    #[garde(inner(inner(custom(chunk_text))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<Words<20000>>")]
    text: Option<Option<String>>,
}

fn change_example() -> Value {
    json!({ "text": "The blades are cleaned twice a year, in spring and autumn." })
}

/// Any text that is not blank: that of a source has control and invisible characters, too.
fn chunk_text(text: &str, (): &()) -> garde::Result {
    if text.trim().is_empty() || text.chars().count() > MAX_TEXT_CHARS {
        return Err(garde::Error::new(format!("must have 1 to {MAX_TEXT_CHARS} characters, and not be blank")));
    }
    Ok(())
}

impl From<ChangeChunk> for ChunkChange {
    fn from(body: ChangeChunk) -> Self {
        Self { disabled: body.disabled, text: body.text }
    }
}

/// A chunk: a passage of a version of a file, in a collection.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// The chunk's id: the `chunkId` of a hit.
    id: Uuid,
    /// The file of the chunk.
    file: ChunkFile,
    /// The collection of the chunk.
    collection: ChunkCollection,
    /// The pipeline that has written it; absent for a run of a definition that is not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_id: Option<Uuid>,
    /// The id of the sink in the definition of the pipeline.
    node: String,
    /// The place among the chunks that the sink has written for the file, from 0.
    ordinal: i32,
    /// The text that search reads.
    text: String,
    /// The text of the source, if members have written another.
    #[serde(skip_serializing_if = "Option::is_none")]
    original_text: Option<String>,
    /// The first byte of the chunk in the file's text (`/files/{file}/text`).
    start: i64,
    /// The position after the last byte of the chunk.
    end: i64,
    /// The page on which the chunk starts; absent for files without pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<i32>,
    /// The headings above the chunk, outermost first.
    heading_path: Vec<String>,
    /// The context that is embedded before the text, where the pipeline has written one.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// The number of tokens of the text of the source, by the model for which it was cut.
    tokens: i32,
    /// The language as an ISO 639-1 code; absent if the text is too short to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Whether search leaves out the chunk.
    disabled: bool,
    /// Whether members have written another text than that of the source.
    edited: bool,
    /// The time since when search reads the version's chunks.
    indexed_at: DateTime<Utc>,
    /// The vector in the collection's embedding space; only in an export with `include=vector`, and absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
}

impl Chunk {
    pub fn with_vector(self, vector: Option<Vec<f32>>) -> Self {
        Self { vector, ..self }
    }
}

/// The file of a chunk.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ChunkFile {
    /// The file's id.
    id: Uuid,
    /// The file's name.
    name: String,
    /// The id of the version that the chunk is from.
    version_id: Uuid,
    /// The number of the version.
    version: i32,
}

/// The collection of a chunk.
#[derive(Debug, Serialize, JsonSchema)]
struct ChunkCollection {
    /// The collection's id.
    id: Uuid,
    /// The collection's name.
    name: String,
}

impl From<(ChunkRow, Option<Language>)> for Chunk {
    fn from((row, language): (ChunkRow, Option<Language>)) -> Self {
        Self {
            id: row.id.0,
            file: ChunkFile {
                id: row.file_id.0,
                name: row.file_name,
                version_id: row.version_id.0,
                version: row.version,
            },
            collection: ChunkCollection { id: row.collection_id.0, name: row.collection_name },
            pipeline_id: row.pipeline_id.map(|id| id.0),
            node: row.node,
            ordinal: row.ordinal,
            edited: row.original_text.is_some(),
            text: row.text,
            original_text: row.original_text,
            start: row.start_byte,
            end: row.end_byte,
            page: row.page,
            heading_path: row.heading_path,
            prefix: row.prefix,
            tokens: row.tokens,
            language: language.map(|language| language.code().to_owned()),
            disabled: row.disabled,
            indexed_at: row.indexed_at,
            vector: None,
        }
    }
}
