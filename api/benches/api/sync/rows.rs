//! A sync of the rows of a table as a share of reading them page by page, and the rows that it reads again after its worker is killed.

use std::time::Duration;

use serde_json::json;

use super::{
    cpu::CpuTimes,
    measured_sync::{MeasuredSync, argument, list},
    memory,
    outside_table::{OutsideTable, PAGE_ROWS},
};
use crate::support::synced::counts;

/// As many rows as the first argument says, otherwise this many.
const ROWS: i64 = 100_000;
/// Rounds of which the fastest counts: the readers take turns.
const ROUNDS: usize = 3;
/// With fewer there is no time to kill a worker in the middle.
const MIN_ROWS: i64 = 20_000;

#[actix_web::main]
pub async fn run() {
    let rows: i64 = argument(ROWS).max(MIN_ROWS);
    let mut table = OutsideTable::create(rows).await;
    let source = json!({ "stream": OutsideTable::stream() });
    let measured = MeasuredSync::start("postgresql", table.settings(), table.credentials(), &source).await;
    let source = measured.source().await;
    let (mut bare, mut listed) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        bare = bare.min(table.time_bare_read().await);
        let mut listed_rows = 0;
        let took = list(&*source, OutsideTable::stream(), |page| listed_rows += page.len() as i64).await;
        assert_eq!(listed_rows, rows);
        listed = listed.min(took);
    }

    let (worker, worker_id) = measured.spawn_worker();
    let before = (table.rows_read().await, CpuTimes::now(&measured.db, worker_id).await);
    let (run, first) = measured.sync().await;
    assert_eq!(counts(&run), [rows, rows, 0, 0, 0, 0], "{run}");
    let after_first = (table.rows_read().await, CpuTimes::now(&measured.db, worker_id).await);
    let (run, second) = measured.sync().await;
    assert_eq!(counts(&run), [rows, 0, 0, rows, 0, 0], "{run}");
    let after_second = CpuTimes::now(&measured.db, worker_id).await;
    let peak = memory::peak(worker_id);
    let share = |took: Duration| bare.as_secs_f64() / took.as_secs_f64();
    println!("{rows} rows of a table of PostgreSQL, {PAGE_ROWS} in a page");
    println!("  bare read by the key         {bare:.2?}");
    println!(
        "  listing by the source alone  {listed:.2?}: {:.2} of the bare read's speed  (target: at least 0.60)",
        share(listed)
    );
    println!(
        "  first sync                   {first:.2?}, {:.3} ms for each row, with file, version, item and events: {:.4} of the bare \
         read's speed; {} rows read",
        first.as_secs_f64() * 1e3 / rows as f64,
        share(first),
        after_first.0 - before.0
    );
    println!("                               {}", after_first.1.since(before.1, rows));
    println!("  second sync, without change  {second:.2?}: {:.2} of the bare read's speed", share(second));
    println!("                               {}", after_second.since(after_first.1, rows));
    println!("  peak memory of the worker    {peak:.1} MB");
    drop(worker);
    kill_in_the_middle(&measured, &mut table, rows).await;
    measured.stop().await;
    table.remove().await;
}

/// Kills the worker of a sync that has read half of the rows, and lets another one go on. The rows in the middle have changed, so that
/// the sync takes its time there.
async fn kill_in_the_middle(measured: &MeasuredSync, table: &mut OutsideTable, rows: i64) {
    let (from, to) = (rows / 100 * 45, rows / 100 * 55);
    let changed = to - from;
    // Not by the index of the key, whose reads are counted.
    table
        .sql(&format!("update readings set note = note || ' It rose.' where id + 0 > {from} and id + 0 <= {to}"))
        .await;
    let before = table.rows_read().await;
    let (mut killed, _) = measured.spawn_worker();
    let run = measured.synced.start_sync(json!({})).await;
    measured.run_that(&run, |run| run["sync"]["changed"].as_i64().unwrap_or(0) >= changed / 2).await;
    killed.kill().await.expect("a killed worker");
    let at = measured.run_that(&run, |_| true).await;
    let seen = at["sync"]["seen"].as_i64().unwrap();
    assert!(seen < rows, "the listing had ended: {at}");
    let (worker, _) = measured.spawn_worker();
    let ended = measured.ended(&run).await;
    drop(worker);
    assert_eq!(counts(&ended), [rows, 0, changed, rows - changed, 0, 0], "{ended}");
    let again = table.rows_read().await - before - rows;
    println!(
        "  worker killed after {seen} rows: {again} rows were read again, {} pages  (target: at most 1)",
        again.div_euclid(PAGE_ROWS) + i64::from(again.rem_euclid(PAGE_ROWS) > 0)
    );
}
