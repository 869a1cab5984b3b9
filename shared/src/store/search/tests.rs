//! Tests of search on a real server.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;

use nvisy_embed::SpaceSpec;
use serde_json::{Value, json};

use super::{vector_leg::VectorLeg, *};
use crate::{
    domain::{filter::Filter, space::Quantisation},
    id::{AccountId, BlobId, ChunkId, CollectionId, FileId, ItemId, SpaceId, VersionId},
    platform::Platform,
    store::{
        self, Conn, Db, TransactionTrait,
        chunk::{NewChunk, NewVector},
        collection::{CollectionKey, NewCollection},
        file::{NewFile, StoredBlob},
        space::Space,
        target::NewTarget,
    },
    testing::TestDeployment,
};

mod accents;
mod binary;
mod collections;
mod disabled;
mod filters;
mod index_walk;
mod near_phrases;
mod past;
mod prefixes;
mod ranking;
mod words;

const DIMENSIONS: u16 = 16;
/// Thresholds that a small test corpus exceeds.
const SMALL: Thresholds = Thresholds { exact_vectors: 20, exact_vectors_per_root: 0, min_candidates: 40 };

struct Fixture {
    deployment: TestDeployment,
    db: Db,
    space: SpaceId,
    quantisation: Quantisation,
}

impl Fixture {
    async fn new() -> Self {
        Self::in_space(&Space::usual(spec("test", DIMENSIONS))).await
    }

    /// With a space that has an index.
    async fn in_space(space: &Space) -> Self {
        let deployment = TestDeployment::new().await;
        let db = Platform::open(deployment.config(&[])).await.unwrap().db;
        let tx = db.begin().await.unwrap();
        let id = store::space::ensure_requested(&tx, None, space).await.unwrap();
        store::space::create_index(&tx, id, space.spec.dimensions).await.unwrap();
        tx.commit().await.unwrap();
        Self { deployment, db, space: id, quantisation: space.quantisation }
    }

    async fn workspace(&self) -> (WorkspaceId, AccountId) {
        let (workspace, account) = (WorkspaceId::new(), AccountId::new());
        self.sql(&format!(
            "insert into account (id, email, display_name, password_hash) values ('{account}', '{account}@example.org', 'Ada', 'x');
             insert into workspace (id, name) values ('{workspace}', 'x')"
        ))
        .await;
        self.collection(workspace, "default", self.space).await;
        (workspace, account)
    }

    async fn collection(&self, workspace: WorkspaceId, name: &str, space: SpaceId) -> CollectionId {
        let tx = self.db.begin().await.unwrap();
        let new = NewCollection { name, description: "", space: Some(space), max_chunks: None };
        let id = store::collection::insert(&tx, workspace, &new).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        id
    }

    async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    /// Adds a file with these chunks to the collection `default`, searchable if `live`.
    async fn file(
        &self,
        owner: (WorkspaceId, AccountId),
        name: &str,
        chunks: Vec<(String, Vec<f32>)>,
        live: bool,
    ) -> (FileId, VersionId) {
        let default = CollectionKey::Name("default".to_owned());
        let collection = store::collection::find(&self.db, owner.0, &default).await.unwrap().unwrap();
        self.file_in(owner, name, chunks, live, (collection.id, self.space)).await
    }

    async fn file_in(
        &self,
        (workspace, account): (WorkspaceId, AccountId),
        name: &str,
        chunks: Vec<(String, Vec<f32>)>,
        live: bool,
        (collection, space): (CollectionId, SpaceId),
    ) -> (FileId, VersionId) {
        let tx = self.db.begin().await.unwrap();
        let mut sha256 = [0; 32];
        sha256[..16].copy_from_slice(crate::id::new().as_bytes());
        let blob = StoredBlob { id: BlobId::new(), sha256, bytes: 10 * chunks.len() as u64 };
        store::file::register_blob(&tx, workspace, blob).await.unwrap();
        let new = NewFile::new(name.to_owned(), "text/plain".to_owned(), blob, Some(account));
        let (file, version) = store::file::insert(&tx, workspace, blob.id, &new).await.unwrap();
        let new = NewTarget { collection, pipeline: None, node: "index", item: ItemId::new(), file, version };
        let target = store::target::open(&tx, workspace, &new).await.unwrap();
        let (texts, vectors): (Vec<_>, Vec<_>) = chunks.into_iter().unzip();
        let new = texts.into_iter().map(|text| NewChunk {
            bytes: 0..text.len(),
            text,
            page: Some(1),
            heading_path: Vec::new(),
            tokens: 1,
            prefix: None,
        });
        let ids = store::chunk::insert(&tx, workspace, target, (0..).zip(new).collect()).await.unwrap().ids;
        let rows = ids.into_iter().zip(vectors);
        let rows = rows.map(|(chunk, vector)| NewVector { chunk, input_hash: crate::id::new(), vector });
        store::chunk::insert_vectors(&tx, workspace, space, target, rows.collect()).await.unwrap();
        if live {
            store::file::make_live(&tx, workspace, &[(file, version)]).await.unwrap();
            tx.execute_unprepared(&format!("update target set live = true where id = '{target}'")).await.unwrap();
        }
        tx.commit().await.unwrap();
        (file, version)
    }

    fn query(&self, mode: SearchMode, text: &str, vector: Vec<f32>, limit: i64) -> SearchQuery {
        let vectors = vec![SpaceVector { space: self.space, quantisation: self.quantisation, vector }];
        SearchQuery { mode, text: text.to_owned(), vectors, limit, ..SearchQuery::default() }
    }

    async fn search(&self, workspace: WorkspaceId, query: &SearchQuery, thresholds: Thresholds) -> SearchResult {
        search_with(&self.db, workspace, query, thresholds).await.unwrap()
    }

    async fn close(self) {
        self.db.close().await.unwrap();
        self.deployment.close().await;
    }
}

fn spec(model: &str, dimensions: u16) -> SpaceSpec {
    SpaceSpec {
        provider: "test".to_owned(),
        model: model.to_owned(),
        dimensions,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    }
}

fn filtered(query: SearchQuery, filter: &Value) -> SearchQuery {
    SearchQuery { filter: Some(Filter::parse(filter).unwrap()), ..query }
}

/// A pseudo-random unit vector for a seed.
fn vector(seed: usize) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0 - 0.5
    };
    let raw: Vec<f32> = (0..DIMENSIONS).map(|_| next()).collect();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.into_iter().map(|x| x / length).collect()
}

fn texts(result: &SearchResult) -> Vec<&str> {
    result.hits.iter().map(|hit| hit.marked_text.as_str()).collect()
}

fn chunks(count: usize, seed: usize) -> Vec<(String, Vec<f32>)> {
    (0..count).map(|n| (format!("c{}", seed + n), vector(seed + n))).collect()
}
