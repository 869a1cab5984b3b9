//! Requests and responses of the file operations.

mod file;
mod requests;
mod upload;
mod version;

pub use self::{
    file::File,
    requests::{ChangeFile, FilePath, ListQuery, VersionQuery},
    upload::{AcceptedFile, AcceptedFiles},
    version::{FileVersion, VersionRow},
};
