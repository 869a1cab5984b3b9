//! Tests of search on a real server.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;

use nvisy_embed::SpaceSpec;
use serde_json::{Value, json};

use super::{vector_leg::VectorLeg, *};
use crate::{
    domain::{filter::Filter, space::Quantisation},
    id::{AccountId, BlobId, CollectionId, FileId, ItemId, SpaceId, VersionId},
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
mod disabled;
mod past;
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
            store::file::make_live(&tx, workspace, file, version).await.unwrap();
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

#[tokio::test]
async fn index_walk_has_the_recall_of_an_exact_scan_and_stays_in_its_tenant() {
    let fixture = Fixture::new().await;
    fixture.sql(&format!("drop index embedding_hnsw_{}", fixture.space.0.simple())).await;
    let (large, small) = (fixture.workspace().await, fixture.workspace().await);
    for part in 0..4 {
        let (file, _) = fixture.file(large, "large", chunks(1_000, part * 1_000), true).await;
        fixture.sql(&format!("update file set tags = array['p{part}'] where id = '{file}'")).await;
    }
    fixture.file(small, "small", chunks(10, 100_000), true).await;
    fixture.sql(&format!("select create_space_index('{}', {DIMENSIONS})", fixture.space)).await;
    fixture.sql("analyze").await;

    let (mut found, mut expected) = (0, 0);
    for seed in 0..20 {
        let plain = fixture.query(SearchMode::Vector, "", vector(7_000_000 + seed), 10);
        let half = json!({ "field": "tags", "op": "in", "value": ["p1", "p2"] });
        for query in [plain.clone(), filtered(plain, &half)] {
            let exact = fixture.search(large.0, &query, THRESHOLDS).await;
            let walked = fixture.search(large.0, &query, SMALL).await;
            assert_eq!(
                (exact.access_path, walked.access_path, walked.hits.len()),
                (AccessPath::Exact, AccessPath::Index, 10)
            );
            assert!(walked.hits.is_sorted_by(|a, b| a.score >= b.score), "hits of a walk in relaxed order are sorted");
            let exact: BTreeSet<_> = exact.hits.iter().map(|hit| hit.chunk_id).collect();
            found += walked.hits.iter().filter(|hit| exact.contains(&hit.chunk_id)).count();
            expected += 10;
        }
    }
    assert!(found * 100 >= expected * 95, "recall {found} of {expected}");

    let own = fixture.search(small.0, &fixture.query(SearchMode::Vector, "", vector(3), 100), SMALL).await;
    assert_eq!((own.access_path, own.hits.len()), (AccessPath::Exact, 10), "all matches up to the limit are returned");
    assert!(texts(&own).iter().all(|text| text.starts_with("c1000")));
    fixture.close().await;
}

#[tokio::test]
async fn measured_recall_falls_when_the_index_misses_the_nearest() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let limit = Duration::from_secs(60);
    for part in 0..20 {
        let (file, _) = fixture.file(owner, "large", chunks(50, part * 50), true).await;
        fixture.sql(&format!("update file set tags = array['p{part}'] where id = '{file}'")).await;
    }
    fixture.sql("analyze").await;
    let plain = fixture.query(SearchMode::Hybrid, "c7", vector(7), 10);
    let part = filtered(plain.clone(), &json!({ "field": "tags", "op": "eq", "value": "p3" }));
    let measure = async |query: &SearchQuery| {
        let measured = recall::measure_with(&fixture.db, owner.0, query, SMALL, limit).await.unwrap();
        measured.map(|sample| (sample.recall, sample.matching))
    };
    let (all, matching) = measure(&plain).await.unwrap();
    assert!(all >= 0.9 && matching == 1.0, "recall {all} of {matching}");
    let (_, matching) = measure(&part).await.unwrap();
    assert_eq!(matching, 0.05);
    let none = filtered(plain.clone(), &json!({ "field": "tags", "op": "eq", "value": "none" }));
    assert_eq!(measure(&none).await, None);
    assert_eq!(measure(&SearchQuery { mode: SearchMode::Text, ..plain.clone() }).await, None);

    // With the fewest links, a walk does not reach some of the nearest.
    let index = format!("embedding_hnsw_{}", fixture.space.0.simple());
    fixture
        .sql(&format!(
            "drop index {index};
             create index {index} on embedding using hnsw ((vector::halfvec({DIMENSIONS})) halfvec_cosine_ops)
                 with (m = 2, ef_construction = 4) where space_id = '{}'",
            fixture.space
        ))
        .await;
    let mut recalls = Vec::new();
    for seed in 0..20 {
        let query = fixture.query(SearchMode::Vector, "", vector(7_000_000 + seed), 10);
        recalls.push(measure(&query).await.unwrap().0);
    }
    assert!(recalls.iter().sum::<f64>() < 20.0, "{recalls:?}");
    fixture.close().await;
}

#[tokio::test]
async fn only_the_index_walk_uses_the_index_however_many_tenants_there_are() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    for part in 0..3 {
        fixture.file(owner, "large", chunks(1_000, part * 1_000), true).await;
    }
    fixture.sql("analyze").await;
    let index = format!("using embedding_hnsw_{}", fixture.space.0.simple());
    for tenants in [1, 100] {
        // What the planner knows of a table with so many.
        for table in ["embedding", "chunk"] {
            fixture
                .sql(&format!(
                    "select pg_clear_attribute_stats('public', '{table}', 'workspace_id', false);
                     select pg_restore_attribute_stats('schemaname', 'public', 'relname', '{table}', 'attname', 'workspace_id',
                         'inherited', false, 'null_frac', 0::real, 'avg_width', 16, 'n_distinct', {tenants}::real)"
                ))
                .await;
        }
        for (thresholds, walks) in [(SMALL, true), (THRESHOLDS, false)] {
            let query = fixture.query(SearchMode::Vector, "", vector(1), 10);
            let leg = VectorLeg {
                workspace: owner.0,
                query: &query.vectors[0],
                collections: None,
                filter: None,
                visibility: Visibility::Live,
                has_disabled: false,
                limit: query.limit,
                candidates: 50,
            };
            let mut statement = vector_leg::statement(&leg, thresholds);
            statement.sql.insert_str(0, "explain (analyze, costs off, timing off) ");
            let rows = fixture.db.query_all_raw(statement).await.unwrap();
            let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "QUERY PLAN").unwrap()).collect();
            let line = lines.iter().find(|line| line.contains(&index));
            let line = line.unwrap_or_else(|| panic!("no walk with {tenants} tenants: {lines:#?}"));
            assert_eq!(!line.contains("never executed"), walks, "{line}");
            let finds_chunks =
                lines.iter().any(|line| line.contains("Index Cond") && line.contains("id = best.chunk_id"));
            assert!(finds_chunks, "chunks are not found by their ids with {tenants} tenants: {lines:#?}");
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn exact_scan_replaces_an_index_walk_with_too_few_hits() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    // A version that is not live has the nearest vectors, more than the walk visits.
    fixture.file(owner, "waiting", (0..300).map(|_| ("waiting".to_owned(), vector(1))).collect(), false).await;
    fixture.file(owner, "live", chunks(30, 500), true).await;
    fixture.sql("analyze").await;
    let result = fixture.search(owner.0, &fixture.query(SearchMode::Vector, "", vector(1), 10), SMALL).await;
    assert_eq!((result.access_path, result.hits.len()), (AccessPath::Exact, 10));
    assert!(result.hits.iter().all(|hit| hit.file_name == "live"));
    fixture.close().await;
}

#[tokio::test]
async fn every_filter_operator_works_in_every_mode() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let mut ids = Vec::new();
    for (index, (name, tags, metadata, pages)) in [
        ("a.txt", "'{red,old}'", r#"{"n": 1, "s": "x", "deep": {"b": true}, "list": ["p", "q"]}"#, "1"),
        ("b.txt", "'{red}'", r#"{"n": 2.5, "s": "y"}"#, "20"),
        ("Ä.txt", "'{}'", r#"{"n": "1"}"#, "null"),
    ]
    .into_iter()
    .enumerate()
    {
        let (file, version) = fixture.file(owner, name, vec![("tidal energy".to_owned(), vector(index))], true).await;
        fixture
            .sql(&format!(
                "update file set tags = {tags}, metadata = '{metadata}', created_at = '2026-0{}-01T00:00:00Z' where id = '{file}';
                 update file_version set page_count = {pages}, bytes = 1{index} where id = '{version}'",
                index + 1
            ))
            .await;
        ids.push(file.to_string());
    }
    // Only lists and runs see versions that are not ready; here the conditions are of interest.
    let failed = format!(
        "update file_version set state = 'ready';
         update file_version set state = 'failed', failure_code = 'timed_out' where file_id = '{}'",
        ids[1]
    );
    fixture.sql(&failed).await;
    let one = |field: &str, op: &str, value: Value| json!({ "field": field, "op": op, "value": value });
    let cases = [
        (one("id", "eq", json!(ids[1])), "b"),
        (one("id", "nin", json!([ids[1]])), "a Ä"),
        (one("name", "eq", json!("Ä.txt")), "Ä"),
        (one("name", "lt", json!("b")), "a"),
        (one("name", "in", json!([])), ""),
        (one("name", "in", json!(["a.txt", "b.txt", "a.txt' or true --"])), "a b"),
        (one("mediaType", "eq", json!("text/plain")), "a b Ä"),
        (one("mediaType", "ne", json!("text/plain")), ""),
        (one("size", "gte", json!(11)), "b Ä"),
        (one("size", "lt", json!(11)), "a"),
        (one("pageCount", "gt", json!(1)), "b"),
        (one("pageCount", "ne", json!(1)), "b Ä"),
        (json!({ "not": one("pageCount", "gt", json!(1)) }), "a Ä"),
        (one("createdAt", "lte", json!("2026-02-01T01:00:00+01:00")), "a b"),
        (one("state", "eq", json!("ready")), "a Ä"),
        (one("state", "in", json!(["failed", "queued"])), "b"),
        (one("failure", "eq", json!("timed_out")), "b"),
        (one("failure", "ne", json!("timed_out")), "a Ä"),
        (one("tags", "eq", json!("old")), "a"),
        (one("tags", "in", json!(["old", "red"])), "a b"),
        (one("tags", "nin", json!(["old", "blue"])), "b Ä"),
        (one("metadata.n", "eq", json!(1.0)), "a"),
        (one("metadata.n", "eq", json!("1")), "Ä"),
        (one("metadata.n", "gt", json!(1)), "b"),
        (one("metadata.n", "ne", json!(1)), "b Ä"),
        (one("metadata.s", "gte", json!("y")), "b"),
        (one("metadata.s", "in", json!(["x", "y"])), "a b"),
        (one("metadata.deep.b", "eq", json!(true)), "a"),
        (one("metadata.list", "eq", json!("q")), "a"),
        (one("metadata.none.such", "lt", json!(1)), ""),
        (json!({ "and": [] }), "a b Ä"),
        (json!({ "or": [] }), ""),
        (json!({ "and": [one("tags", "eq", json!("red")), one("size", "gt", json!(10))] }), "b"),
        (json!({ "or": [one("size", "eq", json!(10)), one("size", "eq", json!(12))] }), "a Ä"),
    ];
    for (filter, expected) in cases {
        for mode in [SearchMode::Vector, SearchMode::Text, SearchMode::Hybrid] {
            let query = filtered(fixture.query(mode, "tidal", vector(9), 10), &filter);
            let result = fixture.search(owner.0, &query, THRESHOLDS).await;
            let names: BTreeSet<_> =
                result.hits.iter().map(|hit| hit.file_name.strip_suffix(".txt").unwrap()).collect();
            assert_eq!(names.into_iter().collect::<Vec<_>>().join(" "), expected, "{mode:?} {filter}");
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn rare_words_rank_higher_and_frequent_words_still_match() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let mut passages: Vec<_> = (0..200).map(|n| (format!("turbine note {n}"), vector(n))).collect();
    passages[50].0 = "one osprey was seen".to_owned();
    passages[60].0 = "turbine turbine turbine turbine".to_owned();
    fixture.file(owner, "notes", passages, true).await;
    fixture.sql("analyze chunk").await;
    let by_words = |text: &str| fixture.query(SearchMode::Text, text, Vec::new(), 20);
    let all = json!({ "field": "tags", "op": "nin", "value": [] });
    for query in [by_words("Did the turbine disturb an osprey?"), filtered(by_words("turbine osprey"), &all)] {
        let result = fixture.search(owner.0, &query, THRESHOLDS).await;
        let mark = |word: &str| format!("{MARK_START}{word}{MARK_END}");
        assert_eq!(texts(&result)[0], format!("one {} was seen", mark("osprey")));
        assert_eq!(texts(&result)[1], [&*mark("turbine"); 4].join(" "));
        assert_eq!(
            (result.access_path, result.hits.len()),
            (AccessPath::Lexical, 20),
            "all matches up to the limit are returned"
        );
    }
    for nothing in ["", "the of and", "!&|:*()'\\", "xylophone"] {
        assert!(fixture.search(owner.0, &by_words(nothing), THRESHOLDS).await.hits.is_empty(), "{nothing}");
    }
    let long = (0..5_000).map(|n| format!("w{n} it''s \\ a:b ")).collect::<String>() + "osprey";
    fixture.search(owner.0, &by_words(&long), THRESHOLDS).await;
    fixture.close().await;
}

#[tokio::test]
async fn hybrid_search_ranks_chunks_of_both_legs_first() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let passages =
        vec![("near".to_owned(), vector(1)), ("tide far".to_owned(), vector(50)), ("tide".to_owned(), vector(1))];
    fixture.file(owner, "f", passages, true).await;
    let result = fixture.search(owner.0, &fixture.query(SearchMode::Hybrid, "tides", vector(1), 10), THRESHOLDS).await;
    let [first, ..] = &result.hits[..] else { panic!("nothing found") };
    assert_eq!(first.marked_text, format!("{MARK_START}tide{MARK_END}"));
    assert!(first.vector_score.unwrap() > 0.999 && first.text_score.is_some());
    assert_eq!(result.hits.len(), 3);
    fixture.close().await;
}

#[tokio::test]
async fn search_is_limited_to_collections_and_fuses_their_spaces() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let narrow = store::space::ensure(&fixture.db, &spec("narrow", 2)).await.unwrap();
    let reports = fixture.collection(owner.0, "reports", fixture.space).await;
    let notes = fixture.collection(owner.0, "notes", narrow).await;
    fixture.file(owner, "default", vec![("tide in default".to_owned(), vector(2))], true).await;
    fixture
        .file_in(owner, "reports", vec![("tide in reports".to_owned(), vector(1))], true, (reports, fixture.space))
        .await;
    let near = ("tide in notes".to_owned(), vec![1.0, 0.0]);
    let far = ("ebb in notes".to_owned(), vec![0.0, 1.0]);
    fixture.file_in(owner, "notes", vec![near, far], true, (notes, narrow)).await;
    let vectors = vec![
        SpaceVector { space: fixture.space, quantisation: Quantisation::Half, vector: vector(1) },
        SpaceVector { space: narrow, quantisation: Quantisation::Half, vector: vec![1.0, 0.0] },
    ];
    let search = async |mode, collections: Option<Vec<CollectionId>>, filter: Option<&Value>| {
        let query = SearchQuery {
            mode,
            text: "tide".to_owned(),
            vectors: vectors.clone(),
            collections,
            filter: filter.map(|filter| Filter::parse(filter).unwrap()),
            limit: 10,
            ..SearchQuery::default()
        };
        let mut found = Vec::new();
        // The second thresholds make each leg walk its index.
        for thresholds in [THRESHOLDS, Thresholds { exact_vectors: 0, exact_vectors_per_root: 0, ..THRESHOLDS }] {
            let result = fixture.search(owner.0, &query, thresholds).await;
            assert!(result.hits.iter().all(|hit| hit.file_name == hit.collection_name), "{:?}", result.hits);
            found.push(texts(&result).iter().map(|text| text.replace([MARK_START, MARK_END], "")).collect::<Vec<_>>());
        }
        assert_eq!(found[0], found[1]);
        found.remove(0)
    };
    // The nearest of each space come first.
    let by_rank = search(SearchMode::Vector, None, None).await;
    assert_eq!(
        by_rank[..2].iter().map(String::as_str).collect::<BTreeSet<_>>(),
        ["tide in notes", "tide in reports"].into()
    );
    assert_eq!(by_rank.len(), 4);
    let hybrid = search(SearchMode::Hybrid, None, None).await;
    assert_eq!((hybrid.len(), hybrid[3].as_str()), (4, "ebb in notes"));
    assert_eq!(search(SearchMode::Text, Some(vec![reports]), None).await, ["tide in reports"]);
    assert_eq!(search(SearchMode::Vector, Some(vec![notes]), None).await, ["tide in notes", "ebb in notes"]);
    assert_eq!(search(SearchMode::Hybrid, Some(vec![reports, notes]), None).await.len(), 3);
    let filter = json!({ "field": "name", "op": "eq", "value": "reports" });
    assert_eq!(search(SearchMode::Hybrid, Some(vec![reports, notes]), Some(&filter)).await, ["tide in reports"]);
    assert_eq!(search(SearchMode::Hybrid, Some(vec![notes]), Some(&filter)).await, [""; 0]);
    assert_eq!(search(SearchMode::Hybrid, Some(Vec::new()), None).await, [""; 0]);
    // Deleted collections are not searched.
    let tx = fixture.db.begin().await.unwrap();
    assert!(store::collection::delete(&tx, owner.0, notes).await.unwrap());
    tx.commit().await.unwrap();
    let left = search(SearchMode::Hybrid, None, None).await;
    assert_eq!(left.iter().map(String::as_str).collect::<BTreeSet<_>>(), ["tide in reports", "tide in default"].into());
    assert_eq!(search(SearchMode::Text, Some(vec![notes]), None).await, [""; 0]);
    fixture.close().await;
}
