//! Boosts of searches: scores of files that match filters are multiplied.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Searched, TestFile, hit_names, wait_until};

async fn start() -> Searched {
    let file = |name, content, tags| TestFile { name, content, tags, metadata: json!({}) };
    Searched::new(&[
        file("first.txt", "The osprey nests on a tower. The osprey breeds in May.", &["log"]),
        file("second.txt", "An osprey was seen at the harbour.", &["manual", "safety"]),
        file("other.txt", "The pump is replaced every year.", &["manual"]),
    ])
    .await
}

fn tagged(tag: &str, factor: f64) -> Value {
    json!({ "filter": { "field": "tags", "op": "eq", "value": tag }, "factor": factor })
}

fn body(mode: &str, more: Value) -> Value {
    let mut body = json!({ "query": "osprey", "mode": mode, "explain": true });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The score of a file's hit, and its explanation.
fn hit(response: &Value, name: &str) -> (f64, Value) {
    let hits = response["hits"].as_array().unwrap();
    let hit = hits.iter().find(|hit| hit["file"]["name"] == name).unwrap_or_else(|| panic!("{name}: {response}"));
    (hit["score"].as_f64().unwrap(), hit["explanation"].clone())
}

fn assert_near(number: f64, expected: f64) {
    assert!((number - expected).abs() < 1e-6 * expected.abs(), "{number} is not {expected}");
}

#[actix_web::test]
async fn boosts_multiply_scores_and_change_the_order() {
    let searched = start().await;
    for mode in ["text", "hybrid"] {
        let plain = searched.search(body(mode, json!({}))).await;
        assert_eq!(hit_names(&plain)[..2], ["first.txt", "second.txt"], "{mode}");
        let boosted = searched.search(body(mode, json!({ "boosts": [tagged("manual", 5.0)] }))).await;
        assert_eq!(hit_names(&boosted)[0], "second.txt", "{mode}");
        let (score, explanation) = hit(&boosted, "second.txt");
        assert_near(score, 5.0 * hit(&plain, "second.txt").0);
        assert_eq!(explanation["boost"], 5.0);
        assert!(explanation["reasons"].as_array().unwrap().contains(&json!("boost")), "{explanation}");
        let (score, explanation) = hit(&boosted, "first.txt");
        assert_near(score, hit(&plain, "first.txt").0);
        assert!(explanation.get("boost").is_none(), "{explanation}");
    }
    let plain = hit(&searched.search(body("text", json!({}))).await, "second.txt").0;
    // Factors of several boosts are multiplied, within bounds.
    for (boosts, factor) in [
        (json!([tagged("manual", 4.0), tagged("safety", 0.5), tagged("log", 9.0)]), 2.0),
        (json!([tagged("manual", 10.0), tagged("safety", 10.0), tagged("manual", 10.0)]), 100.0),
        (json!([tagged("manual", 0.1), tagged("safety", 0.1), tagged("manual", 0.1)]), 0.01),
    ] {
        let found = searched.search(body("text", json!({ "boosts": boosts }))).await;
        assert_near(hit(&found, "second.txt").0, factor * plain);
    }
    // Against files of a filter with several conditions, on fields of a file and of its version.
    let against = json!({ "and": [
        { "field": "mediaType", "op": "eq", "value": "text/plain" }, { "field": "size", "op": "gt", "value": 40 },
        { "not": { "field": "tags", "op": "eq", "value": "manual" } }] });
    let found = searched.search(body("text", json!({ "boosts": [{ "filter": against, "factor": 0.1 }] }))).await;
    assert_eq!(hit_names(&found), ["second.txt", "first.txt"]);
    // Each field of filters.
    for (field, value) in [
        ("id", json!(searched.files[0])),
        ("name", json!("first.txt")),
        ("mediaType", json!("text/plain")),
        ("size", json!(1)),
        ("pageCount", json!(1)),
        ("createdAt", json!("2026-01-01T00:00:00Z")),
        ("state", json!("ready")),
        ("failure", json!("empty")),
        ("tags", json!("log")),
        ("metadata.a", json!(1)),
    ] {
        let boost = json!({ "filter": { "field": field, "op": "eq", "value": value }, "factor": 2 });
        let found = searched.search(body("text", json!({ "boosts": [boost] }))).await;
        assert_eq!(hit_names(&found).len(), 2, "{field}");
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn boosts_work_with_recency_thresholds_pins_and_groups() {
    let searched = start().await;
    let sql = format!("update file set created_at = now() - interval '90 days' where id = '{}'", searched.files[1]);
    searched.app.sql(&sql).await;
    let plain = hit(&searched.search(body("text", json!({}))).await, "second.txt").0;
    let recency = json!({ "halfLifeDays": 30, "weight": 0.9 });
    let found = searched.search(body("text", json!({ "recency": recency, "boosts": [tagged("safety", 10.0)] }))).await;
    let (score, explanation) = hit(&found, "second.txt");
    let age = explanation["recency"].as_f64().unwrap();
    assert!((age - (0.1 + 0.9 / 8.0)).abs() < 0.01, "{age}");
    assert_near(score, plain * age * 10.0);
    assert_eq!(hit_names(&found), ["second.txt", "first.txt"]);

    // A threshold is about the score of the search by words itself.
    let threshold = json!({ "text": plain * 1.01 });
    let more = json!({ "threshold": threshold, "boosts": [tagged("safety", 10.0)] });
    assert_eq!(hit_names(&searched.search(body("text", more)).await), ["first.txt"]);
    let more = json!({ "pinned": [searched.files[0]], "boosts": [tagged("safety", 10.0)] });
    assert_eq!(hit_names(&searched.search(body("text", more)).await), ["first.txt", "second.txt"]);
    let more = json!({ "groupBy": "file", "boosts": [tagged("safety", 10.0)] });
    let grouped = searched.search(body("text", more)).await;
    let files: Vec<_> = grouped["groups"].as_array().unwrap().iter().map(|group| &group["file"]["name"]).collect();
    assert_eq!(files, ["second.txt", "first.txt"]);
    searched.app.stop().await;
}

#[actix_web::test]
async fn pages_with_boosts_repeat_and_miss_no_hit() {
    let contents: Vec<(String, String)> =
        (0..12).map(|n| (format!("{n:02}.txt"), format!("Note {n}: the osprey nests near gauge {n}."))).collect();
    let files: Vec<TestFile<'_>> = contents
        .iter()
        .enumerate()
        .map(|(n, (name, content))| TestFile {
            tags: if n % 3 == 0 { &["third"] } else { &[] },
            ..TestFile::new(name, content)
        })
        .collect();
    let searched = Searched::new(&files).await;
    for mode in ["text", "hybrid"] {
        let mut next = json!({ "query": "osprey nests", "mode": mode, "limit": 3, "boosts": [tagged("third", 10.0)] });
        let mut names = Vec::new();
        loop {
            let page = searched.search(next.clone()).await;
            names.extend(hit_names(&page).into_iter().map(str::to_owned));
            if page["nextCursor"].is_null() {
                break;
            }
            next["cursor"] = page["nextCursor"].clone();
        }
        let unique: BTreeSet<&String> = names.iter().collect();
        assert_eq!((names.len(), unique.len()), (12, 12), "{mode} {names:?}");
        let first: BTreeSet<&str> = names[..4].iter().map(String::as_str).collect();
        assert_eq!(first, BTreeSet::from(["00.txt", "03.txt", "06.txt", "09.txt"]), "{mode} {names:?}");
    }
    // A cursor belongs to its boosts.
    let first = json!({ "query": "osprey", "mode": "text", "limit": 3, "boosts": [tagged("third", 10.0)] });
    let cursor = searched.search(first.clone()).await["nextCursor"].clone();
    for boosts in [json!([]), json!([tagged("third", 9.0)])] {
        let mut next = first.clone();
        (next["boosts"], next["cursor"]) = (boosts, cursor.clone());
        searched.post("search", &next).await.problem(400, "invalid_cursor");
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn invalid_boosts_are_rejected_with_their_place() {
    let searched = start().await;
    let fields = async |boosts: Value| {
        let problem = searched.post("search", &body("text", json!({ "boosts": boosts }))).await;
        let problem = problem.problem(422, "invalid_body");
        problem["errors"][0]["field"].as_str().unwrap().to_owned()
    };
    for factor in [0.0, 0.05, 10.5, -1.0] {
        assert_eq!(fields(json!([tagged("a", 2.0), tagged("b", factor)])).await, "boosts[1].factor", "{factor}");
    }
    assert_eq!(fields(json!(vec![tagged("a", 2.0); 11])).await, "boosts");
    let filter = json!({ "and": [{ "field": "size", "op": "gt", "value": "large" }] });
    assert_eq!(fields(json!([{ "filter": filter, "factor": 2 }])).await, "boosts[0].filter.and[0].value");
    for bad in [json!([{ "factor": 2 }]), json!([tagged("a", 2.0)["filter"]]), json!({}), Value::Null] {
        searched.post("search", &body("text", json!({ "boosts": bad }))).await.problem(422, "invalid_body");
    }
    let filter = json!({ "field": "colour", "op": "eq", "value": "red" });
    let unknown = json!({ "boosts": [tagged("a", 2.0), { "filter": filter, "factor": 2 }] });
    let problem = searched.post("search", &body("text", unknown.clone())).await.problem(400, "invalid_filter");
    assert!(problem["detail"].as_str().unwrap().starts_with("boosts[1].filter.field"), "{problem}");
    let created = searched.post("query-sets", &json!({ "name": "Questions" })).await.expect(201);
    let evaluations = format!("query-sets/{}/evaluations", created["id"].as_str().unwrap());
    searched.post(&evaluations, &json!({ "settings": unknown })).await.problem(400, "invalid_filter");
    let factor = json!({ "settings": { "boosts": [tagged("a", 11.0)] } });
    let problem = searched.post(&evaluations, &factor).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "settings.boosts[0].factor");
    searched.app.stop().await;
}

#[actix_web::test]
async fn evaluations_apply_boosts() {
    let searched = start().await;
    let created = searched.post("query-sets", &json!({ "name": "Questions" })).await.expect(201);
    let path = format!("query-sets/{}", created["id"].as_str().unwrap());
    let line = json!({ "query": "osprey", "judgements": [{ "file": searched.files[1], "grade": 3 }] });
    searched.post(&format!("{path}/import"), &json!({ "jsonl": line.to_string() })).await.expect(200);
    for (boosts, mrr) in [(None, 0.5), (Some(json!([tagged("safety", 10.0)])), 1.0)] {
        let mut settings = json!({ "mode": "text" });
        if let Some(boosts) = &boosts {
            settings["boosts"] = boosts.clone();
        }
        let started = searched.post(&format!("{path}/evaluations"), &json!({ "settings": settings })).await.expect(202);
        let path = searched.path(&format!("evaluations/{}", started["id"].as_str().unwrap()));
        let evaluation = wait_until("the evaluation has ended", async || {
            let evaluation = searched.app.get(&searched.ada, &path).await.expect(200);
            (evaluation["state"] != "running").then_some(evaluation)
        })
        .await;
        assert_eq!(evaluation["metrics"]["mean"]["mrr"].as_f64(), Some(mrr), "{evaluation}");
        assert_eq!(evaluation["settings"]["boosts"], boosts.unwrap_or_default());
    }
    searched.app.stop().await;
}
