//! Tests of the search by words.

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::Ordering,
};

use super::*;
use crate::store::posting;

/// A chunk of the naive index: its id is its text, which is unique.
type Model = Vec<(FileId, Vec<String>)>;

impl Fixture {
    async fn file_of(&self, owner: (WorkspaceId, AccountId), texts: &[&str]) -> FileId {
        let chunks = texts.iter().map(|text| ((*text).to_owned(), vector(text.len()))).collect();
        self.file(owner, "f.txt", chunks, true).await.0
    }

    async fn found(&self, workspace: WorkspaceId, mode: SearchMode, text: &str) -> Vec<String> {
        let query = self.query(mode, text, vector(1), 100);
        let hits = self.search(workspace, &query, THRESHOLDS).await.hits;
        hits.into_iter().map(|hit| hit.marked_text.replace([MARK_START, MARK_END], "")).collect()
    }

    async fn by_words(&self, workspace: WorkspaceId, text: &str) -> Vec<String> {
        self.found(workspace, SearchMode::Text, text).await
    }

    async fn number(&self, sql: &str) -> i64 {
        let rows = self.db.query_all_raw(store::statement(sql)).await.unwrap();
        rows[0].try_get_by_index(0).unwrap()
    }

    async fn merge_all(&self) {
        for collection in posting::next_fragmented(&self.db).await.unwrap() {
            while posting::merge(&self.db, collection).await.unwrap() {}
        }
    }
}

const VOCABULARY: [&str; 12] = [
    "osprey", "harbor", "gravel", "lantern", "copper", "walnut", "velvet", "saffron", "quartz", "bamboo", "falcon",
    "magnet",
];

fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 33) as usize % below
}

/// Words of which the first of the vocabulary are frequent.
fn random_text(state: &mut u64, number: usize) -> String {
    let count = 1 + random(state, 30);
    let mut words: Vec<String> = (0..count)
        .map(|_| VOCABULARY[random(state, VOCABULARY.len()).min(random(state, VOCABULARY.len()))].to_owned())
        .collect();
    words.push(format!("n{number}x"));
    words.join(" ")
}

/// BM25 as textbooks have it, over all chunks.
fn reference(model: &Model, query: &[&str]) -> BTreeMap<String, f64> {
    let chunks: Vec<Vec<&str>> =
        model.iter().flat_map(|(_, texts)| texts).map(|text| text.split(' ').collect()).collect();
    let n = chunks.len() as f64;
    let mean = chunks.iter().map(Vec::len).sum::<usize>() as f64 / n;
    let mut scores = BTreeMap::new();
    for chunk in &chunks {
        let mut score = 0.0;
        for word in query {
            let df = chunks.iter().filter(|other| other.contains(word)).count() as f64;
            let tf = chunk.iter().filter(|other| *other == word).count() as f64;
            let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
            score += idf * tf * (1.2 + 1.0) / (tf + 1.2 * (1.0 - 0.75 + 0.75 * chunk.len() as f64 / mean));
        }
        if score > 0.0 {
            scores.insert(chunk.join(" "), score);
        }
    }
    scores
}

#[tokio::test]
async fn scores_are_those_of_a_naive_bm25_after_random_changes() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let other = fixture.workspace().await;
    fixture.file_of(other, &["osprey osprey osprey", "harbor"]).await;
    let mut state = 0x2545_f491_4f6c_dd1d;
    let mut model: Model = Vec::new();
    let mut number = 0;
    for round in 0..40 {
        let texts: Vec<String> = (0..=random(&mut state, 4))
            .map(|_| {
                number += 1;
                random_text(&mut state, number)
            })
            .collect();
        let chunks: Vec<_> = texts.iter().map(|text| (text.clone(), vector(number))).collect();
        if round % 5 == 4 {
            // Waits for its publication, and counts for nothing.
            fixture.file(owner, "waiting.txt", chunks, false).await;
        } else {
            model.push((fixture.file(owner, "f.txt", chunks, true).await.0, texts));
        }
        if round % 3 == 2 {
            let (file, _) = model.remove(random(&mut state, model.len()));
            fixture.sql(&format!("delete from file where id = '{file}'")).await;
        }
        if round % 10 == 9 {
            fixture.merge_all().await;
            for query in [vec!["osprey"], vec!["osprey", "falcon", "magnet"], vec!["quartz", "bamboo"]] {
                let search = SearchQuery {
                    language: Some(Language::English),
                    ..fixture.query(SearchMode::Text, &query.join(" "), Vec::new(), 1_000)
                };
                let hits = fixture.search(owner.0, &search, THRESHOLDS).await.hits;
                let expected = reference(&model, &query);
                assert_eq!(hits.len(), expected.len(), "{query:?} after {round} rounds");
                assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
                for hit in hits {
                    let text = hit.marked_text.replace([MARK_START, MARK_END], "");
                    let difference = (hit.score - expected[&text]).abs();
                    assert!(difference < 1e-3, "{query:?}: {} instead of {} for {text}", hit.score, expected[&text]);
                }
            }
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn merging_keeps_the_hits_and_removes_the_postings_of_deleted_chunks() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let mut files = Vec::new();
    for number in 0..300 {
        let text = format!("turbine number{number} in the estuary");
        files.push(fixture.file_of(owner, &[&text]).await);
    }
    let rows = "select count(*) from posting where term = 'estuary'";
    let before = fixture.by_words(owner.0, "estuary number7").await;
    assert_eq!(fixture.number(rows).await, 300);
    fixture.merge_all().await;
    assert!(fixture.number(rows).await < 10, "a word has few rows");
    assert_eq!(fixture.by_words(owner.0, "estuary number7").await, before);
    let deleted: Vec<String> = files[..250].iter().map(|file| format!("'{file}'")).collect();
    fixture.sql(&format!("delete from file where id in ({})", deleted.join(","))).await;
    assert_eq!(fixture.by_words(owner.0, "number7").await, [""; 0]);
    assert_eq!(fixture.by_words(owner.0, "turbine").await.len(), 50);
    assert!(fixture.number("select count(*) from posting_tombstone").await > 0);
    fixture.merge_all().await;
    let left =
        "select (select count(*) from posting_tombstone) + (select count(*) from posting where term = 'number7')";
    assert_eq!(fixture.number(left).await, 0);
    assert_eq!(fixture.number("select sum(documents) from posting where term = 'turbine'").await, 50);
    assert_eq!(fixture.by_words(owner.0, "turbine number280").await[0], "turbine number280 in the estuary");
    fixture.close().await;
}

#[tokio::test]
async fn rows_that_were_merged_meanwhile_are_found_in_an_older_snapshot() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    for number in 0..10 {
        let text = format!("turbine{number} in the estuary");
        fixture.file_of(owner, &[&text]).await;
    }
    let query = fixture.query(SearchMode::Text, "estuary", vector(1), 100);
    let tx = snapshot::begin(&fixture.db).await.unwrap();
    assert_eq!(run(&tx, owner.0, &query, THRESHOLDS).await.unwrap().hits.len(), 10);
    fixture.merge_all().await;
    assert_eq!(fixture.number("select count(*) from posting where term = 'estuary'").await, 1);
    fixture.file_of(owner, &["the estuary"]).await;
    assert_eq!(fixture.by_words(owner.0, "estuary").await.len(), 11);
    // Its rows have no place in the cache any more, and the new ones are not in its snapshot.
    assert_eq!(run(&tx, owner.0, &query, THRESHOLDS).await.unwrap().hits.len(), 10);
    drop(tx);
    assert_eq!(fixture.by_words(owner.0, "estuary").await.len(), 11);
    fixture.close().await;
}

#[tokio::test]
async fn search_like_an_earlier_one_runs_few_statements() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    fixture.file_of(owner, &["the tide turns at noon", "ebb and flood"]).await;
    for (mode, statements) in [(SearchMode::Text, 2), (SearchMode::Vector, 3), (SearchMode::Hybrid, 3)] {
        let query = fixture.query(mode, "tide", vector(1), 10);
        // Reads the languages and the postings.
        fixture.search(owner.0, &query, THRESHOLDS).await;
        let tx = snapshot::begin(&fixture.db).await.unwrap();
        assert!(!run(&tx, owner.0, &query, THRESHOLDS).await.unwrap().hits.is_empty());
        assert_eq!(tx.statements.load(Ordering::Relaxed), statements, "{mode:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn words_are_found_in_a_language_that_the_collection_has_since_the_last_search() {
    const GERMAN: &str = "Die Häuser an der Küste werden zweimal im Jahr von der Mannschaft des Hafens besichtigt.";
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    fixture.file_of(owner, &["The turbines of the plant are checked twice a year by the crew of the harbour."]).await;
    assert_eq!(fixture.by_words(owner.0, "turbine").await.len(), 1);
    assert_eq!(fixture.by_words(owner.0, "Häusern").await.len(), 0);
    fixture.file_of(owner, &[GERMAN]).await;
    // Only its German stem is in the text.
    assert_eq!(fixture.by_words(owner.0, "Häusern").await, [GERMAN]);
    fixture.close().await;
}

#[tokio::test]
async fn postings_of_another_transaction_are_read_again() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    fixture.file_of(owner, &["the tide turns"]).await;
    fixture.file_of(owner, &["ebb and flood"]).await;
    for _ in 0..2 {
        assert_eq!(fixture.by_words(owner.0, "tide").await, ["the tide turns"]);
    }
    fixture.file_of(owner, &["spring tide"]).await;
    let found = fixture.by_words(owner.0, "tide").await;
    assert_eq!(found, ["spring tide", "the tide turns"], "a known row and a new one");
    // As in a restored database: other postings with the numbers of units that were there before.
    let of = |word: &str| format!("(select postings from posting where term = '{word}' order by unit limit 1)");
    fixture.sql(&format!("update posting set postings = {} where term = 'tide'", of("ebb"))).await;
    assert_eq!(fixture.by_words(owner.0, "tide").await[0], "ebb and flood");
    fixture.close().await;
}

#[tokio::test]
async fn rolled_back_chunks_and_deleted_collections_leave_no_postings() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let (file, version) = fixture.file(owner, "f", vec![("tide".to_owned(), vector(1))], true).await;
    let rows = "select (select count(*) from posting) + (select count(*) from posting_unit)";
    let before = fixture.number(rows).await;
    let default = CollectionKey::Name("default".to_owned());
    let collection = store::collection::find(&fixture.db, owner.0, &default).await.unwrap().unwrap().id;
    let tx = fixture.db.begin().await.unwrap();
    let new = NewTarget { collection, pipeline: None, node: "other", item: ItemId::new(), file, version };
    let target = store::target::open(&tx, owner.0, &new).await.unwrap();
    let chunk =
        NewChunk { text: "ebb".to_owned(), bytes: 0..3, page: None, heading_path: Vec::new(), tokens: 1, prefix: None };
    store::chunk::insert(&tx, owner.0, target, vec![(0, chunk)]).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(fixture.number(rows).await, before);
    assert_eq!(fixture.by_words(owner.0, "ebb").await, [""; 0]);
    fixture.sql(&format!("delete from file; delete from workspace where id = '{}'", owner.0)).await;
    assert_eq!(fixture.number(rows).await + fixture.number("select count(*) from posting_tombstone").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn older_chunks_are_found_by_words_once_they_have_postings() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    fixture.file_of(owner, &["the tide turns", "ebb and flood"]).await;
    // As the migration leaves the chunks of an older version.
    fixture
        .sql(
            "delete from posting; delete from posting_unit; update chunk set document = null;
             update target set has_postings = false, units = '{}', words = 0",
        )
        .await;
    let query = fixture.query(SearchMode::Text, "tides", vector(1), 10);
    let result = fixture.search(owner.0, &query, THRESHOLDS).await;
    assert!(result.hits.is_empty() && result.is_incomplete);
    assert_eq!(fixture.found(owner.0, SearchMode::Vector, "tides").await.len(), 2, "vectors are found meanwhile");
    while let Some((workspace, target, file)) = posting::next_without_postings(&fixture.db).await.unwrap() {
        let tx = fixture.db.begin().await.unwrap();
        posting::add_missing(&tx, workspace, target, file).await.unwrap();
        tx.commit().await.unwrap();
    }
    let result = fixture.search(owner.0, &query, THRESHOLDS).await;
    assert!(result.hits.len() == 1 && !result.is_incomplete);
    assert_eq!(fixture.number("select words from collection_usage where words > 0").await, 6);
    fixture.close().await;
}

#[tokio::test]
async fn operators_hold_in_every_mode() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let (garage, kitchen) = ("rear extension with a garage approved", "rear kitchen extension without a porch");
    let passages: Vec<_> = [garage, kitchen, "extensions of the rear"]
        .into_iter()
        .chain(std::iter::repeat_n("garages everywhere", 120))
        .map(|text| (text.to_owned(), vector(1)))
        .collect();
    fixture.file(owner, "f", passages, true).await;
    for mode in [SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid] {
        let found = async |query: &str| {
            let found: HashSet<String> = fixture.found(owner.0, mode, query).await.into_iter().collect();
            [garage, kitchen, "extensions of the rear", "garages everywhere"].map(|text| found.contains(text))
        };
        assert_eq!(found("extension -garage").await, [false, true, true, false], "{mode:?}");
        assert_eq!(found("\"rear extension\"").await, [true, false, false, false], "{mode:?}");
        assert_eq!(found("extension -\"rear kitchen\" -garage").await, [false, false, true, false], "{mode:?}");
    }
    assert_eq!(fixture.by_words(owner.0, "kitch*").await, [kitchen]);
    assert_eq!(fixture.by_words(owner.0, "rear -kitch*").await.len(), 2);
    assert_eq!(fixture.by_words(owner.0, "-garage").await, [""; 0]);
    fixture.close().await;
}

#[tokio::test]
async fn words_are_found_in_other_languages_scripts_and_forms() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let german = "Die Donaudampfschifffahrtsgesellschaft verlegt ihre Hauptversammlung. Die Krankenversicherungsbeiträge \
                  steigen. Die Häuser sind verkauft worden.";
    let japanese = "水道料金のお知らせ。来月から水道料金が値上げされます。市立図書館は月曜日が休館日です。";
    let chinese = "关于水费上涨的通知。市图书馆每周一闭馆。";
    let parts = "Replace seal AB-1234/5 every year. Part NOR.0707-60 fits. Serial 774618868-1873. Error E_CONN_42 means \
                 v2.10.3 of foo_bar.baz is missing. RFC-2616, C++ and C#, node.js, price 1,234.56.";
    let decomposed = "Die U\u{308}berpru\u{308}fung der Mo\u{308}belgro\u{308}ße in Ko\u{308}ln ist abgeschlossen.";
    let accents = "Le café de l'hôtel à Orléans sert une crème brûlée. Señor Núñez vive en Málaga. Łódź i Kraków.";
    let thai = "ห้องสมุดปิดวันจันทร์";
    let dutch = "Zij had een nieuwe zorg en een verzekering.";
    let texts = [german, japanese, chinese, parts, decomposed, accents, thai, dutch];
    for text in texts {
        fixture.file_of(owner, &[text]).await;
    }
    for (query, expected) in [
        ("Krankenversicherung", german),
        ("Haus", german),
        ("dampfschifffahrt", german),
        ("水道料金", japanese),
        ("図書館", japanese),
        ("图书馆", chinese),
        ("水费", chinese),
        ("1234/5", parts),
        ("0707-60", parts),
        ("1873", parts),
        ("foo_bar", parts),
        ("node", parts),
        ("AB-1234/5", parts),
        ("2.10.3", parts),
        ("1234.56", parts),
        ("C++", parts),
        ("Überprüfung", decomposed),
        ("mobelgroße", decomposed),
        ("koln", decomposed),
        ("cafe creme", accents),
        ("lodz", accents),
        ("ห้องสมุด", thai),
        ("zorgverzekering", dutch),
    ] {
        let found = fixture.by_words(owner.0, query).await;
        assert_eq!(found.first().map(String::as_str), Some(expected), "{query}");
    }
    // The longer of two texts is found first by the number as it is typed.
    fixture.file_of(owner, &["1234 and 5", &format!("{} AB-1234/5", "filler words ".repeat(20))]).await;
    assert!(fixture.by_words(owner.0, "AB-1234/5").await[..2].iter().all(|text| text.contains("AB-1234/5")));
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
