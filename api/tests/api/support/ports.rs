//! Ports for servers that are told theirs. A port that was free a moment ago may be another's by the time the server takes it,
//! so these lie below the ports that the system gives to connections, and each test that runs has a range of its own.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
};

const FIRST: usize = 16_000;
const PORTS_OF_A_TEST: usize = 250;
/// The last port is 31,999: Linux gives those from 32,768 on to connections.
const RANGES: usize = 64;

/// Ports that are free and stay so until the caller's server takes them. No port is given twice until all were.
pub fn free_ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| free_port())
}

/// A port as of [`free_ports`].
pub fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // No two tests of a run have the same slot at the same time. Programs that nextest does not run have their process ids.
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok());
    let process = usize::try_from(std::process::id()).unwrap_or_default();
    let first = FIRST + slot.unwrap_or(process) % RANGES * PORTS_OF_A_TEST;
    // Tests in one slot follow each other, and begin at different places: what the one before had may still be closing.
    let mut candidates = (0..PORTS_OF_A_TEST).map(|_| {
        let place = (process + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS_OF_A_TEST;
        u16::try_from(first + place).expect("a port")
    });
    candidates.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
