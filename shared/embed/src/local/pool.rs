//! The threads that compute, and their queue.
//!
//! Each thread processes one small batch of texts at a time, so threads never wait for one another. Batches of queries come first:
//! a query waits at most for the batches in progress, not for the queued passages. Among passages the call with the fewest batches
//! left comes first, so that a short document waits for no long one; every [`OLDEST_EVERY`]th batch is the oldest call's, so
//! that a long one advances however many short ones arrive. The threads know no model: an embedder and a reranker can share them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tokio::sync::oneshot;

use super::Scratch;
use crate::InputType;

/// Texts in a batch. A larger batch is no faster: one or two passages already fill the blocks of the matrix product.
const BATCH_TEXTS: usize = 8;
/// Bytes of text in a batch, unless one text alone is longer. About 500 tokens, a tenth of a second of one core, which
/// bounds the time that a query waits for a thread.
const BATCH_BYTES: usize = 2_400;

/// Among this many batches of passages, one belongs to the oldest call.
const OLDEST_EVERY: usize = 4;

/// Why a call has no outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PoolError {
    /// The model panicked, which `run_thread` has logged.
    Panicked,
    /// The model takes no output from an input, for this reason.
    Rejected(String),
}

/// A part of a call.
struct Batch {
    /// The number of its texts.
    texts: usize,
    /// Computes its outputs and sends them to the caller.
    work: Box<dyn FnOnce(&mut Scratch) + Send>,
}

/// A handle to the threads; dropping it ends them.
pub(crate) struct ThreadPool {
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
    /// Starts `threads` threads; 0: one for each core.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let pool = Self { queue: Arc::new(BatchQueue { waiting: Mutex::default(), changed: Condvar::new() }) };
        for number in 0..threads {
            let queue = Arc::clone(&pool.queue);
            thread::Builder::new().name(format!("embed-{number}")).spawn(move || run_thread(&queue))?;
        }
        Ok(pool)
    }

    /// Queues the inputs in batches, of which `compute` gives the outputs, and waits for all of them, in order. `bytes` is the length
    /// of an input's text. Dropping the future ends the work after the current batches.
    pub(super) async fn run<I: Send + 'static, O: Send + 'static>(
        &self,
        input_type: InputType,
        inputs: Vec<I>,
        bytes: fn(&I) -> usize,
        compute: impl Fn(&[I], &mut Scratch) -> Result<Vec<O>, String> + Send + Sync + 'static,
    ) -> Result<Vec<O>, PoolError> {
        let compute = Arc::new(compute);
        let mut outputs = Vec::with_capacity(inputs.len());
        let (call, receivers): (VecDeque<_>, Vec<_>) = batches(inputs, bytes)
            .map(|inputs| {
                let (result, receiver) = oneshot::channel();
                let compute = Arc::clone(&compute);
                let texts = inputs.len();
                let work = move |scratch: &mut Scratch| {
                    // Otherwise the caller has dropped the future.
                    if !result.is_closed() {
                        drop(result.send(compute(&inputs, scratch)));
                    }
                };
                (Batch { texts, work: Box::new(work) }, receiver)
            })
            .unzip();
        match (input_type, &mut *self.queue.lock()) {
            (InputType::Query, waiting) => waiting.queries.extend(call),
            (InputType::Passage, waiting) => waiting.passages.push(call),
        }
        self.queue.changed.notify_all();
        for result in receivers {
            // The sender is dropped without a result only by a panic.
            let result = result.await.map_err(|_| PoolError::Panicked)?;
            outputs.append(&mut result.map_err(PoolError::Rejected)?);
        }
        Ok(outputs)
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

fn run_thread(queue: &BatchQueue) {
    let mut scratch = Scratch::default();
    while let Some(Batch { texts, work }) = queue.next() {
        if catch_unwind(AssertUnwindSafe(|| work(&mut scratch))).is_err() {
            tracing::error!(embedding.texts = texts, "the encoder panicked");
            scratch = Scratch::default();
        }
    }
}

/// Splits inputs into batches, in order.
fn batches<I>(inputs: Vec<I>, bytes: fn(&I) -> usize) -> impl Iterator<Item = Vec<I>> {
    let mut inputs = inputs.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut batch = vec![inputs.next()?];
        let mut total = bytes(&batch[0]);
        while batch.len() < BATCH_TEXTS
            && let Some(input) = inputs.next_if(|input| total + bytes(input) <= BATCH_BYTES)
        {
            total += bytes(&input);
            batch.push(input);
        }
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, BATCH_TEXTS, Batch, Passages, PoolError, ThreadPool, batches};
    use crate::InputType;

    fn lengths(texts: Vec<String>) -> Vec<Vec<usize>> {
        batches(texts, String::len).map(|batch| batch.iter().map(String::len).collect()).collect()
    }

    #[test]
    fn batches_are_limited_in_texts_and_bytes() {
        let short = vec!["a".to_owned(); BATCH_TEXTS + 1];
        assert_eq!(lengths(short), [vec![1; BATCH_TEXTS], vec![1]]);
        let long: Vec<_> = [BATCH_BYTES + 5, 10, BATCH_BYTES - 10, 1].map(|length| "a".repeat(length)).into();
        assert_eq!(lengths(long), [vec![BATCH_BYTES + 5], vec![10, BATCH_BYTES - 10], vec![1]]);
    }

    const LONG: usize = 1;
    const SHORT: usize = 2;
    const MIDDLE: usize = 3;

    /// So many batches, known by their number of texts.
    fn call(texts: usize, batches: usize) -> std::collections::VecDeque<Batch> {
        (0..batches).map(|_| Batch { texts, work: Box::new(|_| {}) }).collect()
    }

    #[test]
    fn shortest_call_comes_first_and_the_oldest_still_advances() {
        let mut passages = Passages::default();
        passages.push(call(LONG, 100));
        passages.push(call(SHORT, 1));
        passages.push(call(MIDDLE, 3));
        let order: Vec<_> = (0..6).map(|_| passages.pop().unwrap().texts).collect();
        assert_eq!(order, [SHORT, MIDDLE, MIDDLE, LONG, MIDDLE, LONG]);

        // A steady stream of short calls takes three of four turns, not all.
        let long = (0..40)
            .filter(|_| {
                passages.push(call(SHORT, 1));
                passages.pop().unwrap().texts == LONG
            })
            .count();
        assert_eq!(long, 10);
        assert_eq!(std::iter::from_fn(|| passages.pop()).count(), 98 - 10 + 10);
    }

    #[tokio::test]
    async fn panic_of_a_model_is_an_error_and_its_thread_goes_on() {
        let pool = ThreadPool::start(1).unwrap();
        let run = async |divisor: usize| {
            let inputs = vec![12_usize, 6];
            pool.run(
                InputType::Query,
                inputs,
                |_| 1,
                move |inputs, _| {
                    if divisor == 1 {
                        return Err("one".to_owned());
                    }
                    Ok(inputs.iter().map(|input| input / divisor).collect::<Vec<_>>())
                },
            )
            .await
        };
        assert_eq!(run(0).await, Err(PoolError::Panicked));
        assert_eq!(run(1).await, Err(PoolError::Rejected("one".to_owned())));
        assert_eq!(run(3).await, Ok(vec![4, 2]));
    }
}
