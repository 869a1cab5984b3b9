//! Connections to systems that hold documents: one contract for reading ([`source`]), and one path for limits, circuits and waits
//! of all providers ([`gate`]).
//!
//! A provider is a file here and a line in [`table`]; its settings are declared in `nvisy_shared::domain::connection`.

pub mod connection;
pub mod failure;
pub mod gate;
mod objects;
pub mod source;
pub mod table;

pub use self::{
    connection::OpenConnection,
    failure::{CallFailure, Redact},
    source::{CheckResult, FetchedObject, ListRequest, ListedObject, Listing, ObjectFailure, Page, Source, Stream},
};
