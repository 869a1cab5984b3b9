//! Stores of objects and files: S3, Google Cloud Storage, Azure Blob and WebDAV through `opendal`, SFTP through `russh`, and folders
//! of the worker's machine.
//!
//! SFTP is not opendal's, because that starts the program `ssh`, which resolves and dials by itself. Folders are not, because
//! opendal follows links and loses names that are not UTF-8. Writing to WebDAV streams, which opendal does not.

mod flat;
pub(super) mod folder_target;
pub(crate) mod key;
pub(super) mod local_folder;
mod look_up;
pub(super) mod names;
pub(super) mod object;
pub(super) mod read;
pub(super) mod sftp;
mod sftp_session;
mod sftp_target;
mod store;
mod store_target;
pub(super) mod stores;
mod transport;
mod walk;
mod webdav_target;
