//! Folders of the worker's machine, below those that the operator allows.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use nvisy_shared::{
    domain::{connection::objects::LocalFolderSettings, failure::FailureCode},
    id::WorkspaceId,
};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::{
    object::{Facts, check_reading, path_of, step, stream_path},
    read,
    walk::{self, Folder, FolderEntry, Kind, Walk},
};
use crate::{
    connectors::{
        CallFailure, CheckResult, DynListing, DynSource, FetchedObject, ListRequest, ListedObject, OpenConnection,
        Source, Stream,
    },
    context::Context,
};

/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;
/// The flag of `open` that follows no link at the end of a path.
const NO_FOLLOW: i32 = 0o400_000;

/// A folder.
#[derive(Clone)]
struct LocalFolder {
    root: PathBuf,
    /// The operator's folders, as they are without links.
    allowed: Vec<PathBuf>,
}

/// Opens a folder.
pub(crate) fn open(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    let settings: LocalFolderSettings = connection.settings()?;
    let root = PathBuf::from(&settings.path);
    let workspace: WorkspaceId = connection.workspace;
    let folders = &cx.config.outbound.local_folders;
    if !folders.contains(workspace, &root) {
        return Err(not_allowed());
    }
    let allowed = folders.of(workspace).filter_map(|folder| fs::canonicalize(folder).ok()).collect();
    Ok(Box::new(FolderSource(Arc::new(LocalFolder { root, allowed }))))
}

fn not_allowed() -> CallFailure {
    CallFailure::Blocked("the operator does not allow reading this folder".to_owned())
}

impl LocalFolder {
    /// The path without links, which is below an allowed folder.
    fn resolve(&self, path: &str) -> Result<PathBuf, CallFailure> {
        let resolved = fs::canonicalize(self.root.join(path)).map_err(|error| failed(&error))?;
        let is_inside = self.allowed.iter().any(|folder| resolved.starts_with(folder));
        if is_inside { Ok(resolved) } else { Err(not_allowed()) }
    }

    fn list(&self, path: &str) -> Result<Vec<FolderEntry>, CallFailure> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.resolve(path)?).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            // Of a link itself, which is left out.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&error)),
            };
            let kind = match metadata.file_type() {
                kind if kind.is_dir() => Kind::Folder,
                kind if kind.is_file() => Kind::File,
                _ => Kind::Other,
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(FolderEntry { name, kind, facts: facts(&metadata) });
        }
        Ok(entries)
    }

    fn open(&self, path: &str) -> Result<(fs::File, Facts), CallFailure> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.resolve(parent)?;
        let file = fs::OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(parent.join(name));
        let file = file.map_err(|error| failed(&error))?;
        let metadata = file.metadata().map_err(|error| failed(&error))?;
        if !metadata.is_file() {
            return Err(CallFailure::item(FailureCode::SourceMissing, "there is no file any more"));
        }
        Ok((file, facts(&metadata)))
    }
}

fn facts(metadata: &fs::Metadata) -> Facts {
    let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    let modified: Option<DateTime<Utc>> = DateTime::from_timestamp(metadata.mtime(), nanos);
    // A change of content within the clock's resolution has another size or time of the inode.
    let etag =
        format!("{}.{nanos} {}.{} {}", metadata.mtime(), metadata.ctime(), metadata.ctime_nsec(), metadata.len());
    let mode = format!("{:04o}", metadata.mode() & 0o7777);
    let acl = json!({ "owner": metadata.uid().to_string(), "group": metadata.gid().to_string(), "mode": mode });
    Facts { bytes: Some(metadata.len()), modified, etag: Some(etag), version: None, media_type: None, acl: Some(acl) }
}

fn failed(error: &io::Error) -> CallFailure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            CallFailure::item(FailureCode::SourceMissing, "there is no such file or folder")
        }
        io::ErrorKind::PermissionDenied => {
            CallFailure::item(FailureCode::SourceRejected, "the worker may not read it: permission denied")
        }
        _ => CallFailure::Unavailable(error.to_string()),
    }
}

/// Runs calls of the file system on a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CallFailure> + Send + 'static,
) -> Result<T, CallFailure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(CallFailure::Unavailable("the folder cannot be read".to_owned())))
}

impl Folder for LocalFolder {
    async fn entries(&self, path: &str) -> Result<Vec<FolderEntry>, CallFailure> {
        let (folder, path) = (self.clone(), path.to_owned());
        blocking(move || folder.list(&path)).await
    }
}

/// Reads a folder.
struct FolderSource(Arc<LocalFolder>);

impl Source for FolderSource {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let folder = self.0.resolve("").map(|_| "the folder may be read".to_owned());
        let mut steps = vec![step("folder", folder)];
        if steps[0].ok {
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
        let path = path_of(object)?.to_owned();
        let folder = Arc::clone(&self.0);
        let (file, facts) = blocking(move || folder.open(&path)).await?;
        if facts.etag.as_deref() != Some(&object.revision) {
            return Err(read::changed());
        }
        let file = Arc::new(file);
        let again = Arc::clone(&file);
        let reader = tokio::fs::File::from_std(file.try_clone().map_err(|error| failed(&error))?);
        let content = ReaderStream::with_capacity(reader, READ_BYTES).map_err(|error| failed(&error));
        let last = async move {
            // Of the open file, which may have no name any more.
            let now = again.metadata().map_err(|error| failed(&error))?;
            let is_same = now.len() == facts.bytes.unwrap_or_default() && self::facts(&now).modified == facts.modified;
            if is_same { Ok(()) } else { Err(read::changed()) }
        };
        Ok(FetchedObject { content: read::checked(content, object.bytes, last), media_type: None })
    }
}
