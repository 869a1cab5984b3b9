//! File bytes on disk to a [`Document`], or a typed failure. The crate knows files and texts, and nothing of tenants, rows or queues.
//!
//! Files come from strangers and their parsers are large, so nothing is parsed in the worker itself: [`run`] starts the
//! worker's own binary as `nvisy-worker extract`, a child with hard limits on memory, CPU and time that reads one
//! request and writes one reply. A file that hangs, explodes or crashes its parser costs one child and one typed
//! failure.
//!
//! - [`sniff`](fn@sniff) says what a file is: content first, then its name, then its declared type;
//! - `formats` turns each kind of file into a document;
//! - [`child`] is the hidden subcommand, [`run`](fn@run) its other end.
//!
//! A new format is a [`MediaType`], a line in `formats::read` and a file beside the others.

pub mod child;
mod document;
mod error;
mod formats;
mod limits;
mod request;
mod run;
mod sniff;

pub use document::{Document, Element, ElementKind};
pub use error::{ExtractError, FileError, FileErrorKind};
pub use limits::Limits;
pub use request::Source;
pub use run::run;
pub use sniff::{MediaType, SNIFF_BYTES, sniff};
