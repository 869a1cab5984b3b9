//! Clients that repeat a call, each on a thread, and the times that it takes.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, task::block_in_place};

/// The duration of a measurement, and of the calls before it, with which each connection has planned its statements.
const MEASURED: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);

/// How long each of the calls took, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds within which half of the calls ended.
    pub fn p50(&self) -> f64 {
        self.within(50)
    }

    /// Milliseconds within which 99 % of the calls ended.
    pub fn p99(&self) -> f64 {
        self.within(99)
    }

    fn within(&self, percent: usize) -> f64 {
        let place = (self.0.len() * percent / 100).min(self.0.len() - 1);
        self.0[place].as_secs_f64() * 1e3
    }
}

/// Calls `run` with the numbers of a connection and of the call, as often as the time allows and at least once on each
/// connection.
pub fn repeat(connections: usize, run: impl AsyncFn(usize, usize) + Sync) -> Times {
    for_duration(connections, WARM_UP, &run);
    for_duration(connections, MEASURED, &run)
}

/// The calls of a duration. Each client has its thread: one that ranks does not delay the others.
pub fn for_duration(connections: usize, duration: Duration, run: &(impl AsyncFn(usize, usize) + Sync)) -> Times {
    let (runtime, next, began) = (Handle::current(), AtomicUsize::new(0), Instant::now());
    let client = |connection: usize| {
        runtime.block_on(async {
            let mut times = Vec::new();
            while times.is_empty() || began.elapsed() < duration {
                let sent = Instant::now();
                run(connection, next.fetch_add(1, Ordering::Relaxed)).await;
                times.push(sent.elapsed());
            }
            times
        })
    };
    let client = &client;
    let times: Vec<Vec<Duration>> = block_in_place(|| {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..connections).map(|connection| scope.spawn(move || client(connection))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    });
    Times::new(times.concat())
}
