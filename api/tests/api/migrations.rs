//! Migrations at start-up and by command: concurrent processes, failures, newer schemas, confirmation.

use std::process::Output;

use nvisy_api::cli;
use nvisy_shared::{
    store::{self, Conn, Db, schema},
    testing::TestDeployment,
};

use crate::support::{TestApp, assert_single_error, run, text};

async fn migrate(deployment: &TestDeployment, arguments: &[&str]) -> Output {
    run("nvisy-migrate", arguments, deployment, &[]).await
}

async fn number(db: &Db, sql: &str) -> i64 {
    db.query_one_raw(store::statement(sql)).await.unwrap().unwrap().try_get("", "n").unwrap()
}

const TABLES: &str =
    "select count(*) as n from pg_tables where schemaname = 'public' and tablename <> 'seaql_migrations'";

#[actix_web::test]
async fn concurrent_migrate_processes_apply_each_migration_once() {
    let deployment = TestDeployment::empty().await;
    let all = futures::future::join_all((0..6).map(|_| migrate(&deployment, &["up"]))).await;
    for output in all {
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    let applied = number(&db, "select count(*) as n from seaql_migrations").await;
    assert_eq!(applied, number(&db, "select count(distinct version) as n from seaql_migrations").await);
    let status = migrate(&deployment, &["status"]).await;
    assert!(status.status.success());
    assert_eq!(text(&status.stdout).lines().filter(|line| line.ends_with(" applied")).count() as i64, applied);
    db.close().await.unwrap();
    deployment.close().await;
}

#[actix_web::test]
async fn concurrent_api_replicas_migrate_an_empty_database() {
    use nvisy_api::app::App;
    use nvisy_shared::lifecycle::Lifecycle;

    let deployment = TestDeployment::empty().await;
    cli::keys(deployment.keys().folder(), false).unwrap();
    let lifecycle = Lifecycle::new();
    let started = (0..4).map(|_| App::build(deployment.config(&[]), lifecycle.clone()));
    for app in futures::future::join_all(started).await {
        drop(app.expect("an API"));
    }
    lifecycle.finish(std::time::Duration::from_secs(30)).await;
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    assert_eq!(number(&db, "select count(*) as n from installation").await, 1);
    db.close().await.unwrap();
    deployment.close().await;
}

#[actix_web::test]
async fn tables_match_the_entities() {
    let app = TestApp::start().await;
    assert_eq!(schema::differences(&app.db).await.unwrap(), Vec::<String>::new());
    let checked = run("nvisy-api", &["schema"], &app.deployment, &[]).await;
    assert!(checked.status.success(), "{}", text(&checked.stderr));

    app.sql("alter table installation alter column signing_key_id type varchar[] using array[signing_key_id]").await;
    app.sql("truncate installation").await;
    app.sql("alter table installation add column extra int not null").await;
    let output = run("nvisy-api", &["schema"], &app.deployment, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("installation.signing_key_id is _varchar"), "{error}");
    assert!(error.contains("installation.extra requires a value"), "{error}");
    app.stop().await;
}

#[actix_web::test]
async fn newer_schema_is_rejected() {
    let app = TestApp::start().await;
    app.sql("insert into seaql_migrations (version, applied_at) values ('m9999_of_tomorrow', 0)").await;
    for name in ["nvisy-api", "nvisy-worker"] {
        assert_single_error(&run(name, &[], &app.deployment, &[]).await, &["newer version", "m9999_of_tomorrow"]);
    }
    for arguments in [&["up"][..], &["down", "--yes"]] {
        assert_single_error(&migrate(&app.deployment, arguments).await, &["newer version", "m9999_of_tomorrow"]);
    }
    let status = migrate(&app.deployment, &["status"]).await;
    assert_eq!(status.status.code(), Some(1));
    assert!(text(&status.stdout).contains("unknown to this program"), "{}", text(&status.stdout));
    app.stop().await;
}

#[actix_web::test]
async fn database_of_an_unreleased_version_is_rejected() {
    let app = TestApp::start().await;
    app.sql("update seaql_migrations set version = 'm0001_accounts' where version = 'm0001_installation'").await;
    let sentence = ["cannot be migrated", "m0001_accounts", "m0001_installation", "empty database"];
    for name in ["nvisy-api", "nvisy-worker"] {
        assert_single_error(&run(name, &[], &app.deployment, &[]).await, &sentence);
    }
    for arguments in [&["up"][..], &["down", "--yes"]] {
        assert_single_error(&migrate(&app.deployment, arguments).await, &sentence);
    }
    app.stop().await;
}

#[actix_web::test]
async fn failed_migration_is_rolled_back_and_prevents_startup() {
    let deployment = TestDeployment::empty().await;
    cli::keys(deployment.keys().folder(), false).unwrap();
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    // Makes a statement of one migration fail that is not its first.
    db.execute_unprepared("create table dead_job (x int)").await.unwrap();
    for name in ["nvisy-api", "nvisy-worker"] {
        assert_single_error(
            &run(name, &[], &deployment, &[]).await,
            &["migration m0009_jobs failed and was rolled back", "dead_job"],
        );
    }
    // Earlier migrations remain, the failed one left nothing.
    assert_eq!(number(&db, "select count(*) as n from seaql_migrations").await, 8);
    assert_eq!(number(&db, "select count(*) as n from pg_tables where tablename = 'job'").await, 0);
    db.execute_unprepared("drop table dead_job").await.unwrap();
    assert!(migrate(&deployment, &["up"]).await.status.success());
    assert_eq!(schema::differences(&db).await.unwrap(), Vec::<String>::new());
    db.close().await.unwrap();
    deployment.close().await;
}

#[actix_web::test]
async fn destructive_commands_require_confirmation() {
    let deployment = TestDeployment::new().await;
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    let account =
        "insert into account (id, email, display_name, password_hash) values (gen_random_uuid(), 'a@b.c', 'ada', 'x')";
    db.execute_unprepared(account).await.unwrap();
    for command in ["down", "fresh"] {
        assert_single_error(&migrate(&deployment, &[command]).await, &["deletes all data", "--yes"]);
        assert_eq!(number(&db, "select count(*) as n from account").await, 1);
    }
    let fresh = migrate(&deployment, &["fresh", "--yes"]).await;
    assert!(fresh.status.success(), "{}", text(&fresh.stderr));
    assert_eq!(number(&db, "select count(*) as n from account").await, 0);
    assert_eq!(schema::differences(&db).await.unwrap(), Vec::<String>::new());
    let down = migrate(&deployment, &["down", "--yes"]).await;
    assert!(down.status.success(), "{}", text(&down.stderr));
    assert_eq!(number(&db, TABLES).await, 0);
    let status = migrate(&deployment, &["status"]).await;
    assert_eq!(status.status.code(), Some(1));
    assert!(text(&status.stdout).lines().all(|line| line.ends_with(" pending")), "{}", text(&status.stdout));
    db.close().await.unwrap();
    deployment.close().await;
}

/// A workspace of the schema before collections, with a searchable file, one that failed and one in progress.
const BEFORE_COLLECTIONS: &str = r#"
    insert into embedding_space (id, provider, model, dimensions, query_prefix, passage_prefix)
        values ('00000000-0000-7000-8000-000000000009', 'local', 'm', 2, '', 'passage: ');
    insert into workspace (id, name, default_space_id)
        values ('00000000-0000-7000-8000-000000000001', 'x', '00000000-0000-7000-8000-000000000009');
    insert into pipeline (workspace_id, id, name, builtin)
        values ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', 'default', true);
    insert into pipeline_version (workspace_id, pipeline_id, number, definition)
        values ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', 1,
            '{"nodes": [{"id": "in", "type": "source.files"}, {"id": "out", "type": "sink.collection"}]}');
    insert into blob (workspace_id, id, sha256, bytes)
        values ('00000000-0000-7000-8000-000000000001', gen_random_uuid(), sha256(''), 0);
    do $$
        declare
            ws uuid := '00000000-0000-7000-8000-000000000001';
            file uuid; version uuid; run uuid; chunk uuid;
        begin
            for n in 1..3 loop
                file := uuidv7(); version := uuidv7(); run := uuidv7();
                insert into file (workspace_id, id, name, version_id, live_version_id)
                    values (ws, file, 'file' || n, version, case n when 1 then version end);
                insert into file_version (workspace_id, id, file_id, number, blob_id, bytes, sha256, media_type)
                    select ws, version, file, 1, id, 0, sha256, 'text/plain' from blob;
                insert into run (workspace_id, id, pipeline_id, pipeline_version)
                    values (ws, run, '00000000-0000-7000-8000-000000000002', 1);
                insert into run_item (workspace_id, id, run_id, file_id, version_id, stage)
                    values (ws, uuidv7(), run, file, version, 'out');
                continue when n = 2;
                for ordinal in 0..1 loop
                    chunk := uuidv7();
                    insert into chunk (workspace_id, id, file_id, version_id, ordinal, text, start_byte, end_byte, tokens)
                        values (ws, chunk, file, version, ordinal, 'abc', 0, 3, 1);
                    insert into embedding (workspace_id, space_id, chunk_id, file_id, version_id, vector)
                        values (ws, '00000000-0000-7000-8000-000000000009', chunk, file, version, '[0.6,0.8]');
                end loop;
            end loop;
        end $$;
"#;

#[actix_web::test]
async fn chunks_of_an_older_schema_belong_to_the_collection_default() {
    let deployment = TestDeployment::empty().await;
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    db.execute_unprepared("create table collection (x int)").await.unwrap();
    assert_single_error(&migrate(&deployment, &["up"]).await, &["migration m0013_collections failed"]);
    db.execute_unprepared("drop table collection").await.unwrap();
    db.execute_unprepared(BEFORE_COLLECTIONS).await.unwrap();
    let up = migrate(&deployment, &["up"]).await;
    assert!(up.status.success(), "{}", text(&up.stderr));

    assert_eq!(
        number(&db, "select count(*) as n from collection where name = 'default' and space_id is not null").await,
        1
    );
    let targets = "select count(*) as n from target t
         join run_item i on i.id = t.item_id and i.version_id = t.version_id
         join file f on f.id = t.file_id
         where t.node = 'out' and t.pipeline_id = '00000000-0000-7000-8000-000000000002' and t.chunk_count = 2
             and t.vector_count = 2 and t.live = (f.name = 'file1') and f.name <> 'file2'";
    assert_eq!(number(&db, targets).await, 2);
    let vectors =
        "select count(*) as n from embedding e join chunk c on c.id = e.chunk_id and c.target_id = e.target_id
         where replace(e.input_hash::text, '-', '') = left(encode(sha256('passage: abc'), 'hex'), 32)";
    assert_eq!(number(&db, vectors).await, 4);
    let usage = "select count(*) as n from collection_usage where (files, chunks, vectors) = (1, 2, 2)";
    assert_eq!(number(&db, usage).await, 1);
    assert_eq!(number(&db, "select collections as n from workspace_usage order by n desc limit 1").await, 1);
    assert_eq!(schema::differences(&db).await.unwrap(), Vec::<String>::new());
    let down = migrate(&deployment, &["down", "--yes"]).await;
    assert!(down.status.success(), "{}", text(&down.stderr));
    db.close().await.unwrap();
    deployment.close().await;
}
