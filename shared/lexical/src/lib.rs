//! Search by words: [`analysis`] turns texts into terms, [`query`] has the syntax of queries, [`postings`] packs the places of
//! terms, [`documents`] reads them where they are needed, [`best`] finds the documents with the highest scores, [`rank`] has the
//! scores (BM25) and computes them of all documents, [`synonyms`] adds words to a query, and [`highlight`] finds the matched
//! words in a text. [`accents`] compares the accents of words, which terms do not have.
//!
//! Indexing, queries and highlights use the same analysis, so that they agree about the words of a text. The crate knows no
//! tenant, table or connection.
//!
//! A **term** is a string that the index has postings of. A word has two of them, its folded form and, if it differs, its
//! stem, so that names and numbers match as they are written and other words in all their forms.
#![warn(missing_docs)]

pub mod accents;
pub mod analysis;
pub mod best;
mod dead_documents;
mod document_number;
pub mod documents;
mod fold;
pub mod highlight;
mod language;
pub mod postings;
pub mod query;
pub mod rank;
pub mod synonyms;
mod token;

pub use accents::Accents;
pub use dead_documents::DeadDocuments;
pub use language::Language;
