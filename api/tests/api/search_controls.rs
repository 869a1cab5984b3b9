//! Controls of relevance, explanations, facets, and the answers to bad input.

use serde_json::{Value, json};

use crate::support::{Searched, TestFile, hit_names};

async fn start() -> Searched {
    let file = |name, content, tags, metadata| TestFile { name, content, tags, metadata };
    Searched::new(&[
        file(
            "old.md",
            "# Osprey\n\nThe osprey nests on a tower. The osprey breeds in May.",
            &["bird", "log"],
            json!({ "year": 2024, "site": "north" }),
        ),
        file("new.txt", "An osprey was seen at the harbour.", &["log"], json!({ "year": 2026, "site": "south" })),
        file(
            "part.txt",
            "Seal AB-1234/5 of the pump is replaced every year.",
            &["parts"],
            json!({ "year": 2026, "sites": ["north", "south"] }),
        ),
        file(
            "de.txt",
            "Der Fischadler brütet auf einem Turm. Die Brut beginnt im Mai, wenn die Tage wärmer werden.",
            &[],
            json!({}),
        ),
    ])
    .await
}

#[actix_web::test]
async fn thresholds_recency_pins_and_hidden_files_change_the_ranking() {
    let searched = start().await;
    let text_search = json!({ "query": "osprey", "mode": "text" });
    let with = |more: Value| {
        let mut body = text_search.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let plain = searched.search(text_search.clone()).await;
    assert_eq!(hit_names(&plain), ["old.md", "new.txt"]);
    let between = (plain["hits"][0]["score"].as_f64().unwrap() + plain["hits"][1]["score"].as_f64().unwrap()) / 2.0;
    assert_eq!(hit_names(&searched.search(with(json!({ "threshold": { "text": between } }))).await), ["old.md"]);
    let vector = json!({ "query": "osprey", "mode": "vector", "threshold": { "vector": 0.999 } });
    assert_eq!(hit_names(&searched.search(vector).await), [""; 0]);
    // A hybrid search keeps what the other leg has found.
    let hybrid = json!({ "query": "osprey", "threshold": { "vector": 0.999 } });
    assert_eq!(hit_names(&searched.search(hybrid).await), ["old.md", "new.txt"]);

    searched
        .app
        .sql(&format!("update file set created_at = now() - interval '90 days' where id = '{}'", searched.files[0]))
        .await;
    let recent =
        searched.search(with(json!({ "recency": { "halfLifeDays": 30, "weight": 0.9 }, "explain": true }))).await;
    assert_eq!(hit_names(&recent), ["new.txt", "old.md"]);
    let factor = recent["hits"][1]["explanation"]["recency"].as_f64().unwrap();
    assert!((factor - (0.1 + 0.9 / 8.0)).abs() < 0.01, "{factor}");

    let pinned =
        searched.search(with(json!({ "pinned": [searched.files[2], searched.files[1]], "explain": true }))).await;
    assert_eq!(hit_names(&pinned), ["new.txt", "old.md"], "a pinned file that does not match is not found");
    assert_eq!(pinned["hits"][0]["explanation"]["reasons"], json!(["pinned", "words"]));
    let first = searched.search(with(json!({ "pinned": [searched.files[1]], "limit": 1 }))).await;
    let next = with(json!({ "pinned": [searched.files[1]], "limit": 1, "cursor": first["nextCursor"] }));
    assert_eq!((hit_names(&first), hit_names(&searched.search(next).await)), (vec!["new.txt"], vec!["old.md"]));
    // The first of them does not match; the others fill pages of one hit.
    let pins = json!([searched.files[2], searched.files[1], searched.files[0]]);
    for group in [json!({}), json!({ "groupBy": "file" })] {
        let mut body = with(json!({ "pinned": pins, "limit": 1 }));
        body.as_object_mut().unwrap().extend(group.as_object().unwrap().clone());
        let mut names = Vec::new();
        loop {
            let page = searched.search(body.clone()).await;
            let hit = if page["groups"].is_array() { &page["groups"][0] } else { &page["hits"][0] };
            names.push(hit["file"]["name"].as_str().unwrap().to_owned());
            if page["nextCursor"].is_null() {
                break;
            }
            body["cursor"] = page["nextCursor"].clone();
        }
        assert_eq!(names, ["new.txt", "old.md"], "{group}");
    }
    let hidden = searched.search(with(json!({ "hidden": [searched.files[0]] }))).await;
    assert_eq!(hit_names(&hidden), ["new.txt"]);
    for bad in [
        json!({ "threshold": { "vector": 1.5 } }),
        json!({ "recency": { "halfLifeDays": 0 } }),
        json!({ "recency": { "halfLifeDays": 1, "weight": 1.1 } }),
        json!({ "pinned": ["x"] }),
        json!({ "pinned": vec![searched.files[0].clone(); 21] }),
        json!({ "rerank": "magic" }),
    ] {
        searched.post("search", &with(bad)).await.problem(422, "invalid_body");
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn explanation_names_legs_words_and_reasons_of_each_hit() {
    let searched = start().await;
    let body = json!({ "query": "Where is seal AB-1234/5?", "explain": true, "verify": true });
    let found = searched.search(body.clone()).await;
    let hit = &found["hits"][0];
    assert_eq!(hit["file"]["name"], "part.txt");
    let explanation = &hit["explanation"];
    assert_eq!((&explanation["text"]["rank"], &explanation["vector"]["rank"]), (&json!(1), &json!(1)), "{explanation}");
    assert_eq!(explanation["text"]["score"], hit["scores"]["text"]);
    assert_eq!(explanation["reasons"], json!(["meaning", "words", "identifier"]));
    let words = explanation["words"].as_array().unwrap();
    assert!(words.contains(&json!("seal")) && words.contains(&json!("ab-1234/5")), "{words:?}");
    assert_eq!((found["plan"].as_str(), found["recall"].as_f64()), (Some("exact"), Some(1.0)));
    let timings = &found["explanation"]["timings"];
    for step in ["embeddingMs", "rankingMs", "readingMs", "verifyingMs"] {
        assert!(timings[step].as_f64() > Some(0.0), "{step} {timings}");
    }
    assert!(found["explanation"]["candidates"].as_u64() >= Some(4));
    let fusion = &found["explanation"]["fusion"];
    assert!(fusion["matchedWords"].as_u64() > Some(1) && fusion["coverage"].as_f64() > Some(0.5), "{fusion}");
    let given = json!({ "query": "seal", "explain": true, "weights": { "text": 0.3, "vector": 0.7 } });
    let given = searched.search(given).await;
    let fusion = &given["explanation"]["fusion"];
    assert_eq!((fusion["textWeight"].as_f64(), fusion["vectorWeight"].as_f64()), (Some(0.3), Some(0.7)), "{fusion}");
    let by_words = searched.search(json!({ "query": "seal", "mode": "text", "explain": true })).await;
    assert!(by_words["explanation"]["fusion"].is_null(), "{by_words}");
    let plain = searched.search(json!({ "query": "seal" })).await;
    assert!(plain["explanation"].is_null() && plain["hits"][0]["explanation"].is_null() && plain["recall"].is_null());

    let body = json!({ "query": "osprey on a tower", "rerank": "neighbours", "explain": true });
    let reranked = searched.search(body).await;
    assert_eq!(hit_names(&reranked)[0], "old.md");
    let explanation = &reranked["hits"][0]["explanation"];
    assert!(explanation["rankBeforeRerank"].is_u64(), "{explanation}");
    assert!(explanation["reasons"].as_array().unwrap().contains(&json!("neighbours")), "{explanation}");
    let scores: Vec<f64> =
        reranked["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores.len() == 4, "{scores:?}");
    assert!(reranked["degraded"].is_null(), "{reranked}");
    let by_words = searched.search(json!({ "query": "osprey", "mode": "text", "rerank": "neighbours" })).await;
    assert!(by_words["degraded"].as_str().unwrap().contains("`neighbours` compares vectors"), "{by_words}");
    searched.app.stop().await;
}

#[actix_web::test]
async fn facets_count_the_files_that_match_the_filter() {
    let searched = start().await;
    let facets = ["mediaType", "tags", "language", "metadata.year", "metadata.site", "metadata.sites"];
    let body = json!({ "query": "osprey", "mode": "text", "facets": facets });
    let found = searched.search(body.clone()).await;
    let counts = |response: &Value, field: &str| -> Vec<(Value, i64)> {
        let facets = response["facets"].as_array().unwrap();
        let facet = facets.iter().find(|facet| facet["field"] == field).unwrap();
        assert_eq!(facet["other"], 0);
        let values = facet["values"].as_array().unwrap().iter();
        values.map(|value| (value["value"].clone(), value["files"].as_i64().unwrap())).collect()
    };
    assert_eq!(counts(&found, "mediaType"), [(json!("text/plain"), 3), (json!("text/markdown"), 1)]);
    assert_eq!(counts(&found, "tags"), [(json!("log"), 2), (json!("bird"), 1), (json!("parts"), 1)]);
    assert_eq!(counts(&found, "metadata.year"), [(json!(2026), 2), (json!(2024), 1)]);
    assert_eq!(counts(&found, "metadata.site"), [(json!("north"), 1), (json!("south"), 1)]);
    assert_eq!(counts(&found, "metadata.sites"), [(json!("north"), 1), (json!("south"), 1)]);
    assert!(counts(&found, "language").contains(&(json!("de"), 1)), "{found}");
    // A query without words counts, too.
    let mut filtered = body;
    filtered["query"] = json!("?!");
    filtered["filter"] = json!({ "field": "tags", "op": "eq", "value": "log" });
    let found = searched.search(filtered).await;
    assert_eq!(hit_names(&found), [""; 0]);
    assert_eq!(counts(&found, "tags"), [(json!("log"), 2), (json!("bird"), 1)]);
    for bad in [json!(["colour"]), json!(["metadata."]), json!(vec!["tags"; 11]), json!("tags")] {
        searched.post("search", &json!({ "query": "x", "facets": bad })).await.problem(422, "invalid_body");
    }
    // More values than a response has.
    let many: Vec<String> = (0..25).map(|n| format!("t{n:02}")).collect();
    let tags = many.join(",");
    searched.app.sql(&format!("update file set tags = '{{{tags}}}' where id = '{}'", searched.files[0])).await;
    let found = searched.search(json!({ "query": "osprey", "mode": "text", "facets": ["tags"] })).await;
    let facet = &found["facets"][0];
    assert_eq!((facet["values"].as_array().unwrap().len(), &facet["other"]), (20, &json!(7)), "{facet}");
    searched.app.stop().await;
}

#[actix_web::test]
async fn invalid_numbers_filters_and_vectors_have_typed_answers() {
    let searched = start().await;
    let mut nested = json!({ "field": "size", "op": "gt", "value": 1 });
    for _ in 0..50 {
        nested = json!({ "not": nested });
    }
    let vector = |number: Value| {
        let mut vector = vec![json!(0.1); 384];
        vector[7] = number;
        json!({ "vector": vector, "mode": "vector" })
    };
    for bad in [
        json!({ "query": "x", "limit": 0 }),
        json!({ "query": "x", "limit": 10_001 }),
        json!({ "query": "x", "limit": -1 }),
        json!({ "query": "x", "filter": nested }),
        json!({ "vector": vec![0.1; 383], "mode": "vector" }),
        json!({ "vector": [], "mode": "vector" }),
        vector(json!("NaN")),
        vector(Value::Null),
    ] {
        searched.post("search", &bad).await.problem(422, "invalid_body");
    }
    // Neither NaN nor a number beyond single precision is a number of a vector.
    for number in ["NaN", "1e39"] {
        let raw = format!(r#"{{ "vector": [{number}], "mode": "vector" }}"#);
        let request =
            searched.app.request(reqwest::Method::POST, &searched.path("search")).bearer_auth(&searched.ada.token);
        let request = request.header("content-type", "application/json").body(raw);
        crate::support::send(request).await.problem(400, "malformed_json");
    }
    for query in ["?!", "...", "-osprey"] {
        for mode in ["hybrid", "vector", "text"] {
            let body =
                json!({ "query": query, "mode": mode, "rerank": "neighbours", "groupBy": "file", "verify": true });
            let found = searched.search(body).await;
            assert_eq!((found["groups"].clone(), found["recall"].as_f64()), (json!([]), Some(1.0)), "{query} {mode}");
            assert!(found["degraded"].as_str().unwrap().contains("no word to be found"), "{found}");
        }
    }
    // A vector needs no words.
    let found = searched.search(json!({ "query": "-osprey", "vector": vec![0.1; 384] })).await;
    assert!(found["degraded"].is_null() && !hit_names(&found).is_empty(), "{found}");
    // Names and ids of another tenant are as unknown as others.
    let other = searched.app.create_account("other").await;
    let workspace = searched.app.create_workspace(&other, "Wind").await;
    let path = format!("/api/v1/workspaces/{workspace}/collections");
    let foreign = searched.app.post(&other, &path, &json!({ "name": "foreign" })).await.expect(201);
    for key in [&foreign["id"], &foreign["name"]] {
        searched.post("search", &json!({ "query": "x", "collections": [key] })).await.problem(404, "not_found");
    }
    searched.app.stop().await;
}
