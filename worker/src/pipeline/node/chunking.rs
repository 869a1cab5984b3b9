//! What all chunkers share: each document is cut on a thread for computation, and pieces become chunks.

use std::sync::Arc;

use nvisy_extract::Document;
use nvisy_shared::domain::failure::{Failure, FailureCode};

use crate::{
    chunk::{ChunkModel, Piece},
    pipeline::{
        contract::{Call, Output, wrong_input},
        element::{ChunkElement, DocumentElement, Elements},
    },
    runner::JobError,
};

/// The model that chunks must fit.
pub(super) fn model(call: &Call<'_>, contextual: bool) -> ChunkModel {
    let model = call.model();
    let embedder = model.embedder();
    ChunkModel { tokenizer: embedder.tokenizer(), max_tokens: embedder.max_tokens(), contextual }
}

/// The documents of the input of `node`.
pub(super) fn documents(node: &'static str, input: Elements) -> Result<Vec<DocumentElement>, JobError> {
    match input {
        Elements::Documents(documents) => Ok(documents),
        _ => Err(wrong_input(node)),
    }
}

/// Cuts documents with `cut`.
///
/// # Errors
/// [`FailureCode::Empty`] if there are documents without any text.
pub(super) async fn cut_all(
    documents: Vec<DocumentElement>,
    cut: impl Fn(&Document) -> Vec<Piece> + Send + Sync + 'static,
) -> Result<Output, JobError> {
    let cut = Arc::new(cut);
    let mut chunks = Chunks::default();
    for element in documents {
        let cut = Arc::clone(&cut);
        let document = Arc::clone(&element.document);
        let pieces = compute(move || cut(&document)).await?;
        chunks.add(&element, pieces);
    }
    chunks.output()
}

/// Runs a computation that takes up to seconds, which must not block the async threads.
pub(super) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JobError> {
    tokio::task::spawn_blocking(work).await.map_err(JobError::retry("a computation was interrupted"))
}

/// The chunks of all documents so far.
#[derive(Default)]
pub(super) struct Chunks {
    chunks: Vec<ChunkElement>,
    documents: usize,
}

impl Chunks {
    /// Adds the pieces of a document. Ordinals count through all documents.
    pub(super) fn add(&mut self, element: &DocumentElement, pieces: Vec<Piece>) {
        self.documents += 1;
        let first = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.chunks.extend(pieces.into_iter().zip(first..).map(|(piece, ordinal)| ChunkElement {
            ordinal,
            text: element.document.text[piece.bytes.clone()].to_owned(),
            bytes: element.edits.source(piece.bytes.start as u64..piece.bytes.end as u64),
            page: piece.page,
            place: piece.place,
            headings: piece.headings,
            tokens: piece.tokens,
            prefix: piece.prefix,
            language: None,
            origin: Arc::clone(&element.origin),
        }));
    }

    /// The chunks as the output of the node.
    ///
    /// # Errors
    /// As [`cut_all`].
    pub(super) fn output(self) -> Result<Output, JobError> {
        if self.chunks.is_empty() && self.documents > 0 {
            return Err(JobError::Fail(Failure::new(FailureCode::Empty, "there is no text in it")));
        }
        Ok(Output::one(Elements::Chunks(self.chunks)))
    }
}

#[cfg(test)]
mod tests {
    use nvisy_embed::Tokenizer;

    use super::*;
    use crate::chunk::{PageLimits, by_pages};

    fn element(text: &str) -> DocumentElement {
        let document = Document { text: text.to_owned(), ..Document::default() };
        DocumentElement { document: Arc::new(document), origin: Arc::default(), edits: Arc::default() }
    }

    async fn cut(texts: &[&str]) -> Result<Vec<ChunkElement>, JobError> {
        let model = ChunkModel { tokenizer: Tokenizer::estimate(), max_tokens: 4, contextual: false };
        let limits = PageLimits { pages: 1, overlap_pages: 0 };
        let documents = texts.iter().map(|text| element(text)).collect();
        let output = cut_all(documents, move |document| by_pages(document, &model, limits)).await?;
        match output.ports.into_iter().next() {
            Some(Elements::Chunks(chunks)) => Ok(chunks),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn ordinals_count_through_all_documents() {
        let chunks = cut(&["one two three four five", " ", "six"]).await.unwrap();
        assert!(chunks.len() > 2);
        assert_eq!(
            chunks.iter().map(|chunk| chunk.ordinal).collect::<Vec<_>>(),
            Vec::from_iter(0..chunks.len() as u32)
        );
        assert_eq!(chunks.last().map(|chunk| (chunk.text.as_str(), chunk.bytes.clone())), Some(("six", 0..3)));
    }

    #[tokio::test]
    async fn documents_without_text_fail_and_no_document_gives_no_chunk() {
        assert_eq!(cut(&[]).await.unwrap(), []);
        assert!(matches!(cut(&["", " \n"]).await, Err(JobError::Fail(Failure { code: FailureCode::Empty, .. }))));
    }
}
