//! Stores of objects and files: S3, Google Cloud Storage, Azure Blob and WebDAV through `opendal`, SFTP through `russh`, and folders
//! of the worker's machine.
//!
//! SFTP is not opendal's, because that starts the program `ssh`, which resolves and dials by itself. Folders are not, because
//! opendal follows links and loses names that are not UTF-8.

mod flat;
pub(super) mod local_folder;
pub(super) mod names;
pub(super) mod object;
pub(super) mod read;
pub(super) mod sftp;
mod sftp_session;
pub(super) mod store;
mod transport;
mod walk;
