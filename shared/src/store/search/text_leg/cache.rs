//! Postings that searches of this process have read. They are needed again: most of the bytes that searches read are those of few
//! frequent words.
//!
//! A row of postings never changes: merging writes new rows. It is known by its unit and by the transaction that wrote it, so one
//! of a restored database is another. Each search reads which rows there are in its snapshot, and only those are used; nothing
//! must be invalidated.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use nvisy_lexical::{
    documents::{Rows, Union},
    postings::Row,
};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::id::WorkspaceId;

/// Bytes of postings in the cache; the least recently used ones make room.
const CACHE_BYTES: usize = 64 << 20;
/// About the bytes of an entry beside its postings.
const ENTRY_BYTES: usize = 256;

/// A term of a collection.
pub(super) type Term = (Uuid, String);

/// The version of a row of a term: its unit, and the transaction that wrote it.
pub(super) type Version = (i64, i64);

/// The rows of a term of a collection.
pub(super) type Versions = FxHashMap<Version, Arc<Row>>;

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Term(WorkspaceId, Term),
    /// The rows of each term of a word.
    Union(Vec<Vec<u64>>),
}

impl Key {
    fn bytes(&self) -> usize {
        match self {
            Self::Term(_, (_, term)) => term.len(),
            Self::Union(terms) => terms.iter().map(|rows| size_of_val(rows) + size_of_val(rows.as_slice())).sum(),
        }
    }
}

enum Entry {
    Term(Arc<Versions>),
    Union(Arc<Union>),
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Term(versions) => {
                versions.capacity() * size_of::<(Version, Arc<Row>)>()
                    + versions.values().map(|row| row.memory()).sum::<usize>()
            }
            Self::Union(union) => union.memory(),
        }
    }
}

struct Cache {
    /// Without a limit of its own.
    entries: LruCache<Key, Entry>,
    bytes: usize,
    limit: usize,
}

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(|| Mutex::new(Cache::new(CACHE_BYTES)));

fn lock() -> MutexGuard<'static, Cache> {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bytes(key: &Key, entry: &Entry) -> usize {
    ENTRY_BYTES + key.bytes() + entry.bytes()
}

impl Cache {
    fn new(limit: usize) -> Self {
        Self { entries: LruCache::new_unbounded(), bytes: 0, limit }
    }

    /// Adds an entry, or replaces it. One that would leave little room for others is not kept.
    fn insert(&mut self, key: Key, entry: Entry) {
        if let Some(replaced) = self.entries.remove(&key) {
            self.bytes -= bytes(&key, &replaced);
        }
        let added = bytes(&key, &entry);
        if added > self.limit / 2 {
            return;
        }
        self.bytes += added;
        self.entries.insert(key, entry);
        while self.bytes > self.limit
            && let Some((key, oldest)) = self.entries.remove_lru()
        {
            self.bytes -= bytes(&key, &oldest);
        }
    }
}

/// The rows of terms that are in the cache, in the order of `wanted`.
pub(super) fn known(workspace: WorkspaceId, wanted: &[Term]) -> Vec<Arc<Versions>> {
    let keys: Vec<Key> = wanted.iter().map(|term| Key::Term(workspace, term.clone())).collect();
    let mut cache = lock();
    let known = keys.iter().map(|key| match cache.entries.get(key) {
        Some(Entry::Term(versions)) => Arc::clone(versions),
        _ => Arc::default(),
    });
    known.collect()
}

/// Keeps the rows of terms, in place of those that were known.
pub(super) fn keep(workspace: WorkspaceId, terms: Vec<(Term, Versions)>) {
    if terms.is_empty() {
        return;
    }
    let mut cache = lock();
    for (term, versions) in terms {
        cache.insert(Key::Term(workspace, term), Entry::Term(Arc::new(versions)));
    }
}

/// The union of the rows of a word's terms.
pub(super) fn union(terms: &[Rows]) -> Arc<Union> {
    let key = Key::Union(terms.iter().map(|rows| rows.iter().map(|row| row.id()).collect()).collect());
    if let Some(Entry::Union(union)) = lock().entries.get(&key) {
        return Arc::clone(union);
    }
    let union = Arc::new(Union::new(terms));
    lock().insert(key, Entry::Union(Arc::clone(&union)));
    union
}

#[cfg(test)]
mod tests {
    use nvisy_lexical::postings::{Posting, pack};

    use super::*;

    fn row(documents: i64) -> Arc<Row> {
        let postings = (0..documents).map(|document| Posting { document, frequency: 1, length: 9 });
        Arc::new(Row::new(pack(&postings.collect::<Vec<_>>())))
    }

    #[test]
    fn least_recently_used_postings_make_room() {
        let entry = |unit| Entry::Term(Arc::new(Versions::from_iter([((unit, 1), row(1_000))])));
        let workspace = WorkspaceId::new();
        let key = |term: &str| Key::Term(workspace, (Uuid::nil(), term.to_owned()));
        let each = bytes(&key("flow"), &entry(1));
        let mut cache = Cache::new(each * 5 / 2);
        cache.insert(key("flow"), entry(1));
        cache.insert(key("tide"), entry(2));
        assert!(cache.entries.get(&key("flow")).is_some());
        cache.insert(key("weir"), entry(3));
        assert!(cache.entries.peek(&key("tide")).is_none());
        cache.insert(key("weir"), entry(4));
        assert!(cache.entries.peek(&key("flow")).is_some());
        assert_eq!(cache.bytes, 2 * each);
        let large = Versions::from_iter([((5, 1), row(1_000)), ((6, 1), row(1_000))]);
        cache.insert(key("weir"), Entry::Term(Arc::new(large)));
        assert!(cache.entries.peek(&key("weir")).is_none() && cache.entries.peek(&key("flow")).is_some());
        assert_eq!(cache.bytes, each);
    }

    #[test]
    fn union_is_computed_once_for_the_same_rows() {
        let (form, stem) = (row(3), row(5));
        let united = union(&[vec![Arc::clone(&form)], vec![Arc::clone(&stem)]]);
        assert!(Arc::ptr_eq(&united, &union(&[vec![Arc::clone(&form)], vec![stem]])));
        assert!(!Arc::ptr_eq(&united, &union(&[vec![form], vec![row(5)]])));
    }

    #[test]
    fn rows_are_known_by_workspace_collection_and_term() {
        let workspace = WorkspaceId::new();
        let wanted = [1, 2].map(|collection| (Uuid::from_u128(collection), "tide".to_owned()));
        keep(workspace, vec![(wanted[0].clone(), Versions::from_iter([((1, 1), row(1))]))]);
        let counts = |workspace| known(workspace, &wanted).iter().map(|known| known.len()).collect::<Vec<_>>();
        assert_eq!((counts(workspace), counts(WorkspaceId::new())), (vec![1, 0], vec![0, 0]));
    }
}
