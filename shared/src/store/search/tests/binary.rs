//! Spaces whose index has one bit per dimension.

use std::collections::HashMap;

use super::*;

/// Enough for the signs to tell vectors from each other.
const DIMENSIONS: u16 = 128;
const CENTRES: usize = 40;

fn space(dimensions: u16) -> Space {
    Space { spec: spec("binary", dimensions), quantisation: Quantisation::Binary }
}

/// Repeatable numbers between -0.5 and 0.5.
fn numbers(seed: usize, count: u16) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// A unit vector around one of the centres.
fn clustered(seed: usize, dimensions: u16) -> Vec<f32> {
    let (centre, away) = (numbers(9_000_000 + seed % CENTRES, dimensions), numbers(seed, dimensions));
    let mut vector: Vec<f32> = centre.iter().zip(away).map(|(centre, away)| centre + 0.6 * away).collect();
    assert!(nvisy_embed::to_unit_length(&mut vector));
    vector
}

fn chunks(count: usize, seed: usize, dimensions: u16) -> Vec<(String, Vec<f32>)> {
    (seed..seed + count).map(|n| (format!("c{n}"), clustered(n, dimensions))).collect()
}

/// A workspace with 4,000 chunks in four files, `p0` to `p3` by tag.
async fn large(fixture: &Fixture) -> (WorkspaceId, AccountId) {
    fixture.sql(&format!("drop index embedding_hnsw_{}", fixture.space.0.simple())).await;
    let owner = fixture.workspace().await;
    for part in 0..4 {
        let (file, _) = fixture.file(owner, "large", chunks(1_000, part * 1_000, DIMENSIONS), true).await;
        fixture.sql(&format!("update file set tags = array['p{part}'] where id = '{file}'")).await;
    }
    fixture.sql(&format!("select create_space_index('{}', {DIMENSIONS})", fixture.space)).await;
    fixture.sql("analyze").await;
    owner
}

#[tokio::test]
async fn ranked_again_by_exact_distances_binary_candidates_have_the_recall_of_an_exact_scan() {
    let fixture = Fixture::in_space(&space(DIMENSIONS)).await;
    let (workspace, _) = large(&fixture).await;
    let (mut found, mut expected) = (0, 0);
    for seed in 0..20 {
        let plain = fixture.query(SearchMode::Vector, "", clustered(7_000_000 + seed, DIMENSIONS), 10);
        let half = json!({ "field": "tags", "op": "in", "value": ["p1", "p2"] });
        for query in [plain.clone(), filtered(plain, &half)] {
            let exact = fixture.search(workspace, &query, THRESHOLDS).await;
            let walked = fixture.search(workspace, &query, SMALL).await;
            assert_eq!((exact.access_path, walked.access_path), (AccessPath::Exact, AccessPath::Index));
            assert_eq!((exact.hits.len(), walked.hits.len()), (10, 10));
            assert!(walked.hits.is_sorted_by(|a, b| a.score >= b.score), "by the exact distance");
            let scores: HashMap<_, _> = exact.hits.iter().map(|hit| (hit.chunk_id, hit.vector_score)).collect();
            for hit in &walked.hits {
                if let Some(score) = scores.get(&hit.chunk_id) {
                    assert_eq!(hit.vector_score, *score, "the score is that of the whole vectors");
                    found += 1;
                }
            }
            expected += 10;
        }
    }
    assert!(found * 100 >= expected * 95, "recall {found} of {expected}");
    fixture.close().await;
}

#[tokio::test]
async fn filter_that_matches_far_vectors_only_has_as_many_hits_as_match() {
    let fixture = Fixture::in_space(&space(DIMENSIONS)).await;
    let owner = large(&fixture).await;
    // Vectors of one centre, in files that are found by other ones.
    for part in 0..3 {
        let chunks = (0..10).map(|n| (format!("far {part} {n}"), clustered(1 + CENTRES * (part * 10 + n), DIMENSIONS)));
        let (file, _) = fixture.file(owner, "far", chunks.collect(), true).await;
        fixture.sql(&format!("update file set tags = array['far'] where id = '{file}'")).await;
    }
    fixture.sql("analyze").await;
    let far = json!({ "field": "tags", "op": "eq", "value": "far" });
    for (limit, hits) in [(10, 10), (30, 30), (50, 30)] {
        let query = fixture.query(SearchMode::Vector, "", clustered(CENTRES * 100_000 + 20, DIMENSIONS), limit);
        let query = filtered(query, &far);
        let (walked, exact) =
            (fixture.search(owner.0, &query, SMALL).await, fixture.search(owner.0, &query, THRESHOLDS).await);
        assert_eq!(texts(&walked), texts(&exact));
        assert_eq!(walked.hits.len(), hits);
    }
    fixture.close().await;
}

#[tokio::test]
async fn walk_uses_the_binary_index() {
    let fixture = Fixture::in_space(&space(DIMENSIONS)).await;
    let (workspace, _) = large(&fixture).await;
    let index = format!("using embedding_hnsw_{}", fixture.space.0.simple());
    let filter = Filter::parse(&json!({ "field": "tags", "op": "eq", "value": "p1" })).unwrap();
    for filter in [None, Some(&filter)] {
        let query = fixture.query(SearchMode::Vector, "", clustered(1, DIMENSIONS), 10);
        let query = &query.vectors[0];
        let (collections, visibility) = (None, Visibility::Live);
        let leg = VectorLeg {
            workspace,
            query,
            collections,
            filter,
            visibility,
            has_disabled: false,
            has_documents: false,
            limit: 10,
            candidates: 50,
        };
        let mut statement = vector_leg::statement(&leg, SMALL);
        statement.sql.insert_str(0, "explain (analyze, costs off, timing off) ");
        let tx = snapshot::begin(&fixture.db).await.unwrap();
        let rows = tx.query_all_raw(statement).await.unwrap();
        let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "QUERY PLAN").unwrap()).collect();
        let line = lines.iter().find(|line| line.contains(&index));
        assert!(line.is_some_and(|line| !line.contains("never executed")), "{lines:#?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn vectors_of_4096_dimensions_are_stored_indexed_and_found() {
    let fixture = Fixture::in_space(&Space::usual(spec("long", 4_096))).await;
    assert_eq!(fixture.quantisation, Quantisation::Binary);
    let owner = fixture.workspace().await;
    let stored = chunks(200, 0, 4_096);
    fixture.file(owner, "long", stored.clone(), true).await;
    fixture.sql("analyze").await;
    for (n, (text, vector)) in stored.iter().enumerate().step_by(50) {
        let query = fixture.query(SearchMode::Vector, "", vector.clone(), 5);
        for (thresholds, path) in [(SMALL, AccessPath::Index), (THRESHOLDS, AccessPath::Exact)] {
            let result = fixture.search(owner.0, &query, thresholds).await;
            assert_eq!((result.access_path, result.hits.len()), (path, 5));
            assert_eq!(texts(&result)[0], text, "{path:?}");
            assert!(result.hits[0].vector_score.unwrap() > 0.999);
            let centre = |hit: &str| hit[1..].parse::<usize>().unwrap() % CENTRES;
            assert!(texts(&result).iter().all(|hit| centre(hit) == n % CENTRES), "{:?}", texts(&result));
        }
    }
    let chunk = fixture.search(owner.0, &fixture.query(SearchMode::Vector, "", stored[0].1.clone(), 1), SMALL).await;
    let [read] = &chunk_vectors(&fixture.db, owner.0, chunk.hits[0].chunk_id).await.unwrap()[..] else { panic!("one") };
    assert_eq!((read.space, read.quantisation, read.vector.len()), (fixture.space, Quantisation::Binary, 4_096));

    // Its index has the expression of the walk.
    let tx = snapshot::begin(&fixture.db).await.unwrap();
    tx.execute_unprepared("set local enable_bitmapscan = off; set local enable_sort = off").await.unwrap();
    let plan = format!(
        "explain select chunk_id from embedding e where e.space_id = '{}'
         order by binary_quantize(e.vector)::bit(4096) <~> binary_quantize(array_fill(1, array[4096])::halfvec)::bit(4096) limit 10",
        fixture.space
    );
    let plan = tx.query_all_raw(store::statement(&plan)).await.unwrap();
    let lines: Vec<String> = plan.iter().map(|row| row.try_get("", "QUERY PLAN").unwrap()).collect();
    let index = format!("embedding_hnsw_{}", fixture.space.0.simple());
    assert!(lines.iter().any(|line| line.contains(&index)), "{lines:#?}");
    drop(tx);
    fixture.close().await;
}

#[tokio::test]
async fn vectors_stay_in_their_rows_while_they_fit() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    for (dimensions, is_inline) in [(32, true), (1_500, true), (4_000, true), (4_096, false)] {
        let space = store::space::ensure(&fixture.db, &spec("any", dimensions)).await.unwrap();
        let collection = fixture.collection(owner.0, &format!("c{dimensions}"), space).await;
        fixture.file_in(owner, "a", chunks(1, 0, dimensions), true, (collection, space)).await;
        let sql = format!(
            "select pg_column_toast_chunk_id(vector) is null and pg_column_size(vector) >= 2 * {dimensions} as is_inline
             from embedding where space_id = '{space}'"
        );
        let row = fixture.db.query_one_raw(store::statement(&sql)).await.unwrap().unwrap();
        assert_eq!(row.try_get::<bool>("", "is_inline").unwrap(), is_inline, "{dimensions} dimensions");
    }
    fixture.close().await;
}

#[tokio::test]
async fn index_of_halves_has_4000_dimensions_at_most() {
    let fixture = Fixture::new().await;
    let tx = fixture.db.begin().await.unwrap();
    let long = Space { quantisation: Quantisation::Half, ..space(4_001) };
    let error = store::space::ensure_requested(&tx, None, &long).await.unwrap_err();
    assert!(error.to_string().contains("embedding_space_half_check"), "{error}");
    tx.rollback().await.unwrap();
    fixture.close().await;
}

#[tokio::test]
async fn requested_space_is_deleted_when_unused_and_kept_when_a_process_opens_it() {
    let fixture = Fixture::new().await;
    let requested = async |space: &Space| {
        let tx = fixture.db.begin().await.unwrap();
        let id = store::space::ensure_requested(&tx, None, space).await.unwrap();
        tx.commit().await.unwrap();
        id
    };
    let delete_unused = async || {
        let tx = fixture.db.begin().await.unwrap();
        let deleted = store::space::delete_unused(&tx).await.unwrap();
        tx.commit().await.unwrap();
        deleted
    };
    let [half, binary] =
        [Quantisation::Half, Quantisation::Binary].map(|quantisation| Space { quantisation, ..space(8) });
    // That of the fixture is requested, too.
    assert_eq!(delete_unused().await, 1);
    let ids = (requested(&half).await, requested(&binary).await);
    assert_ne!(ids.0, ids.1, "the quantisation is a property of the space");
    assert_eq!(ids, (requested(&half).await, requested(&binary).await));
    let workspace = WorkspaceId::new();
    fixture.sql(&format!("insert into workspace (id, name) values ('{workspace}', 'x')")).await;
    fixture.collection(workspace, "c", ids.1).await;
    assert_eq!(delete_unused().await, 1, "the space of a collection stays");
    assert_eq!(store::space::ensure(&fixture.db, &half.spec).await.unwrap(), requested(&half).await);
    fixture.sql(&format!("delete from collection where workspace_id = '{workspace}'")).await;
    assert_eq!(delete_unused().await, 1);
    assert_eq!(store::space::find(&fixture.db, None, &binary).await.unwrap(), None);
    assert!(store::space::find(&fixture.db, None, &half).await.unwrap().is_some(), "a process has opened it");
    fixture.close().await;
}
