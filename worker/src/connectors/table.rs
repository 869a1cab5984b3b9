//! The providers that documents are read from, and those that results are written to.

use nvisy_shared::domain::connection::{self, Address, CheckStep};

use super::{
    CallFailure, DynObjectTarget, DynSource, DynTarget, OpenConnection,
    check_streams::check_streams,
    check_writing::check_writing,
    imap,
    milvus::Milvus,
    objects::{self, stores},
    pinecone::Pinecone,
    qdrant::Qdrant,
    rest::Server,
    sql,
    target::{self, step},
    usage::Usage,
    weaviate::Weaviate,
    web,
};
use crate::context::Context;

/// The steps of a check that read.
const READING: [&str; 2] = ["list", "read"];

/// Opens the source of a connection; makes no call.
type OpenSource = fn(&Context, &OpenConnection) -> Result<Box<DynSource>, CallFailure>;

/// What opens the sources, by provider.
const SOURCES: &[(&str, OpenSource)] = &[
    ("s3", |cx, connection| stores::source(stores::s3(cx, connection))),
    ("gcs", |cx, connection| stores::source(stores::gcs(cx, connection))),
    ("azure_blob", |cx, connection| stores::source(stores::azure_blob(cx, connection))),
    ("webdav", stores::webdav_source),
    ("sftp", objects::sftp::source),
    ("local_folder", objects::local_folder::open),
    ("website", web::site::open),
    ("rest", web::rest::open),
    ("git", web::git::open),
    ("imap", imap::open),
    ("postgresql", sql::source),
    ("mysql", sql::source),
];

/// Opens the target of a connection; makes no call.
type OpenRows = fn(&Context, &OpenConnection) -> Result<Box<DynTarget>, CallFailure>;

/// What opens the targets of rows, by provider.
const TARGETS: &[(&str, OpenRows)] = &[
    ("postgresql", sql::target),
    ("mysql", sql::target),
    ("qdrant", |cx, connection| Ok(Box::new(Qdrant(Server::new(cx, connection)?)))),
    ("weaviate", |cx, connection| Ok(Box::new(Weaviate(Server::new(cx, connection)?)))),
    ("milvus", |cx, connection| Ok(Box::new(Milvus(Server::new(cx, connection)?)))),
    ("pinecone", |cx, connection| Ok(Box::new(Pinecone(Server::new(cx, connection)?)))),
];

/// Opens the target of a connection; makes no call.
type OpenObjects = fn(&Context, &OpenConnection) -> Result<Box<DynObjectTarget>, CallFailure>;

/// What opens the targets of objects, by provider.
const OBJECT_TARGETS: &[(&str, OpenObjects)] = &[
    ("s3", |cx, connection| stores::target(stores::s3(cx, connection))),
    ("gcs", |cx, connection| stores::target(stores::gcs(cx, connection))),
    ("azure_blob", |cx, connection| stores::target(stores::azure_blob(cx, connection))),
    ("webdav", stores::webdav_target),
    ("sftp", objects::sftp::target),
    ("local_folder", objects::folder_target::open),
];

/// A system that a sink writes to.
pub enum OpenTarget {
    /// Rows.
    Rows(Box<DynTarget>),
    /// Objects.
    Objects(Box<DynObjectTarget>),
}

/// The source of a connection.
///
/// # Errors
/// [`CallFailure::Blocked`] when the provider has none, or the settings cannot be used.
pub fn open_source(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    let open = SOURCES.iter().find(|(provider, _)| *provider == connection.provider);
    let (_, open) = open.ok_or_else(|| {
        CallFailure::Blocked(format!("this worker cannot read from connections of `{}`", connection.provider))
    })?;
    open(cx, connection)
}

/// The target of a connection.
///
/// # Errors
/// [`CallFailure::Item`] when the provider has none, [`CallFailure::Blocked`] when the settings cannot be used.
pub fn open_target(cx: &Context, connection: &OpenConnection) -> Result<OpenTarget, CallFailure> {
    let provider = connection.provider.as_str();
    if let Some((_, open)) = OBJECT_TARGETS.iter().find(|(name, _)| *name == provider) {
        return open(cx, connection).map(OpenTarget::Objects);
    }
    open_rows(cx, connection).map(OpenTarget::Rows)
}

fn open_rows(cx: &Context, connection: &OpenConnection) -> Result<Box<DynTarget>, CallFailure> {
    let open = TARGETS.iter().find(|(provider, _)| *provider == connection.provider);
    let (_, open) =
        open.ok_or_else(|| target::mismatch(format!("the connection `{}` cannot be written to", connection.name)))?;
    open(cx, connection)
}

/// The steps of a check, up to the first that fails; then, whether sources can read their streams, and whether sinks can write. An
/// account that pipelines only write with needs not to read, and one that they read parts with needs not to read the whole.
pub async fn check(cx: &Context, connection: &OpenConnection) -> Vec<CheckStep> {
    let mut steps = check_access(cx, connection).await;
    let usage = match Usage::find(cx, connection).await {
        Ok(usage) => usage,
        Err(error) => {
            steps.push(step("write", Err(format!("the pipelines of the connection cannot be read: {error}"))));
            return steps;
        }
    };
    for step in steps.iter_mut().filter(|step| READING.contains(&step.name.as_str())) {
        step.optional = usage.is_only_written() || usage.is_read_in_parts();
    }
    if !steps.iter().any(CheckStep::is_fatal) {
        let is_checked_as_target = TARGETS.iter().any(|(provider, _)| *provider == connection.provider);
        steps.extend(check_streams(cx, connection, &usage, !is_checked_as_target).await);
        steps.extend(check_writing(cx, connection, &usage).await);
    }
    steps
}

async fn check_access(cx: &Context, connection: &OpenConnection) -> Vec<CheckStep> {
    if TARGETS.iter().any(|(provider, _)| *provider == connection.provider) {
        return check_target(cx, connection).await;
    }
    match open_source(cx, connection) {
        Ok(source) => source.check(None).await,
        Err(failure) => vec![step("address", Err(failure.redacted(connection).to_string()))],
    }
}

async fn check_target(cx: &Context, connection: &OpenConnection) -> Vec<CheckStep> {
    let address =
        connection::provider(&connection.provider).and_then(|provider| provider.address(&connection.settings));
    let Some(Address { url, .. }) = address else {
        return vec![step("address", Err("the connection has no address".to_owned()))];
    };
    let host = url.host_str().unwrap_or_default();
    let resolved = cx.outbound.check_resolved(&url).await;
    let address = resolved.map(|()| format!("{host} may be called")).map_err(|failure| failure.to_string());
    let mut steps = vec![step("address", address)];
    if steps[0].ok {
        steps.extend(match open_rows(cx, connection) {
            Ok(target) => target.check().await,
            Err(failure) => vec![step("settings", Err(failure.to_string()))],
        });
    }
    steps
}
