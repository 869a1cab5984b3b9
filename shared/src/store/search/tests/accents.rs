//! Tests of accents, of which texts decide.

use super::*;

/// Long enough for its language to be certain, which keeps `a` and `ä` apart.
const SWEDISH: &str = "Fiskarna vilade nära vattnet och åt sin matsäck i solen. Därefter lade de ut näten igen, och på kvällen \
                       räknade de fångsten innan de rodde hem över fjärden till byn där familjerna väntade.";

#[tokio::test]
async fn passage_behind_more_excluded_ones_than_texts_are_read_is_found() {
    let fixture = Fixture::new().await;
    // Nothing is searched by vector.
    fixture.sql(&format!("drop index embedding_hnsw_{}", fixture.space.0.simple())).await;
    let owner = fixture.workspace().await;
    let open = "The clerk of the harbour waits at the quay for the ferry from the islands, and after it has come in, he counts the \
                crates, the barrels and the passengers, and writes their numbers into the book that lies on the counter.";
    let chunk = |text: &str, seed: usize| (text.to_owned(), vector(seed));
    fixture.file(owner, "open.txt", vec![chunk(SWEDISH, 1), chunk(open, 2)], true).await;
    let count = usize::try_from(phrases::MAX_READ_CHUNKS).unwrap() + 500;
    let excluded: Vec<_> = (0..count)
        .map(|n| chunk(&format!("The clerk keeps the papers of the town hall in the drawer with the number {n}."), n))
        .collect();
    for chunks in excluded.chunks(1_500) {
        fixture.file(owner, "hall.txt", chunks.to_vec(), true).await;
    }
    let query = fixture.query(SearchMode::Text, "clerk -hall", Vec::new(), 10);
    let hits = fixture.search(owner.0, &query, THRESHOLDS).await.hits;
    let found: Vec<_> = hits.iter().map(|hit| hit.marked_text.replace([MARK_START, MARK_END], "")).collect();
    assert_eq!(found, [open]);
    fixture.close().await;
}
