//! Tests of searches over collections with spaces of their own.

use super::*;

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
