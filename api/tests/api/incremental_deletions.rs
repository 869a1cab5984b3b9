//! Rows that are deleted at their source, found by incremental syncs, which read what changed alone.

use serde_json::{Value, json};
use sqlx::ConnectOptions;

use crate::{
    connection_rows::{counts, postgres, reading, sync},
    support::{MariaDb, Setup, targets::connect, wait_until},
};

const ROWS: &str =
    "create schema outside; create table outside.notes (id integer primary key, body text, version integer);
     insert into outside.notes select n, 'The gauge number' || n || ' is read.', n from generate_series(1, 20) n";

fn stream(table: &str) -> Value {
    json!({ "table": table, "key": "id", "cursor": "version" })
}

/// The external ids of the files.
async fn ids(setup: &Setup) -> Vec<String> {
    let files = setup.get("files?limit=100").await;
    let files = files["items"].as_array().unwrap().iter();
    let mut ids: Vec<_> = files.map(|file| file["externalId"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[actix_web::test]
async fn incremental_sync_finds_deleted_rows_of_postgres() {
    let setup = Setup::with_worker().await;
    setup.app.sql(ROWS).await;
    let connection = postgres(&setup).await;
    let pipeline = reading(&setup, &connection, stream("outside.notes"), "incremental").await;
    assert_eq!(counts(&sync(&setup, &pipeline).await)[..2], [20, 20]);
    setup
        .app
        .sql(
            "delete from outside.notes where id in (3, 10);
             update outside.notes set body = 'The lighthouse is red.', version = 21 where id = 5",
        )
        .await;
    let run = sync(&setup, &pipeline).await;
    // The row of the largest cursor is read again.
    assert_eq!(counts(&run), [2, 0, 1, 1, 2, 0], "{run}");
    let left = ids(&setup).await;
    assert!(left.len() == 18 && !left.contains(&"outside.notes/3".to_owned()), "{left:?}");
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run)[4..], [0, 0], "{run}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn incremental_sync_of_an_empty_table_deletes_nothing() {
    let setup = Setup::with_worker().await;
    setup.app.sql(ROWS).await;
    let connection = postgres(&setup).await;
    let pipeline = reading(&setup, &connection, stream("outside.notes"), "incremental").await;
    sync(&setup, &pipeline).await;
    setup.app.sql("delete from outside.notes").await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!((&run["state"], &run["failure"]["code"]), (&json!("failed"), &json!("source_rejected")), "{run}");
    assert_eq!(ids(&setup).await.len(), 20);
    // One that is there shows that the others were deleted.
    setup.app.sql("insert into outside.notes values (7, 'The gauge is read again.', 7)").await;
    let path = setup.path(&format!("{pipeline}/runs"));
    let started = setup.app.post(&setup.ada, &path, &json!({ "dryRun": true })).await.expect(202);
    let dry = wait_until("the dry run ended", async || {
        let run = setup.get(&format!("runs/{}", started["id"].as_str().unwrap())).await;
        run["finishedAt"].is_string().then_some(run)
    })
    .await;
    assert_eq!(counts(&dry)[4], 19, "{dry}");
    assert_eq!(ids(&setup).await.len(), 20);
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run)[4], 19, "{run}");
    assert_eq!(ids(&setup).await, ["outside.notes/7"]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn incremental_sync_finds_deleted_rows_of_mariadb() {
    let server = MariaDb::start(&[]).await;
    let mut direct = server.options().connect().await.unwrap();
    for statement in [
        "create table notes (id varchar(20) primary key, body text, version integer)",
        "insert into notes select concat('n', seq), concat('The gauge number', seq), seq from seq_1_to_10",
    ] {
        sqlx::query(statement).execute(&mut direct).await.unwrap();
    }
    let setup = Setup::with_worker().await;
    let settings = json!({ "host": "127.0.0.1", "port": server.port, "database": MariaDb::DATABASE, "tls": "off" });
    let credentials = json!({ "user": MariaDb::USER, "password": MariaDb::PASSWORD });
    let connection = connect(&setup, "mysql", settings, credentials).await;
    let pipeline = reading(&setup, &connection, stream("notes"), "incremental").await;
    assert_eq!(counts(&sync(&setup, &pipeline).await)[..2], [10, 10]);
    sqlx::query("delete from notes where id = 'n4'").execute(&mut direct).await.unwrap();
    let run = sync(&setup, &pipeline).await;
    assert_eq!(counts(&run), [1, 0, 0, 1, 1, 0], "{run}");
    assert!(!ids(&setup).await.contains(&"notes/n4".to_owned()));
    setup.app.stop().await;
}
