//! Tests of prefixes, and of single characters, with which many words begin.

use super::*;

/// Words of letters that begin with a prefix, in the order of the alphabet.
fn words(prefix: &str, count: u32) -> Vec<String> {
    let letter = |number: u32| char::from_u32(u32::from('a') + number % 20).unwrap();
    (0..count).map(|n| format!("{prefix}{}{}", letter(n / 20), letter(n))).collect()
}

/// The texts that a query finds in a file with a passage for each text.
async fn found(fixture: &Fixture, workspace: WorkspaceId, mode: SearchMode, query: &str) -> BTreeSet<String> {
    let query = fixture.query(mode, query, vector(1), 1_000);
    let hits = fixture.search(workspace, &query, THRESHOLDS).await.hits;
    hits.into_iter().map(|hit| hit.marked_text.replace([MARK_START, MARK_END], "")).collect()
}

async fn with_texts(texts: impl Iterator<Item = String>) -> (Fixture, WorkspaceId) {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let chunks = texts.enumerate().map(|(number, text)| (text, vector(number))).collect();
    fixture.file(owner, "words.txt", chunks, true).await;
    (fixture, owner.0)
}

#[tokio::test]
async fn excluded_prefix_leaves_out_every_word_that_begins_with_it() {
    let rows = words("qua", 300).into_iter().map(|word| format!("gravel {word}"));
    let codes = (1000..1300).map(|number| format!("gravel zx-{number}"));
    let (fixture, workspace) = with_texts(rows.chain(codes).chain(["gravel alone".to_owned()])).await;
    for mode in [SearchMode::Text, SearchMode::Hybrid, SearchMode::Vector] {
        for accents in [Accents::ByLanguage, Accents::Keep] {
            let vectors = fixture.query(mode, "gravel -qua* -zx*", vector(1), 1_000);
            let query = SearchQuery { accents, ..vectors };
            let hits = fixture.search(workspace, &query, THRESHOLDS).await.hits;
            let texts: Vec<_> = hits.iter().map(|hit| hit.marked_text.replace([MARK_START, MARK_END], "")).collect();
            assert_eq!(texts, ["gravel alone"], "{mode:?} {accents:?}");
        }
        let found = async |query: &str| found(&fixture, workspace, mode, query).await.len();
        assert_eq!(found("gravel -qua* -zx-12*").await, 1 + 200, "{mode:?}");
        assert_eq!(found("gravel -qua* -zx-1*").await, 1, "{mode:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn prefix_finds_the_most_frequent_words_that_begin_with_it() {
    let rare = words("qua", 300);
    let frequent = ["quay by the mill", "quay by the weir"].map(str::to_owned);
    let (fixture, workspace) = with_texts(rare.into_iter().chain(frequent)).await;
    let found = found(&fixture, workspace, SearchMode::Text, "qua*").await;
    assert!(found.contains("quay by the mill") && found.contains("quay by the weir"), "{found:?}");
    assert!(found.len() > 100, "{}", found.len());
    fixture.close().await;
}

#[tokio::test]
async fn single_character_finds_every_passage_with_it() {
    let others = (0..300).filter_map(|number| char::from_u32(0x5000 + number));
    let texts: Vec<String> = others.map(|other| format!("{other}水{other}")).collect();
    let rest = ["山水", "山道"].map(str::to_owned);
    let (fixture, workspace) = with_texts(texts.into_iter().chain(rest)).await;
    assert_eq!(found(&fixture, workspace, SearchMode::Text, "水").await.len(), 301);
    assert_eq!(found(&fixture, workspace, SearchMode::Text, "山 -水").await, BTreeSet::from(["山道".to_owned()]));
    fixture.close().await;
}
