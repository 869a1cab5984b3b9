//! Listings of stores with folders: folder by folder, each in the order of its names, so that a path says how far the listing is.

use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

use nvisy_shared::domain::failure::{Failure, FailureCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    names,
    object::{Facts, PAGE_OBJECTS, listed},
};
use crate::connectors::{CallFailure, ObjectFailure, Page, Stream, source::Listing};

/// Folders within each other.
const MAX_DEPTH: usize = 100;
/// Entries of a folder, which is read at once.
const MAX_ENTRIES: usize = 2_000_000;

/// Streams that are discovered.
const MAX_STREAMS: usize = 1_000;

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// Links, devices, sockets: left out.
    Other,
}

/// An entry of a folder.
#[derive(Clone, Debug)]
pub(super) struct FolderEntry {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) facts: Facts,
}

/// The failure of a folder that is too large to be listed, whenever that is tried.
pub(super) fn too_many_entries(path: &str) -> CallFailure {
    let folder = if path.is_empty() { "the first folder".to_owned() } else { format!("the folder `{path}`") };
    let detail = format!("{folder} has more entries than can be listed at once: divide it into several folders");
    CallFailure::item(FailureCode::TooLarge, detail)
}

/// The failure of a folder, not that of an object, which would be too large in other ways.
fn of_folder(failure: Failure) -> Failure {
    match failure.code {
        FailureCode::TooLarge => Failure { code: FailureCode::SourceRejected, ..failure },
        _ => failure,
    }
}

/// A store with folders.
pub(super) trait Folder: Send + Sync {
    /// The entries of a folder, in any order. [`CallFailure::Item`] with `source_missing` if it does not exist, [`too_many_entries`] if
    /// it is too large, another code if it cannot be listed and others can.
    fn entries(&self, path: &str) -> impl Future<Output = Result<Vec<FolderEntry>, CallFailure>> + Send;
}

/// A stream that is a folder.
pub(super) fn stream(name: &str, path: &str) -> Stream {
    let settings = if path.is_empty() { json!({}) } else { json!({ "path": path }) };
    Stream { name: name.to_owned(), settings, cursor_fields: Vec::new(), incremental: false }
}

/// The whole store, and the folders of its first level.
pub(super) async fn folders(folder: &impl Folder) -> Result<Vec<Stream>, CallFailure> {
    let entries = folder.entries("").await.map_err(|failure| match failure {
        CallFailure::Item(failure) => CallFailure::Blocked(failure.detail),
        other => other,
    })?;
    let mut names: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.kind == Kind::Folder && names::problem(&entry.name).is_none())
        .map(|entry| entry.name)
        .collect();
    names.sort();
    names.truncate(MAX_STREAMS);
    Ok([stream("/", "")].into_iter().chain(names.iter().map(|name| stream(name, name))).collect())
}

/// Where a listing goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Checkpoint {
    /// The path of the last entry, below the stream's.
    after: Vec<String>,
    /// Whether a folder could not be listed.
    incomplete: bool,
}

/// A folder whose entries are not all listed.
struct Level {
    path: String,
    entries: VecDeque<FolderEntry>,
    /// The rest of the path of the last entry of the process before.
    resume: Vec<String>,
}

/// A listing of everything below a folder.
pub(super) struct Walk<F> {
    folder: Arc<F>,
    root: String,
    at: Checkpoint,
    levels: Option<Vec<Level>>,
}

impl<F: Folder + 'static> Walk<F> {
    pub(super) fn new(folder: Arc<F>, root: String, checkpoint: Option<Value>) -> Self {
        let at = checkpoint.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default();
        Self { folder, root, at, levels: None }
    }

    async fn level(&self, path: String, resume: Vec<String>) -> Result<Level, CallFailure> {
        let mut entries = self.folder.entries(&path).await?;
        if entries.len() > MAX_ENTRIES {
            return Err(too_many_entries(&path));
        }
        entries.sort_by(|one, two| one.name.cmp(&two.name));
        if let Some(first) = resume.first() {
            entries.retain(|entry| match entry.name.cmp(first) {
                Ordering::Less => false,
                // The folder in which the listing was goes on.
                Ordering::Equal => resume.len() > 1 && entry.kind == Kind::Folder,
                Ordering::Greater => true,
            });
        }
        Ok(Level { path, entries: entries.into(), resume })
    }

    async fn first_level(&self) -> Result<Level, CallFailure> {
        self.level(self.root.clone(), self.at.after.clone()).await.map_err(|failure| match failure {
            CallFailure::Item(failure) if failure.code == FailureCode::TooLarge => {
                CallFailure::Item(of_folder(failure))
            }
            // Not the failure of an object: there is nothing to list.
            CallFailure::Item(failure) => CallFailure::Blocked(failure.detail),
            other => other,
        })
    }

    /// Adds an entry to the page; returns the folder to be listed next.
    fn take(&mut self, path: &str, entry: &FolderEntry, page: &mut Page) -> Option<String> {
        let path = if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
        if let Some(reason) = names::problem(&path) {
            self.at.incomplete |= entry.kind == Kind::Folder;
            page.failures.push(names::failure(None, &path, reason));
            return None;
        }
        match entry.kind {
            Kind::File => page.objects.push(listed(None, &path, entry.facts.clone())),
            Kind::Folder => return Some(path),
            Kind::Other => {}
        }
        None
    }

    async fn descend(
        &mut self,
        path: String,
        resume: Vec<String>,
        depth: usize,
        page: &mut Page,
    ) -> Result<Option<Level>, CallFailure> {
        let failure = if depth >= MAX_DEPTH {
            Failure::new(FailureCode::SourceRejected, format!("more than {MAX_DEPTH} folders are within each other"))
        } else {
            match self.level(path.clone(), resume).await {
                Ok(level) => return Ok(Some(level)),
                // Deleted since its folder was listed.
                Err(CallFailure::Item(failure)) if failure.code == FailureCode::SourceMissing => return Ok(None),
                Err(CallFailure::Item(failure)) => of_folder(failure),
                Err(failure) => return Err(failure),
            }
        };
        self.at.incomplete = true;
        page.failures.push(ObjectFailure { external_id: names::external_id(None, &path), name: path, failure });
        Ok(None)
    }

    fn position(&self, path: &str, name: &str) -> Vec<String> {
        let below = path.strip_prefix(&self.root).unwrap_or(path).trim_start_matches('/');
        below.split('/').filter(|part| !part.is_empty()).chain([name]).map(str::to_owned).collect()
    }
}

impl<F: Folder + 'static> Listing for Walk<F> {
    async fn next(&mut self) -> Result<Page, CallFailure> {
        let mut levels = match self.levels.take() {
            Some(levels) => levels,
            None => vec![self.first_level().await?],
        };
        let mut page = Page::default();
        while page.objects.len() + page.failures.len() < PAGE_OBJECTS {
            let depth = levels.len();
            let Some(level) = levels.last_mut() else {
                page.complete = !self.at.incomplete;
                return Ok(page);
            };
            let Some(entry) = level.entries.pop_front() else {
                levels.pop();
                continue;
            };
            let resume = match level.resume.first() {
                Some(first) if *first == entry.name => level.resume[1..].to_vec(),
                _ => Vec::new(),
            };
            let path = level.path.clone();
            let is_resumed = !resume.is_empty();
            let mut position = self.position(&path, &entry.name);
            if let Some(folder) = self.take(&path, &entry, &mut page)
                && let Some(level) = self.descend(folder, resume, depth, &mut page).await?
            {
                levels.push(level);
                // In the folder, before its first entry.
                position.push(String::new());
            }
            if !is_resumed {
                self.at.after = position;
            }
        }
        self.levels = Some(levels);
        page.checkpoint = Some(json!(self.at));
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Folders in memory: the entries of each by its path.
    struct Tree(BTreeMap<String, Vec<FolderEntry>>);

    impl Folder for Tree {
        async fn entries(&self, path: &str) -> Result<Vec<FolderEntry>, CallFailure> {
            self.0.get(path).cloned().ok_or_else(|| CallFailure::item(FailureCode::SourceRejected, "closed"))
        }
    }

    fn tree(files: usize) -> Tree {
        let mut folders: BTreeMap<String, Vec<FolderEntry>> = BTreeMap::from([(String::new(), Vec::new())]);
        let entry = |name: String, kind| FolderEntry { name, kind, facts: Facts::default() };
        for folder in ["b", "a", "a/y", "a/empty", "c"] {
            let (parent, name) = folder.rsplit_once('/').unwrap_or(("", folder));
            folders.entry(parent.to_owned()).or_default().push(entry(name.to_owned(), Kind::Folder));
            folders.entry(folder.to_owned()).or_default();
        }
        for at in 0..files {
            for folder in ["", "a", "a/y", "b"] {
                folders.entry(folder.to_owned()).or_default().push(entry(format!("f{at:05}"), Kind::File));
            }
        }
        folders.get_mut("c").unwrap().push(entry("link".to_owned(), Kind::Other));
        Tree(folders)
    }

    async fn list_all(tree: Tree, resume_each_page: bool) -> (Vec<String>, Page) {
        let tree = Arc::new(tree);
        let mut walk = Walk::new(Arc::clone(&tree), String::new(), None);
        let mut names = Vec::new();
        loop {
            let page = walk.next().await.unwrap();
            names.extend(page.objects.iter().map(|object| object.external_id.clone()));
            let Some(checkpoint) = page.checkpoint.clone() else { return (names, page) };
            if resume_each_page {
                walk = Walk::new(Arc::clone(&tree), String::new(), Some(checkpoint));
            }
        }
    }

    #[tokio::test]
    async fn resumed_listing_names_every_file_once() {
        let (at_once, last) = list_all(tree(777), false).await;
        assert_eq!(at_once.len(), 4 * 777);
        assert!(last.complete);
        let (resumed, last) = list_all(tree(777), true).await;
        assert_eq!(resumed, at_once);
        assert!(last.complete);
    }

    #[tokio::test]
    async fn folder_that_cannot_be_listed_makes_the_listing_incomplete() {
        let mut tree = tree(1);
        tree.0.remove("a/y");
        let (names, last) = list_all(tree, true).await;
        assert_eq!(names, ["a/f00000", "b/f00000", "f00000"]);
        assert!(!last.complete);
        assert_eq!(last.failures[0].external_id, "a/y");
    }

    /// A file and a folder, one of which has too many entries.
    struct Large(&'static str);

    impl Folder for Large {
        async fn entries(&self, path: &str) -> Result<Vec<FolderEntry>, CallFailure> {
            let entry = |name: &str, kind| FolderEntry { name: name.to_owned(), kind, facts: Facts::default() };
            match path {
                path if path == self.0 => Err(too_many_entries(path)),
                "" => Ok(vec![entry("a", Kind::File), entry("big", Kind::Folder)]),
                _ => Ok(Vec::new()),
            }
        }
    }

    #[tokio::test]
    async fn folder_with_too_many_entries_fails_alone_or_as_the_whole() {
        let page = Walk::new(Arc::new(Large("big")), String::new(), None).next().await.unwrap();
        assert_eq!((page.objects.len(), page.failures.len(), page.complete), (1, 1, false));
        let ObjectFailure { external_id, failure, .. } = &page.failures[0];
        assert_eq!((external_id.as_str(), failure.code), ("big", FailureCode::SourceRejected));
        assert!(failure.detail.contains("`big`"), "{failure:?}");
        let failure = Walk::new(Arc::new(Large("")), String::new(), None).next().await.unwrap_err();
        assert!(matches!(failure, CallFailure::Item(failure) if failure.code == FailureCode::SourceRejected));
    }
}
