//! Writing to folders of the worker's machine, below those that the operator allows for it. Each folder of a path is opened below the one
//! before, so that a link leads nowhere, also one that appears meanwhile.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use nvisy_shared::domain::{connection::objects::LocalFolderSettings, failure::FailureCode};
use rustix::{
    fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};

use super::local_folder::blocking;
use crate::{
    connectors::{
        CallFailure, OpenConnection,
        object_target::{DynObjectTarget, ObjectContent, ObjectTarget},
    },
    context::Context,
};

/// What follows behind the name of an object that is being written.
const PART_SUFFIX: &str = ".part";
/// Folders and files are open to the account of the worker and its group; the umask of the process takes away more.
const FOLDER_MODE: Mode = Mode::RWXU.union(Mode::RWXG);
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::WGRP);

/// Writes a folder.
#[derive(Clone)]
struct FolderTarget {
    root: PathBuf,
    /// The operator's folders, as they are without links.
    allowed: Arc<[PathBuf]>,
}

/// Opens a folder.
pub(crate) fn open(cx: &Context, connection: &OpenConnection) -> Result<Box<DynObjectTarget>, CallFailure> {
    let settings: LocalFolderSettings = connection.settings()?;
    let root = PathBuf::from(&settings.path);
    let (readable, writable) = (&cx.config.outbound.local_folders, &cx.config.outbound.writable_folders);
    if ![readable, writable].iter().all(|folders| folders.contains(connection.workspace, &root)) {
        return Err(not_allowed());
    }
    let allowed = writable.of(connection.workspace).filter_map(|folder| fs::canonicalize(folder).ok()).collect();
    Ok(Box::new(FolderTarget { root, allowed }))
}

fn not_allowed() -> CallFailure {
    CallFailure::Blocked("the operator does not allow writing this folder".to_owned())
}

fn failed(error: &io::Error) -> CallFailure {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            CallFailure::Blocked("the worker may not write the folder".to_owned())
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            CallFailure::Unavailable("the disk of the folder is full".to_owned())
        }
        _ if [Errno::NOTDIR, Errno::ISDIR, Errno::LOOP]
            .map(|errno| Some(errno.raw_os_error()))
            .contains(&error.raw_os_error()) =>
        {
            CallFailure::item(FailureCode::TargetMismatch, "a link or a file stands where the object's folder would be")
        }
        _ => CallFailure::Unavailable(error.to_string()),
    }
}

impl FolderTarget {
    /// The folder of the connection.
    fn open_root(&self) -> Result<OwnedFd, CallFailure> {
        let root = fs::canonicalize(&self.root).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CallFailure::Blocked("the folder does not exist".to_owned()),
            _ => failed(&error),
        })?;
        if !self.allowed.iter().any(|folder| root.starts_with(folder)) {
            return Err(not_allowed());
        }
        let opened = rustix::fs::open(&root, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        opened.map_err(|error| failed(&error.into()))
    }

    fn put(&self, key: &str, content: &ObjectContent) -> Result<(), CallFailure> {
        let mut folder = self.open_root()?;
        let (parents, name) = split(key);
        for part in parents {
            folder = open_or_make(&folder, part).map_err(|error| failed(&error.into()))?;
        }
        write(&folder, name, content).map_err(|error| failed(&error))
    }

    fn get(&self, key: &str) -> Result<Bytes, CallFailure> {
        let mut folder = self.open_root()?;
        let (parents, name) = split(key);
        for part in parents {
            folder = open_folder(&folder, part).map_err(|error| failed(&error.into()))?;
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, name, flags, Mode::empty()).map_err(|error| failed(&error.into()))?;
        let mut content = Vec::new();
        File::from(file).read_to_end(&mut content).map_err(|error| failed(&error))?;
        Ok(content.into())
    }

    fn delete(&self, key: &str) -> Result<(), CallFailure> {
        let mut folder = match self.open_root() {
            Ok(folder) => folder,
            // Nothing is left of a folder that is gone.
            Err(CallFailure::Blocked(_)) if !self.root.exists() => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let (parents, name) = split(key);
        for part in parents {
            folder = match open_folder(&folder, part) {
                Ok(folder) => folder,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
                Err(error) => return Err(failed(&error.into())),
            };
        }
        for name in [format!("{name}{PART_SUFFIX}").as_str(), name] {
            match unlinkat(&folder, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(failed(&error.into())),
            }
        }
        Ok(())
    }
}

fn split(key: &str) -> (impl Iterator<Item = &str>, &str) {
    let (parents, name) = key.rsplit_once('/').unwrap_or(("", key));
    (parents.split('/').filter(|part| !part.is_empty()), name)
}

fn open_folder(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    openat(parent, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn open_or_make(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    match open_folder(parent, name) {
        Err(Errno::NOENT) => {}
        opened => return opened,
    }
    match mkdirat(parent, name, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => open_folder(parent, name),
        Err(error) => Err(error),
    }
}

/// Writes a file beside its name, then in its place.
fn write(folder: &OwnedFd, name: &str, content: &ObjectContent) -> io::Result<()> {
    let part = format!("{name}{PART_SUFFIX}");
    match unlinkat(folder, &part, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, &part, flags, FILE_MODE)?);
    let mut offset = 0;
    loop {
        let piece = content.piece(offset)?;
        if piece.is_empty() {
            break;
        }
        file.write_all(&piece)?;
        offset += piece.len() as u64;
    }
    file.sync_all()?;
    Ok(renameat(folder, &part, folder, name)?)
}

impl ObjectTarget for FolderTarget {
    async fn put(&self, key: &str, _: &str, content: &ObjectContent) -> Result<(), CallFailure> {
        let (target, key, content) = (self.clone(), key.to_owned(), content.clone());
        blocking(move || target.put(&key, &content)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, CallFailure> {
        let (target, key) = (self.clone(), key.to_owned());
        blocking(move || target.get(&key)).await
    }

    async fn delete(&self, key: &str) -> Result<(), CallFailure> {
        let (target, key) = (self.clone(), key.to_owned());
        blocking(move || target.delete(&key)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(root: &std::path::Path) -> FolderTarget {
        let root = root.canonicalize().unwrap();
        FolderTarget { allowed: Arc::new([root.clone()]), root }
    }

    #[test]
    fn object_is_replaced_and_deleted_with_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = target(folder.path());
        for text in ["first, and longer", "second"] {
            target.put("a/b/c.txt", &ObjectContent::Text(text.into())).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("a/b/c.txt")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
        for _ in 0..2 {
            target.delete("a/b/c.txt").unwrap();
            assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 0);
        }
        target.delete("no/such/folder.txt").unwrap();
    }

    #[test]
    fn link_is_not_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), folder.path().join("linked")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("new.txt"), folder.path().join("link.txt")).unwrap();
        let target = target(folder.path());
        let content = ObjectContent::Text("text".into());
        let failure = target.put("linked/a.txt", &content).unwrap_err();
        assert!(matches!(failure, CallFailure::Item(failure) if failure.code == FailureCode::TargetMismatch));
        // The link itself is replaced, and its target is not written.
        target.put("link.txt", &content).unwrap();
        target.delete("linked/new.txt").unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
