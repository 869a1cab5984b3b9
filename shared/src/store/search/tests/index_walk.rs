//! Tests of the walk through the index of a space, and of the scan that replaces it.

use super::*;

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
                has_documents: true,
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
