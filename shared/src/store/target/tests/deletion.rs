//! Deletions of files while other transactions add items for them.

use std::time::Duration;

use super::*;

/// The number of sessions that wait for a lock.
async fn waiting(db: &Db) -> i64 {
    let waiting = raw_sql!(
        Postgres,
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    );
    sql::first_value(db, waiting).await.unwrap().unwrap()
}

#[tokio::test]
async fn item_that_enters_while_its_file_is_deleted_is_counted_out_of_its_run() {
    let fixture = Fixture::new().await;
    let workspace = fixture.workspace;
    let pipeline = fixture.pipeline("one").await;
    let (deleted, other) = (fixture.file().await, fixture.file().await);
    let item = |(file, version): (FileId, VersionId)| NewItem {
        file,
        version,
        entry: 0,
        parent: None,
        stage: "read".to_owned(),
    };
    let tx = fixture.db.begin().await.unwrap();
    let new = NewRun::new(pipeline.id, pipeline.version, RunTrigger::Manual);
    let run = store::run::insert(&tx, workspace, new).await.unwrap();
    store::run_item::insert(&tx, workspace, run, vec![item(other)]).await.unwrap();
    tx.commit().await.unwrap();

    let entering = fixture.db.begin().await.unwrap();
    store::run_item::insert(&entering, workspace, run, vec![item(deleted)]).await.unwrap();
    let deletion = async {
        let tx = fixture.db.begin().await.unwrap();
        let runs = store::file::delete(&tx, workspace, deleted.0).await.unwrap();
        tx.commit().await.unwrap();
        runs
    };
    let entry = async {
        while waiting(&fixture.db).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        entering.commit().await.unwrap();
    };
    let (runs, ()) = tokio::join!(deletion, entry);
    assert_eq!(runs, Some(vec![run]));
    let row = store::run::find(&fixture.db, workspace, run).await.unwrap().unwrap();
    assert_eq!((row.items, row.items_open), (2, 1), "that of the other file is open");
    fixture.close().await;
}
