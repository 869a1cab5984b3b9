//! Objects of Git: their ids, and what trees and commits say.

use std::fmt;

use bytes::Bytes;
use sha1::{Digest, Sha1};

/// The id of an object: the SHA-1 of its kind, length and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectId(pub(super) [u8; 20]);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl ObjectId {
    /// Reads the form with forty digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 20];
        hex::decode_to_slice(text, &mut id).ok()?;
        Some(Self(id))
    }

    /// Of an object.
    pub(super) fn of(kind: Kind, content: &[u8]) -> Self {
        let mut hash = IdHasher::new(kind, content.len() as u64);
        hash.update(content);
        hash.finish()
    }
}

/// Computes the id of an object while it is read.
pub(super) struct IdHasher(Sha1);

impl IdHasher {
    pub(super) fn new(kind: Kind, bytes: u64) -> Self {
        Self(Sha1::new_with_prefix(format!("{} {bytes}\0", kind.name())))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> ObjectId {
        ObjectId(self.0.finalize().into())
    }
}

/// The kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeEntry {
    pub(super) kind: EntryKind,
    /// The name, which need not be UTF-8.
    pub(super) name: Bytes,
    pub(super) id: ObjectId,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Folder,
    File,
    /// Links and other repositories: left out.
    Other,
}

/// The entries of a tree, in their order; `None`: it is damaged.
pub(super) fn tree_entries(tree: &Bytes) -> Option<Vec<TreeEntry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < tree.len() {
        let space = at + tree[at..].iter().position(|byte| *byte == b' ')?;
        let nul = space + tree[space..].iter().position(|byte| *byte == 0)?;
        let id = tree.get(nul + 1..nul + 21)?;
        let kind = match &tree[at..space] {
            b"40000" | b"040000" => EntryKind::Folder,
            mode if mode.starts_with(b"100") => EntryKind::File,
            _ => EntryKind::Other,
        };
        entries.push(TreeEntry { kind, name: tree.slice(space + 1..nul), id: ObjectId(id.try_into().ok()?) });
        at = nul + 21;
    }
    Some(entries)
}

/// The tree of a commit.
pub(super) fn tree_of(commit: &[u8]) -> Option<ObjectId> {
    let line = commit.strip_prefix(b"tree ")?.get(..40)?;
    ObjectId::parse(std::str::from_utf8(line).ok()?)
}

/// Applies a delta to an object; `None`: it is damaged, or makes more than `max_bytes`.
pub(super) fn apply_delta(base: &[u8], delta: &[u8], max_bytes: usize) -> Option<Bytes> {
    let (base_length, at) = length(delta, 0)?;
    let (result_length, mut at) = length(delta, at)?;
    if base_length != base.len() || result_length > max_bytes {
        return None;
    }
    let mut result = Vec::with_capacity(result_length);
    while let Some(&instruction) = delta.get(at) {
        at += 1;
        if instruction & 0x80 == 0 {
            // The next bytes of the delta; zero is reserved.
            let end = at + usize::from(instruction);
            result.extend_from_slice(delta.get(at..end).filter(|bytes| !bytes.is_empty())?);
            at = end;
        } else {
            let mut number = |bits: std::ops::Range<u8>| {
                let mut number = 0;
                for (place, bit) in bits.enumerate() {
                    if instruction & (1 << bit) != 0 {
                        number |= usize::from(*delta.get(at)?) << (8 * place);
                        at += 1;
                    }
                }
                Some(number)
            };
            let offset = number(0..4)?;
            let size = match number(4..7)? {
                0 => 0x1_0000,
                size => size,
            };
            result.extend_from_slice(base.get(offset..offset.checked_add(size)?)?);
        }
        if result.len() > result_length {
            return None;
        }
    }
    (result.len() == result_length).then(|| result.into())
}

/// A length of a delta, and the place behind it.
fn length(delta: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = *delta.get(at)?;
        length |= usize::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 56)?;
        (at, shift) = (at + 1, shift + 7);
        if byte & 0x80 == 0 {
            return Some((length, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_git() {
        assert_eq!(ObjectId::of(Kind::Blob, b"hello\n").to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(ObjectId::of(Kind::Tree, b"").to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        assert_eq!(ObjectId::parse("xyz"), None);
    }

    #[test]
    fn entries_of_a_tree_are_read_and_damage_is_found() {
        let id = [7_u8; 20];
        let tree = [b"100644 a b\0".as_slice(), &id, b"40000 sub\0", &id, b"120000 link\0", &id].concat();
        let entries = tree_entries(&tree.clone().into()).unwrap();
        let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [EntryKind::File, EntryKind::Folder, EntryKind::Other]);
        assert_eq!((entries[0].name.as_ref(), entries[0].id), (b"a b".as_slice(), ObjectId(id)));
        for end in [5, 11, 20, tree.len() - 1] {
            assert_eq!(tree_entries(&tree[..end].to_vec().into()), None, "{end}");
        }
    }

    #[test]
    fn delta_copies_and_inserts_within_its_bounds() {
        // Copies `world` (offset 6, length 5), then inserts `!`.
        let delta = [11, 6, 0x80 | 0x01 | 0x10, 6, 5, 1, b'!'];
        assert_eq!(apply_delta(b"hello world", &delta, 100).unwrap(), "world!");
        assert_eq!(apply_delta(b"hello world", &delta, 5), None);
        assert_eq!(apply_delta(b"hello", &delta, 100), None);
        for end in 0..delta.len() {
            assert_eq!(apply_delta(b"hello world", &delta[..end], 100), None, "{end}");
        }
        assert_eq!(apply_delta(b"hello world", &[11, 1, 0], 100), None);
        assert_eq!(apply_delta(b"", &[0xff; 30], 100), None);
    }
}
