//! Changes that meet: none fails because of another, and each is recorded once.

use std::time::Duration;

use futures::future::{join, join_all};
use nvisy_shared::{
    domain::activity::Action,
    id::WorkspaceId,
    store::{
        self, Conn, Error,
        activity::ActorContext,
        change::{Change, ChangeScope},
    },
    testing::TestDeployment,
};
use reqwest::{Method, multipart::Form};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{Setup, TestAccount, TestApp, definition, part, send, wait_until};

/// Rounds of each race, with [`UPLOADS`] files at once. `NVISY_TEST_ROUNDS=250 just test while_a_worker` runs a longer one.
const ROUNDS: usize = 15;
const UPLOADS: usize = 4;

fn rounds() -> usize {
    std::env::var("NVISY_TEST_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"))
}

/// The number of deadlocks that PostgreSQL has detected in the database, which repeated transactions hide. Connections report it
/// at the latest when they end.
async fn deadlocks(deployment: &TestDeployment) -> i64 {
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    let number = async |sql: &str| -> i64 {
        let row = db.query_one_raw(store::statement(sql)).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    };
    let others = "select count(pg_terminate_backend(pid)) as n from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    wait_until("all connections have ended", async || (number(others).await == 0).then_some(())).await;
    let deadlocks = number("select deadlocks as n from pg_stat_database where datname = current_database()").await;
    db.close().await.unwrap();
    deadlocks
}

async fn assert_no_deadlock(deployment: &TestDeployment) {
    assert_eq!(deadlocks(deployment).await, 0, "PostgreSQL detected deadlocks");
}

/// Uploads a file and deletes it: at once, or as soon as a worker has begun with it.
async fn upload_and_delete(app: &TestApp, ada: &TestAccount, workspace: &str, name: String, begun: bool) {
    let content = format!("{name}: the tide turns at noon.\n").repeat(40);
    let accepted = app.upload(ada, workspace, vec![part(&name, content)]).await.expect(202);
    let path = format!("/api/v1/workspaces/{workspace}/files/{}", accepted["items"][0]["id"].as_str().unwrap());
    if begun {
        wait_until("a worker has begun", async || {
            (app.get(ada, &path).await.expect(200)["state"] != "queued").then_some(())
        })
        .await;
    }
    let deleted = send(app.request(Method::DELETE, &path).bearer_auth(&ada.token)).await;
    assert_eq!(deleted.status, 204, "{name}: {deleted:?}");
}

#[actix_web::test]
async fn file_is_deleted_while_a_worker_processes_it() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tides").await;
    for round in 0..rounds() {
        let deleted =
            (0..UPLOADS).map(|n| upload_and_delete(&app, &ada, &workspace, format!("{round}-{n}"), n % 2 == 1));
        join_all(deleted).await;
    }
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(app.count("run").await + app.count("run_item").await + app.count("chunk").await, 0);
    assert_eq!(app.count("dead_job").await, 0);
    let deleted = app.count("activity where action = 'file.deleted'").await;
    assert_eq!(deleted, i64::try_from(rounds() * UPLOADS).unwrap());
    app.stop_then(async |deployment| assert_no_deadlock(deployment).await).await;
}

#[actix_web::test]
async fn workspace_is_deleted_while_a_worker_processes_its_files() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    for round in 0..ROUNDS / 3 {
        let workspace = app.create_workspace(&ada, &format!("Tides {round}")).await;
        let parts = (0..UPLOADS).map(|n| part(&format!("{n}.txt"), format!("Tide {n} turns at noon.\n").repeat(40)));
        app.upload(&ada, &workspace, parts.collect()).await.expect(202);
        wait_until("a worker has begun", async || {
            (app.count("run_item where state <> 'queued'").await > 0).then_some(())
        })
        .await;
        assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}")).await.status, 204);
    }
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(app.count("dead_job").await, 0);
    app.stop_then(async |deployment| assert_no_deadlock(deployment).await).await;
}

#[actix_web::test]
async fn uploads_of_the_same_contents_in_any_order_do_not_deadlock() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tides").await;
    for round in 0..ROUNDS {
        let uploads = (0..UPLOADS).map(|n| {
            let mut parts: Vec<_> =
                (0..4).map(|name| part(&format!("{name}.txt"), format!("round {round}, content {name}"))).collect();
            parts.rotate_left(n);
            app.upload(&ada, &workspace, parts)
        });
        for response in join_all(uploads).await {
            response.expect(202);
        }
    }
    assert_eq!(app.count("blob").await, i64::try_from(ROUNDS * 4).unwrap());
    app.sql("delete from job").await;
    app.stop_then(async |deployment| assert_no_deadlock(deployment).await).await;
}

/// Uploads files with these external ids.
async fn upload_ids(app: &TestApp, ada: &TestAccount, workspace: &str, ids: &[String], content: &str) -> Vec<String> {
    let form = ids.iter().fold(Form::new(), |form, id| {
        let tag = format!("{} bytes", content.len());
        form.text("externalId", id.clone()).text("tags", tag).part("file", part(id, content.to_owned()))
    });
    let accepted = app.upload_form(ada, workspace, form, None).await.expect(202);
    accepted["items"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn uploads_of_the_same_external_ids_in_any_order_do_not_deadlock() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tides").await;
    for round in 0..rounds() {
        // Files that do not exist, and files of which a worker processes versions meanwhile.
        let ids = [format!("{round}-0"), format!("{}-1", round / 4), format!("{}-2", round / 4)];
        let uploads = (0..UPLOADS).map(async |n| {
            let mut ids = ids.clone();
            ids.rotate_left(n % 3);
            // Some contents are the same, and some files have no new content.
            let content = format!("Tide {} turns at noon in round {}.\n", n / 2, round / 2).repeat(40);
            let files = upload_ids(&app, &ada, &workspace, &ids, &content[..20]).await;
            let files = [files, upload_ids(&app, &ada, &workspace, &ids, &content[..80]).await].concat();
            let path = format!("/api/v1/workspaces/{workspace}/files/{}", files[n]);
            if n == 0 {
                let deleted = app.delete(&ada, &path).await.status.as_u16();
                assert!([204, 404].contains(&deleted), "{deleted}");
            } else {
                let change = json!({ "metadata": { n.to_string(): round } });
                let changed = app.patch(&ada, &path, &change).await.status;
                assert!([200, 404].contains(&changed.as_u16()), "{changed}");
            }
        });
        join_all(uploads).await;
    }
    app.wait_until_no_jobs_are_left().await;
    assert_eq!(app.count("dead_job").await, 0);
    let ids = app.count("(select distinct external_id from file) ids").await;
    assert_eq!(app.count("file").await, ids);
    let numbered =
        "(select max(number) = count(*) as complete from file_version group by file_id) v where not complete";
    assert_eq!(app.count(numbered).await, 0, "numbers have gaps");
    assert_eq!(app.count("file where live_version_id <> version_id").await, 0);
    app.stop_then(async |deployment| assert_no_deadlock(deployment).await).await;
}

/// Files of the runs that meet: workers process several of one run in one transaction.
const FILES: usize = 24;

#[actix_web::test]
async fn runs_are_cancelled_and_retried_while_workers_process_their_items() {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" },
        { "id": "read", "type": "partition" },
        { "id": "long", "type": "check", "expression": "document.characters > 10", "severity": "block" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection" },
    ]);
    let edges = ["in > read", "read > long", "long > cut", "cut > out"];
    let pipeline = setup.pipeline("Words", &definition(&nodes, &edges)).await;
    let content = |n: usize| {
        if n.is_multiple_of(3) { "Ebb.".to_owned() } else { format!("Tide {n} turns at noon.\n").repeat(40) }
    };
    let contents: Vec<(String, String)> = (0..FILES).map(|n| (format!("{n}.txt"), content(n))).collect();
    let contents: Vec<(&str, &str)> = contents.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let files: Vec<Value> = setup.upload(&contents).await.into_values().map(|file| file["id"].clone()).collect();
    let app = &setup.app;
    for _ in 0..rounds() / 3 {
        let (path, body) = (setup.path(&format!("{pipeline}/runs")), json!({ "files": files }));
        let runs = join_all((0..3).map(|_| app.post(&setup.ada, &path, &body))).await;
        let runs: Vec<Value> = runs.into_iter().map(|run| run.expect(202)).collect();
        let cancelled = runs[0]["id"].as_str().unwrap();
        let ended = format!("run_item where run_id = '{cancelled}' and finished_at is not null");
        wait_until("an item has ended", async || (app.count(&ended).await > 0).then_some(())).await;
        let (cancel, retry) = (setup.path(&format!("runs/{cancelled}/cancel")), setup.path("items/retry"));
        let body = json!({});
        let (cancelled, retried) =
            join(app.post(&setup.ada, &cancel, &body), app.post(&setup.ada, &retry, &body)).await;
        assert!([200, 409].contains(&cancelled.status.as_u16()), "{cancelled:?}");
        assert_eq!(retried.status, 202, "{retried:?}");
        app.wait_until_no_jobs_are_left().await;
    }
    assert_eq!(app.count("dead_job").await, 0);
    assert_eq!(app.count("run where finished_at is null or items_open <> 0").await, 0);
    let failed = "(select count(*) from run_item i where i.run_id = run.id and i.state = 'failed')";
    assert_eq!(app.count(&format!("run where items_failed <> {failed}")).await, 0, "failed items are not counted once");
    assert_eq!(app.count("workspace_usage where runs <> 0").await, 0);
    setup.app.stop_then(async |deployment| assert_no_deadlock(deployment).await).await;
}

/// Runs the same change twice at the same time, in two workspaces; `meet` gets the number of the change, that of its attempt, and
/// both workspaces. Returns the attempts of each change.
async fn run_two_changes(
    app: &TestApp,
    meet: impl AsyncFn(&mut Change, usize, u32, [WorkspaceId; 2]) -> Result<(), Error>,
) -> Vec<Result<u32, Error>> {
    let ada = app.create_account("ada").await;
    let ids = [app.create_workspace(&ada, "Tides").await, app.create_workspace(&ada, "Winds").await];
    let ids = ids.map(|id| id.parse::<uuid::Uuid>().unwrap().into());
    let keys = app.audit_keys();
    let changes = [0, 1].map(async |number| {
        let mut attempts = 0;
        let changes = ChangeScope::new(&app.db, &keys, ids[number], ActorContext::system());
        let changed = changes.run(async |change| {
            attempts += 1;
            change.audit(Action::WorkspaceUpdated, ids[number]);
            meet(change, number, attempts, ids).await
        });
        changed.await.map(|()| attempts)
    });
    join_all(changes).await
}

#[actix_web::test]
async fn deadlock_is_repeated_and_recorded_once() {
    let app = TestApp::start().await;
    let both_hold_one = Barrier::new(2);
    let attempts = run_two_changes(&app, async |change, number, attempt, ids| {
        store::workspace::lock(change, ids[number]).await?;
        if attempt == 1 {
            both_hold_one.wait().await;
        }
        store::workspace::lock(change, ids[1 - number]).await.map(drop)
    })
    .await;
    let attempts: u32 = attempts.into_iter().map(Result::unwrap).sum();
    assert_eq!(attempts, 3, "one of the two is repeated");
    assert_eq!(app.count("activity where action = 'workspace.updated'").await, 2);
    app.stop_then(async |deployment| assert_eq!(deadlocks(deployment).await, 1)).await;
}

#[actix_web::test]
async fn serialisation_failure_is_repeated_and_recorded_once() {
    let app = TestApp::start().await;
    let both_have_read = Barrier::new(2);
    let attempts = run_two_changes(&app, async |change, _, attempt, ids| {
        change.execute_unprepared("set transaction isolation level repeatable read").await?;
        let update = format!("update workspace set revision = revision + 1 where id = '{}'", ids[0]);
        change.execute_unprepared(&format!("select from workspace where id = '{}'", ids[0])).await?;
        if attempt == 1 {
            both_have_read.wait().await;
        }
        change.execute_unprepared(&update).await.map(drop)
    })
    .await;
    let attempts: u32 = attempts.into_iter().map(Result::unwrap).sum();
    assert_eq!(attempts, 3, "one of the two is repeated");
    assert_eq!(app.count("activity where action = 'workspace.updated'").await, 2);
    app.stop().await;
}

#[actix_web::test]
async fn other_errors_are_not_repeated_and_undo_the_change() {
    let app = TestApp::start().await;
    let attempts = run_two_changes(&app, async |change, number, attempt, _| {
        assert_eq!(attempt, 1);
        match number {
            0 => change.execute_unprepared("select 1 / 0").await.map(drop),
            _ => Ok(()),
        }
    })
    .await;
    assert!(attempts[0].is_err() && attempts[1].is_ok());
    assert_eq!(app.count("activity where action = 'workspace.updated'").await, 1);
    app.stop().await;
}

#[actix_web::test]
async fn change_that_waits_for_another_is_not_repeated() {
    let app = TestApp::start().await;
    let attempts = run_two_changes(&app, async |change, _, _, ids| {
        store::workspace::lock(change, ids[0]).await?;
        tokio::task::yield_now().await;
        store::workspace::lock(change, ids[1]).await.map(drop)
    });
    let attempts = tokio::time::timeout(Duration::from_secs(60), attempts).await.expect("no deadlock");
    assert_eq!(attempts.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 1]);
    app.stop().await;
}
