//! Rows of PostgreSQL and MariaDB as files that are kept in step.

use serde_json::{Value, json};
use sqlx::ConnectOptions;
use url::Url;

use crate::support::{MariaDb, Setup, TestApp, definition, wait_until};

/// Creates a connection and returns its id.
async fn connect(setup: &Setup, provider: &str, settings: Value, credentials: Value) -> String {
    let body = json!({ "name": provider, "provider": provider, "settings": settings, "credentials": credentials });
    let created = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.expect(201);
    created["id"].as_str().unwrap().to_owned()
}

/// The database of the test itself, as a connection of a tenant.
pub async fn postgres(setup: &Setup) -> String {
    let variables = setup.app.deployment.variables(&[]);
    let url = &variables.iter().find(|(name, _)| name == "NVISY_DATABASE_URL").unwrap().1;
    let url: Url = url.parse().unwrap();
    let settings = json!({
        "host": url.host_str(), "port": url.port(), "database": url.path().trim_start_matches('/'), "tls": "off",
        "timeoutSeconds": 2,
    });
    let credentials = json!({ "user": url.username(), "password": url.password().unwrap() });
    connect(setup, "postgresql", settings, credentials).await
}

/// A pipeline that reads rows for full-text search; returns its path.
pub async fn reading(setup: &Setup, connection: &str, stream: Value, mode: &str) -> String {
    let nodes = json!([
        { "id": "in", "type": "source.connection", "connection": connection, "stream": stream, "mode": mode },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection", "collection": "default" },
    ]);
    setup.pipeline("Rows", &definition(&nodes, &["in > read", "read > cut", "cut > out"])).await
}

/// A sync to its end.
pub async fn sync(setup: &Setup, pipeline: &str) -> Value {
    sync_with(setup, pipeline, &json!({})).await
}

async fn sync_with(setup: &Setup, pipeline: &str, body: &Value) -> Value {
    let run = setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), body).await.expect(202);
    let path = format!("runs/{}", run["id"].as_str().unwrap());
    // Every row is a file, so a sync of many takes its time.
    let mut ended = 0;
    loop {
        let open = ended;
        ended = wait_until("a file of the sync is ready", async || {
            let run = setup.get(&path).await;
            let now = run["items"].as_i64().unwrap() - run["itemsOpen"].as_i64().unwrap();
            (run["finishedAt"].is_string() || now > open).then_some(now)
        })
        .await;
        let run = setup.get(&path).await;
        if run["finishedAt"].is_string() {
            return run;
        }
    }
}

/// Seen, new, changed, unchanged, deleted, failed.
pub fn counts(run: &Value) -> [i64; 6] {
    ["seen", "new", "changed", "unchanged", "deleted", "failed"].map(|name| run["sync"][name].as_i64().unwrap())
}

pub async fn found(setup: &Setup, words: &str) -> Vec<String> {
    // As a phrase, because the parts of such a word are in all rows.
    let body = json!({ "query": format!("\"{words}\""), "mode": "text" });
    let found = setup.app.post(&setup.ada, &setup.path("search"), &body).await.expect(200);
    let mut names: Vec<String> =
        found["hits"].as_array().unwrap().iter().map(|hit| hit["file"]["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[actix_web::test]
async fn table_of_postgres_is_searched_and_kept_in_step() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    setup.app.sql("create schema outside").await;
    setup
        .app
        .sql(
            "create table outside.articles (id bigint primary key, title text, body text, changed timestamptz);
             insert into outside.articles select n, 'Article ' || n, 'The harbour number' || n || ' has a gauge.',
                 timestamptz '2026-01-01' + n * interval '1 second' from generate_series(1, 503) n",
        )
        .await;
    let connection = postgres(&setup).await;
    let stream = json!({
        "table": "outside.articles", "key": "id", "cursor": "changed", "name": "title", "template": "# {title}\n\n{body}",
    });
    let pipeline = reading(&setup, &connection, stream, "full").await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [503, 503, 0, 0, 0, 0], "{run}");
    assert_eq!(found(&setup, "number477").await, ["Article 477.txt"]);
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [503, 0, 0, 503, 0, 0], "{run}");
    setup
        .app
        .sql(
            "update outside.articles set body = 'The lighthouse is red.', changed = now() where id = 5;
             delete from outside.articles where id = 477;
             insert into outside.articles values (2000, null, 'A row without a name and a cursor.', null)",
        )
        .await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [503, 1, 1, 501, 1, 0], "{run}");
    assert_eq!(found(&setup, "lighthouse").await, ["Article 5.txt"]);
    assert_eq!(found(&setup, "number477").await, [""; 0]);
    assert_eq!(found(&setup, "without a name").await.len(), 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn incremental_sync_reads_what_changed_and_rows_without_a_cursor() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    setup
        .app
        .sql(
            "create schema outside; create table outside.notes (code text primary key, body text, version integer);
             insert into outside.notes select 'n' || n, 'note ' || n, n from generate_series(1, 20) n;
             insert into outside.notes values ('nulls', 'first text', null)",
        )
        .await;
    let connection = postgres(&setup).await;
    let stream =
        json!({ "query": "select * from outside.notes -- all of them\n;", "key": "code", "cursor": "version" });
    let pipeline = reading(&setup, &connection, stream, "incremental").await;
    assert_eq!(counts(&sync(&setup, &pipeline).await)[..2], [21, 21]);
    // Of the largest cursor at the beginning, and what has none.
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [2, 0, 0, 2, 0, 0], "{run}");
    setup
        .app
        .sql(
            "update outside.notes set body = 'second text' where code = 'nulls';
             update outside.notes set body = 'changed', version = 21 where code = 'n3'",
        )
        .await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run)[1..4], [0, 2, 1], "{run}");
    assert_eq!(found(&setup, "second").await.len(), 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn incremental_sync_reads_rows_that_exceeded_the_quota_before() {
    let setup = Setup::of(TestApp::start_with_worker(&[("NVISY_QUOTA_FILES", "3")]).await).await;
    setup
        .app
        .sql(
            "create schema outside; create table outside.notes (code text primary key, body text, version integer);
             insert into outside.notes select 'n' || n, 'The gauge number' || n || ' is read.', n from generate_series(1, 4) n",
        )
        .await;
    let connection = postgres(&setup).await;
    let stream = json!({ "table": "outside.notes", "key": "code", "cursor": "version" });
    let pipeline = reading(&setup, &connection, stream, "incremental").await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [4, 3, 0, 0, 0, 1], "{run}");
    // One that the next listing does not name.
    let files = setup.get("files").await;
    let (mut deleted, mut kept) = (None, Vec::new());
    for file in files["items"].as_array().unwrap() {
        let id = file["externalId"].as_str().unwrap();
        if deleted.is_none() && !id.ends_with("n4") {
            let path = setup.path(&format!("files/{}", file["id"].as_str().unwrap()));
            assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
            deleted = Some(id.to_owned());
        } else {
            kept.push(id.to_owned());
        }
    }
    let run = sync(&setup, &pipeline).await;
    assert_eq!((&run["state"], counts(&run)[1], counts(&run)[5]), (&json!("completed"), 1, 0), "{run}");
    let files = setup.get("files").await;
    let ids: Vec<_> =
        files["items"].as_array().unwrap().iter().map(|file| file["externalId"].as_str().unwrap()).collect();
    assert!(ids.len() == 3 && kept.iter().all(|id| ids.contains(&id.as_str())), "{ids:?}");
    assert!(!ids.contains(&deleted.unwrap().as_str()), "{ids:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn each_fault_of_a_source_of_rows_has_its_reason() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    setup
        .app
        .sql(
            "create schema outside; create table outside.rows (id integer, body text);
             insert into outside.rows values (1, 'one'), (2, 'two'), (2, 'twins'), (null, 'nothing')",
        )
        .await;
    let connection = postgres(&setup).await;
    for (stream, reason) in [
        (json!({ "table": "outside.none", "key": "id" }), "42P01"),
        (json!({ "table": "outside.rows", "key": "id", "cursor": "changed" }), "42703"),
        (json!({ "table": "outside.rows" }), "key"),
        (json!({ "query": "select 1 as id) as t; delete from outside.rows; --", "key": "id" }), "42601"),
        (
            json!({ "query": "with gone as (delete from outside.rows returning id) select id from gone", "key": "id" }),
            "0A000",
        ),
        (json!({ "query": "select id, setval('outside.s', 1) from outside.rows", "key": "id" }), "42P01"),
    ] {
        let pipeline = reading(&setup, &connection, stream.clone(), "full").await;
        let run = sync(&setup, &pipeline).await;
        assert_eq!((&run["state"], &run["failure"]["code"]), (&json!("failed"), &json!("source_rejected")), "{run}");
        assert!(run["failure"]["detail"].as_str().unwrap().contains(reason), "{stream}: {run}");
        setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
        assert_eq!(setup.app.delete(&setup.ada, &setup.path(&pipeline)).await.status, 204);
    }
    assert_eq!(setup.app.count("outside.rows").await, 4);
    // One of two rows with the same key, and those without one, are failures of their own.
    let pipeline = reading(&setup, &connection, json!({ "table": "outside.rows", "key": "id" }), "full").await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run)[1], 2, "{run}");
    assert_eq!(counts(&run)[5], 2, "{run}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn table_of_mariadb_is_searched_and_its_streams_are_found() {
    let server = MariaDb::start(&[]).await;
    let mut direct = server.options().connect().await.unwrap();
    for statement in [
        "create table articles (id bigint primary key, title varchar(100), body text, data blob, changed datetime(6))",
        "insert into articles select seq, concat('Article ', seq), concat('The harbour number', seq), x'00ff',
             '2026-01-01' + interval seq second from seq_1_to_503",
    ] {
        sqlx::query(statement).execute(&mut direct).await.unwrap();
    }
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let settings = json!({ "host": "127.0.0.1", "port": server.port, "database": MariaDb::DATABASE, "tls": "off" });
    let credentials = json!({ "user": MariaDb::USER, "password": MariaDb::PASSWORD });
    let connection = connect(&setup, "mysql", settings, credentials).await;
    let path = setup.path(&format!("connections/{connection}/discover"));
    let streams = setup.app.post(&setup.ada, &path, &json!({})).await.expect(200);
    let text = streams.to_string();
    assert!(text.contains("articles") && text.contains("changed"), "{text}");
    let stream = json!({ "table": "articles", "key": "id", "cursor": "changed", "name": "title" });
    let pipeline = reading(&setup, &connection, stream, "full").await;
    // Rows of two pages are listed; few of them become files, because each is a run of the pipeline.
    let run = sync_with(&setup, &pipeline, &json!({ "dryRun": true })).await;
    assert_eq!(counts(&run), [503, 503, 0, 0, 0, 0], "{run}");
    sqlx::query("delete from articles where id > 60").execute(&mut direct).await.unwrap();
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [60, 60, 0, 0, 0, 0], "{run}");
    assert_eq!(found(&setup, "number42").await, ["Article 42.json"]);
    sqlx::query("update articles set body = 'lighthouse', changed = now(6) where id = 3")
        .execute(&mut direct)
        .await
        .unwrap();
    sqlx::query("delete from articles where id = 42").execute(&mut direct).await.unwrap();
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [59, 0, 1, 58, 1, 0], "{run}");
    setup.app.stop().await;
}
