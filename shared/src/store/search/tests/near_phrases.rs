//! Tests of phrases in searches by vector.

use super::*;

#[tokio::test]
async fn phrase_is_found_behind_more_passages_than_a_walk_reads() {
    let fixture = Fixture::new().await;
    // Vectors are compared exactly.
    fixture.sql(&format!("drop index embedding_hnsw_{}", fixture.space.0.simple())).await;
    let owner = fixture.workspace().await;
    let passages = ["a silver lantern", "the lantern is silver", "a silver lantern of old"];
    let far = passages.into_iter().zip(2..).map(|(text, seed)| (text.to_owned(), vector(seed)));
    let (file, _) = fixture.file(owner, "far.txt", far.collect(), true).await;
    // The candidates grow from 20 to 160, 1,280 and 10,240.
    let thresholds = Thresholds { exact_vectors: 20, exact_vectors_per_root: 0, min_candidates: 20 };
    for part in 0..7 {
        let near = (0..1_500).map(|n| (format!("gravel number {part} {n}"), vector(1))).collect();
        fixture.file(owner, "near.txt", near, true).await;
    }
    for mode in [SearchMode::Vector, SearchMode::Hybrid] {
        let query = fixture.query(mode, "\"silver lantern\"", vector(1), 2);
        let elsewhere = json!({ "field": "id", "op": "ne", "value": file.to_string() });
        let hits = fixture.search(owner.0, &query, thresholds).await.hits;
        let found: BTreeSet<&str> = hits.iter().map(|hit| hit.marked_text.as_str()).collect();
        assert!(found.len() == 2 && hits.iter().all(|hit| hit.vector_score.is_some()), "{mode:?} {found:?}");
        let filtered = fixture.search(owner.0, &filtered(query, &elsewhere), thresholds).await;
        assert!(filtered.hits.is_empty(), "{mode:?} {:?}", filtered.hits);
        let excluded = fixture.query(mode, "\"silver lantern\" -old", vector(1), 2);
        let hits = fixture.search(owner.0, &excluded, thresholds).await.hits;
        assert_eq!(hits.len(), 1, "{mode:?}");
    }
    fixture.close().await;
}
