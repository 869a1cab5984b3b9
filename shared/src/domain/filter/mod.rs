//! The filter language of search: which files to look in, as data.
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
//! | `tags` | `eq ne in nin` | text; `eq`: has this tag, `in`: has one of them |
//! | `metadata.<key>[.<key>..]` | all | text, number, boolean; a list there matches `eq` when it holds the value |
//!
//! What a file does not have is equal to nothing and in no order: `ne` and `nin` match it, the others do not.

mod parse;

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Number, Value};
use uuid::Uuid;

/// A condition that a file meets or not.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every one holds; holds when there is none.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// The field has one of these values.
    OneOf(Field, Vec<Operand>),
    /// The field's value stands so to another.
    Order(Field, Order, Operand),
}

/// What of a file is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Its id.
    Id,
    /// Its name.
    Name,
    /// What it is.
    MediaType,
    /// Bytes.
    Size,
    /// Pages.
    PageCount,
    /// When it was accepted.
    CreatedAt,
    /// Its tags.
    Tags,
    /// The value at this path of keys in its metadata.
    Metadata(Vec<String>),
}

/// What a field is compared with; its kind is the field's.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Of `id`.
    Id(Uuid),
    /// Of `name`, `mediaType`, `tags` and metadata.
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

/// An order between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
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
    /// [`FilterError`] for the first thing that cannot be understood, and where it stands.
    pub fn parse(value: &Value) -> Result<Self, FilterError> {
        parse::filter(value)
    }
}

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct FilterError {
    /// Where in the filter, such as `and[1].value`; empty for the filter itself.
    pub path: String,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no such field.
    UnknownField,
    /// There is no such operator, or the field has none like it.
    UnknownOperator,
    /// It has another form than a condition.
    Form(&'static str),
    /// The value is not of the field's kind.
    Value(&'static str),
    /// It is larger than a filter may be.
    TooLarge(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField => f.write_str(
                "is not a field; fields are id, name, mediaType, size, pageCount, createdAt, tags and metadata.<key>",
            ),
            Self::UnknownOperator => f.write_str(
                "is not an operator of this field; operators are eq, ne, in, nin and, where values have an order, gt, gte, lt, lte",
            ),
            Self::Form(text) | Self::Value(text) | Self::TooLarge(text) => f.write_str(text),
        }
    }
}
