//! Loading generated files into a collection, without a pipeline.

use futures::{StreamExt, future, stream};
use nvisy_shared::{
    domain::file::FileState,
    id::{self, AccountId, BlobId, CollectionId, ItemId, SpaceId, WorkspaceId},
    store::{
        self, Conn, Db, TransactionTrait, Tx,
        chunk::{NewChunk, NewVector},
        file::{NewFile, StoredBlob},
        target::NewTarget,
    },
};

/// Transactions at the same time. PostgreSQL has a process for each, so that it works while the next texts are made and analysed.
pub const LOADERS: usize = 3;

/// A generated file, and its chunks.
pub struct LoadedFile {
    pub name: String,
    pub tags: Vec<String>,
    pub chunks: Vec<LoadedChunk>,
}

pub struct LoadedChunk {
    pub text: String,
    pub tokens: u32,
    pub vector: Vec<f32>,
}

/// Where files are loaded: the first collection of a workspace.
pub struct Corpus<'a> {
    pub db: &'a Db,
    pub workspace: WorkspaceId,
    pub owner: AccountId,
    pub space: SpaceId,
}

impl Corpus<'_> {
    /// Loads files in one transaction. Their targets are not visible yet.
    pub async fn load(&self, files: Vec<LoadedFile>) {
        let collection = store::collection::spaces(self.db, self.workspace).await.unwrap()[0].id;
        let tx = self.db.begin().await.unwrap();
        // The references are valid; checking each of them would take minutes.
        tx.execute_unprepared("set local session_replication_role = replica").await.unwrap();
        for file in files {
            self.load_file(&tx, collection, file).await;
        }
        tx.commit().await.unwrap();
    }

    /// Loads batches of files, each in a transaction, several at the same time. The next batch is made when a loader is free.
    pub async fn load_all(&self, batches: impl Iterator<Item = Vec<LoadedFile>>) {
        let loads = stream::iter(batches).map(|files| self.load(files));
        loads.buffer_unordered(LOADERS).for_each(|()| future::ready(())).await;
    }

    async fn load_file(&self, tx: &Tx, collection: CollectionId, file: LoadedFile) {
        let workspace = self.workspace;
        let mut sha256 = [0; 32];
        sha256[..16].copy_from_slice(id::new().as_bytes());
        let blob = StoredBlob { id: BlobId::new(), sha256, bytes: 1 };
        store::file::register_blob(tx, workspace, blob).await.unwrap();
        let new = NewFile::new(file.name, "text/plain".to_owned(), blob, Some(self.owner));
        let new = NewFile { tags: file.tags, ..new };
        let (id, version) = store::file::insert(tx, workspace, blob.id, &new).await.unwrap();
        let new = NewTarget { collection, pipeline: None, node: "index", item: ItemId::new(), file: id, version };
        let target = store::target::open(tx, workspace, &new).await.unwrap();
        let (chunks, vectors) = rows(file.chunks);
        let chunks = store::chunk::insert(tx, workspace, target, chunks).await.unwrap().ids;
        let vectors = chunks.into_iter().zip(vectors);
        let vectors = vectors.map(|(chunk, vector)| NewVector { chunk, input_hash: id::new(), vector });
        store::chunk::insert_vectors(tx, workspace, self.space, target, vectors.collect()).await.unwrap();
        store::file::set_state(tx, workspace, version, FileState::Ready, None).await.unwrap();
        store::file::make_live(tx, workspace, &[(id, version)]).await.unwrap();
    }

    /// Makes everything that was loaded visible to search.
    pub async fn make_visible(&self) {
        let (workspace, space) = (self.workspace, self.space);
        let visible = format!(
            "update collection set space_id = '{space}' where workspace_id = '{workspace}';
             update target set live = true where workspace_id = '{workspace}';
             update workspace_usage set chunks = (select count(*) from chunk where workspace_id = '{workspace}')
             where workspace_id = '{workspace}'"
        );
        self.db.execute_unprepared(&visible).await.unwrap();
    }
}

/// Tidies up behind loads, as a worker and PostgreSQL do in time: words have few rows, and statistics are new.
pub async fn tidy(db: &Db) {
    for collection in store::posting::next_fragmented(db).await.unwrap() {
        while store::posting::merge(db, collection).await.unwrap() {}
    }
    db.execute_unprepared("vacuum analyze").await.unwrap();
}

/// Drops the index of a space, because a load is faster without it.
pub async fn drop_index(db: &Db, space: SpaceId) {
    let dropped = format!("drop index if exists embedding_hnsw_{}", space.0.simple());
    db.execute_unprepared(&dropped).await.unwrap();
}

/// Builds the index of a space with so many vectors.
pub async fn build_index(db: &Db, space: SpaceId, dimensions: usize, vectors: usize) {
    // In memory, or a million vectors take hours: a vector in half precision, and its links with their distances.
    let kilobytes = 64 * 1024 + vectors * (2 * dimensions + 1_200) / 1024;
    let built = format!(
        "set maintenance_work_mem = '{kilobytes}kB'; select create_space_index('{space}', {dimensions});
         reset maintenance_work_mem"
    );
    db.execute_unprepared(&built).await.unwrap();
}

/// The chunks with their ordinals, one behind the other in the text of the file, and their vectors.
fn rows(chunks: Vec<LoadedChunk>) -> (Vec<(i32, NewChunk)>, Vec<Vec<f32>>) {
    let mut place = 0;
    let rows = (0..).zip(chunks).map(|(ordinal, LoadedChunk { text, tokens, vector })| {
        let bytes = place..place + text.len();
        place = bytes.end;
        let chunk = NewChunk { text, bytes, page: None, heading_path: Vec::new(), tokens, prefix: None };
        ((ordinal, chunk), vector)
    });
    rows.unzip()
}
