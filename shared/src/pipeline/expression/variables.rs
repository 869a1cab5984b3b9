//! The variables of expressions, their fields and examples.

use std::cell::Cell;

use cel::{
    Value as Cel,
    objects::{Key, Map},
};
use serde_json::{Value, json};

/// The type of a value, as far as it is known before evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Double,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// `null`.
    Null,
    /// The result of `timestamp()`.
    Time,
    /// The result of `duration()`.
    Duration,
    /// A list.
    List,
    /// A map of any keys.
    Map,
    /// A map of known fields: a variable.
    Fields(&'static [Field]),
    /// Known only during evaluation.
    Any,
}

impl Kind {
    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int | Self::Double => "a number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::Null => "null",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::List => "a list",
            Self::Map | Self::Fields(_) => "a map",
            Self::Any => "any value",
        }
    }

    /// Whether values of these kinds may be compared.
    pub(super) const fn compares_with(self, other: Self) -> bool {
        use Kind::{Any, Bool, Bytes, Double, Duration, Fields, Int, List, Map, Null, Text, Time};
        matches!(
            (self, other),
            (Any | Null, _)
                | (_, Any | Null)
                | (Int | Double, Int | Double)
                | (Map | Fields(_), Map | Fields(_))
                | (Bool, Bool)
                | (Text, Text)
                | (Bytes, Bytes)
                | (Time, Time)
                | (Duration, Duration)
                | (List, List)
        )
    }
}

/// A field of a variable.
#[derive(Debug, PartialEq)]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// One sentence.
    pub description: &'static str,
}

const fn field(name: &'static str, kind: Kind, description: &'static str) -> Field {
    Field { name, kind, description }
}

/// A variable of expressions.
#[derive(Debug)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// One sentence.
    pub description: &'static str,
    /// The size that a validation assumes (see `cost`).
    pub(super) assumed_size: f64,
}

const FILE: &[Field] = &[
    field("id", Kind::Text, "the id"),
    field("name", Kind::Text, "the name"),
    field(
        "mediaType",
        Kind::Text,
        "the media type: in front of `partition` the declared one, behind it that of the content",
    ),
    field("size", Kind::Int, "the size in bytes"),
    field("pageCount", Kind::Int, "behind `partition`, the number of pages, where there are pages"),
    field("createdAt", Kind::Text, "the time of the upload (RFC 3339), for `timestamp()`"),
    field("tags", Kind::List, "the tags"),
    field("externalId", Kind::Text, "the id in the source, where there is one"),
];

const DOCUMENT: &[Field] = &[
    field("characters", Kind::Int, "the number of characters"),
    field("pageCount", Kind::Int, "the number of pages, where there are pages"),
    field("title", Kind::Text, "the title, where there is one"),
    field(
        "properties",
        Kind::Map,
        "what the file says about itself, such as the headers of a mail, where there is something",
    ),
    field("warnings", Kind::List, "what could not be read, where there is something"),
    field("partial", Kind::Bool, "whether the rest of the file was not read, by `partial` of `partition`"),
    field("language", Kind::Text, "the ISO 639 code of the language, behind `language`"),
    field("confidence", Kind::Double, "the confidence of the language, from 0 to 1"),
];

/// All variables.
pub const VARIABLES: &[Variable] = &[
    Variable { name: "file", kind: Kind::Fields(FILE), description: "the file", assumed_size: 200.0 },
    Variable { name: "metadata", kind: Kind::Map, description: "the metadata of the file", assumed_size: 500.0 },
    Variable {
        name: "item",
        kind: Kind::Any,
        description: "the element: of chunks `text`, `ordinal`, `page`, `place`, `headings`, `tokens`, `language`; of records the row; otherwise an empty map",
        assumed_size: 500.0,
    },
    Variable {
        name: "document",
        kind: Kind::Fields(DOCUMENT),
        description: "the document, behind `partition`",
        assumed_size: 50.0,
    },
];

/// The values of the variables at a node, as JSON maps.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named as the variables")]
pub struct Variables {
    pub file: Value,
    pub metadata: Value,
    pub item: Value,
    pub document: Value,
    /// The steps of the evaluations with these values so far, at most.
    pub steps: Cell<f64>,
}

impl Variables {
    /// The values with which validation evaluates expressions.
    #[must_use]
    pub fn example() -> Self {
        Self {
            file: json!({
                "id": "01980000-0000-7000-8000-000000000001", "name": "report.pdf", "mediaType": "application/pdf",
                "size": 20_480, "pageCount": 12, "createdAt": "2026-01-31T12:00:00Z", "tags": ["report"],
                "externalId": "report-1",
            }),
            metadata: json!({}),
            item: json!({
                "text": "Tidal energy", "ordinal": 0, "page": 1, "place": "Orders!A1:D3", "headings": ["Energy"], "tokens": 3, "language": "en",
            }),
            document: json!({
                "characters": 12_000, "pageCount": 12, "title": "Report", "language": "en", "confidence": 0.9,
            }),
            steps: Cell::default(),
        }
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        Some(match name {
            "file" => &self.file,
            "metadata" => &self.metadata,
            "item" => &self.item,
            "document" => &self.document,
            _ => return None,
        })
    }
}

/// A JSON value as CEL sees it. Whole numbers are `int`, as literals are.
pub(super) fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Cel::Float(number.as_f64().unwrap_or(f64::NAN)), Cel::Int)
        }
        Value::String(text) => Cel::String(text.clone().into()),
        Value::Array(items) => Cel::List(items.iter().map(to_cel).collect::<Vec<_>>().into()),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (Key::String(key.clone().into()), to_cel(value)));
            Cel::Map(Map { map: std::sync::Arc::new(entries.collect()) })
        }
    }
}
