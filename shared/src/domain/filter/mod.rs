//! The filter language of search: conditions on files, as JSON.
//!
//! ```json
//! { "and": [ { "field": "tags", "op": "in", "value": ["manual", "safety"] },
//!            { "not": { "field": "metadata.review.state", "op": "eq", "value": "draft" } },
//!            { "or": [ { "field": "createdAt", "op": "gte", "value": "2026-01-01T00:00:00Z" },
//!                      { "field": "pageCount", "op": "lt", "value": 20 } ] } ] }
//! ```
//!
//! | field | operators | value |
//! |---|---|---|
//! | `id` | `eq ne in nin` | UUID |
//! | `name`, `mediaType` | all | text, ordered by its bytes |
//! | `size`, `pageCount` | all | integer |
//! | `createdAt` | all | RFC 3339 time |
//! | `state` | `eq ne in nin` | a state of a file |
//! | `failure` | `eq ne in nin` | the code of a failure |
//! | `tags` | `eq ne in nin` | text; `eq`: has this tag, `in`: has one of them |
//! | `metadata.<key>[.<key>..]` | all | text, number, boolean; a list there matches `eq` when it holds the value |
//!
//! A missing value equals nothing and has no order: `ne` and `nin` match it, the other operators do not.

mod parse;

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Number, Value};
use uuid::Uuid;

/// The largest integer of a filter: the largest one that every JSON library reads exactly.
pub const MAX_INTEGER: i64 = 9_007_199_254_740_991;

/// A condition on files.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All conditions hold; true without conditions.
    And(Vec<Filter>),
    /// At least one condition holds; false without conditions.
    Or(Vec<Filter>),
    /// The condition does not hold.
    Not(Box<Filter>),
    /// The field has one of these values.
    OneOf(Field, Vec<Operand>),
    /// The field's value compares like this with another.
    Compare(Field, Comparison, Operand),
}

/// A field of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The id.
    Id,
    /// The name.
    Name,
    /// The media type.
    MediaType,
    /// The size in bytes.
    Size,
    /// The number of pages.
    PageCount,
    /// The time of the upload.
    CreatedAt,
    /// The state of the version.
    State,
    /// The code of the failure of the version.
    Failure,
    /// The tags.
    Tags,
    /// The value at this path of keys in the metadata.
    Metadata(Vec<String>),
}

/// A value that a field is compared with; its type is the field's.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Of `id`.
    Id(Uuid),
    /// Of `name`, `mediaType`, `state`, `failure`, `tags` and metadata.
    Text(String),
    /// Of `size` and `pageCount`.
    Integer(i64),
    /// Of metadata.
    Number(Number),
    /// Of metadata.
    Boolean(bool),
    /// Of `createdAt`.
    Time(DateTime<Utc>),
}

/// A comparison of two ordered values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
}

impl Filter {
    /// Reads a filter from JSON.
    ///
    /// # Errors
    /// [`FilterError`] for the first invalid part.
    pub fn parse(value: &Value) -> Result<Self, FilterError> {
        parse::filter(value)
    }
}

/// Why a filter is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {kind}")]
pub struct FilterError {
    /// The path of the invalid part, such as `and[1].value`; empty for the filter itself.
    pub path: String,
    /// The reason.
    pub kind: FilterErrorKind,
}

/// The kind of a [`FilterError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterErrorKind {
    /// There is no such field.
    UnknownField,
    /// There is no such operator, or the field does not support it.
    UnknownOperator,
    /// The JSON is not a condition.
    Form(&'static str),
    /// The value does not have the field's type.
    Value(&'static str),
    /// The filter exceeds a limit.
    TooLarge(&'static str),
}

impl fmt::Display for FilterErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField => f.write_str(
                "is not a field; fields are id, name, mediaType, size, pageCount, createdAt, state, failure, tags and metadata.<key>",
            ),
            Self::UnknownOperator => f.write_str(
                "is not an operator of this field; operators are eq, ne, in, nin and, where values have an order, gt, gte, lt, lte",
            ),
            Self::Form(text) | Self::Value(text) | Self::TooLarge(text) => f.write_str(text),
        }
    }
}
