//! The providers that documents are read from.

use super::{CallFailure, OpenConnection, Source, objects};
use crate::context::Context;

/// Opens the source of a connection; makes no call.
type OpenSource = fn(&Context, &OpenConnection) -> Result<Box<dyn Source>, CallFailure>;

/// What opens the sources, by provider.
const SOURCES: &[(&str, OpenSource)] = &[
    ("s3", objects::store::open_s3),
    ("gcs", objects::store::open_gcs),
    ("azure_blob", objects::store::open_azure_blob),
    ("webdav", objects::store::open_webdav),
    ("sftp", objects::sftp::open),
    ("local_folder", objects::local_folder::open),
];

/// The source of a connection.
///
/// # Errors
/// [`CallFailure::Blocked`] when the provider has none, or the settings cannot be used.
pub fn open_source(cx: &Context, connection: &OpenConnection) -> Result<Box<dyn Source>, CallFailure> {
    let open = SOURCES.iter().find(|(provider, _)| *provider == connection.provider);
    let (_, open) = open.ok_or_else(|| {
        CallFailure::Blocked(format!("this worker cannot read from connections of `{}`", connection.provider))
    })?;
    open(cx, connection)
}
