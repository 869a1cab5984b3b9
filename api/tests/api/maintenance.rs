//! Each due maintenance task is run by one of several workers.

use std::time::Duration;

use nvisy_shared::{lifecycle::Lifecycle, store};
use nvisy_worker::{app::Worker, maintenance::Schedule};

use crate::support::{QuickWorker, TestApp, program, wait_until};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

/// Records which connection took which task. An `after` trigger, because a `before insert` trigger also runs when the row
/// exists.
const TAKEN_TASKS: &str = "
    create table taken (name text, holder int);
    create function record_task() returns trigger language plpgsql as $$ begin
        if tg_op = 'INSERT' or old.due_at <= now() then insert into taken values (new.name, pg_backend_pid()); end if;
        return null;
    end $$;
    create trigger record_task after insert or update on maintenance_lease for each row execute function record_task()";

#[actix_web::test]
async fn each_task_runs_once_with_two_workers() {
    let app = TestApp::start_with(&[LOCAL]).await;
    app.sql(TAKEN_TASKS).await;
    let build = || async { Worker::build(app.config().clone(), program("nvisy-worker")).await.unwrap() };
    let built = [build().await, build().await];
    let schedule = Schedule {
        poll_interval: Duration::from_millis(50),
        accounts_interval: Duration::from_millis(500),
        targets_interval: Duration::from_millis(500),
        ..Schedule::default()
    };
    let workers = built.map(|worker| {
        let lifecycle = Lifecycle::new();
        (lifecycle.clone(), tokio::spawn(worker.with_maintenance(schedule).run(lifecycle)))
    });
    let taken = async |name: &str| app.count(&format!("taken where name = '{name}'")).await;
    // By the second run of the task for accounts both workers have polled all tasks several times.
    wait_until("the task for accounts runs a second time", async || (taken("accounts").await >= 2).then_some(())).await;
    assert_eq!(taken("gc").await, 1);

    app.sql("update maintenance_lease set due_at = now() - interval '1 second' where name = 'gc'").await;
    let taken_again = async || (taken("gc").await == 2).then_some(());
    wait_until("the due task runs again", taken_again).await;
    for (lifecycle, worker) in workers {
        lifecycle.soft().cancel();
        assert!(worker.await.unwrap(), "the worker finished in time");
    }
    app.stop().await;
}

#[actix_web::test]
async fn task_has_one_holder_at_a_time() {
    let app = TestApp::start().await;
    let minute = Duration::from_secs(60);
    let all =
        futures::future::join_all((0..8).map(|_| store::maintenance_lease::acquire(&app.db, "test", minute))).await;
    assert_eq!(all.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 1, "on the first run");
    store::maintenance_lease::extend(&app.db, "test", Duration::ZERO).await.unwrap();
    let all =
        futures::future::join_all((0..8).map(|_| store::maintenance_lease::acquire(&app.db, "test", minute))).await;
    assert_eq!(all.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 1, "when it is due");
    app.stop().await;
}

#[actix_web::test]
async fn invalid_index_of_an_interrupted_rebuild_is_dropped() {
    let app = TestApp::start_with(&[LOCAL]).await;
    let indexes = app.rows("select relname::text as name from pg_class where relname like 'embedding_hnsw_%'").await;
    let index = format!("{}_ccnew", indexes[0].try_get::<String>("", "name").unwrap());
    app.sql(&format!(
        "create index {index} on embedding (chunk_id);
         update pg_index set indisvalid = false where indexrelid = '{index}'::regclass"
    ))
    .await;
    let worker = QuickWorker::start(&app).await;
    let left = format!("pg_class where relname = '{index}'");
    wait_until("the index is dropped", async || (app.count(&left).await == 0).then_some(())).await;
    worker.stop().await;
    assert_eq!(app.count("pg_class where relname like 'embedding_hnsw_%'").await, 1, "the valid one stays");
    app.stop().await;
}
