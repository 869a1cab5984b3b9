//! Searches of a past time, beside passages that were replaced before it and published after it.

use super::*;

fn tides(count: usize, seed: usize) -> Vec<(String, Vec<f32>)> {
    (0..count).map(|n| (format!("tide number {}", seed + n), vector(seed + n))).collect()
}

fn copies(count: usize) -> Vec<(String, Vec<f32>)> {
    (0..count).map(|_| ("tide of another time".to_owned(), vector(1))).collect()
}

impl Fixture {
    /// Says when the passages of a file were searchable: from one day of January to another.
    async fn visible(&self, file: FileId, from: u32, to: Option<u32>) {
        let to = to.map_or("null".to_owned(), |day| format!("'2026-01-{day:02}T00:00:00Z'"));
        self.sql(&format!(
            "update target set published_at = '2026-01-{from:02}T00:00:00Z', superseded_at = {to}, live = {to} is null
             where file_id = '{file}'"
        ))
        .await;
    }
}

#[tokio::test]
async fn search_of_a_past_time_finds_what_the_search_of_then_found() {
    let fixture = Fixture::new().await;
    let (owner, alike) = (fixture.workspace().await, fixture.workspace().await);
    // The nearest vectors, and words of all, are of other times.
    let (earlier, _) = fixture.file(owner, "earlier", copies(300), false).await;
    let (later, _) = fixture.file(owner, "later", copies(300), true).await;
    let (replaced, _) = fixture.file(owner, "replaced", tides(30, 500), false).await;
    let (still, _) = fixture.file(owner, "still", tides(30, 900), true).await;
    fixture.visible(earlier, 1, Some(5)).await;
    fixture.visible(later, 20, None).await;
    fixture.visible(replaced, 2, Some(15)).await;
    fixture.visible(still, 2, None).await;
    fixture.file(alike, "replaced", tides(30, 500), true).await;
    fixture.file(alike, "still", tides(30, 900), true).await;
    fixture.sql("analyze").await;
    let default = CollectionKey::Name("default".to_owned());
    let default = store::collection::find(&fixture.db, owner.0, &default).await.unwrap().unwrap().id;
    let at = |day: u32| Visibility::At(format!("2026-01-{day:02}T00:00:00Z").parse().unwrap());
    let filter = json!({ "field": "mediaType", "op": "eq", "value": "text/plain" });
    for thresholds in [SMALL, THRESHOLDS] {
        for mode in [SearchMode::Vector, SearchMode::Text, SearchMode::Hybrid] {
            let facets = vec![FacetField::MediaType];
            let then = SearchQuery { facets, ..fixture.query(mode, "tide number 510", vector(1), 40) };
            let expected = fixture.search(alike.0, &then, THRESHOLDS).await;
            let past = SearchQuery { visibility: at(10), ..then.clone() };
            let chosen = SearchQuery { collections: Some(vec![default]), ..past.clone() };
            for query in [past.clone(), filtered(past, &filter), chosen] {
                let found = fixture.search(owner.0, &query, thresholds).await;
                assert_eq!(found.hits.len(), 40, "{mode:?}");
                assert!(found.hits.iter().all(|hit| hit.file_id == replaced || hit.file_id == still), "{mode:?}");
                assert_eq!(found.facets[0].values, [(json!("text/plain"), 2)]);
                if mode == SearchMode::Text {
                    let scores = |result: &SearchResult| -> Vec<f64> {
                        result.hits.iter().filter_map(|hit| hit.text_score).collect()
                    };
                    let (found, expected) = (scores(&found), scores(&expected));
                    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?} {expected:?}");
                }
            }
            // The ends of the time belong to the successor.
            let names = async |day: u32| -> BTreeSet<FileId> {
                let query = SearchQuery { visibility: at(day), limit: 700, ..then.clone() };
                fixture.search(owner.0, &query, thresholds).await.hits.iter().map(|hit| hit.file_id).collect()
            };
            assert_eq!(names(1).await, [earlier].into());
            assert_eq!(names(5).await, [replaced, still].into());
            assert_eq!(names(15).await, [still].into());
            assert_eq!(names(20).await, [later, still].into());
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn word_of_replaced_passages_alone_finds_its_parts() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let text = |text: &str| vec![(text.to_owned(), vector(1))];
    let (whole, _) = fixture.file(owner, "whole", text("zorgverzekering"), false).await;
    let (parts, _) = fixture.file(owner, "parts", text("zorg en verzekering"), true).await;
    fixture.visible(whole, 1, Some(5)).await;
    fixture.visible(parts, 5, None).await;
    let query = fixture.query(SearchMode::Text, "zorgverzekering", vector(1), 10);
    let files = async |visibility| -> Vec<FileId> {
        let found = fixture.search(owner.0, &SearchQuery { visibility, ..query.clone() }, SMALL).await;
        found.hits.iter().map(|hit| hit.file_id).collect()
    };
    assert_eq!(files(Visibility::Live).await, [parts]);
    assert_eq!(files(Visibility::At("2026-01-03T00:00:00Z".parse().unwrap())).await, [whole]);
    fixture.close().await;
}
