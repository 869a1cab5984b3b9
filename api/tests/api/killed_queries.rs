//! A database kills queries in the middle of a sync: the sync goes on where it was, or says why it waits.

use serde_json::{Value, json};

use crate::{
    connection_rows::{counts, found, postgres, reading},
    support::{Setup, TestApp, wait_until},
};

/// Two pages of rows, in a view that is slow enough to be killed while it is read.
const SLOW: &str = "create schema outside;
    create table outside.articles (id bigint primary key, body text);
    insert into outside.articles select n, 'The harbour number' || n || ' has a gauge.' from generate_series(1, 503) n;
    create view outside.slow as select * from outside.articles where (select pg_sleep(0.3)::text) is not null";
/// The connections that read a page of rows now.
const READING: &str = "pg_stat_activity where datname = current_database() and application_name = 'nvisy'
    and state = 'active' and query like 'select row_key, %row_to_json%'";

async fn start(setup: &Setup) -> String {
    let connection = postgres(setup).await;
    let stream = json!({ "table": "outside.slow", "key": "id", "template": "{body}" });
    let pipeline = reading(setup, &connection, stream, "full").await;
    setup.start_run(&pipeline).await
}

/// Kills the connection that reads now with such a query, once there is one.
async fn kill_one(setup: &Setup, query: &str) {
    wait_until("a query is killed", async || {
        let killed = format!("select pg_terminate_backend(pid) from {READING} and query like '%{query}%'");
        let killed = setup.app.rows(&killed).await;
        (!killed.is_empty()).then_some(())
    })
    .await;
    wait_until("the killed query is gone", async || (setup.app.count(READING).await == 0).then_some(())).await;
}

async fn ended(setup: &Setup, run: &str) -> Value {
    let mut open = i64::MAX;
    loop {
        let run = wait_until("the sync goes on", async || {
            let run = setup.get(run).await;
            let left = 503 - run["items"].as_i64().unwrap() + run["itemsOpen"].as_i64().unwrap();
            (run["finishedAt"].is_string() || left < open).then_some((run, left))
        })
        .await;
        match run {
            (run, _) if run["finishedAt"].is_string() => return run,
            (_, left) => open = left,
        }
    }
}

#[actix_web::test]
async fn sync_whose_query_is_killed_goes_on_where_it_was() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    setup.app.sql(SLOW).await;
    let run = start(&setup).await;
    // Of the first page twice, then of the one behind it.
    for query in ["row_to_json", "row_to_json", " > cast("] {
        kill_one(&setup, query).await;
    }
    let run = ended(&setup, &run).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [503, 503, 0, 0, 0, 0]), "{run}");
    assert_eq!(setup.app.count("file").await, 503);
    assert_eq!(found(&setup, "number503").await.len(), 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn sync_whose_queries_are_always_killed_waits_with_the_reason() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    setup.app.sql(SLOW).await;
    let run = start(&setup).await;
    let reason = wait_until("the sync waits", async || {
        setup.app.rows(&format!("select pg_terminate_backend(pid) from {READING}")).await;
        setup.get(&run).await["waiting"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    // The code is that of a command of the operator.
    assert!(reason.contains("57P01") || reason.contains("terminating connection"), "{reason}");
    let run = ended(&setup, &run).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [503, 503, 0, 0, 0, 0]), "{run}");
    setup.app.stop().await;
}
