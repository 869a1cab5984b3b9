//! The values on the edges of a graph: lists of elements of one flow.
//!
//! A node maps a list to a list for each of its outputs. A branch that is not taken gives an empty list, and lists that meet
//! in an input are joined, so every shape of graph has one meaning.

use std::{borrow::Cow, collections::BTreeMap, fs::File, ops::Range, sync::Arc};

use nvisy_extract::Document;
use nvisy_shared::{
    id::{BlobId, SpaceId},
    pipeline::port::Flow,
    store,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::edits::Edits;

/// The elements of one flow.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "named as the flows")]
pub enum Elements {
    Bytes(Vec<FileElement>),
    Documents(Vec<DocumentElement>),
    Chunks(Vec<ChunkElement>),
    Vectors(Vec<VectorElement>),
    Records(Vec<RecordElement>),
}

/// Properties that nodes have found out about the origin of an element; they travel with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Origin {
    /// Metadata that `map` has set, over that of the file.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Json>,
    /// The document that the element is or comes from: the variable `document` of expressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentInfo>,
}

/// Properties of a document, as expressions see them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DocumentInfo {
    /// The number of characters.
    pub characters: u64,
    /// The number of pages, where there are pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_count: Option<u32>,
    /// The title that the file declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the file says about itself: the headers of a mail, the author, the language of source code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// The gaps of the text, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Whether the rest of the file was not read.
    pub partial: bool,
    /// The ISO 639 code of the language, behind `language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The confidence of the language, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// The content of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileElement {
    /// The stored content.
    pub blob: BlobId,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// The name.
    pub name: String,
    /// The media type, as declared or as read.
    pub media_type: String,
    /// See [`Origin`].
    #[serde(default)]
    pub origin: Arc<Origin>,
    /// The content on the local disk, if it was staged ([`super::contract::Call::stage`]).
    #[serde(skip)]
    pub staged: Option<StagedFile>,
}

/// Bytes on the local disk. They have no name in any directory, so that the kernel frees their space with the last clone,
/// however the process ends.
pub type StagedFile = Arc<File>;

/// A document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DocumentElement {
    /// Text and structure.
    pub document: Arc<Document>,
    /// See [`Origin`].
    #[serde(default)]
    pub origin: Arc<Origin>,
    /// Where the text differs from the stored one.
    #[serde(default, skip_serializing_if = "has_no_edits")]
    pub edits: Arc<Edits>,
}

fn has_no_edits(edits: &Edits) -> bool {
    edits.is_empty()
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkElement {
    /// Its place among the chunks of the document, from 0.
    pub ordinal: u32,
    /// The text; equal to `bytes` of the document's stored text, unless a node has changed it.
    pub text: String,
    /// The byte range in the document's stored text.
    pub bytes: Range<u64>,
    /// The page on which it begins, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The place in the file, in the file's own terms, of the element in which it begins: the cells of a sheet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The headings above it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// The number of tokens of the text, without the prefix.
    pub tokens: u32,
    /// The contextual prefix: embedded before the text, and no part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The ISO 639 code of the language, behind `language`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// See [`Origin`].
    #[serde(default)]
    pub origin: Arc<Origin>,
}

impl ChunkElement {
    /// The text that is embedded: the contextual prefix, a blank line, and the text.
    #[must_use]
    pub fn input(&self) -> Cow<'_, str> {
        store::chunk::input(self.prefix.as_deref(), &self.text)
    }
}

/// A chunk with its vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VectorElement {
    /// The chunk.
    pub chunk: ChunkElement,
    /// A vector for each space of the collections behind the node.
    pub vectors: BTreeMap<SpaceId, Arc<[f32]>>,
}

/// A JSON row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordElement {
    /// The row.
    pub row: Json,
    /// See [`Origin`].
    #[serde(default)]
    pub origin: Arc<Origin>,
}

impl Elements {
    /// An empty list.
    #[must_use]
    pub const fn empty(flow: Flow) -> Self {
        match flow {
            Flow::Bytes => Self::Bytes(Vec::new()),
            Flow::Document => Self::Documents(Vec::new()),
            Flow::Chunks => Self::Chunks(Vec::new()),
            Flow::Vectors => Self::Vectors(Vec::new()),
            Flow::Records => Self::Records(Vec::new()),
        }
    }

    /// The flow.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        match self {
            Self::Bytes(_) => Flow::Bytes,
            Self::Documents(_) => Flow::Document,
            Self::Chunks(_) => Flow::Chunks,
            Self::Vectors(_) => Flow::Vectors,
            Self::Records(_) => Flow::Records,
        }
    }

    /// The tokens of chunks; `None`: other elements have none.
    #[must_use]
    pub fn tokens(&self) -> Option<u64> {
        match self {
            Self::Chunks(chunks) => Some(chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum()),
            Self::Vectors(vectors) => Some(vectors.iter().map(|vector| u64::from(vector.chunk.tokens)).sum()),
            Self::Bytes(_) | Self::Documents(_) | Self::Records(_) => None,
        }
    }

    /// The number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Bytes(elements) => elements.len(),
            Self::Documents(elements) => elements.len(),
            Self::Chunks(elements) => elements.len(),
            Self::Vectors(elements) => elements.len(),
            Self::Records(elements) => elements.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first element alone.
    #[must_use]
    pub fn first(&self) -> Self {
        fn of<T: Clone>(elements: &[T]) -> Vec<T> {
            elements.first().cloned().into_iter().collect()
        }
        match self {
            Self::Bytes(elements) => Self::Bytes(of(elements)),
            Self::Documents(elements) => Self::Documents(of(elements)),
            Self::Chunks(elements) => Self::Chunks(of(elements)),
            Self::Vectors(elements) => Self::Vectors(of(elements)),
            Self::Records(elements) => Self::Records(of(elements)),
        }
    }

    /// Appends elements of the same flow; others are ignored, which compiled plans never give.
    pub fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Bytes(all), Self::Bytes(more)) => all.extend(more),
            (Self::Documents(all), Self::Documents(more)) => all.extend(more),
            (Self::Chunks(all), Self::Chunks(more)) => all.extend(more),
            (Self::Vectors(all), Self::Vectors(more)) => all.extend(more),
            (Self::Records(all), Self::Records(more)) => all.extend(more),
            (all, more) => debug_assert_eq!(all.flow(), more.flow(), "a plan joined different flows"),
        }
    }

    /// The elements whose index `keep` selects, in order.
    #[must_use]
    pub fn select(self, mut keep: impl FnMut(usize) -> bool) -> Self {
        fn of<T>(elements: Vec<T>, keep: &mut impl FnMut(usize) -> bool) -> Vec<T> {
            elements.into_iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, element)| element).collect()
        }
        match self {
            Self::Bytes(elements) => Self::Bytes(of(elements, &mut keep)),
            Self::Documents(elements) => Self::Documents(of(elements, &mut keep)),
            Self::Chunks(elements) => Self::Chunks(of(elements, &mut keep)),
            Self::Vectors(elements) => Self::Vectors(of(elements, &mut keep)),
            Self::Records(elements) => Self::Records(of(elements, &mut keep)),
        }
    }

    /// The origin of the element at `index`.
    #[must_use]
    pub fn origin(&self, index: usize) -> Option<&Arc<Origin>> {
        match self {
            Self::Bytes(elements) => elements.get(index).map(|element| &element.origin),
            Self::Documents(elements) => elements.get(index).map(|element| &element.origin),
            Self::Chunks(elements) => elements.get(index).map(|element| &element.origin),
            Self::Vectors(elements) => elements.get(index).map(|element| &element.chunk.origin),
            Self::Records(elements) => elements.get(index).map(|element| &element.origin),
        }
    }

    /// The origin of each element.
    #[must_use]
    pub fn origins(&self) -> Vec<&Arc<Origin>> {
        match self {
            Self::Bytes(elements) => elements.iter().map(|element| &element.origin).collect(),
            Self::Documents(elements) => elements.iter().map(|element| &element.origin).collect(),
            Self::Chunks(elements) => elements.iter().map(|element| &element.origin).collect(),
            Self::Vectors(elements) => elements.iter().map(|element| &element.chunk.origin).collect(),
            Self::Records(elements) => elements.iter().map(|element| &element.origin).collect(),
        }
    }

    /// The origin of each element, to change it.
    pub fn origins_mut(&mut self) -> Vec<&mut Arc<Origin>> {
        match self {
            Self::Bytes(elements) => elements.iter_mut().map(|element| &mut element.origin).collect(),
            Self::Documents(elements) => elements.iter_mut().map(|element| &mut element.origin).collect(),
            Self::Chunks(elements) => elements.iter_mut().map(|element| &mut element.origin).collect(),
            Self::Vectors(elements) => elements.iter_mut().map(|element| &mut element.chunk.origin).collect(),
            Self::Records(elements) => elements.iter_mut().map(|element| &mut element.origin).collect(),
        }
    }

    /// The variable `item` of expressions at element `index`.
    #[must_use]
    pub fn item(&self, index: usize) -> Json {
        let chunk = |chunk: &ChunkElement| {
            let mut item = Map::new();
            item.insert("text".to_owned(), chunk.text.clone().into());
            item.insert("ordinal".to_owned(), chunk.ordinal.into());
            item.insert("headings".to_owned(), chunk.headings.clone().into());
            item.insert("tokens".to_owned(), chunk.tokens.into());
            item.insert("page".to_owned(), chunk.page.into());
            item.insert("place".to_owned(), chunk.place.clone().into());
            item.insert("language".to_owned(), chunk.language.clone().into());
            // As optional fields of `file` and `document`: absent, not null.
            item.retain(|_, value| !value.is_null());
            Json::Object(item)
        };
        match self {
            Self::Chunks(chunks) => chunks.get(index).map(chunk).unwrap_or_default(),
            Self::Vectors(vectors) => vectors.get(index).map(|vector| chunk(&vector.chunk)).unwrap_or_default(),
            Self::Records(records) => records.get(index).map(|record| record.row.clone()).unwrap_or_default(),
            Self::Bytes(_) | Self::Documents(_) => Json::Object(Map::new()),
        }
    }
}
