//! Items of several files that end in one transaction.

use super::*;
use crate::{
    domain::{
        failure::{Failure, FailureCode},
        run::ItemState,
    },
    store::{
        processing::{self, ReadyVersion},
        run_item::{FinishedItem, Item, ItemFailure, WorkDone},
    },
};

impl Fixture {
    async fn items(&self, ids: &[ItemId]) -> Vec<Item> {
        let found = store::run_item::find_all(&self.db, self.workspace, ids.to_vec()).await.unwrap();
        ids.iter().map(|id| found.iter().find(|item| item.id == *id).unwrap().clone()).collect()
    }

    async fn finish(&self, items: &[FinishedItem<'_>]) {
        let tx = self.db.begin().await.unwrap();
        store::run_item::finish(&tx, self.workspace, items).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn count(&self, rows: &str) -> i64 {
        let row = self.db.query_one_raw(store::statement(&format!("select count(*) from {rows}"))).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }
}

fn finished(item: &Item, state: ItemState) -> FinishedItem<'_> {
    let work = WorkDone { reused: 1, recomputed: 2, tokens: 3, tokens_saved: 4 };
    FinishedItem { item, state, failed: None, work }
}

#[tokio::test]
async fn each_item_has_its_own_end() {
    let fixture = Fixture::new().await;
    let pipeline = fixture.pipeline("one").await;
    let (one, two) = (fixture.file().await, fixture.file().await);
    let ids = [fixture.item(&pipeline, one).await, fixture.item(&pipeline, two).await];
    let items = fixture.items(&ids).await;
    let failure = Failure::new(FailureCode::Corrupt, "it is cut short").at("read");
    let failure = ItemFailure { failure, attempt: 3, fails_run: false };
    let failed = FinishedItem { failed: Some(&failure), ..finished(&items[1], ItemState::Failed) };
    fixture.finish(&[finished(&items[0], ItemState::Skipped), failed]).await;
    let ended = "finished_at is not null and reused = 1 and recomputed = 2 and tokens = 3 and tokens_saved = 4";
    let skipped = format!(
        "run_item where id = '{}' and state = 'skipped' and {ended} and failure_code is null and failure_detail is null
             and failure_node is null and failure_attempt is null",
        ids[0]
    );
    assert_eq!(fixture.count(&skipped).await, 1);
    let failed = format!(
        "run_item where id = '{}' and state = 'failed' and {ended} and failure_code = 'corrupt'
             and failure_detail = 'it is cut short' and failure_node = 'read' and failure_attempt = 3",
        ids[1]
    );
    assert_eq!(fixture.count(&failed).await, 1);

    let tx = fixture.db.begin().await.unwrap();
    let outcomes = processing::arrival_outcomes(&tx, fixture.workspace, &[one.1, two.1]).await.unwrap();
    assert!(outcomes[&one.1].failure.is_none());
    assert_eq!(outcomes[&two.1].failure.as_ref().map(|failure| failure.code), Some(FailureCode::Corrupt));
    tx.rollback().await.unwrap();
    // Another pipeline goes on with the first.
    fixture.item(&fixture.pipeline("two").await, one).await;
    let tx = fixture.db.begin().await.unwrap();
    let outcomes = processing::arrival_outcomes(&tx, fixture.workspace, &[one.1, two.1]).await.unwrap();
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), [&two.1]);
    tx.rollback().await.unwrap();
    fixture.close().await;
}

#[tokio::test]
async fn files_are_ready_with_their_own_chunks_and_without_those_before() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    let pipeline = fixture.pipeline("one").await;
    let (with, without) = (fixture.file().await, fixture.file().await);
    let item = fixture.item(&pipeline, with).await;
    fixture.write(&pipeline, (item, with.0, with.1), (collection, "out"), &["a", "b"]).await;
    fixture.publish(item).await;
    let tx = fixture.db.begin().await.unwrap();
    let written = written(&tx, fixture.workspace, &[with, without]).await.unwrap();
    let none = Written { targets: false, chunks: true, files: false, external: false };
    assert_eq!((written[&with.1], written[&without.1]), (Written { targets: true, ..none }, none));
    let of = [with, without];
    let ready = processing::set_all_ready(&tx, fixture.workspace, &of, true).await.unwrap();
    assert_eq!((ready[&with.1].chunks, ready[&without.1].chunks), (2, 0));
    assert!(ready.values().all(|ready| ready.seconds.is_some()));
    tx.commit().await.unwrap();

    // A newer version that no pipeline processes, and an older one that comes late.
    let second = fixture.new_version(with.0).await;
    for (version, is_live) in [(second, true), (with.1, false)] {
        let tx = fixture.db.begin().await.unwrap();
        let ready = processing::set_ready(&tx, fixture.workspace, with.0, version).await.unwrap();
        assert_eq!((ready.chunks, ready.seconds.is_some()), (0, is_live));
        tx.commit().await.unwrap();
    }
    assert_eq!(fixture.targets().await, []);
    assert_eq!(fixture.count(&format!("file where live_version_id = '{second}'")).await, 1);

    let last = fixture.file().await;
    let tx = fixture.db.begin().await.unwrap();
    let ready = processing::set_all_ready(&tx, fixture.workspace, &[last], false).await.unwrap();
    assert!(matches!(ready[&last.1], ReadyVersion { chunks: 0, seconds: Some(_) }));
    tx.commit().await.unwrap();
    let row = format!("file_version where id = '{}' and state = 'ready' and chunk_count = 0", last.1);
    assert_eq!(fixture.count(&row).await, 1);
    fixture.close().await;
}
