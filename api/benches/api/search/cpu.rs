//! CPU time of PostgreSQL and of this process, in milliseconds.

use std::fs;

use nvisy_shared::store::{self, Conn, Db};

#[derive(Clone, Copy, Default)]
pub struct Cpu {
    /// Of the connections to the database.
    pub postgres: f64,
    /// Of all threads of this process, also of those that have ended; in ticks of 10 ms.
    pub api: f64,
}

impl Cpu {
    /// The time that was used so far.
    pub async fn now(db: &Db) -> Self {
        let connections =
            "select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend'";
        let rows = db.query_all_raw(store::statement(connections)).await.unwrap();
        let pids = rows.iter().map(|row| row.try_get_by_index::<i32>(0).unwrap());
        let postgres = pids.map(|pid| on_processor(&format!("/proc/{pid}/schedstat"))).sum();
        Self { postgres, api: own_ticks() * 10.0 }
    }

    /// The time of each of so many calls since then.
    pub fn of_each(self, earlier: Self, calls: usize) -> Self {
        let calls = calls as f64;
        Self { postgres: (self.postgres - earlier.postgres) / calls, api: (self.api - earlier.api) / calls }
    }
}

fn own_ticks() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum()
}

fn on_processor(path: &str) -> f64 {
    let found = fs::read_to_string(path).unwrap_or_default();
    found.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default() / 1e6
}
