//! Folders of the worker's machine, below those that the operator allows.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use nvisy_shared::{
    domain::{connection::objects::LocalFolderSettings, failure::FailureCode},
    id::WorkspaceId,
};
use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::{
    object::{Facts, Permissions, Principal, check_reading, path_of, step, stream_path},
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
/// A folder on the way to a file, which need not be listed.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A file, or a pipe that has taken its name, for which nothing waits.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

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
    /// The path without links, and the allowed folder that it is below.
    fn resolve(&self, path: &str) -> Result<(PathBuf, &PathBuf), CallFailure> {
        let resolved = fs::canonicalize(self.root.join(path)).map_err(|error| failed(&error))?;
        let allowed = self.allowed.iter().find(|folder| resolved.starts_with(folder)).ok_or_else(not_allowed)?;
        Ok((resolved, allowed))
    }

    /// Opens each folder of the path below the one before, so that a link that appears meanwhile leads nowhere.
    fn open_folder(&self, path: &str) -> Result<OwnedFd, CallFailure> {
        let (resolved, allowed) = self.resolve(path)?;
        let below = resolved.strip_prefix(allowed).map_err(|_| not_allowed())?;
        let opened = rustix::fs::open(allowed, FOLDER, Mode::empty());
        let mut folder = opened.map_err(|error| failed(&error.into()))?;
        for part in below.components() {
            let opened = openat(&folder, part.as_os_str(), FOLDER, Mode::empty());
            folder = opened.map_err(|error| failed(&error.into()))?;
        }
        Ok(folder)
    }

    fn list(&self, path: &str) -> Result<Vec<FolderEntry>, CallFailure> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.resolve(path)?.0).map_err(|error| failed(&error))? {
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
        let folder = self.open_folder(parent)?;
        let opened = openat(&folder, name, FILE, Mode::empty());
        let file = fs::File::from(opened.map_err(|error| failed(&error.into()))?);
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
    let permissions = Permissions {
        owner: Some(Principal::Id(metadata.uid())),
        group: Some(Principal::Id(metadata.gid())),
        mode: Some(metadata.mode()),
    };
    Facts {
        bytes: Some(metadata.len()),
        modified,
        etag: Some(etag),
        permissions: Some(permissions),
        ..Facts::default()
    }
}

fn failed(error: &io::Error) -> CallFailure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            CallFailure::item(FailureCode::SourceMissing, "there is no such file or folder")
        }
        io::ErrorKind::PermissionDenied => {
            CallFailure::item(FailureCode::SourceRejected, "the worker may not read it: permission denied")
        }
        // A link or a socket has taken the name of a file.
        _ if [Errno::LOOP, Errno::NXIO].map(|errno| Some(errno.raw_os_error())).contains(&error.raw_os_error()) => {
            CallFailure::item(FailureCode::SourceMissing, "there is no file any more")
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

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use rustix::fs::{CWD, mkfifoat};

    use super::*;

    #[test]
    fn files_alone_are_opened_and_through_no_link() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret.txt"), "secret").unwrap();
        fs::create_dir(inside.path().join("sub")).unwrap();
        fs::write(inside.path().join("sub/a.txt"), "text").unwrap();
        symlink(outside.path(), inside.path().join("linked")).unwrap();
        symlink(outside.path().join("secret.txt"), inside.path().join("link.txt")).unwrap();
        symlink("sub/a.txt", inside.path().join("same.txt")).unwrap();
        mkfifoat(CWD, inside.path().join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let _socket = UnixListener::bind(inside.path().join("socket")).unwrap();
        let root = inside.path().canonicalize().unwrap();
        let folder = LocalFolder { allowed: vec![root.clone()], root };

        let (file, facts) = folder.open("sub/a.txt").unwrap();
        assert_eq!((io::read_to_string(file).unwrap().as_str(), facts.bytes), ("text", Some(4)));
        for path in ["link.txt", "same.txt", "pipe", "socket", "sub", "none.txt", "sub/a.txt/b"] {
            let failure = folder.open(path).unwrap_err();
            let is_missing = matches!(&failure, CallFailure::Item(item) if item.code == FailureCode::SourceMissing);
            assert!(is_missing, "{path}: {failure:?}");
        }
        assert!(matches!(folder.open("linked/secret.txt").unwrap_err(), CallFailure::Blocked(_)));
    }
}
