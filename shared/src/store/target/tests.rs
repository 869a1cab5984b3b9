//! Tests of targets and collections on a real server.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use nvisy_embed::SpaceSpec;
use serde_json::json;

use super::*;
use crate::{
    domain::run::RunTrigger,
    id::{AccountId, BlobId, ChunkId, SpaceId},
    pipeline::state::PipelineState,
    store::{
        self, Db, TransactionTrait,
        chunk::{NewChunk, NewVector, input_hash},
        collection::{Collection, CollectionKey, NewCollection},
        file::{NewFile, StoredBlob},
        pipeline::NewPipeline,
        run::{NewRun, Pipeline},
        run_item::NewItem,
    },
    testing::TestDeployment,
};

mod deletion;
mod ended_together;
mod past;

struct Fixture {
    deployment: TestDeployment,
    db: Db,
    workspace: WorkspaceId,
    account: AccountId,
    space: SpaceId,
}

fn spec() -> SpaceSpec {
    SpaceSpec {
        provider: "test".to_owned(),
        model: "test".to_owned(),
        dimensions: 2,
        query_prefix: String::new(),
        passage_prefix: "passage: ".to_owned(),
    }
}

impl Fixture {
    async fn new() -> Self {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let (workspace, account) = (WorkspaceId::new(), AccountId::new());
        let space = store::space::ensure(&db, &spec()).await.unwrap();
        let fixture = Self { deployment, db, workspace, account, space };
        fixture
            .sql(&format!(
                "insert into account (id, email, display_name, password_hash) values ('{account}', 'ada@example.org', 'Ada', 'x');
                 insert into workspace (id, name) values ('{workspace}', 'x')"
            ))
            .await;
        fixture
    }

    async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    async fn collection(&self, name: &str) -> CollectionId {
        let tx = self.db.begin().await.unwrap();
        let new = NewCollection { name, description: "", space: Some(self.space), max_chunks: None };
        let id = store::collection::insert(&tx, self.workspace, &new).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        id
    }

    async fn pipeline(&self, name: &str) -> Pipeline {
        let tx = self.db.begin().await.unwrap();
        let new = NewPipeline { name, builtin: false, inline: false, state: PipelineState::Enabled };
        let row = store::pipeline::insert(&tx, self.workspace, &new, json!({})).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        Pipeline { id: row.id, name: row.name, version: row.version, definition: json!({}) }
    }

    async fn file(&self) -> (FileId, VersionId) {
        let tx = self.db.begin().await.unwrap();
        let mut sha256 = [0; 32];
        sha256[..16].copy_from_slice(crate::id::new().as_bytes());
        let blob = StoredBlob { id: BlobId::new(), sha256, bytes: 1 };
        store::file::register_blob(&tx, self.workspace, blob).await.unwrap();
        let new = NewFile {
            name: "a.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            blob,
            created_by: Some(self.account),
            external_id: None,
            tags: Vec::new(),
            metadata: json!({}),
        };
        let ids = store::file::insert(&tx, self.workspace, blob.id, &new).await.unwrap();
        tx.commit().await.unwrap();
        ids
    }

    /// Another version of a file with the same content.
    async fn new_version(&self, file: FileId) -> VersionId {
        let version = VersionId::new();
        self.sql(&format!(
            "insert into file_version (workspace_id, id, file_id, number, blob_id, bytes, sha256, media_type)
                 select workspace_id, '{version}', file_id, number + 1, blob_id, bytes, sha256, media_type
                 from file_version where file_id = '{file}' order by number desc limit 1;
             update file set version_id = '{version}' where id = '{file}'"
        ))
        .await;
        version
    }

    async fn item(&self, pipeline: &Pipeline, (file, version): (FileId, VersionId)) -> ItemId {
        let tx = self.db.begin().await.unwrap();
        let new = NewRun::new(pipeline.id, pipeline.version, RunTrigger::Upload);
        let run = store::run::insert(&tx, self.workspace, new).await.unwrap();
        let item = NewItem { file, version, entry: 0, parent: None, stage: "read".to_owned() };
        let items = store::run_item::insert(&tx, self.workspace, run, vec![item]).await.unwrap();
        tx.commit().await.unwrap();
        items[0]
    }

    /// Writes chunks with these texts, and their vectors.
    async fn write(
        &self,
        pipeline: &Pipeline,
        (item, file, version): (ItemId, FileId, VersionId),
        (collection, node): (CollectionId, &str),
        texts: &[&str],
    ) -> (TargetId, Vec<ChunkId>) {
        let tx = self.db.begin().await.unwrap();
        let new = NewTarget { collection, pipeline: Some(pipeline.id), node, item, file, version };
        let target = open(&tx, self.workspace, &new).await.unwrap();
        assert_eq!(open(&tx, self.workspace, &new).await.unwrap(), target, "the same item and node have one target");
        let chunks = texts.iter().map(|text| NewChunk {
            text: (*text).to_owned(),
            bytes: 0..text.len(),
            page: None,
            heading_path: Vec::new(),
            tokens: 1,
            prefix: None,
        });
        let chunks = (0..).zip(chunks).collect();
        let ids = store::chunk::insert(&tx, self.workspace, target, chunks).await.unwrap().ids;
        let vectors = ids.iter().zip(texts).map(|(chunk, text)| NewVector {
            chunk: *chunk,
            input_hash: input_hash(text),
            vector: vec![0.6, 0.8],
        });
        store::chunk::insert_vectors(&tx, self.workspace, self.space, target, vectors.collect()).await.unwrap();
        tx.commit().await.unwrap();
        (target, ids)
    }

    async fn publish(&self, item: ItemId) {
        self.publish_all_but(item, &[]).await;
    }

    /// Of an item that does not come through these nodes.
    async fn publish_all_but(&self, item: ItemId, nodes: &[&str]) {
        let all_but = nodes.iter().map(|node| (*node).to_owned()).collect();
        let tx = self.db.begin().await.unwrap();
        store::locks::lock_item(&tx, self.workspace, item).await.unwrap();
        publish(&tx, self.workspace, item, &Replaces { all_but, ..Replaces::default() }).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The targets by id: version and whether they are live.
    async fn targets(&self) -> Vec<(TargetId, VersionId, bool)> {
        let rows = Entity::find().order_by_asc(Column::Id).all(&self.db).await.unwrap();
        rows.into_iter().map(|row| (row.id, row.version_id, row.live)).collect()
    }

    /// Files, chunks and vectors of a collection, which must equal those of its live targets.
    async fn usage(&self, id: CollectionId) -> (i64, i64, i64) {
        let Collection { files, chunks, vectors, .. } = self.find(id).await.unwrap();
        let counted = format!(
            "select count(distinct t.file_id), count(c.id), count(e.chunk_id) from target t
             left join chunk c on c.target_id = t.id left join embedding e on e.chunk_id = c.id
             where t.live and t.collection_id = '{id}'"
        );
        let row = self.db.query_one_raw(store::statement(&counted)).await.unwrap().unwrap();
        let counted: (i64, i64, i64) = row.try_get_many_by_index().unwrap();
        assert_eq!((files, chunks, vectors), counted, "the triggers count what the tables have");
        counted
    }

    async fn find(&self, id: CollectionId) -> Option<Collection> {
        store::collection::find(&self.db, self.workspace, &CollectionKey::Id(id)).await.unwrap()
    }

    async fn close(self) {
        self.db.close().await.unwrap();
        self.deployment.close().await;
    }
}

#[tokio::test]
async fn published_item_replaces_those_of_its_pipeline_and_file_only() {
    let fixture = Fixture::new().await;
    let (default, other) = (fixture.collection("default").await, fixture.collection("other").await);
    let (one, two) = (fixture.pipeline("one").await, fixture.pipeline("two").await);
    let (file, first) = fixture.file().await;
    let item = fixture.item(&one, (file, first)).await;
    fixture.write(&one, (item, file, first), (default, "out"), &["a", "b"]).await;
    fixture.write(&one, (item, file, first), (other, "branch"), &["c"]).await;
    assert_eq!(fixture.usage(default).await, (0, 0, 0));
    fixture.publish(item).await;
    assert_eq!((fixture.usage(default).await, fixture.usage(other).await), ((1, 2, 2), (1, 1, 1)));
    let neighbour = fixture.item(&two, (file, first)).await;
    fixture.write(&two, (neighbour, file, first), (default, "out"), &["d"]).await;
    fixture.publish(neighbour).await;
    assert_eq!(fixture.usage(default).await, (1, 3, 3), "a file counts once, whatever wrote it");

    // A newer version takes one branch only: the other pipeline's target stays.
    let second = fixture.new_version(file).await;
    let item = fixture.item(&one, (file, second)).await;
    let (target, _) = fixture.write(&one, (item, file, second), (default, "out"), &["e"]).await;
    fixture.publish(item).await;
    let targets = fixture.targets().await;
    assert_eq!(targets.len(), 2);
    assert!(targets.contains(&(target, second, true)) && targets.iter().any(|(_, version, _)| *version == first));
    assert_eq!((fixture.usage(default).await, fixture.usage(other).await), ((1, 2, 2), (0, 0, 0)));

    // Another run of this version, without any target.
    let empty = fixture.item(&one, (file, second)).await;
    fixture.publish(empty).await;
    assert_eq!(fixture.usage(default).await, (1, 1, 1));
    fixture.close().await;
}

#[tokio::test]
async fn item_keeps_targets_of_nodes_that_another_source_leads_to() {
    let fixture = Fixture::new().await;
    let (x, y) = (fixture.collection("x").await, fixture.collection("y").await);
    let pipeline = fixture.pipeline("one").await;
    let (file, first) = fixture.file().await;
    // Two sources: one leads to `a` and `both`, the other one to `b` and `both`.
    let of_a = fixture.item(&pipeline, (file, first)).await;
    fixture.write(&pipeline, (of_a, file, first), (x, "a"), &["a"]).await;
    fixture.write(&pipeline, (of_a, file, first), (x, "both"), &["c"]).await;
    let of_b = fixture.item(&pipeline, (file, first)).await;
    let (own, _) = fixture.write(&pipeline, (of_b, file, first), (y, "b"), &["b"]).await;
    let (both, _) = fixture.write(&pipeline, (of_b, file, first), (x, "both"), &["c"]).await;
    fixture.publish_all_but(of_a, &["b"]).await;
    fixture.publish_all_but(of_b, &["a"]).await;
    assert_eq!((fixture.usage(x).await, fixture.usage(y).await), ((1, 2, 2), (1, 1, 1)));
    let live: Vec<_> = fixture.targets().await.into_iter().filter(|(.., live)| *live).map(|(id, ..)| id).collect();
    assert!(live.contains(&own) && live.contains(&both), "the last item has the node that both lead to");
    // Another item of the first source replaces its own nodes.
    let again = fixture.item(&pipeline, (file, first)).await;
    fixture.publish_all_but(again, &["b"]).await;
    assert_eq!((fixture.usage(x).await, fixture.usage(y).await), ((0, 0, 0), (1, 1, 1)));
    // One of a newer version leaves nothing of the older one.
    let second = fixture.new_version(file).await;
    let newer = fixture.item(&pipeline, (file, second)).await;
    fixture.publish_all_but(newer, &["b"]).await;
    assert_eq!(fixture.targets().await, []);
    fixture.close().await;
}

#[tokio::test]
async fn older_version_does_not_replace_a_newer_one() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    let pipeline = fixture.pipeline("one").await;
    let (file, first) = fixture.file().await;
    let old = fixture.item(&pipeline, (file, first)).await;
    fixture.write(&pipeline, (old, file, first), (collection, "out"), &["old"]).await;
    let second = fixture.new_version(file).await;
    let new = fixture.item(&pipeline, (file, second)).await;
    let (target, _) = fixture.write(&pipeline, (new, file, second), (collection, "out"), &["new"]).await;
    // The older one is published first, and leaves the newer one alone.
    fixture.publish(old).await;
    assert!(fixture.targets().await.contains(&(target, second, false)));
    fixture.publish(new).await;
    assert_eq!(fixture.targets().await, [(target, second, true)]);
    // The older one is repeated after the newer one.
    let again = fixture.item(&pipeline, (file, first)).await;
    fixture.write(&pipeline, (again, file, first), (collection, "out"), &["old"]).await;
    fixture.publish(again).await;
    assert_eq!(fixture.targets().await, [(target, second, true)]);
    assert_eq!(fixture.usage(collection).await, (1, 1, 1));
    // No pipeline processes the newest version.
    let third = fixture.new_version(file).await;
    let tx = fixture.db.begin().await.unwrap();
    remove_of_older_versions(&tx, fixture.workspace, &[(file, third)]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fixture.targets().await, []);
    fixture.close().await;
}

#[tokio::test]
async fn discarded_item_leaves_nothing_and_keeps_the_published_one() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    let pipeline = fixture.pipeline("one").await;
    let (file, version) = fixture.file().await;
    let item = fixture.item(&pipeline, (file, version)).await;
    let (target, _) = fixture.write(&pipeline, (item, file, version), (collection, "out"), &["a"]).await;
    fixture.publish(item).await;
    let failed = fixture.item(&pipeline, (file, version)).await;
    fixture.write(&pipeline, (failed, file, version), (collection, "out"), &["b"]).await;
    let tx = fixture.db.begin().await.unwrap();
    for item in [failed, item] {
        discard(&tx, fixture.workspace, item).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(fixture.targets().await, [(target, version, true)]);
    fixture.close().await;
}

#[tokio::test]
async fn targets_of_a_deleted_pipeline_are_hidden_at_once_and_deleted_in_batches() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    let (gone, kept) = (fixture.pipeline("gone").await, fixture.pipeline("kept").await);
    for pipeline in [&gone, &gone, &gone, &kept] {
        let (file, version) = fixture.file().await;
        let item = fixture.item(pipeline, (file, version)).await;
        fixture.write(pipeline, (item, file, version), (collection, "out"), &["a", "b"]).await;
        fixture.publish(item).await;
    }
    assert_eq!(fixture.usage(collection).await, (4, 8, 8));
    let tx = fixture.db.begin().await.unwrap();
    assert!(store::pipeline::delete(&tx, fixture.workspace, gone.id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(fixture.usage(collection).await, (1, 2, 2));
    assert_eq!(fixture.targets().await.len(), 4);
    let mut batches = Vec::new();
    while let Some(workspace) = next_abandoned(&fixture.db).await.unwrap() {
        let tx = fixture.db.begin().await.unwrap();
        batches.push(delete_abandoned(&tx, workspace, 2).await.unwrap());
        tx.commit().await.unwrap();
    }
    assert_eq!((batches, fixture.targets().await.len()), (vec![2, 1], 1));
    assert_eq!(fixture.usage(collection).await, (1, 2, 2));
    fixture.close().await;
}

#[tokio::test]
async fn deleted_collection_frees_its_name_and_is_erased_in_batches() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("reports").await;
    let pipeline = fixture.pipeline("one").await;
    for _ in 0..3 {
        let (file, version) = fixture.file().await;
        let item = fixture.item(&pipeline, (file, version)).await;
        fixture.write(&pipeline, (item, file, version), (collection, "out"), &["a"]).await;
        fixture.publish(item).await;
    }
    let workspace = fixture.workspace;
    let new = NewCollection { name: "reports", description: "", space: None, max_chunks: None };
    let tx = fixture.db.begin().await.unwrap();
    assert_eq!(store::collection::insert(&tx, workspace, &new).await.unwrap(), None, "the name is taken");
    assert!(store::collection::delete(&tx, workspace, collection).await.unwrap());
    assert!(!store::collection::delete(&tx, workspace, collection).await.unwrap());
    let again = store::collection::insert(&tx, workspace, &new).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fixture.find(collection).await, None);
    let listed = store::collection::list(&fixture.db, workspace, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), [again]);
    let spaces = store::collection::spaces(&fixture.db, workspace).await.unwrap();
    assert_eq!(spaces.iter().map(|row| (row.id, row.space_id)).collect::<Vec<_>>(), [(again, None)]);
    // The first vectors decide on the space.
    let assign = async |space| store::collection::assign_space(&fixture.db, workspace, again, space).await.unwrap();
    assert_eq!(assign(fixture.space).await, Some(fixture.space));
    let other = SpaceSpec { model: "other".to_owned(), ..spec() };
    assert_eq!(assign(store::space::ensure(&fixture.db, &other).await.unwrap()).await, Some(fixture.space));

    assert!(!store::collection::erase(&fixture.db, workspace, collection).await.unwrap(), "it has targets");
    let mut batches = Vec::new();
    while store::collection::next_deleted(&fixture.db).await.unwrap() == Some((workspace, collection)) {
        let tx = fixture.db.begin().await.unwrap();
        batches.push(delete_of_collection(&tx, workspace, collection, 2).await.unwrap());
        tx.commit().await.unwrap();
        store::collection::erase(&fixture.db, workspace, collection).await.unwrap();
    }
    assert_eq!(batches, [2, 1]);
    assert_eq!(fixture.usage(again).await, (0, 0, 0));
    fixture.close().await;
}

#[tokio::test]
async fn vectors_of_known_inputs_are_found_in_their_space_and_workspace() {
    let fixture = Fixture::new().await;
    let collection = fixture.collection("default").await;
    let pipeline = fixture.pipeline("one").await;
    let (file, version) = fixture.file().await;
    let item = fixture.item(&pipeline, (file, version)).await;
    fixture.write(&pipeline, (item, file, version), (collection, "out"), &["a", "a", "b"]).await;
    let [a, b, c] = ["a", "b", "c"].map(input_hash);
    let find = async |workspace, space| {
        let found = store::chunk::find_vectors(&fixture.db, workspace, space, &[a, a, b, c]).await.unwrap();
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(hash, _)| [a, b].iter().position(|known| known == hash));
        found
    };
    let found = find(fixture.workspace, fixture.space).await;
    assert_eq!(found.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), [a, b]);
    // With the precision of half floats.
    assert!(found.iter().all(|(_, vector)| (vector[0] - 0.6).abs() < 1e-3 && vector.len() == 2), "{found:?}");
    assert_eq!(find(WorkspaceId::new(), fixture.space).await, []);
    let other = store::space::ensure(&fixture.db, &SpaceSpec { model: "other".to_owned(), ..spec() }).await.unwrap();
    assert_eq!(find(fixture.workspace, other).await, []);
    fixture.close().await;
}
