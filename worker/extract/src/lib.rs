//! Turns the bytes of a file into a [`Document`], or a typed error. The crate knows files and texts, and nothing of tenants, rows or
//! queues.
//!
//! Files are untrusted and their parsers are large, so the worker parses nothing itself: [`run`] starts the worker's own binary as
//! `nvisy-worker extract`, a child with hard limits on memory, CPU and time that reads one request and writes one reply. A file that
//! hangs, exhausts or crashes its parser costs one child and one typed error.
//!
//! - [`sniff`](fn@sniff) determines the media type: content first, then name, then declared type;
//! - `formats` reads each media type;
//! - [`child`] is the hidden subcommand, [`run`](fn@run) its parent;
//! - [`Members::open`] is another parent of it, which takes the members of an archive one after the other.
//!
//! A new format is a [`MediaType`], a line in `formats::read` and a file beside the others.

pub mod child;
mod codepage;
mod document;
mod encoding;
mod error;
mod formats;
mod limits;
mod members;
mod ocr;
mod request;
mod run;
mod sandbox;
mod sniff;
mod unpack;

pub use document::{Document, Element, ElementKind, Records, TextBox};
pub use error::{ExtractError, FileError, FileErrorKind};
pub use limits::ExtractLimits;
pub use members::{Member, Members};
pub use ocr::{OCR_FILES, OcrMode, OcrSettings, Script};
pub use request::FileInfo;
pub use run::{confinement, run};
pub use sandbox::Confinement;
pub use sniff::{MediaType, SNIFF_BYTES, sniff};

/// Reads a file in this process, without the limits of memory and of reading time, which only a child has: for measurements.
///
/// # Errors
/// If the file cannot become a document, or the models of the recognition of text are missing.
pub fn read_here(
    file: std::fs::File,
    info: &FileInfo,
    limits: &ExtractLimits,
    settings: &OcrSettings,
) -> Result<Document, FileError> {
    let mut ocr = ocr::Ocr::open(settings)
        .map_err(|_| FileError::new(FileErrorKind::UnsupportedMedia, "The models are not in their folder."))?;
    ocr.within(limits);
    formats::read(file, info, limits, &mut ocr)
}

pub use unpack::{ArchiveKind, Compression, UnpackLimits, archive_kind};
