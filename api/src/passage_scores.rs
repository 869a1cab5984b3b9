//! The scores that reranking models have given to passages: kept, so that the pages of a search are computed, and paid, once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashlink::LruCache;
use nvisy_shared::id::ChunkId;
use sha2::{Digest, Sha256};

/// Scores in the cache, which take about 6 MB.
const CACHE_CAPACITY: usize = 65_536;

/// A query to a model: half of the SHA-256 of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RankingKey([u8; 16]);

impl RankingKey {
    /// Of a query to the model with this identity.
    pub fn new(model: &str, query: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(u64::try_from(model.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(model);
        hash.update(query);
        let hash: [u8; 32] = hash.finalize().into();
        Self(std::array::from_fn(|index| hash[index]))
    }
}

/// A revision of a chunk: its text can change with it.
pub type ScoredChunk = (ChunkId, i32);

type Cache = LruCache<(RankingKey, ScoredChunk), f64>;

/// Keeps scores. The text of a revision never changes, and neither does its score. Clones share the cache.
#[derive(Clone, Default)]
pub struct PassageScores(Arc<Mutex<Option<Cache>>>);

impl PassageScores {
    fn lock(&self) -> MutexGuard<'_, Option<Cache>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scores of those chunks that have one.
    pub fn known(&self, ranking: RankingKey, chunks: impl Iterator<Item = ScoredChunk>) -> HashMap<ChunkId, f64> {
        let mut cache = self.lock();
        let Some(cache) = cache.as_mut() else { return HashMap::new() };
        chunks.filter_map(|chunk| Some((chunk.0, *cache.get(&(ranking, chunk))?))).collect()
    }

    /// Keeps scores.
    pub fn insert(&self, ranking: RankingKey, scores: impl Iterator<Item = (ScoredChunk, f64)>) {
        let mut cache = self.lock();
        let cache = cache.get_or_insert_with(|| LruCache::new(CACHE_CAPACITY));
        for (chunk, score) in scores {
            cache.insert((ranking, chunk), score);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_belong_to_a_model_and_a_query() {
        let (scores, chunk, other) = (PassageScores::default(), ChunkId::new(), ChunkId::new());
        let ranking = RankingKey::new("model", "tide");
        scores.insert(ranking, [((chunk, 1), 0.5)].into_iter());
        let known = scores.known(ranking, [(chunk, 1), (other, 1)].into_iter());
        assert_eq!(known, HashMap::from([(chunk, 0.5)]));
        assert!(scores.known(ranking, [(chunk, 2)].into_iter()).is_empty(), "another text");
        for ranking in [RankingKey::new("model", "ebb"), RankingKey::new("mode", "ltide")] {
            assert!(scores.known(ranking, [(chunk, 1)].into_iter()).is_empty());
        }
    }
}
