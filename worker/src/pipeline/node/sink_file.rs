//! Sink: a file that is derived from the item's.

use bytes::Bytes;
use futures::{Stream, stream};
use nvisy_shared::{
    pipeline::node::sink_file::{FileFormat, SinkFile},
    store::file::StoredBlob,
};
use serde::Serialize;

use super::{
    element_json::{ChunkJson, DocumentJson},
    storing::{store, store_text},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        element::{DocumentElement, Elements, FileElement},
    },
    runner::JobError,
};

/// The media types of what is written.
const TEXT: &str = "text/plain";
const JSON: &str = "application/json";
const JSON_LINES: &str = "application/x-ndjson";

impl Behaviour for SinkFile {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let mut effects = Vec::new();
        // A branch that is not taken writes nothing.
        match input {
            elements if elements.is_empty() => {}
            Elements::Bytes(files) => {
                for (place, file) in files.into_iter().enumerate() {
                    let content = stored(&file)?;
                    effects.push(derived(self, &file.name, place, file.media_type, content));
                }
            }
            Elements::Documents(documents) => {
                for (place, element) in documents.iter().enumerate() {
                    let (media_type, text) = document(element, self.format)?;
                    let content = store_text(call, text).await?;
                    effects.push(derived(self, &call.file.content.name, place, media_type.to_owned(), content));
                }
            }
            Elements::Chunks(chunks) => {
                let chunks = chunks.iter().map(|chunk| json(&ChunkJson::from(chunk)));
                effects.push(rows(self, call, chunks).await?);
            }
            Elements::Records(records) => {
                let records = records.iter().map(|record| json(&record.row));
                effects.push(rows(self, call, records).await?);
            }
            Elements::Vectors(_) => return Err(wrong_input("sink.file")),
        }
        Ok(Output::effects(effects))
    }
}

/// The content of a file as it is: the same blob.
fn stored(file: &FileElement) -> Result<StoredBlob, JobError> {
    let mut sha256 = [0; 32];
    hex::decode_to_slice(&file.sha256, &mut sha256).map_err(JobError::retry("the hash of a file is not valid"))?;
    Ok(StoredBlob { id: file.blob, sha256, bytes: file.bytes })
}

fn derived(settings: &SinkFile, name: &str, place: usize, media_type: String, content: StoredBlob) -> Effect {
    Effect::DerivedFile { name: derived_name(name, &settings.suffix, place), media_type, content }
}

/// The name of the file that is derived from `name`; several of one node get a number.
fn derived_name(name: &str, suffix: &str, place: usize) -> String {
    match place {
        0 => format!("{name}{suffix}"),
        place => format!("{name} ({}){suffix}", place + 1),
    }
}

/// Stores rows, one after the other: a line for each, or an array.
async fn rows(
    settings: &SinkFile,
    call: &Call<'_>,
    rows: impl Iterator<Item = Result<String, JobError>> + Send,
) -> Result<Effect, JobError> {
    let limit = call.cx.config.http.upload_bytes;
    let (media_type, content) = match settings.format {
        FileFormat::Auto => (JSON_LINES, store(call, lines(rows), limit).await?),
        FileFormat::Json => (JSON, store(call, array(rows), limit).await?),
    };
    Ok(derived(settings, &call.file.content.name, 0, media_type.to_owned(), content))
}

fn lines(rows: impl Iterator<Item = Result<String, JobError>> + Send) -> impl Stream<Item = Result<Bytes, JobError>> {
    stream::iter(rows.map(|row| Ok(Bytes::from(row? + "\n"))))
}

fn array(rows: impl Iterator<Item = Result<String, JobError>> + Send) -> impl Stream<Item = Result<Bytes, JobError>> {
    let rows = rows.enumerate().map(|(place, row)| {
        let separator = if place == 0 { "[" } else { ",\n" };
        Ok(Bytes::from(format!("{separator}{}", row?)))
    });
    stream::iter(rows.chain([Ok(Bytes::from_static(b"]\n"))]))
}

fn json(value: &impl Serialize) -> Result<String, JobError> {
    serde_json::to_string(value).map_err(JobError::retry("a value cannot be written as JSON"))
}

/// A document as text or as JSON with its structure, and its media type.
fn document(element: &DocumentElement, format: FileFormat) -> Result<(&'static str, String), JobError> {
    match format {
        FileFormat::Auto => Ok((TEXT, element.document.text.clone())),
        FileFormat::Json => Ok((JSON, json(&DocumentJson::from(element))?)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::TryStreamExt;
    use nvisy_extract::{Document, Element, ElementKind};

    use super::*;

    async fn written(content: impl Stream<Item = Result<Bytes, JobError>>) -> String {
        let parts: Vec<Bytes> = content.try_collect().await.unwrap();
        String::from_utf8(parts.concat()).unwrap()
    }

    #[tokio::test]
    async fn rows_are_lines_or_an_array() {
        let rows = || ["{\"a\":1}", "2"].into_iter().map(|row| Ok(row.to_owned()));
        assert_eq!(written(lines(rows())).await, "{\"a\":1}\n2\n");
        assert_eq!(written(array(rows())).await, "[{\"a\":1},\n2]\n");
    }

    #[test]
    fn document_is_text_or_json_with_structure() {
        let document = Document {
            text: "One".to_owned(),
            elements: vec![Element::new(ElementKind::Heading { level: 2 }, 0..3, Some(1))],
            page_count: Some(1),
            ..Document::default()
        };
        let element = DocumentElement { document: Arc::new(document), origin: Arc::default(), edits: Arc::default() };
        assert_eq!(super::document(&element, FileFormat::Auto).unwrap(), (TEXT, "One".to_owned()));
        let (media_type, json) = super::document(&element, FileFormat::Json).unwrap();
        let expected = serde_json::json!({
            "pageCount": 1, "text": "One",
            "elements": [{ "kind": "heading", "level": 2, "start": 0, "end": 3, "page": 1 }],
        });
        assert_eq!((media_type, serde_json::from_str::<serde_json::Value>(&json).unwrap()), (JSON, expected));
    }

    #[test]
    fn several_derived_files_have_different_names() {
        assert_eq!(derived_name("a.pdf", ".txt", 0), "a.pdf.txt");
        assert_eq!(derived_name("a.pdf", ".txt", 1), "a.pdf (2).txt");
    }

    #[test]
    fn file_as_it_is_shares_its_blob() {
        let file = |sha256: &str| FileElement {
            blob: nvisy_shared::id::BlobId::new(),
            bytes: 3,
            sha256: sha256.to_owned(),
            name: "a".to_owned(),
            media_type: TEXT.to_owned(),
            origin: Arc::default(),
            staged: None,
        };
        let known = file(&"0a".repeat(32));
        let blob = stored(&known).unwrap();
        assert_eq!((blob.id, blob.sha256, blob.bytes), (known.blob, [10; 32], 3));
        assert!(matches!(stored(&file("xyz")), Err(JobError::Retry { .. })));
    }
}
