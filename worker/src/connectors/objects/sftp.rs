//! Servers with SFTP.

use std::sync::Arc;

use chrono::DateTime;
use futures::TryStreamExt;
use nvisy_shared::{
    domain::connection::{
        InvalidSetting,
        objects::{SftpCredentials, SftpSettings},
    },
    outbound::GuardedClient,
};
use russh_sftp::client::fs::Metadata;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::io::ReaderStream;

use super::{
    object::{Facts, Permissions, Principal, check_reading, listed, path_of, step, stream_path},
    read,
    sftp_session::{OpenSession, connect, failed},
    sftp_target::SftpTarget,
    walk::{self, Folder, FolderEntry, Kind, Walk},
};
use crate::{
    connectors::{
        CallFailure, CheckResult, DynListing, DynSource, FetchedObject, ListRequest, ListedObject, OpenConnection,
        Source, Stream, object_target::DynObjectTarget,
    },
    context::Context,
};

/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;

/// A server; connected when it is asked something, and again after a failure.
pub(super) struct Server {
    outbound: GuardedClient,
    settings: SftpSettings,
    credentials: SftpCredentials,
    connection: OpenConnection,
    session: Mutex<Option<Arc<OpenSession>>>,
}

/// Opens a server to read it.
pub(crate) fn source(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    Ok(Box::new(SftpSource(open(cx, connection)?)))
}

/// Opens a server to write it.
pub(crate) fn target(cx: &Context, connection: &OpenConnection) -> Result<Box<DynObjectTarget>, CallFailure> {
    Ok(Box::new(SftpTarget(open(cx, connection)?)))
}

fn open(cx: &Context, connection: &OpenConnection) -> Result<Arc<Server>, CallFailure> {
    let credentials: Option<SftpCredentials> = connection.credentials()?;
    Ok(Arc::new(Server {
        outbound: cx.outbound.clone(),
        settings: connection.settings()?,
        credentials: credentials.ok_or_else(|| InvalidSetting::new("credentials", "must be set"))?,
        connection: connection.clone(),
        session: Mutex::default(),
    }))
}

impl Server {
    pub(super) async fn session(&self) -> Result<Arc<OpenSession>, CallFailure> {
        let mut open = self.session.lock().await;
        if let Some(session) = &*open {
            return Ok(Arc::clone(session));
        }
        let session = connect(&self.outbound, &self.settings, &self.credentials).await;
        let session = Arc::new(session.map_err(|failure| failure.redacted(&self.connection))?);
        *open = Some(Arc::clone(&session));
        Ok(session)
    }

    /// The failure; the next call connects again where the connection is at fault.
    pub(super) async fn failed(&self, failure: CallFailure) -> CallFailure {
        if matches!(failure, CallFailure::Unavailable(_)) {
            *self.session.lock().await = None;
        }
        failure.redacted(&self.connection)
    }

    /// A path as the server has it.
    pub(super) fn full(&self, path: &str) -> String {
        let root = self.settings.root.trim_end_matches('/');
        match (root.is_empty(), path.is_empty()) {
            (true, true) if self.settings.root.starts_with('/') => "/".to_owned(),
            (true, true) => ".".to_owned(),
            (true, false) if self.settings.root.starts_with('/') => format!("/{path}"),
            (true, false) => path.to_owned(),
            (false, true) => root.to_owned(),
            (false, false) => format!("{root}/{path}"),
        }
    }
}

fn facts(metadata: &Metadata) -> Facts {
    let modified = metadata.mtime.and_then(|time| DateTime::from_timestamp(i64::from(time), 0));
    let principal = |name: &Option<String>, id: Option<u32>| {
        let name = name.as_deref().map(|name| Principal::Name(name.into()));
        name.or_else(|| id.map(Principal::Id))
    };
    let permissions = Permissions {
        owner: principal(&metadata.user, metadata.uid),
        group: principal(&metadata.group, metadata.gid),
        mode: metadata.permissions,
    };
    Facts { bytes: metadata.size, modified, permissions: Some(permissions), ..Facts::default() }
}

impl Folder for Server {
    async fn entries(&self, path: &str) -> Result<Vec<FolderEntry>, CallFailure> {
        let session = self.session().await?;
        let entries = match session.sftp.read_dir(self.full(path)).await {
            Ok(entries) => entries,
            Err(error) => return Err(self.failed(failed(&error)).await),
        };
        let entries = entries.map(|entry| {
            let (metadata, kind) = (entry.metadata(), entry.file_type());
            let kind = match () {
                () if kind.is_dir() => Kind::Folder,
                () if kind.is_file() => Kind::File,
                () => Kind::Other,
            };
            FolderEntry { name: entry.file_name(), kind, facts: facts(&metadata) }
        });
        Ok(entries.filter(|entry| !matches!(entry.name.as_str(), "." | "..")).collect())
    }
}

/// Reads a server.
struct SftpSource(Arc<Server>);

impl Source for SftpSource {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let server = &self.0;
        let address = server.outbound.resolve(&server.settings.host, server.settings.port).await;
        let address = address.map(|_| format!("{} may be called", server.settings.host));
        let mut steps = vec![step("address", address.map_err(CallFailure::from))];
        if !steps[0].ok {
            return steps;
        }
        let login =
            server.session().await.map(|_| "the server has the host key, and accepts the credentials".to_owned());
        steps.push(step("login", login));
        if steps[1].ok {
            check_reading(self, stream, &mut steps).await;
        }
        steps
    }

    async fn discover(&self) -> Result<Vec<Stream>, CallFailure> {
        walk::folders(&*self.0).await
    }

    async fn list(&self, request: ListRequest) -> Result<Box<DynListing>, CallFailure> {
        let path = stream_path(&request.stream)?;
        Ok(Box::new(Walk::new(Arc::clone(&self.0), path, request.checkpoint)))
    }

    async fn fetch(&self, object: &ListedObject) -> Result<FetchedObject, CallFailure> {
        let server = Arc::clone(&self.0);
        let path = path_of(object)?.to_owned();
        let full = server.full(&path);
        let session = server.session().await?;
        let file = match session.sftp.open(full.clone()).await {
            Ok(file) => file,
            Err(error) => return Err(server.failed(failed(&error)).await),
        };
        let content = ReaderStream::with_capacity(file, READ_BYTES).or_else({
            let server = Arc::clone(&server);
            move |error| {
                let server = Arc::clone(&server);
                async move { Err(server.failed(CallFailure::Unavailable(error.to_string())).await) }
            }
        });
        let revision = object.revision.clone();
        // The protocol has no condition: the attributes are read again behind the last byte.
        let last = async move {
            let now = session.sftp.symlink_metadata(full).await;
            let now = match now {
                Ok(metadata) => listed(None, &path, facts(&metadata)),
                Err(error) => return Err(server.failed(failed(&error)).await),
            };
            if now.revision == revision { Ok(()) } else { Err(read::changed()) }
        };
        Ok(FetchedObject { content: read::checked(content, object.bytes, last), media_type: None })
    }
}
