//! The threads that compute, and the queue before them.
//!
//! Each thread takes one small unit of texts at a time and works on it alone, so threads never wait for one another and the
//! processor's time goes into arithmetic. Units of queries are taken first: a query waits at most for the units in hand, not
//! for the passages queued.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tokio::sync::oneshot;

use super::{Model, Scratch};
use crate::{EmbedError, Purpose};

/// Texts in a unit. More would not run faster: a passage or two already fill the blocks of the matrix product.
const UNIT_TEXTS: usize = 8;
/// Bytes of text in a unit, unless one text alone is longer. About 500 tokens, a tenth of a second of one core: the most a query
/// waits for a thread.
const UNIT_BYTES: usize = 2_400;

type Answer = Result<Vec<Vec<f32>>, EmbedError>;

struct Unit {
    texts: Vec<String>,
    answer: oneshot::Sender<Answer>,
}

/// A handle on the threads; dropping it ends them.
pub(super) struct Pool {
    queue: Arc<Queue>,
}

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    queries: VecDeque<Unit>,
    passages: VecDeque<Unit>,
    closed: bool,
}

impl Pool {
    /// Starts `threads` threads over one model.
    pub(super) fn start(threads: usize, model: Model) -> io::Result<Self> {
        let model = Arc::new(model);
        let pool = Self { queue: Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new() }) };
        for number in 0..threads {
            let (queue, model) = (Arc::clone(&pool.queue), Arc::clone(&model));
            thread::Builder::new().name(format!("embed-{number}")).spawn(move || work(&queue, &model))?;
        }
        Ok(pool)
    }

    /// Queues the texts and waits for all vectors, in order.
    pub(super) async fn embed(&self, purpose: Purpose, texts: Vec<String>) -> Answer {
        let mut vectors = Vec::with_capacity(texts.len());
        let answers: Vec<_> = {
            let mut waiting = self.queue.lock();
            units(texts)
                .map(|texts| {
                    let (answer, receiver) = oneshot::channel();
                    let unit = Unit { texts, answer };
                    match purpose {
                        Purpose::Query => waiting.queries.push_back(unit),
                        Purpose::Passage => waiting.passages.push_back(unit),
                    }
                    receiver
                })
                .collect()
        };
        self.queue.changed.notify_all();
        for answer in answers {
            // The sender goes away without an answer only in a panic, which `work` has logged.
            let answer = answer.await.map_err(|_| EmbedError::Unavailable("the encoder panicked".into()))?;
            vectors.append(&mut answer?);
        }
        Ok(vectors)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    /// The queue stays consistent under every line that runs with the lock held, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next unit; `None` when the pool is gone.
    fn next(&self) -> Option<Unit> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(unit) = waiting.queries.pop_front() {
                return Some(unit);
            }
            if let Some(unit) = waiting.passages.pop_front() {
                return Some(unit);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn work(queue: &Queue, model: &Model) {
    let mut scratch = Scratch::default();
    while let Some(Unit { texts, answer }) = queue.next() {
        if answer.is_closed() {
            continue; // The caller dropped the future.
        }
        match catch_unwind(AssertUnwindSafe(|| model.embed(&texts, &mut scratch))) {
            // A caller that is gone by now needs no answer.
            Ok(vectors) => drop(answer.send(vectors)),
            Err(_) => {
                tracing::error!(embedding.texts = texts.len(), "the encoder panicked");
                scratch = Scratch::default();
            }
        }
    }
}

/// Cuts texts into units, keeping their order.
fn units(texts: Vec<String>) -> impl Iterator<Item = Vec<String>> {
    let mut texts = texts.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut unit = vec![texts.next()?];
        let mut bytes = unit[0].len();
        while unit.len() < UNIT_TEXTS
            && let Some(text) = texts.next_if(|text| bytes + text.len() <= UNIT_BYTES)
        {
            bytes += text.len();
            unit.push(text);
        }
        Some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::{UNIT_BYTES, UNIT_TEXTS, units};

    fn lengths(texts: Vec<String>) -> Vec<Vec<usize>> {
        units(texts).map(|unit| unit.iter().map(String::len).collect()).collect()
    }

    #[test]
    fn units_hold_few_texts_and_few_bytes() {
        let short = vec!["a".to_owned(); UNIT_TEXTS + 1];
        assert_eq!(lengths(short), [vec![1; UNIT_TEXTS], vec![1]]);
        let long: Vec<_> = [UNIT_BYTES + 5, 10, UNIT_BYTES - 10, 1].map(|length| "a".repeat(length)).into();
        assert_eq!(lengths(long), [vec![UNIT_BYTES + 5], vec![10, UNIT_BYTES - 10], vec![1]]);
    }
}
