//! A disk that is full loses nothing: requests are told to come back, jobs wait, and both go on when there is room.

use crate::{
    files::part,
    support::app::{TestApp, until},
};

/// PostgreSQL's own answer when its disk is full.
const FULL: &str = "
    create function full_disk() returns trigger language plpgsql as $$ begin
        raise exception 'could not extend file: No space left on device' using errcode = '53100';
    end $$;";

#[actix_web::test]
async fn upload_on_a_full_disk_gets_503_and_stores_nothing() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.sql(&format!(
        "{FULL} create trigger full_disk before insert on run_item for each row execute function full_disk()"
    ))
    .await;
    let refused = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(503, "unavailable");
    // The bytes are left to the sweeper: had the commit happened, rows would refer to them.
    for table in ["file", "run", "blob", "job", "event"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }

    app.sql("drop trigger full_disk on run_item").await;
    app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn jobs_wait_for_disk_space_without_spending_attempts() {
    let app = TestApp::start_whole(&[("NVISY_QUEUE_ATTEMPTS", "1")]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.sql(&format!(
        "{FULL} create trigger full_disk before insert on chunk for each row execute function full_disk()"
    ))
    .await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    until("the job says why it waits", async || {
        let waits =
            "job where state = 'waiting' and attempts = 0 and last_error like 'the disk of PostgreSQL is full%'";
        (app.count(waits).await == 1).then_some(())
    })
    .await;

    app.sql("drop trigger full_disk on chunk").await;
    assert_eq!(app.settled(&ada, &workspace, &file).await["state"], "ready");
    assert_eq!(app.count("dead_job").await, 0);
    app.stop().await;
}
