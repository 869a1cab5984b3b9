//! A full disk of PostgreSQL: requests get a 503, jobs wait, and both continue when there is space.

use crate::support::{TestApp, part, wait_until};

/// The error that PostgreSQL raises when its disk is full.
const FULL_DISK_ERROR: &str = "
    create function full_disk() returns trigger language plpgsql as $$ begin
        raise exception 'could not extend file: No space left on device' using errcode = '53100';
    end $$;";

#[actix_web::test]
async fn upload_on_a_full_disk_gets_503_and_stores_nothing() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.sql(&format!(
        "{FULL_DISK_ERROR} create trigger full_disk before insert on run_item for each row execute function full_disk()"
    ))
    .await;
    let rejected = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await;
    assert!(!rejected.header("retry-after").is_empty());
    rejected.problem(503, "unavailable");
    // Garbage collection removes the stored bytes; no row refers to them.
    for table in ["file", "run", "blob", "job", "event"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }

    app.sql("drop trigger full_disk on run_item").await;
    app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn jobs_wait_for_disk_space_without_spending_attempts() {
    let app = TestApp::start_with_worker(&[("NVISY_QUEUE_ATTEMPTS", "1")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.sql(&format!(
        "{FULL_DISK_ERROR} create trigger full_disk before insert on chunk for each row execute function full_disk()"
    ))
    .await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    wait_until("the job waits with a reason", async || {
        let waiting =
            "job where state = 'waiting' and attempts = 0 and last_error like 'the disk of PostgreSQL is full%'";
        (app.count(waiting).await == 1).then_some(())
    })
    .await;

    app.sql("drop trigger full_disk on chunk").await;
    assert_eq!(app.finished_file(&ada, &workspace, &file).await["state"], "ready");
    assert_eq!(app.count("dead_job").await, 0);
    app.stop().await;
}
