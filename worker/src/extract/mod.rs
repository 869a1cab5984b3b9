//! File bytes on disk to a [`Document`](nvisy_shared::domain::document::Document), or a typed failure.
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
mod formats;
mod limits;
mod request;
mod run;
mod sniff;

pub use limits::Limits;
pub use request::Source;
pub use run::{ExtractError, run};
pub use sniff::{MediaType, SNIFF_BYTES, sniff};
