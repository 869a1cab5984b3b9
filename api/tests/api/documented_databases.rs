//! The examples of `docs/DATABASES.md`: with the least privileges, a pipeline reads rows of each database, and writes rows into it.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::{
    connection_rows::{counts, sync},
    support::{
        MariaDb, Setup, TestApp, definition,
        documented::{Examples, with},
    },
    table_targets::postgres_settings,
};

const PASSWORD: &str = "hunter2-database";
const ARTICLE: &str = "insert into articles (id, title, body) values (1, 'Tides', 'The ebb begins at noon.')";

/// Syncs the rows of the source, and writes them with the sink.
async fn assert_is_read_and_written(setup: &Setup, connection: &str, [source, sink]: [&Value; 2], has_vectors: bool) {
    let id = [("CONNECTION", connection)];
    let mut nodes = vec![
        with(source, &id),
        json!({ "id": "read", "type": "partition" }),
        json!({ "id": "cut", "type": "chunk.section" }),
    ];
    let edges: &[&str] = if has_vectors {
        nodes.push(json!({ "id": "vec", "type": "embed" }));
        &["in > read", "read > cut", "cut > vec", "vec > out"]
    } else {
        &["in > read", "read > cut", "cut > out"]
    };
    nodes.push(with(sink, &id));
    let pipeline = setup.pipeline(connection, &definition(&json!(nodes), edges)).await;
    // Now with the step `write`, which is not optional any more.
    setup.assert_connected(connection).await;
    let run = sync(setup, &pipeline).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{run}");
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
}

#[actix_web::test]
async fn every_documented_example_of_a_database_is_read_and_written() {
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let mut examples = Examples::of("DATABASES.md");
    let (sink, source) = (examples.json("Writing"), examples.json("Reading"));
    let with_password = |sql: String| sql.replace("'..'", &format!("'{PASSWORD}'"));

    let (address, _) = postgres_settings(&setup);
    // Roles belong to the whole server: named after the database of the test.
    let role = format!("{}_rows", address["database"].as_str().unwrap());
    setup.app.sql(&with_password(examples.sql("PostgreSQL")).replace("nvisy", &role)).await;
    setup.app.sql(ARTICLE).await;
    let credentials = json!({ "user": role, "password": PASSWORD });
    let connection = setup.connect_example(&examples.json("PostgreSQL"), &address, &credentials).await;
    let vectors = examples.json("PostgreSQL");
    assert_is_read_and_written(&setup, &connection, [&source, &vectors], true).await;
    let written = "documents where title = 'Tides.txt' and text like '%ebb%' and vector_dims(vector) = 384";
    assert_eq!(setup.app.count(written).await, 1);

    let server = MariaDb::start(&[]).await;
    let mut root = server.root_options().connect().await.unwrap();
    sqlx::raw_sql("create database app").execute(&mut root).await.unwrap();
    let mut root = server.root_options().database("app").connect().await.unwrap();
    let sql = with_password(examples.sql("MySQL and MariaDB"));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut root).await.unwrap();
    sqlx::raw_sql(ARTICLE).execute(&mut root).await.unwrap();
    let address = json!({ "host": "127.0.0.1", "port": server.port, "tls": "off" });
    let credentials = json!({ "user": "nvisy", "password": PASSWORD });
    let connection = setup.connect_example(&examples.json("MySQL and MariaDB"), &address, &credentials).await;
    assert_is_read_and_written(&setup, &connection, [&source, &sink], false).await;
    let written: String = sqlx::query_scalar("select title from documents").fetch_one(&mut root).await.unwrap();
    assert_eq!(written, "Tides.txt");

    examples.finish();
    setup.app.wait_until_no_jobs_are_left().await;
    setup.app.sql(&format!("drop owned by {role}; drop role {role}")).await;
    setup.app.stop().await;
}
