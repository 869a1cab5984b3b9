//! Loading generated files into a collection, without a pipeline.

use nvisy_shared::{
    domain::file::FileState,
    id::{self, AccountId, BlobId, ItemId, SpaceId, WorkspaceId},
    store::{
        self, Conn, Db, TransactionTrait,
        chunk::{NewChunk, NewVector},
        file::{NewFile, StoredBlob},
        target::NewTarget,
    },
};

/// A generated file, and its chunks.
pub struct LoadedFile {
    pub name: String,
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
    pub async fn load(&self, files: &[LoadedFile]) {
        let workspace = self.workspace;
        let collection = store::collection::spaces(self.db, workspace).await.unwrap()[0].id;
        let tx = self.db.begin().await.unwrap();
        // The references are valid; checking each of them would take minutes.
        tx.execute_unprepared("set local session_replication_role = replica").await.unwrap();
        for file in files {
            let mut sha256 = [0; 32];
            sha256[..16].copy_from_slice(id::new().as_bytes());
            let blob = StoredBlob { id: BlobId::new(), sha256, bytes: 1 };
            store::file::register_blob(&tx, workspace, blob).await.unwrap();
            let new = NewFile::new(file.name.clone(), "text/plain".to_owned(), blob, Some(self.owner));
            let (id, version) = store::file::insert(&tx, workspace, blob.id, &new).await.unwrap();
            let new = NewTarget { collection, pipeline: None, node: "index", item: ItemId::new(), file: id, version };
            let target = store::target::open(&tx, workspace, &new).await.unwrap();
            let chunks = store::chunk::insert(&tx, workspace, target, rows(&file.chunks)).await.unwrap();
            let vectors = chunks.into_iter().zip(&file.chunks);
            let vectors = vectors.map(|(chunk, loaded)| NewVector {
                chunk,
                input_hash: id::new(),
                vector: loaded.vector.clone(),
            });
            store::chunk::insert_vectors(&tx, workspace, self.space, target, vectors.collect()).await.unwrap();
            store::file::set_state(&tx, workspace, version, FileState::Ready, None).await.unwrap();
            store::file::make_live(&tx, workspace, id, version).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Makes everything that was loaded visible to search, and tidies up behind it, as a worker does in time.
    pub async fn publish(&self) {
        let (workspace, space) = (self.workspace, self.space);
        let visible = format!(
            "update collection set space_id = '{space}' where workspace_id = '{workspace}';
             update target set live = true where workspace_id = '{workspace}';
             update workspace_usage set chunks = (select count(*) from chunk where workspace_id = '{workspace}')
             where workspace_id = '{workspace}'"
        );
        self.db.execute_unprepared(&visible).await.unwrap();
        for collection in store::posting::next_fragmented(self.db).await.unwrap() {
            while store::posting::merge(self.db, collection).await.unwrap() {}
        }
        self.db.execute_unprepared("vacuum analyze").await.unwrap();
    }
}

/// The chunks with their ordinals, one behind the other in the text of the file.
fn rows(chunks: &[LoadedChunk]) -> Vec<(i32, NewChunk)> {
    let mut place = 0;
    let chunks = chunks.iter().map(|loaded| {
        let bytes = place..place + loaded.text.len();
        place = bytes.end;
        let text = loaded.text.clone();
        NewChunk { text, bytes, page: None, heading_path: Vec::new(), tokens: loaded.tokens, prefix: None }
    });
    (0..).zip(chunks).collect()
}
