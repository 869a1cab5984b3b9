//! The processor time of the processes that take part in a sync.

use std::{fmt, fs, time::Duration};

use nvisy_shared::store::{self, Conn, Db};

/// Processor time by process.
#[derive(Clone, Copy, Debug)]
pub struct CpuTimes {
    worker: Duration,
    /// With the processes of all connections, also of those that have ended.
    postgres: Duration,
    nats: Duration,
}

impl CpuTimes {
    /// The time that was used so far.
    pub async fn now(db: &Db, worker: u32) -> Self {
        let backend = db.query_one_raw(store::statement("select pg_backend_pid()")).await.unwrap().unwrap();
        let backend: i32 = backend.try_get_by_index(0).unwrap();
        let postmaster = fields(&backend.to_string())[PARENT].clone();
        let children = processes().filter(|process| fields_of(process).is_some_and(|it| it[PARENT] == postmaster));
        // Of children that have ended, the parent has the time.
        let postgres = children.map(|child| ticks(&child, 2)).sum::<u64>() + ticks(&postmaster, 4);
        let nats = processes().filter(|process| is_nats(process)).map(|process| ticks(&process, 2)).sum();
        Self { worker: time(ticks(&worker.to_string(), 2)), postgres: time(postgres), nats: time(nats) }
    }

    /// Since then, for each of so many units.
    pub fn since(self, earlier: Self, units: i64) -> PerUnit {
        let each = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() * 1e3 / units as f64;
        PerUnit {
            worker: each(self.worker, earlier.worker),
            postgres: each(self.postgres, earlier.postgres),
            nats: each(self.nats, earlier.nats),
        }
    }
}

/// Milliseconds of processor time for each unit.
#[derive(Clone, Copy, Debug)]
pub struct PerUnit {
    worker: f64,
    postgres: f64,
    nats: f64,
}

impl fmt::Display for PerUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, postgres, nats } = self;
        write!(f, "CPU {worker:.4} ms of the worker, {postgres:.4} of PostgreSQL, {nats:.4} of NATS")
    }
}

/// The processor time of this process, which has the API and the clients.
pub fn own() -> Duration {
    time(ticks("self", 2))
}

/// The place of the parent's id among the fields behind the name.
const PARENT: usize = 1;
/// The place of the user time; system time and those of ended children follow.
const USER_TIME: usize = 11;

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The server of the benchmark: its arguments have its port.
fn is_nats(process: &str) -> bool {
    let url = std::env::var("NVISY_TEST_NATS_URL").expect("a server");
    let port = url.rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let arguments = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    arguments.split('\0').next().unwrap_or_default().ends_with("nats-server")
        && arguments.contains(&format!("--port\0{port}\0"))
}

fn fields(process: &str) -> Vec<String> {
    fields_of(process).unwrap_or_else(|| panic!("the process {process}"))
}

/// The fields behind the name, which may have spaces; `None`: the process has ended.
fn fields_of(process: &str) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect())
}

fn ticks(process: &str, times: usize) -> u64 {
    let fields = fields_of(process).unwrap_or_default();
    fields.iter().skip(USER_TIME).take(times).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}
