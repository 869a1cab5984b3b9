//! Databases whose `NOTIFY` starts syncs: nothing here asks for one.

use serde_json::{Value, json};

use crate::{
    connection_rows::{found, postgres, reading},
    support::{QuickWorker, Setup, TestApp, wait_until},
};

const NOTES: &str = "create schema outside;
    create table outside.notes (id bigint primary key, body text, changed timestamptz default clock_timestamp());
    insert into outside.notes values (1, 'The harbour wakes.'), (2, 'Barnacles close.'), (3, 'Whelks are snails.')";
/// Each change of a row names its key.
const TELL: &str = "create function outside.tell() returns trigger language plpgsql as $$
        begin perform pg_notify('notes_changed', coalesce(new.id, old.id)::text); return null; end $$;
    create trigger tell after insert or update or delete on outside.notes for each row execute function outside.tell()";
/// A change that nothing tells.
const CHANGE: &str = "update outside.notes set changed = clock_timestamp(), body = ";
const LISTENERS: &str = "pg_stat_activity where datname = current_database() and application_name = 'nvisy listener'";

fn stream() -> Value {
    json!({ "table": "outside.notes", "key": "id", "cursor": "changed", "template": "{body}", "channel": "notes_changed" })
}

async fn wait_until_found(setup: &Setup, words: &str, expected: &[&str]) {
    wait_until(&format!("`{words}` is in {expected:?}"), async || {
        (found(setup, words).await == expected).then_some(())
    })
    .await;
}

async fn wait_until_listeners_are(setup: &Setup, count: i64) {
    wait_until(&format!("{count} connections listen"), async || {
        (setup.app.count(LISTENERS).await == count).then_some(())
    })
    .await;
}

/// Waits until no sync goes on, and none is to begin.
async fn wait_until_in_step(setup: &Setup) {
    wait_until("every notification is answered", async || {
        let open = setup.app.count("run where finished_at is null").await;
        (setup.app.count("source_notification").await == 0 && open == 0).then_some(())
    })
    .await;
    setup.app.wait_until_no_jobs_are_left().await;
}

/// The newest run.
async fn last_run(setup: &Setup) -> Value {
    setup.get("runs?trigger=notification").await["items"][0].clone()
}

#[actix_web::test]
async fn notify_starts_a_sync_of_the_rows_that_it_names() {
    let setup = Setup::of(TestApp::start_with(&[]).await).await;
    let worker = QuickWorker::start(&setup.app).await;
    setup.app.sql(NOTES).await;
    setup.app.sql(TELL).await;
    let connection = postgres(&setup).await;
    // The beginning of listening starts a sync: what came before it is not known.
    let pipeline = reading(&setup, &connection, stream(), "full").await;
    wait_until_found(&setup, "harbour wakes", &["outside.notes-1.txt"]).await;
    wait_until_in_step(&setup).await;

    setup.app.sql("insert into outside.notes values (4, 'Limpets graze.')").await;
    wait_until_found(&setup, "limpets graze", &["outside.notes-4.txt"]).await;
    wait_until_in_step(&setup).await;
    let run = last_run(&setup).await;
    assert_eq!((&run["state"], &run["sync"]["seen"]), (&json!("completed"), &json!(1)), "only the row is read: {run}");
    setup.app.sql("delete from outside.notes where id = 2").await;
    wait_until_found(&setup, "barnacles close", &[]).await;
    wait_until_in_step(&setup).await;

    // Several keys at once, some of them no keys of the table; and none.
    setup.app.sql("alter table outside.notes disable trigger tell").await;
    setup.app.sql(&format!("{CHANGE} 'Gulls shout.' where id in (1, 3)")).await;
    setup.app.sql("select pg_notify('notes_changed', '[1, \"3\", \"x\", 99]')").await;
    wait_until_found(&setup, "gulls shout", &["outside.notes-1.txt", "outside.notes-3.txt"]).await;
    wait_until_in_step(&setup).await;
    setup.app.sql(&format!("{CHANGE} 'Terns dive.' where id = 4")).await;
    setup.app.sql("notify other; notify notes_changed").await;
    wait_until_found(&setup, "terns dive", &["outside.notes-4.txt"]).await;
    wait_until_in_step(&setup).await;
    assert_eq!(setup.get("files").await["items"].as_array().unwrap().len(), 3);

    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    wait_until_listeners_are(&setup, 0).await;
    let ended = async || (setup.app.count("source_listener").await == 0).then_some(());
    wait_until("no worker holds a lease", ended).await;
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn one_worker_listens_and_what_is_missed_meanwhile_is_found() {
    let setup = Setup::of(TestApp::start_with(&[]).await).await;
    let first = QuickWorker::start(&setup.app).await;
    setup.app.sql(NOTES).await;
    let connection = postgres(&setup).await;
    reading(&setup, &connection, stream(), "incremental").await;
    wait_until_listeners_are(&setup, 1).await;
    wait_until_in_step(&setup).await;
    let second = QuickWorker::start(&setup.app).await;

    // The notification of this change is lost with the connection.
    setup.app.sql(&format!("{CHANGE} 'Lost with the connection.' where id = 1")).await;
    setup.app.sql(&format!("select pg_terminate_backend(pid) from {LISTENERS}")).await;
    wait_until_found(&setup, "lost with the connection", &["outside.notes-1.txt"]).await;
    wait_until_in_step(&setup).await;
    wait_until_listeners_are(&setup, 1).await;

    // The other worker listens in place of one that ends.
    setup.app.sql(&format!("{CHANGE} 'Between two workers.' where id = 2")).await;
    first.stop().await;
    wait_until_found(&setup, "between two workers", &["outside.notes-2.txt"]).await;
    wait_until_in_step(&setup).await;
    assert_eq!(setup.app.count(LISTENERS).await, 1);
    second.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn database_that_cannot_be_listened_to_shows_its_reason() {
    let setup = Setup::of(TestApp::start_with(&[]).await).await;
    let worker = QuickWorker::start(&setup.app).await;
    setup.app.sql(NOTES).await;
    let connection = postgres(&setup).await;
    let path = format!("connections/{connection}");
    let right = setup.get(&path).await["settings"].clone();
    let mut wrong = right.clone();
    wrong["database"] = json!("no_such_database");
    setup.patch(&path, &json!({ "settings": wrong })).await;
    reading(&setup, &connection, stream(), "full").await;
    let reason = wait_until("the connection says why it is not called", async || {
        setup.get(&path).await["blocked"]["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.contains("3D000") && reason.contains("no_such_database"), "{reason}");
    setup.patch(&path, &json!({ "settings": right })).await;
    wait_until_found(&setup, "harbour wakes", &["outside.notes-1.txt"]).await;
    wait_until_in_step(&setup).await;
    worker.stop().await;
    setup.app.stop().await;
}
