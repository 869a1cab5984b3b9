//! Tests of rankings: fusion, neighbours, recall, files of candidates.

use super::*;

/// A unit vector with these components, and others of 0.
fn direction(components: &[(usize, f32)]) -> Vec<f32> {
    let mut vector = vec![0.0; usize::from(DIMENSIONS)];
    components.iter().for_each(|(place, value)| vector[*place] = *value);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.into_iter().map(|x| x / length).collect()
}

fn plain_texts(result: &SearchResult) -> Vec<String> {
    texts(result).iter().map(|text| text.replace([MARK_START, MARK_END], "")).collect()
}

#[tokio::test]
async fn neighbours_raise_similar_hits_above_an_isolated_one() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let mut passages = vec![("isolated".to_owned(), direction(&[(0, 0.70), (1, 0.714)]))];
    for number in 0..4 {
        let vector = direction(&[(0, 0.66), (2, 0.75), (3 + number, 0.05)]);
        passages.push((format!("similar {number}"), vector));
    }
    passages.push(("far".to_owned(), direction(&[(9, 1.0)])));
    fixture.file(owner, "f", passages, true).await;
    let query = fixture.query(SearchMode::Vector, "", direction(&[(0, 1.0)]), 6);
    let plain = fixture.search(owner.0, &query, THRESHOLDS).await;
    assert_eq!(plain_texts(&plain)[0], "isolated");
    let query = SearchQuery { rerank: Some(Rerank::Neighbours), ..query };
    let reranked = fixture.search(owner.0, &query, THRESHOLDS).await;
    let found = plain_texts(&reranked);
    assert!(found[0].starts_with("similar") && found.len() == 6, "{found:?}");
    let isolated = found.iter().position(|text| text == "isolated").unwrap();
    let explanation = &reranked.hits[isolated].explanation;
    assert!(isolated >= 4 && explanation.is_reranked && explanation.rank_before == Some(1), "{found:?}");
    assert!(reranked.hits.is_sorted_by(|a, b| a.score >= b.score));
    // The similarity is that to the query as it was.
    assert_eq!(reranked.hits[isolated].vector_score, plain.hits[0].vector_score);
    fixture.close().await;
}

#[tokio::test]
async fn identifier_keeps_its_place_among_neighbours() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let mut passages = vec![("part AB-1234/5".to_owned(), direction(&[(1, 1.0)]))];
    passages.extend((0..30).map(|number| {
        let vector = direction(&[(0, 1.0), (2 + number % 8, 0.1)]);
        (format!("part {number}"), vector)
    }));
    fixture.file(owner, "f", passages, true).await;
    let query = fixture.query(SearchMode::Hybrid, "part AB-1234/5", direction(&[(0, 1.0)]), 5);
    let query = SearchQuery { rerank: Some(Rerank::Neighbours), ..query };
    let result = fixture.search(owner.0, &query, THRESHOLDS).await;
    assert_eq!(plain_texts(&result)[0], "part AB-1234/5");
    fixture.close().await;
}

#[tokio::test]
async fn recall_of_a_walk_is_measured_against_an_exact_search() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    fixture.file(owner, "many", chunks(300, 0), true).await;
    fixture.sql("analyze").await;
    let mut recalls = Vec::new();
    for seed in 0..5 {
        let query = fixture.query(SearchMode::Vector, "", vector(9_000 + seed), 10);
        let query = SearchQuery { verify: true, ..query };
        let walked = fixture.search(owner.0, &query, SMALL).await;
        let exact = fixture.search(owner.0, &query, THRESHOLDS).await;
        assert_eq!((walked.access_path, exact.access_path), (AccessPath::Index, AccessPath::Exact));
        assert_eq!(exact.recall, Some(1.0));
        let ids: BTreeSet<_> = exact.hits.iter().map(|hit| hit.chunk_id).collect();
        let common = walked.hits.iter().filter(|hit| ids.contains(&hit.chunk_id)).count();
        assert_eq!(walked.recall, Some(common as f64 / 10.0));
        recalls.push(walked.recall.unwrap());
    }
    assert!(recalls.iter().sum::<f64>() >= 4.5, "{recalls:?}");
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

/// A passage with these words far from the query, which the others are near.
async fn with_far_passage(fixture: &Fixture, far: &str) -> WorkspaceId {
    let owner = fixture.workspace().await;
    let near = |number: usize| {
        let text = if number == 0 { "rotor".to_owned() } else { format!("passage {number}") };
        (text, direction(&[(0, 1.0), (1 + number, 0.1 * (number + 1) as f32)]))
    };
    let mut passages: Vec<_> = (0..5).map(near).collect();
    passages.push((far.to_owned(), direction(&[(9, 1.0)])));
    fixture.file(owner, "f", passages, true).await;
    owner.0
}

#[tokio::test]
async fn only_passage_with_all_words_is_before_the_nearest_ones() {
    let fixture = Fixture::new().await;
    let workspace = with_far_passage(&fixture, "rotor quartz falcon").await;
    let query = fixture.query(SearchMode::Hybrid, "rotor quartz falcon", direction(&[(0, 1.0)]), 6);
    for rerank in [None, Some(Rerank::Neighbours)] {
        let result = fixture.search(workspace, &SearchQuery { rerank, ..query.clone() }, THRESHOLDS).await;
        assert_eq!(plain_texts(&result)[0], "rotor quartz falcon");
        let words = result.leg_weights.unwrap().words;
        assert_eq!((words.words, words.complete_hits), (3, 1));
        assert!((words.coverage - 1.0).abs() < 1e-9, "{words:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn passage_with_one_of_several_words_is_behind_the_nearest_ones() {
    let fixture = Fixture::new().await;
    let workspace = with_far_passage(&fixture, "quartz").await;
    let query = fixture.query(SearchMode::Hybrid, "quartz bamboo magnet", direction(&[(0, 1.0)]), 6);
    let result = fixture.search(workspace, &query, THRESHOLDS).await;
    let fused = result.leg_weights.unwrap();
    assert_eq!((fused.words.words, fused.words.complete_hits), (1, 0));
    assert!(fused.weights.text < 0.2 && fused.weights.vector == 1.0, "{fused:?}");
    assert_eq!(plain_texts(&result)[0], "rotor");
    // Given weights hold.
    let weights = Some(Weights::default());
    let result = fixture.search(workspace, &SearchQuery { weights, ..query }, THRESHOLDS).await;
    assert_eq!((plain_texts(&result)[0].as_str(), result.leg_weights.unwrap().weights), ("quartz", Weights::default()));
    fixture.close().await;
}
