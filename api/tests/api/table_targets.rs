//! Results in tables of PostgreSQL and MariaDB. The table equals the source, whatever happens in between.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Row as _};
use url::Url;

use crate::support::{
    MariaDb, QuickWorker, Setup, TestApp, create_authority, definition, part, send, spawn,
    targets::{check, chunks_into, connect, delete_file, text, without_space},
    wait_until,
};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

/// The database of the test itself, as a connection of a tenant.
async fn postgres(setup: &Setup) -> String {
    let (settings, credentials) = postgres_settings(setup);
    connect(setup, "postgresql", settings, credentials).await
}

pub fn postgres_settings(setup: &Setup) -> (Value, Value) {
    let variables = setup.app.deployment.variables(&[]);
    let url = &variables.iter().find(|(name, _)| name == "NVISY_DATABASE_URL").unwrap().1;
    let url: Url = url.parse().unwrap();
    let settings = json!({
        "host": url.host_str(), "port": url.port(), "database": url.path().trim_start_matches('/'), "tls": "off",
    });
    (settings, json!({ "user": url.username(), "password": url.password().unwrap() }))
}

/// The texts of a table by file, in order.
async fn texts_in_postgres(setup: &Setup) -> BTreeMap<String, String> {
    let rows = setup.app.rows("select file, text from outside.chunks order by file, ordinal").await;
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for row in rows {
        let text: String = row.try_get("", "text").unwrap();
        *texts.entry(row.try_get("", "file").unwrap()).or_default() += &without_space(&text);
    }
    texts
}

const CHUNKS: &str =
    "create schema outside;
     create table outside.chunks (id uuid primary key, text text not null, file text not null, ordinal integer not null)";

#[actix_web::test]
async fn table_of_postgres_has_rows_of_its_own_types() {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let worker = QuickWorker::start(&setup.app).await;
    setup.app.sql("create schema outside").await;
    setup
        .app
        .sql(
            "create table outside.\"Odd \"\"name\" (key uuid primary key, content text, title text, at timestamptz, size bigint,
             tags jsonb, \"order\" integer, vector vector(384))",
        )
        .await;
    let connection = postgres(&setup).await;
    let (state, steps) = check(&setup, &connection).await;
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((state.as_str(), names), ("ok", vec!["address", "login", "write"]), "{steps:?}");
    let sink = json!({
        "id": "out", "type": "sink.connection", "connection": connection, "into": "outside.Odd \"name", "idField": "key",
        "textField": "content", "vectorField": "vector",
        "fields": { "title": "file.name", "at": "file.createdAt", "size": "file.size", "tags": "file.tags",
            "order": "item.ordinal" },
    });
    let pipeline = definition(
        &json!([
            { "id": "in", "type": "source.files" }, { "id": "read", "type": "partition" },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": 60 }, { "id": "vec", "type": "embed" }, sink,
        ]),
        &["in > read", "read > cut", "cut > vec", "vec > out"],
    );
    setup.pipeline("Out", &pipeline).await;
    let files = setup.upload(&[("a.txt", &text("a", 3))]).await;
    assert_eq!(files["a.txt"]["state"], "ready", "{files:?}");
    let typed = "outside.\"Odd \"\"name\" where title = 'a.txt' and at > now() - interval '1 hour' and size > 100
        and tags = '[]' and vector_dims(vector) = 384 and vector <#> vector < -0.9 and length(content) > 10";
    let count = setup.app.count(typed).await;
    assert!(count >= 3, "{count} rows");
    assert_eq!(setup.app.count("outside.\"Odd \"\"name\"").await, count);
    delete_file(&setup, files["a.txt"]["id"].as_str().unwrap()).await;
    wait_until("the rows are gone", async || (setup.app.count("outside.\"Odd \"\"name\"").await == 0).then_some(()))
        .await;
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn each_fault_of_a_table_has_its_reason() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    setup.app.sql(CHUNKS).await;
    setup.app.sql("create table outside.loose (id uuid, text text, file text, ordinal integer)").await;
    setup.app.sql("create table outside.lacking (id uuid primary key, text text)").await;
    setup
        .app
        .sql("create table outside.short (id uuid primary key, text varchar(5), file text, ordinal integer)")
        .await;
    let connection = postgres(&setup).await;
    for (into, code, reason) in [
        ("outside.none", "target_mismatch", "there is no table"),
        ("outside.loose", "target_mismatch", "is not unique"),
        ("outside.lacking", "target_mismatch", "has no column `file`"),
        ("outside.short", "provider_rejected", "error 22001"),
    ] {
        let pipeline = setup.pipeline("Out", &chunks_into(&connection, into)).await;
        let files = setup.upload(&[("a.txt", &text("secret", 2))]).await;
        let failure = &files["a.txt"]["failure"];
        assert_eq!(failure["code"], code, "{into}: {failure}");
        let detail = failure["detail"].as_str().unwrap();
        assert!(detail.contains(reason) && !detail.contains("Reading"), "{into}: {detail}");
        setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
        assert_eq!(setup.app.delete(&setup.ada, &setup.path(&pipeline)).await.status, 204);
    }
    let (settings, _) = postgres_settings(&setup);
    let wrong = json!({ "user": "postgres", "password": "wrong-hunter2" });
    setup.patch(&format!("connections/{connection}"), &json!({ "credentials": wrong })).await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!((state.as_str(), steps[1].0.as_str()), ("failed", "login"));
    assert!(steps[1].1.contains("28P01") && !steps[1].1.contains("hunter2"), "{steps:?}");
    let mut elsewhere = settings;
    elsewhere["tls"] = json!("verify");
    setup.patch(&format!("connections/{connection}"), &json!({ "settings": elsewhere })).await;
    let (_, steps) = check(&setup, &connection).await;
    assert!(steps[1].1.contains("no encrypted connection"), "{steps:?}");
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn private_database_is_refused_by_name_and_address() {
    let allowed = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "192.0.2.0/24");
    let setup = Setup::of(TestApp::start_with_worker(&[allowed]).await).await;
    let credentials = json!({ "user": "ada", "password": "hunter2" });
    for host in ["127.0.0.1", "2130706433", "::1", "169.254.169.254"] {
        let settings = json!({ "host": host, "database": "d", "tls": "off" });
        let body = json!({ "name": "a", "provider": "mysql", "settings": settings, "credentials": credentials });
        let problem = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], "settings.host", "{host}");
    }
    // A name is resolved by the worker.
    let settings = json!({ "host": "localhost", "database": "d", "tls": "off" });
    let connection = connect(&setup, "mysql", settings, credentials).await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!((state.as_str(), steps.len(), steps[0].0.as_str()), ("failed", 1, "address"), "{steps:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn table_of_mariadb_has_what_the_files_have() {
    let server = MariaDb::start(&[]).await;
    let mut direct = server.options().connect().await.unwrap();
    let table = "create table chunks (id char(36) primary key, text text not null, file varchar(200), ordinal int)";
    sqlx::query(table).execute(&mut direct).await.unwrap();
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    let worker = QuickWorker::start(&setup.app).await;
    let settings = json!({ "host": "127.0.0.1", "port": server.port, "database": MariaDb::DATABASE, "tls": "off" });
    let credentials = json!({ "user": MariaDb::USER, "password": MariaDb::PASSWORD });
    let connection = connect(&setup, "mysql", settings, credentials).await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!(state, "ok", "{steps:?}");
    setup.pipeline("Out", &chunks_into(&connection, "chunks")).await;
    let accepted = setup.app.upload_as(&setup.ada, &setup.workspace, "a", &text("ä", 6)).await;
    let id = accepted["id"].as_str().unwrap().to_owned();
    let file = setup.app.finished_file(&setup.ada, &setup.workspace, &id).await;
    assert_eq!(file["state"], "ready", "{file}");
    let mut stored = async || -> String {
        let rows = sqlx::query("select text from chunks order by ordinal").fetch_all(&mut direct).await.unwrap();
        rows.iter().map(|row| without_space(&row.get::<String, _>(0))).collect()
    };
    assert_eq!(stored().await, without_space(&text("ä", 6)));
    setup.app.upload_as(&setup.ada, &setup.workspace, "a", &text("b", 1)).await;
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(stored().await, without_space(&text("b", 1)));
    delete_file(&setup, &id).await;
    wait_until("the rows are gone", async || stored().await.is_empty().then_some(())).await;
    // Wrong credentials.
    let wrong = json!({ "credentials": { "user": MariaDb::USER, "password": "wrong-hunter2" } });
    setup.patch(&format!("connections/{connection}"), &wrong).await;
    let (state, steps) = check(&setup, &connection).await;
    assert!(state == "failed" && steps[1].1.contains("1045") && !steps[1].1.contains("hunter2"), "{steps:?}");
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn certificate_of_another_name_is_not_accepted() {
    let folder = tempfile::tempdir().unwrap();
    create_authority(folder.path(), "localhost");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let options = [
        format!("--ssl-cert={}", path("chain.pem")),
        format!("--ssl-key={}", path("key.pem")),
        format!("--ssl-ca={}", path("authority.pem")),
    ];
    let authority = std::fs::read_to_string(folder.path().join("authority.pem")).unwrap();
    let server = MariaDb::start(&options).await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let settings = |host: &str, trusted: Option<&str>| {
        let mut settings = json!({ "host": host, "port": server.port, "database": MariaDb::DATABASE });
        if let Some(trusted) = trusted {
            settings["caCertificate"] = trusted.into();
        }
        settings
    };
    let credentials = json!({ "user": MariaDb::USER, "password": MariaDb::PASSWORD });
    let connection = connect(&setup, "mysql", settings("localhost", Some(&authority)), credentials.clone()).await;
    let (state, steps) = check(&setup, &connection).await;
    assert_eq!(state, "ok", "{steps:?}");
    for settings in [settings("127.0.0.1", Some(&authority)), settings("localhost", None)] {
        let change = json!({ "settings": settings, "credentials": credentials });
        setup.patch(&format!("connections/{connection}"), &change).await;
        let (state, steps) = check(&setup, &connection).await;
        assert_eq!((state.as_str(), steps[1].0.as_str()), ("failed", "login"), "{steps:?}");
        assert!(steps[1].1.contains("no encrypted connection"), "{steps:?}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn table_equals_the_files_after_workers_are_killed_at_random() {
    const FILES: usize = 200;
    // The jobs of a killed worker wait for so long.
    let settings = [LOCAL, ("NVISY_QUEUE_LEASE_SECONDS", "2"), ("NVISY_QUEUE_ATTEMPTS", "50")];
    let setup = Setup::of(TestApp::start_with(&settings).await).await;
    setup.app.sql(CHUNKS).await;
    let connection = postgres(&setup).await;
    setup.pipeline("Out", &chunks_into(&connection, "outside.chunks")).await;
    let deployment = &setup.app.deployment;
    let workers = || [spawn("nvisy-worker", deployment, &settings), spawn("nvisy-worker", deployment, &settings)];
    let changes = async {
        let name = |number: usize| format!("gauge-{number}");
        let put = async |number: usize, text: String| {
            let form = reqwest::multipart::Form::new()
                .text("externalId", name(number))
                .part("file", part(&name(number), text));
            let request = setup.app.request(Method::POST, &setup.path("files"));
            let accepted = send(request.bearer_auth(&setup.ada.token).multipart(form)).await.expect(202);
            accepted["items"][0]["id"].as_str().unwrap().to_owned()
        };
        let mut expected = BTreeMap::new();
        let mut ids = Vec::new();
        for number in 0..FILES {
            let content = text(&format!("first {number}"), 1 + number % 7);
            ids.push(put(number, content.clone()).await);
            expected.insert(name(number), without_space(&content));
        }
        for number in (0..FILES).step_by(3) {
            let content = text(&format!("second {number}"), 1 + (number + 3) % 5);
            put(number, content.clone()).await;
            expected.insert(name(number), without_space(&content));
        }
        for number in (0..FILES).step_by(5) {
            delete_file(&setup, &ids[number]).await;
            expected.remove(&name(number));
        }
        expected
    };
    let kills = async {
        let mut running = workers();
        for round in 0..12_u64 {
            // Times that have nothing to do with those of jobs.
            tokio::time::sleep(Duration::from_millis(700 + round * 7919 % 900)).await;
            let worker = &mut running[(round % 2) as usize];
            worker.kill().await.expect("a killed worker");
            *worker = spawn("nvisy-worker", deployment, &settings);
        }
        running
    };
    let (expected, running) = futures::future::join(changes, kills).await;
    let unfinished = "external_target where obsolete or written <> elements";
    wait_until("the table equals the files", async || {
        // Maintenance looks for obsolete targets as soon as a worker can.
        setup.app.sql("update maintenance_lease set due_at = now() where name = 'external_targets'").await;
        (texts_in_postgres(&setup).await == expected && setup.app.count(unfinished).await == 0).then_some(())
    })
    .await;
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(texts_in_postgres(&setup).await, expected);
    assert_eq!(setup.app.count("dead_job").await, 0);
    assert_eq!(setup.app.count(unfinished).await, 0);
    drop(running);
    setup.app.stop().await;
}

#[actix_web::test]
async fn rows_that_a_cancelled_run_has_begun_to_write_are_deleted() {
    let lease = ("NVISY_QUEUE_LEASE_SECONDS", "2");
    let setup = Setup::of(TestApp::start_with(&[LOCAL, lease]).await).await;
    let worker = QuickWorker::start(&setup.app).await;
    setup.app.sql(CHUNKS).await;
    // Holds the second request.
    setup
        .app
        .sql(
            "create table outside.held (id integer);
             insert into outside.held values (1);
             create function outside.hold() returns trigger language plpgsql as $$
                 begin
                     while exists (select from outside.held) loop
                         perform pg_sleep(0.05);
                     end loop;
                     raise exception 'nothing more is written';
                 end $$;
             create trigger held before insert on outside.chunks for each row when (new.ordinal >= 2)
                 execute function outside.hold()",
        )
        .await;
    let connection = postgres(&setup).await;
    setup.pipeline("Out", &chunks_into(&connection, "outside.chunks")).await;
    let parts = vec![part("a.txt", text("a", 6))];
    setup.app.upload(&setup.ada, &setup.workspace, parts).await.expect(202);
    let first = async || (setup.app.count("outside.chunks").await == 2).then_some(());
    wait_until("the first request has written its rows", first).await;
    let run = format!("runs/{}", setup.get("runs").await["items"][0]["id"].as_str().unwrap());
    setup.app.post(&setup.ada, &setup.path(&format!("{run}/cancel")), &json!({})).await.expect(200);
    setup.app.sql("delete from outside.held").await;
    let gone = async || (setup.app.count("outside.chunks").await == 0).then_some(());
    wait_until("the rows are gone", gone).await;
    let targets = async || (setup.app.count("external_target").await == 0).then_some(());
    wait_until("nothing outside is left", targets).await;
    setup.app.wait_until_no_jobs_are_left().await;
    worker.stop().await;
    setup.app.stop().await;
}
