//! The providers that documents are read from, and those that results are written to.

use nvisy_shared::domain::connection::{self, Address, CheckStep};

use super::{
    CallFailure, OpenConnection, Source, Target,
    milvus::Milvus,
    objects,
    pinecone::Pinecone,
    qdrant::Qdrant,
    rest::Server,
    sql,
    target::{self, step},
    weaviate::Weaviate,
    web,
};
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
    ("website", web::site::open),
    ("rest", web::rest::open),
    ("git", web::git::open),
    ("postgresql", sql::source),
    ("mysql", sql::source),
];

/// Opens the target of a connection; makes no call.
type OpenTarget = fn(&Context, &OpenConnection) -> Result<Box<dyn Target>, CallFailure>;

/// What opens the targets, by provider.
const TARGETS: &[(&str, OpenTarget)] = &[
    ("postgresql", sql::target),
    ("mysql", sql::target),
    ("qdrant", |cx, connection| Ok(Box::new(Qdrant(Server::new(cx, connection)?)))),
    ("weaviate", |cx, connection| Ok(Box::new(Weaviate(Server::new(cx, connection)?)))),
    ("milvus", |cx, connection| Ok(Box::new(Milvus(Server::new(cx, connection)?)))),
    ("pinecone", |cx, connection| Ok(Box::new(Pinecone(Server::new(cx, connection)?)))),
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

/// The target of a connection.
///
/// # Errors
/// [`CallFailure::Item`] when the provider has none, [`CallFailure::Blocked`] when the settings cannot be used.
pub fn open_target(cx: &Context, connection: &OpenConnection) -> Result<Box<dyn Target>, CallFailure> {
    let open = TARGETS.iter().find(|(provider, _)| *provider == connection.provider);
    let (_, open) =
        open.ok_or_else(|| target::mismatch(format!("the connection `{}` cannot be written to", connection.name)))?;
    open(cx, connection)
}

/// The steps of a check, up to the first that fails.
pub async fn check(cx: &Context, connection: &OpenConnection) -> Vec<CheckStep> {
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
    let resolved = cx.outbound.resolve(host, url.port_or_known_default().unwrap_or_default()).await;
    let address = resolved.map(|_| format!("{host} may be called")).map_err(|failure| failure.to_string());
    let mut steps = vec![step("address", address)];
    if steps[0].ok {
        steps.extend(match open_target(cx, connection) {
            Ok(target) => target.check().await,
            Err(failure) => vec![step("settings", Err(failure.to_string()))],
        });
    }
    steps
}
