//! Searches beside disabled and edited chunks.

use super::*;

impl Fixture {
    /// Disables the chunks with this text, or enables them again.
    async fn disable(&self, workspace: WorkspaceId, text: &str, disabled: bool) {
        let ids =
            format!("select min(id::text)::uuid from chunk where workspace_id = '{workspace}' and text = '{text}'");
        let id: ChunkId =
            self.db.query_one_raw(store::statement(&ids)).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        let tx = self.db.begin().await.unwrap();
        let chunk = store::chunk::lock(&tx, workspace, id).await.unwrap().unwrap();
        store::chunk::set_disabled(&tx, workspace, &chunk, disabled).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn tides(count: usize, seed: usize) -> Vec<(String, Vec<f32>)> {
    (seed..seed + count).map(|n| (format!("tide number {n}"), vector(n))).collect()
}

fn plain(result: &SearchResult) -> BTreeSet<String> {
    texts(result).into_iter().map(|text| text.replace([MARK_START, MARK_END], "")).collect()
}

#[tokio::test]
async fn disabled_chunk_is_found_by_no_search_and_others_take_its_place() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let (first, _) = fixture.file(owner, "first", tides(60, 500), true).await;
    fixture.file(owner, "second", tides(60, 900), true).await;
    fixture.sql("analyze").await;
    let default = CollectionKey::Name("default".to_owned());
    let default = store::collection::find(&fixture.db, owner.0, &default).await.unwrap().unwrap().id;
    let filter = json!({ "field": "name", "op": "in", "value": ["first", "second"] });
    let searches = |limit: i64| -> Vec<(Thresholds, SearchQuery)> {
        let modes = [SearchMode::Vector, SearchMode::Text, SearchMode::Hybrid];
        let queries = modes.into_iter().flat_map(|mode| {
            let query = fixture.query(mode, "tide number 510", vector(510), limit);
            let chosen = SearchQuery { collections: Some(vec![default]), ..query.clone() };
            let reranked = SearchQuery { rerank: Some(Rerank::Neighbours), ..query.clone() };
            [query.clone(), filtered(query, &filter), chosen, reranked]
        });
        let queries: Vec<SearchQuery> = queries.collect();
        let all = queries.iter().map(|query| (THRESHOLDS, query.clone()));
        all.chain(queries.iter().map(|query| (SMALL, query.clone()))).collect()
    };
    for (thresholds, query) in searches(10) {
        let found = fixture.search(owner.0, &query, thresholds).await;
        assert!(plain(&found).contains("tide number 510"), "{query:?}");
    }
    fixture.disable(owner.0, "tide number 510", true).await;
    for (thresholds, query) in searches(119) {
        let found = fixture.search(owner.0, &query, thresholds).await;
        assert_eq!((found.hits.len(), plain(&found).len()), (119, 119), "{query:?}");
        assert!(!plain(&found).contains("tide number 510"), "{query:?}");
    }
    for (thresholds, query) in searches(10) {
        let found = fixture.search(owner.0, &query, thresholds).await;
        assert_eq!(found.hits.len(), 10, "{query:?}");
        assert!(!plain(&found).contains("tide number 510"), "{query:?}");
    }
    let walked = fixture.search(owner.0, &fixture.query(SearchMode::Vector, "", vector(510), 10), SMALL).await;
    assert_eq!(walked.access_path, AccessPath::Index);
    // The word of the chunk alone is unknown.
    let unknown = fixture.query(SearchMode::Text, "\"number 510\"", vector(1), 10);
    assert_eq!(fixture.search(owner.0, &unknown, THRESHOLDS).await.hits.len(), 0);
    // Similar passages: neither the chunk, nor its share in the vector of its file.
    let disabled = "select id from chunk where disabled";
    let row = fixture.db.query_one_raw(store::statement(disabled)).await.unwrap().unwrap();
    let disabled: ChunkId = row.try_get_by_index(0).unwrap();
    assert_eq!(passage_chunks(&fixture.db, owner.0, disabled, Visibility::Live).await.unwrap(), []);
    let reduced = file_vectors(&fixture.db, owner.0, first, &[default], Visibility::Live).await.unwrap();
    fixture.disable(owner.0, "tide number 510", false).await;
    assert_eq!(passage_chunks(&fixture.db, owner.0, disabled, Visibility::Live).await.unwrap(), [disabled]);
    let whole = file_vectors(&fixture.db, owner.0, first, &[default], Visibility::Live).await.unwrap();
    assert_ne!(reduced, whole);
    for (thresholds, query) in searches(10) {
        let found = fixture.search(owner.0, &query, thresholds).await;
        assert!(plain(&found).contains("tide number 510"), "{query:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn hits_are_found_behind_many_disabled_chunks_that_are_nearer() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let near: Vec<_> = (0..300).map(|n| (format!("near {n}"), vector(1))).collect();
    fixture.file(owner, "near", near, true).await;
    fixture.file(owner, "far", tides(30, 500), true).await;
    fixture.sql("update chunk set disabled = true where text like 'near %'; analyze").await;
    for thresholds in [SMALL, THRESHOLDS] {
        for mode in [SearchMode::Vector, SearchMode::Hybrid] {
            let query = fixture.query(mode, "near tide", vector(1), 30);
            let found = fixture.search(owner.0, &query, thresholds).await;
            assert_eq!(found.hits.len(), 30, "{mode:?}");
            assert!(found.hits.iter().all(|hit| hit.file_name == "far"), "{mode:?}");
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn chunk_with_the_same_text_is_disabled_when_the_file_is_indexed_anew() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let (file, version) = fixture.file(owner, "first", tides(3, 500), true).await;
    fixture.file(owner, "other", tides(1, 500), true).await;
    fixture.disable(owner.0, "tide number 500", true).await;
    let default = CollectionKey::Name("default".to_owned());
    let collection = store::collection::find(&fixture.db, owner.0, &default).await.unwrap().unwrap().id;
    let tx = fixture.db.begin().await.unwrap();
    let new = NewTarget { collection, pipeline: None, node: "again", item: ItemId::new(), file, version };
    let target = store::target::open(&tx, owner.0, &new).await.unwrap();
    let chunk = |text: &str| NewChunk {
        text: text.to_owned(),
        bytes: 0..text.len(),
        page: None,
        heading_path: Vec::new(),
        tokens: 1,
        prefix: None,
    };
    let chunks = vec![(0, chunk("tide number 500")), (1, chunk("tide number 777"))];
    store::chunk::insert(&tx, owner.0, target, chunks).await.unwrap();
    tx.execute_unprepared(&format!(
        "delete from target where file_id = '{file}' and id <> '{target}'; update target set live = true where id = '{target}'"
    ))
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let found = fixture.search(owner.0, &fixture.query(SearchMode::Text, "tide", vector(1), 10), THRESHOLDS).await;
    let found: BTreeSet<(String, String)> = found
        .hits
        .iter()
        .map(|hit| (hit.file_name.clone(), hit.marked_text.replace([MARK_START, MARK_END], "")))
        .collect();
    let expected = [("first", "tide number 777"), ("other", "tide number 500")];
    assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    // The decision goes with the file.
    fixture.sql(&format!("delete from file where id = '{file}'")).await;
    assert_eq!(store::chunk::count_changes(&fixture.db, owner.0).await.unwrap(), 0);
    fixture.close().await;
}

#[tokio::test]
async fn edited_text_has_words_and_statistics_of_its_own() {
    let fixture = Fixture::new().await;
    let (owner, alike) = (fixture.workspace().await, fixture.workspace().await);
    let chunks = |first: &str| {
        let texts = [first, "the ebb of a calm sea", "a turbine in the sea"];
        texts.into_iter().enumerate().map(|(n, text)| (text.to_owned(), vector(n))).collect::<Vec<_>>()
    };
    fixture.file(owner, "edited", chunks("the tide turns"), true).await;
    fixture.file(alike, "written", chunks("flood and ebb, and the sea is rough"), true).await;
    let edit = async |text: Option<&str>| {
        let id = "select id from chunk where ordinal = 0 and workspace_id = ";
        let row = fixture.db.query_one_raw(store::statement(&format!("{id}'{}'", owner.0))).await.unwrap().unwrap();
        let tx = fixture.db.begin().await.unwrap();
        let chunk = store::chunk::lock(&tx, owner.0, row.try_get_by_index(0).unwrap()).await.unwrap().unwrap();
        let had_vectors = store::chunk::set_text(&tx, owner.0, &chunk, text).await.unwrap();
        tx.commit().await.unwrap();
        had_vectors.len()
    };
    let scores = async |workspace: WorkspaceId, query: &str| -> Vec<(String, String)> {
        let query = fixture.query(SearchMode::Text, query, vector(1), 10);
        let found = fixture.search(workspace, &query, THRESHOLDS).await;
        let hit = |hit: &Hit| (hit.text(), format!("{:.9}", hit.text_score.unwrap()));
        found.hits.iter().map(hit).collect()
    };
    assert_eq!(edit(Some("rain falls on the lighthouse")).await, 1, "the chunk had a vector");
    assert_eq!(scores(owner.0, "lighthouse").await.len(), 1);
    // Another edit: as if it had been written so.
    assert_eq!(edit(Some("flood and ebb, and the sea is rough")).await, 0);
    for query in ["ebb", "flood", "sea rough", "tide", "lighthouse"] {
        assert_eq!(scores(owner.0, query).await, scores(alike.0, query).await, "{query}");
    }
    assert_eq!(scores(owner.0, "ebb").await.len(), 2);
    let by_vector = fixture.query(SearchMode::Vector, "", vector(0), 10);
    let found = fixture.search(owner.0, &by_vector, THRESHOLDS).await;
    assert_eq!(found.hits.len(), 2, "the vector was that of another text");
    edit(None).await;
    assert_eq!(scores(owner.0, "tide").await.len(), 1);
    assert_eq!((scores(owner.0, "flood").await.len(), scores(owner.0, "ebb").await.len()), (0, 1));
    assert_eq!(store::chunk::count_changes(&fixture.db, owner.0).await.unwrap(), 0);
    let left = "select count(*) from chunk where source_document is not null or dead_document is not null";
    let row = fixture.db.query_one_raw(store::statement(left)).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0, "the first postings are those of the chunk again");
    let words = "select (select sum(words)::bigint from target where live) - sum(words)::bigint from collection_usage";
    let row = fixture.db.query_one_raw(store::statement(words)).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0, "the triggers count what the targets have");
    fixture.close().await;
}
