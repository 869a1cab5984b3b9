//! Targets that others have replaced, and what keeps them.

use chrono::{DateTime, Utc};

use super::*;
use crate::{
    entity::target::Model,
    id::SnapshotId,
    store::{
        history::{self, Kept},
        snapshot,
    },
};

impl Fixture {
    async fn set_days(&self, collection: CollectionId, days: i32) {
        let tx = self.db.begin().await.unwrap();
        history::set_days(&tx, self.workspace, collection, days).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn snapshot(&self, name: &str) -> (SnapshotId, DateTime<Utc>) {
        let tx = self.db.begin().await.unwrap();
        let at = history::lock(&tx, self.workspace).await.unwrap();
        let id = snapshot::insert(&tx, self.workspace, name, "", at).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        (id, at)
    }

    /// Writes a chunk for a version and publishes it.
    async fn publish_version(
        &self,
        pipeline: &Pipeline,
        (file, version): (FileId, VersionId),
        collection: CollectionId,
    ) -> TargetId {
        let item = self.item(pipeline, (file, version)).await;
        let (target, _) = self.write(pipeline, (item, file, version), (collection, "out"), &["a"]).await;
        self.publish(item).await;
        target
    }

    async fn remove_of_older_versions(&self, file: FileId, version: VersionId) {
        let tx = self.db.begin().await.unwrap();
        remove_of_older_versions(&tx, self.workspace, &[(file, version)]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn superseded(&self) -> Vec<TargetId> {
        let found = Entity::find().filter(Column::SupersededAt.is_not_null()).order_by_asc(Column::Id);
        let found: Vec<Model> = found.all(&self.db).await.unwrap();
        assert!(found.iter().all(|row| !row.live && row.item_id.is_none() && row.published_at < row.superseded_at));
        found.into_iter().map(|row| row.id).collect()
    }

    /// The targets that the worker would delete, which are deleted.
    async fn delete_expired(&self) -> Vec<TargetId> {
        let expired = expired(&self.db, 100).await.unwrap();
        let tx = self.db.begin().await.unwrap();
        let targets: Vec<_> = expired.iter().map(|(_, target, file)| (*target, *file)).collect();
        let deleted = delete_expired(&tx, self.workspace, targets).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(deleted, expired.len() as u64);
        expired.into_iter().map(|(_, target, _)| target).collect()
    }

    async fn kept(&self, collection: CollectionId, at: DateTime<Utc>) -> Kept {
        history::kept(&self.db, self.workspace, vec![collection], at).await.unwrap()
    }

    /// Whether everything of a time is kept.
    async fn is_kept(&self, collection: CollectionId, at: DateTime<Utc>) -> bool {
        self.kept(collection, at).await.incomplete.is_empty()
    }

    async fn now(&self) -> DateTime<Utc> {
        let row = self.db.query_one_raw(store::statement("select clock_timestamp()")).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

#[tokio::test]
async fn replaced_results_stay_where_the_collection_keeps_its_history() {
    let fixture = Fixture::new().await;
    let (kept, plain) = (fixture.collection("kept").await, fixture.collection("plain").await);
    fixture.set_days(kept, 30).await;
    let pipeline = fixture.pipeline("one").await;
    let (file, first) = fixture.file().await;
    let item = fixture.item(&pipeline, (file, first)).await;
    let (old, _) = fixture.write(&pipeline, (item, file, first), (kept, "out"), &["a", "b"]).await;
    fixture.write(&pipeline, (item, file, first), (plain, "branch"), &["c"]).await;
    fixture.publish(item).await;
    let second = fixture.new_version(file).await;
    let new = fixture.publish_version(&pipeline, (file, second), kept).await;
    assert_eq!(fixture.targets().await, [(old, first, false), (new, second, true)]);
    assert_eq!(fixture.superseded().await, [old]);
    assert_eq!((fixture.usage(kept).await, fixture.usage(plain).await), ((1, 1, 1), (0, 0, 0)));
    // The same version again, and the older one late, which was never visible.
    let repeated = fixture.publish_version(&pipeline, (file, second), kept).await;
    assert_eq!(fixture.superseded().await, [old, new]);
    let late = fixture.item(&pipeline, (file, first)).await;
    fixture.write(&pipeline, (late, file, first), (kept, "out"), &["late"]).await;
    fixture.publish(late).await;
    let targets = [(old, first, false), (new, second, false), (repeated, second, true)];
    assert_eq!(fixture.targets().await, targets);
    assert_eq!(next_abandoned(&fixture.db).await.unwrap(), None, "superseded targets are not abandoned");
    // Nothing is due before the days have passed.
    assert_eq!(fixture.delete_expired().await, []);
    fixture
        .sql(&format!(
            "update target set published_at = published_at - interval '31 days',
                 superseded_at = superseded_at - interval '31 days' where id = '{old}'"
        ))
        .await;
    assert_eq!(fixture.delete_expired().await, [old]);
    assert_eq!(fixture.superseded().await, [new]);
    fixture.set_days(kept, 0).await;
    assert_eq!(fixture.delete_expired().await, [new]);
    assert_eq!(fixture.usage(kept).await, (1, 1, 1));
    fixture.close().await;
}

#[tokio::test]
async fn snapshot_keeps_the_results_of_its_time_only() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    let pipeline = fixture.pipeline("one").await;
    let (file, first) = fixture.file().await;
    let one = fixture.publish_version(&pipeline, (file, first), collection).await;
    let before = fixture.now().await;
    let (id, at) = fixture.snapshot("before").await;
    for _ in 0..2 {
        let version = fixture.new_version(file).await;
        fixture.publish_version(&pipeline, (file, version), collection).await;
    }
    assert_eq!(fixture.superseded().await, [one], "the second version came after the snapshot and left before another");
    assert!(fixture.is_kept(collection, at).await && !fixture.is_kept(collection, before).await);
    assert_eq!(fixture.delete_expired().await, []);
    let tx = fixture.db.begin().await.unwrap();
    assert!(snapshot::delete(&tx, fixture.workspace, id).await.unwrap());
    tx.commit().await.unwrap();
    assert!(!fixture.is_kept(collection, at).await);
    assert_eq!(fixture.delete_expired().await, [one]);
    fixture.close().await;
}

#[tokio::test]
async fn results_of_a_pipeline_are_superseded_with_their_version_and_go_with_the_pipeline() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    fixture.set_days(collection, 1).await;
    let (one, two) = (fixture.pipeline("one").await, fixture.pipeline("two").await);
    let (file, first) = fixture.file().await;
    let of_one = fixture.publish_version(&one, (file, first), collection).await;
    let of_two = fixture.publish_version(&two, (file, first), collection).await;
    let second = fixture.new_version(file).await;
    fixture.publish_version(&one, (file, second), collection).await;
    assert_eq!(fixture.superseded().await, [of_one]);
    // The second pipeline does not process the new version.
    fixture.remove_of_older_versions(file, second).await;
    assert_eq!(fixture.superseded().await, [of_one, of_two]);
    fixture.remove_of_older_versions(file, second).await;
    assert_eq!(fixture.superseded().await, [of_one, of_two]);
    let tx = fixture.db.begin().await.unwrap();
    assert!(store::pipeline::delete(&tx, fixture.workspace, two.id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(fixture.superseded().await, [of_one]);
    assert_eq!(next_abandoned(&fixture.db).await.unwrap(), Some(fixture.workspace));
    let tx = fixture.db.begin().await.unwrap();
    assert_eq!(delete_abandoned(&tx, fixture.workspace, 10).await.unwrap(), 1);
    assert!(store::file::delete(&tx, fixture.workspace, file).await.unwrap().is_some());
    tx.commit().await.unwrap();
    assert_eq!(fixture.targets().await, [], "a deleted file has no past");
    fixture.close().await;
}

#[tokio::test]
async fn history_is_complete_since_it_was_first_kept() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    let since = async || fixture.find(collection).await.unwrap().history_since;
    let before = fixture.now().await;
    assert!(!fixture.is_kept(collection, before).await);
    assert!(fixture.is_kept(collection, before - chrono::Days::new(1)).await, "the collection was not there yet");
    assert!(fixture.kept(collection, before + chrono::Days::new(1)).await.is_future);
    fixture.set_days(collection, 30).await;
    let first = since().await.unwrap();
    assert!(first > before && fixture.is_kept(collection, first).await && !fixture.is_kept(collection, before).await);
    // More days bring nothing back.
    fixture.set_days(collection, 60).await;
    assert_eq!(since().await, Some(first));
    fixture.sql("update collection set history_days = 1, history_since = now() - interval '90 days'").await;
    fixture.set_days(collection, 60).await;
    let after = since().await.unwrap();
    assert!(after > before - chrono::Days::new(1) && after < before, "{after}");
    fixture.set_days(collection, 0).await;
    assert_eq!(since().await, None);
    fixture.close().await;
}
