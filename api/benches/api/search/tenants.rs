//! The tenants of the benchmark, in one space with one index.

use std::time::Instant;

use futures::{StreamExt, future, stream};
use nvisy_shared::{
    id::{AccountId, CollectionId, SpaceId, WorkspaceId},
    platform::Platform,
    store,
};

use super::{
    selectivity::{has_filtered_tag, tags},
    texts::{thousands, words},
    vectors::{Centres, DIMENSIONS, StoredVectors},
};
use crate::{
    corpus::{Corpus, LOADERS, LoadedChunk, LoadedFile, build_index, drop_index, tidy},
    noise::Noise,
    support::{TestAccount, TestApp},
};

/// Tenants beside the largest one.
pub const OTHERS: usize = 1_000;
/// Those of them that are searched. Their files have one chunk each, so that filters can match a few of their chunks.
const SEARCHED: usize = 10;
/// Words of a chunk. A million chunks are shorter, and with them all others of their run: a load writes one row for each
/// different word of a file, which are far more than its chunks and vectors.
const WORDS: usize = 160;
const WORDS_OF_A_MILLION: usize = 60;
const MILLION: usize = 1_000_000;
/// Words of a chunk of a tenant beside the largest one, in which only vectors are searched.
const OTHER_WORDS: usize = 8;
/// Chunks of a transaction.
const LOAD_CHUNKS: usize = 2_000;
/// The file of [`FEW_CHUNKS`] chunks with the tag `few`, which no other filter matches.
const FEW_FILE: u32 = 1_000_001;
/// Fewer than a search returns.
pub const FEW_CHUNKS: usize = 7;
/// The tables that are loaded.
const TABLES: [&str; 7] = ["blob", "chunk", "embedding", "file", "file_version", "posting", "target"];
/// The pool of an API that has the default settings; those of tests are smaller.
const SETTINGS: [(&str, &str); 4] = [
    ("NVISY_DATABASE_CONNECTIONS", "16"),
    ("NVISY_EMBEDDING_PROVIDER", "local"),
    ("NVISY_EMBEDDING_THREADS", "0"),
    ("NVISY_QUOTA_WORKSPACES", "1000000"),
];

/// A workspace, and the vectors of its default collection.
pub struct Tenant {
    /// The id of the workspace in requests.
    pub name: String,
    pub id: WorkspaceId,
    pub collection: CollectionId,
    pub chunks: usize,
    pub vectors: StoredVectors,
}

/// The API, and the space in which its tenants have vectors.
pub struct World {
    pub app: TestApp,
    pub platform: Platform,
    pub space: SpaceId,
    pub centres: Centres,
    ada: TestAccount,
    words: usize,
    /// The number of vectors in the space.
    vectors: usize,
}

impl World {
    /// A world in which the largest tenant will have so many chunks.
    pub async fn start(largest: usize, noise: &mut Noise) -> Self {
        let app = TestApp::start_with(&SETTINGS).await;
        let platform = Platform::open(app.config().clone()).await.unwrap();
        let ada = app.create_account("ada").await;
        // It would run during some of the measurements; a load ends with it.
        for table in TABLES {
            app.sql(&format!("alter table {table} set (autovacuum_enabled = false)")).await;
        }
        let words = if largest >= MILLION { WORDS_OF_A_MILLION } else { WORDS };
        println!("chunks of {words} words");
        let space = platform.spaces.default().id;
        Self { app, platform, space, centres: Centres::new(noise), ada, words, vectors: 0 }
    }

    /// A new access token: a load may take longer than the last one is valid.
    pub async fn log_in(&self) -> TestAccount {
        self.app.new_session(&self.ada).await
    }

    /// Loads a tenant of so many chunks, and those beside the largest one, and builds the index again.
    pub async fn load(&mut self, noise: &mut Noise, chunks: usize, is_largest: bool) -> (Tenant, Vec<Tenant>) {
        let db = self.app.db.clone();
        drop_index(&db, self.space).await;
        let began = Instant::now();
        let tenant = self.load_tenant(noise, chunks, is_largest).await;
        self.vectors += chunks;
        println!("{} chunks loaded in {:.0?}", thousands(chunks), began.elapsed());
        let mut others = Vec::new();
        if is_largest {
            let began = Instant::now();
            others = self.load_others(noise, chunks / OTHERS).await;
            self.vectors += chunks;
            println!("{OTHERS} tenants of {} chunks loaded in {:.0?}", chunks / OTHERS, began.elapsed());
        }
        let began = Instant::now();
        tidy(&db).await;
        println!("postings merged, tables vacuumed in {:.0?}", began.elapsed());
        let began = Instant::now();
        build_index(&db, self.space, DIMENSIONS, self.vectors).await;
        println!("index of {} vectors built in {:.0?}", thousands(self.vectors), began.elapsed());
        (tenant, others)
    }

    async fn load_tenant(&self, noise: &mut Noise, chunks: usize, is_largest: bool) -> Tenant {
        let ada = self.log_in().await;
        let mut tenant = self.tenant(&ada, &format!("{chunks} chunks"), chunks).await;
        let corpus = self.corpus(&tenant);
        let per_file = chunks_of_file(chunks);
        let vectors = &mut tenant.vectors;
        let batches = (0..chunks).step_by(LOAD_CHUNKS).map(|first| {
            let end = chunks.min(first + LOAD_CHUNKS);
            let mut files = Vec::new();
            for place in (first..end).step_by(per_file) {
                let number = u32::try_from(place / per_file).unwrap();
                files.push(self.file(noise, vectors, number, (per_file.min(end - place), self.words)));
            }
            files
        });
        corpus.load_all(batches).await;
        if is_largest {
            let mut few = self.file(noise, vectors, FEW_FILE, (FEW_CHUNKS, self.words));
            few.tags.push("few".to_owned());
            corpus.load(vec![few]).await;
        }
        corpus.make_visible().await;
        tenant
    }

    /// Loads tenants of so many chunks each, and returns those that are searched.
    async fn load_others(&self, noise: &mut Noise, chunks: usize) -> Vec<Tenant> {
        let ada = self.log_in().await;
        let mut tenants = Vec::new();
        for number in 0..OTHERS {
            tenants.push(self.tenant(&ada, &format!("Tenant {number}"), chunks).await);
        }
        let loads = tenants.iter_mut().enumerate().map(|(place, tenant)| {
            let is_searched = place < SEARCHED;
            // The only file of a tenant that is not searched has no tag of a filter.
            let (per_file, first_number) = if is_searched { (1, 0) } else { (chunks.max(1), 1) };
            let mut files = Vec::new();
            for first in (0..chunks).step_by(per_file) {
                let number = first_number + u32::try_from(first / per_file).unwrap();
                files.push(self.file(noise, &mut tenant.vectors, number, (per_file, OTHER_WORDS)));
            }
            if !is_searched {
                tenant.vectors = StoredVectors::default();
            }
            let corpus = self.corpus(tenant);
            async move {
                corpus.load(files).await;
                corpus.make_visible().await;
            }
        });
        stream::iter(loads).buffer_unordered(LOADERS).for_each(|()| future::ready(())).await;
        tenants.truncate(SEARCHED);
        tenants
    }

    async fn tenant(&self, ada: &TestAccount, title: &str, chunks: usize) -> Tenant {
        let name = self.app.create_workspace(ada, title).await;
        let id = WorkspaceId(name.parse().unwrap());
        let collection = store::collection::spaces(&self.app.db, id).await.unwrap()[0].id;
        Tenant { name, id, collection, chunks, vectors: StoredVectors::default() }
    }

    fn corpus(&self, tenant: &Tenant) -> Corpus<'_> {
        let owner = AccountId(self.ada.id.parse().unwrap());
        Corpus { db: &self.app.db, workspace: tenant.id, owner, space: self.space }
    }

    /// A file of so many chunks with so many words each, whose vectors are added to those of its tenant.
    fn file(
        &self,
        noise: &mut Noise,
        vectors: &mut StoredVectors,
        number: u32,
        (chunks, words_of_chunk): (usize, usize),
    ) -> LoadedFile {
        let chunks = (0..chunks).map(|_| {
            let text = words(noise, words_of_chunk);
            let vector = self.centres.of_file(noise, has_filtered_tag(number));
            vectors.add(number, &vector);
            LoadedChunk { text, tokens: 60, vector }
        });
        LoadedFile { name: format!("{number}.txt"), tags: tags(number), chunks: chunks.collect() }
    }
}

/// Chunks of each file of a tenant.
fn chunks_of_file(chunks: usize) -> usize {
    match chunks {
        0..2_000 => 2,
        2_000..20_000 => 10,
        _ => 100,
    }
}
