//! What is to be done once is done by one worker, however many there are.

use nvisy_shared::store;

use crate::{
    crash_recovery::spawn,
    support::app::{TestApp, until},
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

/// Who took the chores, and how often. After the fact: what runs before an insert also runs for one that finds the row there.
const LEDGER: &str = "
    create table taken (name text, holder int);
    create function note() returns trigger language plpgsql as $$ begin
        if tg_op = 'INSERT' or old.due_at <= now() then insert into taken values (new.name, pg_backend_pid()); end if;
        return null;
    end $$;
    create trigger note after insert or update on chore for each row execute function note()";

#[actix_web::test]
async fn each_task_runs_once_with_two_workers() {
    let app = TestApp::start().await;
    app.sql(LEDGER).await;
    let workers = [(), ()].map(|()| spawn("nvisy-worker", &app.place, &[LOCAL]));
    let taken = async |name: &str| app.count(&format!("taken where name = '{name}'")).await;
    // Accounts are looked at every half minute: by then both workers have asked for the sweep several times.
    until("accounts are looked at a second time", async || (taken("accounts").await >= 2).then_some(())).await;
    assert_eq!(taken("sweep").await, 1);

    app.sql("update chore set due_at = now() - interval '1 second' where name = 'sweep'").await;
    let taken_again = async || (taken("sweep").await == 2).then_some(());
    until("it is done again when it is due", taken_again).await;
    drop(workers);
    app.stop().await;
}

#[actix_web::test]
async fn task_has_one_holder_at_a_time() {
    use std::time::Duration;
    let app = TestApp::start().await;
    let minute = Duration::from_secs(60);
    let all =
        futures::future::join_all((0..8).map(|_| store::maintenance_lease::acquire(&app.db, "test", minute))).await;
    assert_eq!(all.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 1, "the first time");
    store::maintenance_lease::extend(&app.db, "test", Duration::ZERO).await.unwrap();
    let all =
        futures::future::join_all((0..8).map(|_| store::maintenance_lease::acquire(&app.db, "test", minute))).await;
    assert_eq!(all.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 1, "when it is due");
    app.stop().await;
}
