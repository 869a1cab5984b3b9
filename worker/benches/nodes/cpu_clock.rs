//! The CPU time of this process.

use std::{collections::HashMap, ffi::OsString, fs, time::Duration};

/// Adds the times of all threads, in nanoseconds: the time of the process in `/proc/self/stat` has steps of ten milliseconds.
#[derive(Default)]
pub(crate) struct CpuClock {
    /// By thread. Those that have ended stay.
    nanos: HashMap<OsString, u64>,
}

impl CpuClock {
    /// The time so far.
    pub(crate) fn now(&mut self) -> Duration {
        for thread in fs::read_dir("/proc/self/task").unwrap() {
            let thread = thread.unwrap();
            // A thread may end meanwhile.
            let Ok(stat) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanos = stat.split_whitespace().next().unwrap().parse().unwrap();
            self.nanos.insert(thread.file_name(), nanos);
        }
        Duration::from_nanos(self.nanos.values().sum())
    }
}
