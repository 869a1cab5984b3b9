//! The vectors of queries: cached, and computed in batches across concurrent requests.
//!
//! A query waits while a batch of its space is computed, and then shares the next one. A query whose request was dropped
//! meanwhile, such as by the time limit of requests, is not computed: its [`PendingVector`] went with it. A model that does not
//! answer in time is not asked for some seconds.

mod pauses;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use hashlink::LruCache;
use nvisy_embed::{EmbedError, Embedder, InputType};
use nvisy_shared::{id::SpaceId, platform::spaces::ServedSpace};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use self::pauses::Pauses;

/// Vectors in the cache; of 4,096 dimensions they take 32 MB.
const CACHE_CAPACITY: usize = 2_048;
/// Texts of one call of a model.
const BATCH_TEXTS: usize = 64;
/// Batches of a space that are computed at the same time.
const CONCURRENT_BATCHES: usize = 2;

/// A vector, or the error of the batch that it was in.
pub type QueryVector = Result<Arc<[f32]>, EmbedError>;

/// Space and half of the SHA-256 of the text, which can be long.
type CacheKey = (SpaceId, [u8; 16]);

/// Computes and keeps the vectors of queries. Clones share the cache.
#[derive(Clone)]
pub struct QueryVectors(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The longest wait of a query.
    timeout: Duration,
    pauses: Pauses,
    cache: Mutex<Option<LruCache<CacheKey, Arc<[f32]>>>>,
    spaces: Mutex<HashMap<SpaceId, Waiting>>,
}

/// The queries of a space that wait for a batch.
#[derive(Default)]
struct Waiting {
    queries: Vec<WaitingQuery>,
    running: usize,
}

struct WaitingQuery {
    text: String,
    reply: oneshot::Sender<QueryVector>,
}

/// A vector that is known or being computed. Dropping it takes its query out of the next batch.
pub struct PendingVector(PendingState);

enum PendingState {
    Known(Arc<[f32]>),
    Waiting {
        receiver: oneshot::Receiver<QueryVector>,
        space: SpaceId,
        vectors: QueryVectors,
    },
    /// The model has not answered a moment ago.
    Paused,
}

impl PendingVector {
    /// Waits for the vector, up to the time limit of queries.
    pub async fn wait(self) -> QueryVector {
        match self.0 {
            PendingState::Known(vector) => Ok(vector),
            PendingState::Waiting { receiver, space, vectors } => {
                // The sender is dropped without a reply if the batch ends early, as a stopping server does.
                vectors
                    .in_time(space, receiver)
                    .await?
                    .unwrap_or_else(|_| Err(EmbedError::Unavailable("the batch has ended".into())))
            }
            PendingState::Paused => Err(EmbedError::Unavailable("there was no answer a moment ago".into())),
        }
    }
}

impl QueryVectors {
    /// For queries that wait so long at most.
    pub fn new(timeout: Duration) -> Self {
        Self(Arc::new(Inner { timeout, ..Inner::default() }))
    }

    /// Requests the vectors of queries in a space of this server: those that are not known are in one batch. Queries that differ in
    /// white space only are the same.
    pub fn request<'a>(&self, served: &ServedSpace, texts: impl Iterator<Item = &'a str>) -> Vec<PendingVector> {
        let (mut pending, mut waiting, mut is_admitted) = (Vec::new(), Vec::new(), None);
        for text in texts.map(normalise) {
            pending.push(PendingVector(match self.cached(served.id, &text) {
                Some(vector) => PendingState::Known(vector),
                None if *is_admitted.get_or_insert_with(|| self.admits(served.id)) => {
                    let (reply, receiver) = oneshot::channel();
                    waiting.push(WaitingQuery { text, reply });
                    PendingState::Waiting { receiver, space: served.id, vectors: self.clone() }
                }
                None => PendingState::Paused,
            }));
        }
        if !waiting.is_empty() {
            self.0.add(served, waiting);
        }
        pending
    }

    /// The longest wait of a query.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Whether the model of a space may be asked: not for some seconds after it has not answered in time.
    pub fn admits(&self, space: SpaceId) -> bool {
        self.0.pauses.admits(space)
    }

    /// Waits for an answer of the model of a space, up to the time limit of queries.
    pub async fn in_time<T>(&self, space: SpaceId, answer: impl Future<Output = T>) -> Result<T, EmbedError> {
        let Inner { timeout, pauses, .. } = &*self.0;
        match tokio::time::timeout(*timeout, answer).await {
            Ok(answer) => {
                pauses.end(space);
                Ok(answer)
            }
            Err(_) => {
                pauses.begin(space);
                Err(EmbedError::Unavailable(format!("there is no answer within {} s", timeout.as_secs())))
            }
        }
    }

    /// A vector from the cache.
    pub fn cached(&self, space: SpaceId, text: &str) -> Option<Arc<[f32]>> {
        self.0.cache().as_mut()?.get(&cache_key(space, &normalise(text))).cloned()
    }

    /// Keeps a vector that was computed elsewhere.
    pub fn insert(&self, space: SpaceId, text: &str, vector: Arc<[f32]>) {
        self.0.insert(space, &normalise(text), vector);
    }
}

/// The text with single spaces.
fn normalise(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cache_key(space: SpaceId, text: &str) -> CacheKey {
    let hash: [u8; 32] = Sha256::digest(text).into();
    (space, std::array::from_fn(|index| hash[index]))
}

impl Inner {
    fn cache(&self) -> MutexGuard<'_, Option<LruCache<CacheKey, Arc<[f32]>>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spaces(&self) -> MutexGuard<'_, HashMap<SpaceId, Waiting>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, space: SpaceId, text: &str, vector: Arc<[f32]>) {
        let mut cache = self.cache();
        cache.get_or_insert_with(|| LruCache::new(CACHE_CAPACITY)).insert(cache_key(space, text), vector);
    }

    /// Adds queries, and starts a task that computes batches unless enough are running.
    fn add(self: &Arc<Self>, served: &ServedSpace, queries: Vec<WaitingQuery>) {
        let mut spaces = self.spaces();
        let waiting = spaces.entry(served.id).or_default();
        waiting.queries.extend(queries);
        if waiting.running < CONCURRENT_BATCHES {
            waiting.running += 1;
            let running = RunningTask { inner: Arc::clone(self), space: served.id, is_running: true };
            tokio::spawn(running.run(served.embedder.clone()));
        }
    }
}

/// A task that computes the batches of a space; dropping it lets another one start.
struct RunningTask {
    inner: Arc<Inner>,
    space: SpaceId,
    is_running: bool,
}

impl RunningTask {
    async fn run(mut self, embedder: Embedder) {
        while let Some(batch) = self.next_batch() {
            self.compute(&embedder, batch).await;
        }
    }

    /// The queries whose requests still wait; `None`: there are none, and the task ends. Both are decided under one lock, so that
    /// no query is added in between.
    fn next_batch(&mut self) -> Option<Vec<WaitingQuery>> {
        let mut spaces = self.inner.spaces();
        let waiting = spaces.get_mut(&self.space)?;
        waiting.queries.retain(|query| !query.reply.is_closed());
        let count = waiting.queries.len().min(BATCH_TEXTS);
        if count == 0 {
            waiting.running -= 1;
            self.is_running = false;
            return None;
        }
        Some(waiting.queries.drain(..count).collect())
    }

    /// Computes a batch, until no client waits for it any more.
    async fn compute(&self, embedder: &Embedder, batch: Vec<WaitingQuery>) {
        let (texts, mut replies): (Vec<String>, Vec<_>) =
            batch.into_iter().map(|query| (query.text, query.reply)).unzip();
        let embedding = embedder.embed_each(InputType::Query, texts.clone());
        let vectors = tokio::select! {
            vectors = embedding => vectors,
            _ = join_all(replies.iter_mut().map(oneshot::Sender::closed)) => return,
        };
        match vectors {
            Ok(vectors) => {
                for ((text, reply), vector) in texts.iter().zip(replies).zip(vectors) {
                    let vector = vector.map(Arc::<[f32]>::from).map_err(EmbedError::Rejected);
                    if let Ok(vector) = &vector {
                        self.inner.insert(self.space, text, Arc::clone(vector));
                    }
                    // The request may have been dropped.
                    let _ = reply.send(vector);
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// After a panic, or when the runtime stops.
impl Drop for RunningTask {
    fn drop(&mut self) {
        if !self.is_running {
            return;
        }
        let mut spaces = self.inner.spaces();
        let Some(waiting) = spaces.get_mut(&self.space) else { return };
        waiting.running -= 1;
        if waiting.running == 0 {
            // No other task would compute them: their clients get an error.
            waiting.queries.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_that_differ_in_white_space_have_one_vector() {
        let (vectors, space) = (QueryVectors::new(Duration::ZERO), SpaceId::new());
        vectors.insert(space, " when is\n the tide ", Arc::from([1.0_f32]));
        assert_eq!(vectors.cached(space, "when is the tide").as_deref(), Some(&[1.0_f32][..]));
        assert!(vectors.cached(space, "When is the tide").is_none(), "models can distinguish capital letters");
        assert!(vectors.cached(SpaceId::new(), "when is the tide").is_none());
    }

    #[test]
    fn waiting_queries_of_dropped_requests_are_not_computed() {
        let inner = Arc::new(Inner::default());
        let space = SpaceId::new();
        let (reply, gone) = oneshot::channel();
        let (other, _waits) = oneshot::channel();
        let queries = [("a", reply), ("b", other)].map(|(text, reply)| WaitingQuery { text: text.to_owned(), reply });
        inner.spaces().insert(space, Waiting { queries: queries.into(), running: 1 });
        drop(gone);
        let mut task = RunningTask { inner: Arc::clone(&inner), space, is_running: true };
        let texts: Vec<String> = task.next_batch().unwrap().into_iter().map(|query| query.text).collect();
        assert_eq!(texts, ["b"]);
        assert!(task.next_batch().is_none());
        assert_eq!(inner.spaces()[&space].running, 0);
    }
}
