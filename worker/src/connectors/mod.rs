//! Connections to other systems: one contract for reading ([`source`]), two for writing (rows: [`target`], objects: [`object_target`]), and one path for limits, circuits and waits
//! of all providers ([`gate`]).
//!
//! A provider is a file here and a line in [`table`]; its settings are declared in `nvisy_shared::domain::connection`.

mod check_streams;
mod check_writing;
pub mod connection;
pub mod failure;
pub mod gate;
mod imap;
mod milvus;
mod oauth;
pub mod object_target;
pub(crate) mod objects;
mod pinecone;
mod qdrant;
mod rest;
pub mod source;
pub(crate) mod sql;
pub mod table;
pub mod target;
mod usage;
mod weaviate;
mod web;

pub use self::{
    connection::OpenConnection,
    failure::{CallFailure, Redact},
    object_target::{DynObjectTarget, ObjectContent, ObjectPlace, ObjectTarget},
    source::{
        CheckResult, DynListing, DynSource, FetchedObject, ListRequest, ListedObject, Listing, Memory, ObjectFailure,
        Page, Source, Stream,
    },
    target::{DynTarget, Place, Row, Target},
};
