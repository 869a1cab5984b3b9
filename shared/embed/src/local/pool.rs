//! The threads that compute, and their queue.
//!
//! Each thread processes one small batch of texts at a time, so threads never wait for one another. Batches of queries come first:
//! a query waits at most for the batches in progress, not for the queued passages. Among passages the call with the fewest batches
//! left comes first, so that a short document waits for no long one; every [`OLDEST_EVERY`]th batch is the oldest call's, so
//! that a long one advances however many short ones arrive.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tokio::sync::oneshot;

use super::{Model, Scratch};
use crate::{EmbedError, InputType};

/// Texts in a batch. A larger batch is no faster: one or two passages already fill the blocks of the matrix product.
const BATCH_TEXTS: usize = 8;
/// Bytes of text in a batch, unless one text alone is longer. About 500 tokens, a tenth of a second of one core, which
/// bounds the time that a query waits for a thread.
const BATCH_BYTES: usize = 2_400;

/// Among this many batches of passages, one belongs to the oldest call.
const OLDEST_EVERY: usize = 4;

type EmbedResult = Result<Vec<Vec<f32>>, EmbedError>;

struct Batch {
    texts: Vec<String>,
    result: oneshot::Sender<EmbedResult>,
}

/// A handle to the threads; dropping it ends them.
pub(super) struct ThreadPool {
    queue: Arc<BatchQueue>,
}

struct BatchQueue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    queries: VecDeque<Batch>,
    passages: Passages,
    closed: bool,
}

/// The batches of passages by call, oldest call first; no call is empty.
#[derive(Default)]
struct Passages {
    calls: VecDeque<VecDeque<Batch>>,
    taken: usize,
}

impl Passages {
    fn push(&mut self, call: VecDeque<Batch>) {
        if !call.is_empty() {
            self.calls.push_back(call);
        }
    }

    fn pop(&mut self) -> Option<Batch> {
        self.taken = self.taken.wrapping_add(1);
        let index = match self.taken.is_multiple_of(OLDEST_EVERY) {
            true => 0,
            // The first of equals: calls of one length finish in order, not all at the end.
            false => (0..self.calls.len()).min_by_key(|&index| self.calls[index].len())?,
        };
        let call = self.calls.get_mut(index)?;
        let batch = call.pop_front();
        if call.is_empty() {
            self.calls.remove(index);
        }
        batch
    }
}

impl ThreadPool {
    /// Starts `threads` threads over one model.
    pub(super) fn start(threads: usize, model: Model) -> io::Result<Self> {
        let model = Arc::new(model);
        let pool = Self { queue: Arc::new(BatchQueue { waiting: Mutex::default(), changed: Condvar::new() }) };
        for number in 0..threads {
            let (queue, model) = (Arc::clone(&pool.queue), Arc::clone(&model));
            thread::Builder::new().name(format!("embed-{number}")).spawn(move || run_thread(&queue, &model))?;
        }
        Ok(pool)
    }

    /// Queues the texts and waits for all vectors, in order.
    pub(super) async fn embed(&self, input_type: InputType, texts: Vec<String>) -> EmbedResult {
        let mut vectors = Vec::with_capacity(texts.len());
        let (call, receivers): (VecDeque<_>, Vec<_>) = batches(texts)
            .map(|texts| {
                let (result, receiver) = oneshot::channel();
                (Batch { texts, result }, receiver)
            })
            .unzip();
        match (input_type, &mut *self.queue.lock()) {
            (InputType::Query, waiting) => waiting.queries.extend(call),
            (InputType::Passage, waiting) => waiting.passages.push(call),
        }
        self.queue.changed.notify_all();
        for result in receivers {
            // The sender is dropped without a result only by a panic, which `run_thread` has logged.
            let result = result.await.map_err(|_| EmbedError::Unavailable("the encoder panicked".into()))?;
            vectors.append(&mut result?);
        }
        Ok(vectors)
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl BatchQueue {
    /// A poisoned lock is used all the same: no line that holds it can leave the queue inconsistent.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next batch; `None` when the pool is gone.
    fn next(&self) -> Option<Batch> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(batch) = waiting.queries.pop_front() {
                return Some(batch);
            }
            if let Some(batch) = waiting.passages.pop() {
                return Some(batch);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn run_thread(queue: &BatchQueue, model: &Model) {
    let mut scratch = Scratch::default();
    while let Some(Batch { texts, result }) = queue.next() {
        if result.is_closed() {
            continue; // The caller dropped the future.
        }
        match catch_unwind(AssertUnwindSafe(|| model.embed(&texts, &mut scratch))) {
            // The send fails if the caller has dropped the future, which needs no result.
            Ok(vectors) => drop(result.send(vectors)),
            Err(_) => {
                tracing::error!(embedding.texts = texts.len(), "the encoder panicked");
                scratch = Scratch::default();
            }
        }
    }
}

/// Splits texts into batches, in order.
fn batches(texts: Vec<String>) -> impl Iterator<Item = Vec<String>> {
    let mut texts = texts.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut batch = vec![texts.next()?];
        let mut bytes = batch[0].len();
        while batch.len() < BATCH_TEXTS
            && let Some(text) = texts.next_if(|text| bytes + text.len() <= BATCH_BYTES)
        {
            bytes += text.len();
            batch.push(text);
        }
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, BATCH_TEXTS, Batch, Passages, batches};
    use tokio::sync::oneshot;

    fn lengths(texts: Vec<String>) -> Vec<Vec<usize>> {
        batches(texts).map(|batch| batch.iter().map(String::len).collect()).collect()
    }

    #[test]
    fn batches_are_limited_in_texts_and_bytes() {
        let short = vec!["a".to_owned(); BATCH_TEXTS + 1];
        assert_eq!(lengths(short), [vec![1; BATCH_TEXTS], vec![1]]);
        let long: Vec<_> = [BATCH_BYTES + 5, 10, BATCH_BYTES - 10, 1].map(|length| "a".repeat(length)).into();
        assert_eq!(lengths(long), [vec![BATCH_BYTES + 5], vec![10, BATCH_BYTES - 10], vec![1]]);
    }

    fn call(text: &str, batches: usize) -> std::collections::VecDeque<Batch> {
        (0..batches).map(|_| Batch { texts: vec![text.to_owned()], result: oneshot::channel().0 }).collect()
    }

    #[test]
    fn shortest_call_comes_first_and_the_oldest_still_advances() {
        let mut passages = Passages::default();
        passages.push(call("long", 100));
        passages.push(call("short", 1));
        passages.push(call("middle", 3));
        let order: Vec<_> = (0..6).map(|_| passages.pop().unwrap().texts.remove(0)).collect();
        assert_eq!(order, ["short", "middle", "middle", "long", "middle", "long"]);

        // A steady stream of short calls takes three of four turns, not all.
        let long = (0..40)
            .filter(|_| {
                passages.push(call("short", 1));
                passages.pop().unwrap().texts[0] == "long"
            })
            .count();
        assert_eq!(long, 10);
        assert_eq!(std::iter::from_fn(|| passages.pop()).count(), 98 - 10 + 10);
    }
}
