//! The files of a commit, in the order of their paths, so that a path says how far a listing is.

use std::collections::HashMap;

use bytes::Bytes;
use nvisy_shared::domain::failure::FailureCode;

use super::{
    object::{self, EntryKind, ObjectId, TreeEntry},
    packets::invalid,
};
use crate::connectors::CallFailure;

/// Folders within each other.
const MAX_DEPTH: usize = 100;
/// Files of a listing: folders that contain each other many times make more than can be listed.
const MAX_FILES: u64 = 2_000_000;

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeFile {
    /// The path, which need not be UTF-8.
    pub(super) path: Vec<u8>,
    /// The id of the content.
    pub(super) id: ObjectId,
}

/// Walks the trees of a commit.
#[derive(Debug)]
pub(super) struct TreeWalk {
    trees: HashMap<ObjectId, Bytes>,
    /// The folders down to the current one, each with the entries that are left.
    levels: Vec<(Vec<u8>, std::vec::IntoIter<TreeEntry>)>,
    files: u64,
}

impl TreeWalk {
    /// Everything below a folder of a commit; the empty path is the root.
    pub(super) fn new(trees: HashMap<ObjectId, Bytes>, commit: ObjectId, folder: &str) -> Result<Self, CallFailure> {
        let root = trees.get(&commit).and_then(|commit| object::tree_of(commit));
        let mut at = root.ok_or_else(|| invalid("the pack has no such commit"))?;
        let mut walk = Self { trees, levels: Vec::new(), files: 0 };
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            let entries = walk.entries(at)?;
            let found =
                entries.into_iter().find(|entry| entry.name == part.as_bytes() && entry.kind == EntryKind::Folder);
            let missing =
                || CallFailure::item(FailureCode::SourceRejected, format!("the repository has no folder `{folder}`"));
            at = found.ok_or_else(missing)?.id;
        }
        let entries = walk.entries(at)?.into_iter();
        let path = folder.trim_matches('/').as_bytes().to_vec();
        walk.levels.push((path, entries));
        Ok(walk)
    }

    fn entries(&self, id: ObjectId) -> Result<Vec<TreeEntry>, CallFailure> {
        let tree = self.trees.get(&id).ok_or_else(|| invalid("the pack lacks a folder of the commit"))?;
        object::tree_entries(tree).ok_or_else(|| invalid("a folder of the commit is damaged"))
    }

    /// The next file.
    pub(super) fn next(&mut self) -> Result<Option<TreeFile>, CallFailure> {
        loop {
            let Some((path, entries)) = self.levels.last_mut() else { return Ok(None) };
            let Some(entry) = entries.next() else {
                self.levels.pop();
                continue;
            };
            let mut full = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(&entry.name);
            match entry.kind {
                EntryKind::Other => {}
                EntryKind::File => {
                    self.files += 1;
                    if self.files > MAX_FILES {
                        let reason = format!("the commit has more than {MAX_FILES} files");
                        return Err(CallFailure::item(FailureCode::SourceRejected, reason));
                    }
                    return Ok(Some(TreeFile { path: full, id: entry.id }));
                }
                EntryKind::Folder => {
                    if self.levels.len() >= MAX_DEPTH {
                        let reason = format!("more than {MAX_DEPTH} folders are within each other");
                        return Err(CallFailure::item(FailureCode::SourceRejected, reason));
                    }
                    let entries = self.entries(entry.id)?.into_iter();
                    self.levels.push((full, entries));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::object::Kind, *};

    struct Commit {
        trees: HashMap<ObjectId, Bytes>,
    }

    impl Commit {
        fn tree(&mut self, entries: &[(&str, &str, ObjectId)]) -> ObjectId {
            let content: Vec<u8> = entries
                .iter()
                .flat_map(|(mode, name, id)| [format!("{mode} {name}\0").as_bytes(), &id.0].concat())
                .collect();
            let id = ObjectId::of(Kind::Tree, &content);
            self.trees.insert(id, content.into());
            id
        }

        fn walk(mut self, root: ObjectId, folder: &str) -> Result<TreeWalk, CallFailure> {
            let commit = ObjectId([9; 20]);
            self.trees.insert(commit, format!("tree {root}\nauthor x").into());
            TreeWalk::new(self.trees, commit, folder)
        }
    }

    const BLOB: ObjectId = ObjectId([1; 20]);

    #[test]
    fn files_come_in_the_order_of_their_paths_without_links() {
        let mut commit = Commit { trees: HashMap::new() };
        let deep = commit.tree(&[("100755", "c", BLOB)]);
        let docs = commit.tree(&[("100644", "b", BLOB), ("40000", "deep", deep), ("160000", "module", BLOB)]);
        let root = commit.tree(&[("100644", "a", BLOB), ("40000", "docs", docs), ("120000", "link", BLOB)]);
        let mut walk = commit.walk(root, "").unwrap();
        let paths: Vec<_> = std::iter::from_fn(|| walk.next().unwrap()).map(|file| file.path).collect();
        assert_eq!(paths, [b"a".to_vec(), b"docs/b".to_vec(), b"docs/deep/c".to_vec()]);
    }

    #[test]
    fn folder_of_the_stream_is_the_root_of_the_walk() {
        let mut commit = Commit { trees: HashMap::new() };
        let docs = commit.tree(&[("100644", "b", BLOB)]);
        let root = commit.tree(&[("100644", "a", BLOB), ("40000", "docs", docs)]);
        let trees = commit.trees.clone();
        assert_eq!(commit.walk(root, "docs/").unwrap().next().unwrap().unwrap().path, b"docs/b");
        let missing = Commit { trees }.walk(root, "a").unwrap_err();
        assert!(missing.to_string().contains("no folder"), "{missing}");
    }

    #[test]
    fn folders_that_contain_each_other_end_at_the_limit_of_depth() {
        let mut commit = Commit { trees: HashMap::new() };
        let mut root = commit.tree(&[("100644", "a", BLOB)]);
        for _ in 0..200 {
            root = commit.tree(&[("40000", "d", root)]);
        }
        assert!(commit.walk(root, "").unwrap().next().unwrap_err().to_string().contains("within each other"));
    }
}
