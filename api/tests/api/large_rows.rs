//! Large rows of databases: a worker holds few of them in memory, and those beyond a limit fail alone.

use nvisy_shared::{id::WorkspaceId, platform::Platform, store};
use nvisy_worker::{
    connectors::{DynSource, ListRequest, OpenConnection, Page, table::open_source},
    context::Context,
};
use serde_json::{Value, json};

use crate::{
    connection_rows::{counts, reading, sync},
    support::{MariaDb, Setup, program, targets::connect},
    table_targets::postgres_settings,
};

/// Bytes of a large row.
const ROW_BYTES: usize = 2_000_000;

/// The source of a connection, as a worker opens it.
async fn source(setup: &Setup, connection: &str) -> Box<DynSource> {
    let platform = Platform::open(setup.app.config().clone()).await.unwrap();
    let cx = Context::new(platform, program("nvisy-worker"), None);
    let workspace = WorkspaceId(setup.workspace.parse().unwrap());
    let id = connection.parse::<uuid::Uuid>().unwrap().into();
    let row = store::connection::find(&cx.db, workspace, id).await.unwrap().unwrap();
    let connection = OpenConnection::open(&cx, workspace, row).unwrap();
    open_source(&cx, &connection).unwrap()
}

/// The pages of a listing.
async fn pages(source: &DynSource, stream: Value) -> Vec<Page> {
    let mut listing = source.list(ListRequest { stream, ..ListRequest::default() }).await.unwrap();
    let mut pages = Vec::new();
    loop {
        let page = listing.next().await.unwrap();
        let is_last = page.checkpoint.is_none();
        pages.push(page);
        if is_last {
            return pages;
        }
    }
}

/// Lists 20 large rows, of which one is larger than what is read of a row.
async fn assert_pages_are_small(source: &DynSource, query: &str) {
    let stream = json!({ "query": query, "key": "id" });
    let all = pages(source, stream.clone()).await;
    for page in &all {
        let bytes: usize = page.objects.iter().map(|object| object.content.as_ref().unwrap().len()).sum();
        assert!(bytes < (16 << 20) + 2 * ROW_BYTES, "a page has {bytes} bytes of {} rows", page.objects.len());
    }
    let mut ids: Vec<_> = all.iter().flat_map(|page| &page.objects).map(|object| object.external_id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 19, "{ids:?}");
    let failures: Vec<_> = all.iter().flat_map(|page| &page.failures).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(
        failures[0].external_id.ends_with("/7") && failures[0].failure.code.as_str() == "too_large",
        "{failures:?}"
    );
    let few = ListRequest { stream, max_objects: Some(2), ..ListRequest::default() };
    let first = source.list(few).await.unwrap().next().await.unwrap();
    assert_eq!(first.objects.len(), 2, "more rows are read than are wanted");
}

#[actix_web::test]
async fn large_rows_of_postgres_are_read_in_small_pages() {
    let setup = Setup::with_worker().await;
    let (mut settings, credentials) = postgres_settings(&setup);
    settings["timeoutSeconds"] = 60.into();
    let connection = connect(&setup, "postgresql", settings, credentials).await;
    let query = format!(
        "select n as id, repeat('x', case n when 7 then 70000000 else {ROW_BYTES} end) as body from generate_series(1, 20) n"
    );
    assert_pages_are_small(&*source(&setup, &connection).await, &query).await;

    // A column that the text has not is not read.
    let query = "select n as id, 'Row number' || n as title, repeat('x', 70000000 * (n / 2)) as body from generate_series(1, 2) n";
    let mut stream = json!({ "query": query, "key": "id" });
    let pipeline = reading(&setup, &connection, stream.clone(), "full").await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed_with_errors"), [2, 1, 0, 0, 0, 1]), "{run}");
    let failed = setup.get(&format!("runs/{}/failed-objects", run["id"].as_str().unwrap())).await;
    assert_eq!(failed["items"][0]["code"], "too_large", "{failed}");
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    assert_eq!(setup.app.delete(&setup.ada, &setup.path(&pipeline)).await.status, 204);
    stream["template"] = "{title}".into();
    let pipeline = reading(&setup, &connection, stream, "full").await;
    let run = sync(&setup, &pipeline).await;
    assert_eq!((&run["state"], counts(&run)[5]), (&json!("completed"), 0), "{run}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn large_rows_of_mariadb_are_read_in_small_pages() {
    let server = MariaDb::start(&[]).await;
    let setup = Setup::with_worker().await;
    let settings = json!({
        "host": "127.0.0.1", "port": server.port, "database": MariaDb::DATABASE, "tls": "off", "timeoutSeconds": 60,
    });
    let credentials = json!({ "user": MariaDb::USER, "password": MariaDb::PASSWORD });
    let connection = connect(&setup, "mysql", settings, credentials).await;
    // Of two columns together that fit no packet of the server.
    let query = format!(
        "select seq as id, repeat('x', if(seq = 7, 10000000, {ROW_BYTES} / 2)) as one,
             repeat('y', if(seq = 7, 10000000, {ROW_BYTES} / 2)) as two from seq_1_to_20"
    );
    assert_pages_are_small(&*source(&setup, &connection).await, &query).await;
    setup.app.stop().await;
}
