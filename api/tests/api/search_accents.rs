//! Accents in searches by words: folded as the language requires, always or never.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Searched, TestFile, hit_names, wait_until};

/// Texts that are long enough for their language to be certain.
const FILES: [(&str, &str); 7] = [
    (
        "hall.txt",
        "Huset har en hall med plats för många skor och jackor, och därifrån går man vidare till köket och \
         vardagsrummet. När gästerna kommer på kvällen hänger de av sig ytterkläderna och sätter sig vid bordet.",
    ),
    (
        "rock.txt",
        "Fiskarna vilade på en häll nära vattnet och åt sin matsäck i solen. Därefter lade de ut näten igen, och på \
         kvällen räknade de fångsten innan de rodde hem över fjärden till byn där familjerna väntade.",
    ),
    (
        "town.txt",
        "The town hall opens at nine, and the clerk keeps the papers of each candidate in a drawer beside the window of \
         the office, where visitors from Malmö may read them.",
    ),
    (
        "summary.txt",
        "Le secrétaire a demandé un résumé de la réunion, que le comité doit lire avant la fin de la semaine prochaine.",
    ),
    (
        "work.txt",
        "La direction a décidé que le travail resume vite, dit la note, et les ouvriers lisent la réponse du bureau avant \
         midi.",
    ),
    (
        "rock-es.txt",
        "El castillo está en lo alto de una peña, y desde las murallas se ven los campos, el río y las casas blancas \
         del pueblo.",
    ),
    (
        "grief-es.txt",
        "La viuda contó su pena a los vecinos, que la escucharon en silencio hasta que las campanas de la iglesia \
         dieron las doce.",
    ),
];

async fn start() -> Searched {
    Searched::new(&FILES.map(|(name, content)| TestFile::new(name, content))).await
}

/// A search by words, with other fields.
fn body(query: &str, fields: &Value) -> Value {
    let mut body = json!({ "query": query, "mode": "text" });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

async fn assert_found(searched: &Searched, query: &str, fields: Value, expected: &[&str]) {
    let result = searched.search(body(query, &fields)).await;
    let found: BTreeSet<&str> = hit_names(&result).into_iter().collect();
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    assert_eq!(found, expected, "{query} {fields}");
}

/// The marked words of a hit.
fn marked(hit: &Value) -> Vec<&str> {
    let text = hit["snippet"]["text"].as_str().unwrap();
    let at = |range: &Value, name: &str| usize::try_from(range[name].as_u64().unwrap()).unwrap();
    let ranges = hit["snippet"]["highlights"].as_array().unwrap().iter();
    ranges.map(|range| &text[at(range, "start")..at(range, "end")]).collect()
}

#[actix_web::test]
async fn accents_are_folded_by_default_where_the_language_folds_them() {
    let searched = start().await;
    // English and French fold; `å`, `ä` and `ö` are letters in Swedish, and so is `ñ` in Spanish.
    let cases: [(&str, &[&str]); 10] = [
        ("hall", &["hall.txt", "town.txt"]),
        ("häll", &["rock.txt", "town.txt"]),
        ("HÄLL", &["rock.txt", "town.txt"]),
        ("malmo", &["town.txt"]),
        ("resume", &["summary.txt", "work.txt"]),
        ("résumé", &["summary.txt", "work.txt"]),
        ("pena", &["grief-es.txt"]),
        ("peña", &["rock-es.txt"]),
        ("rio", &["rock-es.txt"]),
        ("conto", &["grief-es.txt"]),
    ];
    for (query, expected) in cases {
        assert_found(&searched, query, json!({}), expected).await;
    }
    // The language of the query comes before that of the passages.
    let cases: [(&str, &str, &[&str]); 6] = [
        ("hall", "sv", &["hall.txt", "town.txt"]),
        ("malmo", "sv", &[]),
        ("malmö", "sv", &["town.txt"]),
        ("hall", "de", &["hall.txt", "rock.txt", "town.txt"]),
        ("pena", "en", &["grief-es.txt", "rock-es.txt"]),
        ("pena", "es", &["grief-es.txt"]),
    ];
    for (query, language, expected) in cases {
        assert_found(&searched, query, json!({ "language": language }), expected).await;
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn accents_are_folded_or_kept_on_request() {
    let searched = start().await;
    let cases: [(&str, &[&str], &[&str]); 14] = [
        ("resume", &["summary.txt", "work.txt"], &["work.txt"]),
        ("RÉSUMÉ", &["summary.txt", "work.txt"], &["summary.txt"]),
        ("re\u{301}sume\u{301}", &["summary.txt", "work.txt"], &["summary.txt"]),
        ("hall", &["hall.txt", "rock.txt", "town.txt"], &["hall.txt", "town.txt"]),
        ("peña", &["grief-es.txt", "rock-es.txt"], &["rock-es.txt"]),
        ("malmo", &["town.txt"], &[]),
        // Phrases, and the beginnings of words.
        ("\"un resume\"", &["summary.txt"], &[]),
        ("\"un résumé\"", &["summary.txt"], &["summary.txt"]),
        ("res*", &["summary.txt", "work.txt"], &["work.txt"]),
        ("rés*", &["summary.txt", "work.txt"], &["summary.txt"]),
        // Excluded words and phrases.
        ("kvällen -hall", &[], &["rock.txt"]),
        ("kvällen -häll", &[], &["hall.txt"]),
        ("kvällen -\"en häll\"", &[], &["hall.txt"]),
        ("kvällen -häl*", &[], &["hall.txt"]),
    ];
    for (query, folded, kept) in cases {
        assert_found(&searched, query, json!({ "accents": "fold" }), folded).await;
        assert_found(&searched, query, json!({ "accents": "keep" }), kept).await;
    }
    assert_found(&searched, "resume", json!({ "accents": "keep", "language": "en" }), &["work.txt"]).await;
    let in_swedish = json!({ "accents": "fold", "language": "sv" });
    assert_found(&searched, "hall", in_swedish, &["hall.txt", "rock.txt", "town.txt"]).await;
    for accents in [json!("none"), Value::Null, json!(1), json!(["keep"])] {
        let bad = body("hall", &json!({ "accents": accents }));
        searched.post("search", &bad).await.problem(422, "invalid_body");
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn operators_compare_accents_in_every_mode() {
    let searched = start().await;
    for mode in ["text", "hybrid", "vector"] {
        let names = async |query: &str, accents: Option<&str>| -> BTreeSet<String> {
            let fields = match accents {
                Some(accents) => json!({ "mode": mode, "accents": accents }),
                None => json!({ "mode": mode }),
            };
            let result = searched.search(body(query, &fields)).await;
            hit_names(&result).into_iter().map(str::to_owned).collect()
        };
        let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        assert_eq!(names("\"en hall\"", None).await, set(&["hall.txt"]), "{mode}");
        assert_eq!(names("\"en hall\"", Some("fold")).await, set(&["hall.txt", "rock.txt"]), "{mode}");
        assert_eq!(names("\"un resume\"", Some("keep")).await, set(&[]), "{mode}");
        let found = names("kvällen -hall", None).await;
        assert!(found.contains("rock.txt") && !found.contains("hall.txt"), "{mode} {found:?}");
        let found = names("kvällen -hall", Some("fold")).await;
        assert!(!found.contains("rock.txt") && !found.contains("hall.txt"), "{mode} {found:?}");
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn words_with_other_accents_neither_score_nor_are_marked() {
    let searched = start().await;
    let hit = async |query: &str, fields: Value| {
        let result = searched.search(body(query, &fields)).await;
        let hits = result["hits"].as_array().unwrap();
        hits.iter().find(|hit| hit["file"]["name"] == "rock.txt").unwrap_or_else(|| panic!("{result}")).clone()
    };
    let assert_scores = async || {
        let score = |hit: &Value| hit["scores"]["text"].as_f64().unwrap();
        let without = hit("kvällen", json!({})).await;
        let by_language = hit("hall kvällen", json!({ "explain": true })).await;
        assert!((score(&by_language) - score(&without)).abs() < 1e-6, "{by_language} {without}");
        assert_eq!(marked(&by_language), ["kvällen"]);
        assert_eq!(by_language["explanation"]["words"], json!(["kvällen"]));
        let folded = hit("hall kvällen", json!({ "accents": "fold" })).await;
        assert!(score(&folded) > score(&without), "{folded}");
        assert_eq!(marked(&folded), ["häll", "kvällen"]);
    };
    assert_scores().await;
    // Words that have synonyms are scored with them.
    let path = searched.path("synonyms");
    let sets = json!({ "sets": [{ "from": ["kvällen", "hall"], "to": ["skymning"] }] });
    searched.app.put(&searched.ada, &path, &sets).await.expect(200);
    assert_scores().await;
    assert_found(&searched, "hall", json!({}), &["hall.txt", "town.txt"]).await;
    searched.app.stop().await;
}

#[actix_web::test]
async fn batches_pages_and_evaluations_have_accents() {
    let searched = start().await;
    let batch = json!({ "searches": [
        { "query": "resume", "mode": "text", "accents": "keep" },
        { "query": "resume", "mode": "text" },
    ] });
    let batch = searched.post("search/batch", &batch).await.expect(200);
    let counts = [0, 1].map(|place: usize| hit_names(&batch["results"][place]["response"]).len());
    assert_eq!(counts, [1, 2], "{batch}");

    let first = searched.search(body("hall", &json!({ "limit": 1 }))).await;
    let next = |accents: Option<&str>| {
        let mut next = body("hall", &json!({ "limit": 1, "cursor": first["nextCursor"] }));
        next.as_object_mut().unwrap().extend(accents.map(|accents| ("accents".to_owned(), json!(accents))));
        next
    };
    let second = searched.search(next(None)).await;
    assert_ne!(hit_names(&second), hit_names(&first));
    assert!(second["nextCursor"].is_null(), "{second}");
    searched.post("search", &next(Some("fold"))).await.problem(400, "invalid_cursor");

    let set = searched.post("query-sets", &json!({ "name": "Accents" })).await.expect(201);
    let set = format!("query-sets/{}", set["id"].as_str().unwrap());
    let judgements = json!([{ "file": searched.files[3], "grade": 1 }, { "file": searched.files[4], "grade": 1 }]);
    let query = json!({ "id": "q1", "query": "resume", "judgements": judgements });
    searched.post(&format!("{set}/import"), &json!({ "jsonl": query.to_string() })).await.expect(200);
    for (accents, recall) in [("keep", 0.5), ("fold", 1.0)] {
        let settings = json!({ "settings": { "mode": "text", "accents": accents } });
        let started = searched.post(&format!("{set}/evaluations"), &settings).await.expect(202);
        let path = searched.path(&format!("evaluations/{}", started["id"].as_str().unwrap()));
        let evaluation = wait_until("the evaluation has ended", async || {
            let evaluation = searched.app.get(&searched.ada, &path).await.expect(200);
            (evaluation["state"] != "running").then_some(evaluation)
        })
        .await;
        assert_eq!(evaluation["settings"]["accents"], accents, "{evaluation}");
        assert_eq!(evaluation["metrics"]["mean"]["recall"].as_f64(), Some(recall), "{evaluation}");
    }
    searched.app.stop().await;
}
