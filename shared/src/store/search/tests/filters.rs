//! Tests of filters in every mode of search.

use super::*;

#[tokio::test]
async fn every_filter_operator_works_in_every_mode() {
    let fixture = Fixture::new().await;
    let owner = fixture.workspace().await;
    let mut ids = Vec::new();
    for (index, (name, tags, metadata, pages)) in [
        ("a.txt", "'{red,old}'", r#"{"n": 1, "s": "x", "deep": {"b": true}, "list": ["p", "q"]}"#, "1"),
        ("b.txt", "'{red}'", r#"{"n": 2.5, "s": "y"}"#, "20"),
        ("Ä.txt", "'{}'", r#"{"n": "1"}"#, "null"),
    ]
    .into_iter()
    .enumerate()
    {
        let (file, version) = fixture.file(owner, name, vec![("tidal energy".to_owned(), vector(index))], true).await;
        fixture
            .sql(&format!(
                "update file set tags = {tags}, metadata = '{metadata}', created_at = '2026-0{}-01T00:00:00Z' where id = '{file}';
                 update file_version set page_count = {pages}, bytes = 1{index} where id = '{version}'",
                index + 1
            ))
            .await;
        ids.push(file.to_string());
    }
    // Only lists and runs see versions that are not ready; here the conditions are of interest.
    let failed = format!(
        "update file_version set state = 'ready';
         update file_version set state = 'failed', failure_code = 'timed_out' where file_id = '{}'",
        ids[1]
    );
    fixture.sql(&failed).await;
    let one = |field: &str, op: &str, value: Value| json!({ "field": field, "op": op, "value": value });
    let cases = [
        (one("id", "eq", json!(ids[1])), "b"),
        (one("id", "nin", json!([ids[1]])), "a Ä"),
        (one("name", "eq", json!("Ä.txt")), "Ä"),
        (one("name", "lt", json!("b")), "a"),
        (one("name", "in", json!([])), ""),
        (one("name", "in", json!(["a.txt", "b.txt", "a.txt' or true --"])), "a b"),
        (one("mediaType", "eq", json!("text/plain")), "a b Ä"),
        (one("mediaType", "ne", json!("text/plain")), ""),
        (one("size", "gte", json!(11)), "b Ä"),
        (one("size", "lt", json!(11)), "a"),
        (one("pageCount", "gt", json!(1)), "b"),
        (one("pageCount", "ne", json!(1)), "b Ä"),
        (json!({ "not": one("pageCount", "gt", json!(1)) }), "a Ä"),
        (one("createdAt", "lte", json!("2026-02-01T01:00:00+01:00")), "a b"),
        (one("state", "eq", json!("ready")), "a Ä"),
        (one("state", "in", json!(["failed", "queued"])), "b"),
        (one("failure", "eq", json!("timed_out")), "b"),
        (one("failure", "ne", json!("timed_out")), "a Ä"),
        (one("tags", "eq", json!("old")), "a"),
        (one("tags", "in", json!(["old", "red"])), "a b"),
        (one("tags", "nin", json!(["old", "blue"])), "b Ä"),
        (one("metadata.n", "eq", json!(1.0)), "a"),
        (one("metadata.n", "eq", json!("1")), "Ä"),
        (one("metadata.n", "gt", json!(1)), "b"),
        (one("metadata.n", "ne", json!(1)), "b Ä"),
        (one("metadata.s", "gte", json!("y")), "b"),
        (one("metadata.s", "in", json!(["x", "y"])), "a b"),
        (one("metadata.deep.b", "eq", json!(true)), "a"),
        (one("metadata.list", "eq", json!("q")), "a"),
        (one("metadata.none.such", "lt", json!(1)), ""),
        (json!({ "and": [] }), "a b Ä"),
        (json!({ "or": [] }), ""),
        (json!({ "and": [one("tags", "eq", json!("red")), one("size", "gt", json!(10))] }), "b"),
        (json!({ "or": [one("size", "eq", json!(10)), one("size", "eq", json!(12))] }), "a Ä"),
    ];
    for (filter, expected) in cases {
        for mode in [SearchMode::Vector, SearchMode::Text, SearchMode::Hybrid] {
            let query = filtered(fixture.query(mode, "tidal", vector(9), 10), &filter);
            let result = fixture.search(owner.0, &query, THRESHOLDS).await;
            let names: BTreeSet<_> =
                result.hits.iter().map(|hit| hit.file_name.strip_suffix(".txt").unwrap()).collect();
            assert_eq!(names.into_iter().collect::<Vec<_>>().join(" "), expected, "{mode:?} {filter}");
        }
    }
    fixture.close().await;
}
