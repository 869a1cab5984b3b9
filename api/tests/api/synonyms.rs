//! Synonyms of a workspace: the document, and searches that apply it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Searched, TestAccount, TestApp, TestFile, TestResponse, hit_names, send, wait_until};

const FILES: [(&str, &str); 7] = [
    ("car.txt", "The car stands in the yard."),
    ("automobile.txt", "An automobile was parked at the mill near the old bridge."),
    ("vehicle.txt", "Every motor vehicle of the fleet needs a permit from the office."),
    ("parts.txt", "The vehicle has an electric motor."),
    ("all.txt", "Automobile, motor vehicle, coach: it goes by many names."),
    ("tv.txt", "The tv in the hall is broken."),
    ("television.txt", "A television hangs on the wall of the canteen."),
];

async fn start() -> Searched {
    Searched::new(&FILES.map(|(name, content)| TestFile::new(name, content))).await
}

async fn put(app: &TestApp, account: &TestAccount, workspace: &str, sets: &Value, tag: Option<&str>) -> TestResponse {
    let path = format!("/api/v1/workspaces/{workspace}/synonyms");
    app.put_if(account, &path, &json!({ "sets": sets }), tag).await
}

async fn set(searched: &Searched, sets: Value) {
    put(&searched.app, &searched.ada, &searched.workspace, &sets, None).await.expect(200);
}

async fn found(searched: &Searched, query: &str) -> BTreeSet<String> {
    let found = searched.search(json!({ "query": query, "mode": "text" })).await;
    hit_names(&found).into_iter().map(str::to_owned).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn cars() -> Value {
    json!([{ "words": ["car", "automobile", "Motor Vehicle"] }])
}

#[actix_web::test]
async fn equal_words_and_phrases_find_each_other() {
    let searched = start().await;
    assert_eq!(found(&searched, "car").await, names(&["car.txt"]));
    set(&searched, cars()).await;
    let all = names(&["car.txt", "automobile.txt", "vehicle.txt", "all.txt"]);
    for query in ["car", "CARS", "automobiles"] {
        assert_eq!(found(&searched, query).await, all, "{query}");
    }
    // The words of a phrase are found alone as well, if they are those of the query itself.
    let with_parts: BTreeSet<String> = all.iter().cloned().chain(["parts.txt".to_owned()]).collect();
    assert_eq!(found(&searched, "motor vehicles").await, with_parts);
    assert_eq!(found(&searched, "motor of a vehicle").await, names(&["vehicle.txt", "parts.txt", "all.txt"]));
    let body = json!({ "query": "car", "mode": "text", "synonyms": false });
    assert_eq!(hit_names(&searched.search(body).await), ["car.txt"]);
    let hybrid = searched.search(json!({ "query": "car", "explain": true })).await;
    let hits = hybrid["hits"].as_array().unwrap();
    let by_words = hits.iter().filter(|hit| hit["scores"]["text"].is_number()).count();
    assert_eq!(by_words, 4, "{hybrid}");
    searched.app.stop().await;
}

#[actix_web::test]
async fn explanation_and_highlights_show_synonyms() {
    let searched = start().await;
    set(&searched, cars()).await;
    let result = searched.search(json!({ "query": "car", "mode": "text", "explain": true })).await;
    let hit = |name: &str| {
        let hits = result["hits"].as_array().unwrap();
        hits.iter().find(|hit| hit["file"]["name"] == name).unwrap_or_else(|| panic!("{name} is not found")).clone()
    };
    let own = hit("car.txt");
    assert_eq!(own["explanation"]["reasons"], json!(["words"]));
    assert_eq!((&own["explanation"]["words"], &own["explanation"]["synonyms"]), (&json!(["car"]), &json!([])));
    let other = hit("vehicle.txt");
    assert_eq!(other["explanation"]["reasons"], json!(["words", "synonym"]));
    assert_eq!(other["explanation"]["synonyms"], json!(["motor vehicle"]));
    let text = other["snippet"]["text"].as_str().unwrap();
    let marked: Vec<&str> = other["snippet"]["highlights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| {
            let at = |name: &str| usize::try_from(range[name].as_u64().unwrap()).unwrap();
            &text[at("start")..at("end")]
        })
        .collect();
    assert_eq!(marked, ["motor vehicle"]);
    assert_eq!(hit("all.txt")["explanation"]["synonyms"], json!(["automobile", "motor vehicle"]));
    searched.app.stop().await;
}

#[actix_web::test]
async fn synonyms_count_less_than_words_and_once_in_a_passage() {
    let searched = start().await;
    set(&searched, json!([{ "words": ["car", "automobile", "motor vehicle", "coach"] }])).await;
    let order = async |query: &str| {
        let found = searched.search(json!({ "query": query, "mode": "text" })).await;
        hit_names(&found).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(order("car").await[0], "car.txt");
    // `all.txt` has three synonyms of one word, `vehicle.txt` one of them and another word.
    let ranked = order("car permit").await;
    assert_eq!(ranked[0], "vehicle.txt", "{ranked:?}");
    let scored = async |sets: Value| {
        set(&searched, sets).await;
        let found = searched.search(json!({ "query": "car", "mode": "text" })).await;
        let hits = found["hits"].as_array().unwrap();
        let hit = hits.iter().find(|hit| hit["file"]["name"] == "all.txt").unwrap();
        hit["score"].as_f64().unwrap()
    };
    let one = scored(json!([{ "from": ["car"], "to": ["coach"] }])).await;
    let two = scored(json!([{ "from": ["car"], "to": ["coach", "names"] }])).await;
    assert!((one - two).abs() < 1e-9, "{one} {two}");
    searched.app.stop().await;
}

#[actix_web::test]
async fn one_way_synonyms_and_circles_take_one_step() {
    let searched = start().await;
    set(&searched, json!([{ "from": ["tv"], "to": ["television"] }])).await;
    assert_eq!(found(&searched, "tv").await, names(&["tv.txt", "television.txt"]));
    assert_eq!(found(&searched, "television").await, names(&["television.txt"]));
    let circle = json!([
        { "from": ["tv"], "to": ["television"] },
        { "from": ["television"], "to": ["canteen", "automobile"] },
        { "from": ["automobile"], "to": ["tv"] },
        { "words": ["tv", "television"] },
    ]);
    set(&searched, circle).await;
    assert_eq!(found(&searched, "tv").await, names(&["tv.txt", "television.txt"]));
    let expected = names(&["tv.txt", "television.txt", "automobile.txt", "all.txt"]);
    assert_eq!(found(&searched, "television").await, expected);
    assert_eq!(found(&searched, "automobile").await, names(&["automobile.txt", "all.txt", "tv.txt"]));
    searched.app.stop().await;
}

#[actix_web::test]
async fn operators_and_the_search_by_vector_have_no_synonyms() {
    let searched = start().await;
    set(&searched, cars()).await;
    for query in ["\"car\"", "car*", "\"the car\""] {
        assert_eq!(found(&searched, query).await, names(&["car.txt"]), "{query}");
    }
    assert_eq!(found(&searched, "automobile -car").await, names(&["automobile.txt", "vehicle.txt", "all.txt"]));
    assert_eq!(found(&searched, "car -\"motor vehicle\"").await, names(&["car.txt", "automobile.txt"]));
    let vector = searched.search(json!({ "query": "car", "mode": "vector", "explain": true })).await;
    let hits = vector["hits"].as_array().unwrap();
    assert!(hits.iter().all(|hit| hit["explanation"]["synonyms"] == json!([])), "{vector}");
    searched.app.stop().await;
}

#[actix_web::test]
async fn phrases_among_many_passages_are_found_within_a_filter_and_on_all_pages() {
    let searched = start().await;
    set(&searched, cars()).await;
    let copies = |text: &str, count: usize| -> String {
        let line = format!("{text} It is one of a long list of entries that the clerk keeps by hand.");
        (0..count).map(|n| format!("## Entry {n}\n\n{} {n}.\n\n", [line.as_str(); 5].join(" "))).collect()
    };
    let mut searched = searched;
    let apart = copies("The vehicle was sold without its motor.", 30);
    let together = copies("The motor vehicle was sold.", 12);
    searched.add(&[TestFile::new("apart.md", &apart), TestFile::new("together.md", &together)]).await;
    let filter = json!({ "field": "name", "op": "in", "value": ["apart.md", "together.md", "parts.txt"] });
    let mut body = json!({ "query": "car", "mode": "text", "limit": 5, "filter": filter });
    let (mut chunks, mut files) = (Vec::new(), BTreeSet::new());
    loop {
        let page = searched.search(body.clone()).await;
        let hits = page["hits"].as_array().unwrap();
        assert!(hits.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()), "{page}");
        chunks.extend(hits.iter().map(|hit| hit["chunkId"].as_str().unwrap().to_owned()));
        files.extend(hit_names(&page).into_iter().map(str::to_owned));
        if page["nextCursor"].is_null() {
            break;
        }
        body["cursor"] = page["nextCursor"].clone();
    }
    let unique: BTreeSet<&String> = chunks.iter().collect();
    assert_eq!((chunks.len(), unique.len()), (12, 12));
    assert_eq!(files, names(&["together.md"]));
    // A cursor belongs to a search with the same synonyms.
    let first = searched.search(json!({ "query": "vehicle", "mode": "text", "limit": 1 })).await;
    let next =
        json!({ "query": "vehicle", "mode": "text", "limit": 1, "synonyms": false, "cursor": first["nextCursor"] });
    searched.post("search", &next).await.problem(400, "invalid_cursor");
    searched.app.stop().await;
}

#[actix_web::test]
async fn synonyms_of_another_workspace_have_no_effect() {
    let searched = start().await;
    let other = searched.app.create_account("other").await;
    let workspace = searched.app.create_workspace(&other, "Wind").await;
    put(&searched.app, &other, &workspace, &cars(), None).await.expect(200);
    assert_eq!(found(&searched, "car").await, names(&["car.txt"]));
    set(&searched, json!([{ "words": ["car", "tv"] }])).await;
    assert_eq!(found(&searched, "car").await, names(&["car.txt", "tv.txt"]));
    assert_eq!(found(&searched, "automobile").await, names(&["automobile.txt", "all.txt"]));
    put(&searched.app, &searched.ada, &workspace, &cars(), None).await.problem(404, "not_found");
    searched.app.stop().await;
}

#[actix_web::test]
async fn evaluations_apply_synonyms_unless_they_are_switched_off() {
    let searched = start().await;
    set(&searched, cars()).await;
    let created = searched.post("query-sets", &json!({ "name": "Questions" })).await.expect(201);
    let path = format!("query-sets/{}", created["id"].as_str().unwrap());
    let line = json!({ "query": "car", "judgements": [{ "file": searched.files[1], "grade": 3 }] });
    searched.post(&format!("{path}/import"), &json!({ "jsonl": line.to_string() })).await.expect(200);
    for (settings, recall) in [(json!({ "mode": "text" }), 1.0), (json!({ "mode": "text", "synonyms": false }), 0.0)] {
        let started = searched.post(&format!("{path}/evaluations"), &json!({ "settings": settings })).await.expect(202);
        let path = searched.path(&format!("evaluations/{}", started["id"].as_str().unwrap()));
        let evaluation = wait_until("the evaluation has ended", async || {
            let evaluation = searched.app.get(&searched.ada, &path).await.expect(200);
            (evaluation["state"] != "running").then_some(evaluation)
        })
        .await;
        assert_eq!(evaluation["metrics"]["mean"]["recall"].as_f64(), Some(recall), "{evaluation}");
        assert_eq!(evaluation["settings"]["synonyms"], settings["synonyms"]);
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn document_is_read_replaced_and_deleted_by_revision() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}/synonyms");
    let first = app.get(&ada, &path).await;
    assert_eq!(first.header("etag"), "\"0\"");
    assert_eq!(first.expect(200), json!({ "sets": [] }));
    let put = async |sets: &Value, tag: Option<&str>| put(&app, &ada, &workspace, sets, tag).await;
    let sets = json!([{ "words": ["car", "motor vehicle"] }, { "from": ["tv", "telly"], "to": ["television"] }]);
    let stored = put(&sets, Some("\"0\"")).await;
    assert_eq!(stored.header("etag"), "\"1\"");
    let stored = stored.expect(200);
    assert!(stored["sets"] == sets && stored["updatedAt"].is_string(), "{stored}");
    assert_eq!(app.get(&ada, &path).await.expect(200), stored);
    put(&json!([]), Some("\"0\"")).await.problem(412, "precondition_failed");
    assert_eq!(put(&sets, None).await.header("etag"), "\"1\"", "the same sets are no change");

    let delete = async |tag: &str| {
        send(app.request(Method::DELETE, &path).bearer_auth(&ada.token).header("if-match", tag)).await
    };
    delete("\"0\"").await.problem(412, "precondition_failed");
    assert_eq!(delete("\"1\"").await.status, 204);
    assert_eq!(app.get(&ada, &path).await.expect(200)["sets"], json!([]));
    for table in ["synonym_set", "synonym_term"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    assert_eq!(app.delete(&ada, &path).await.status, 204, "there is nothing left to delete");
    // A revision is never used twice.
    put(&sets, Some("\"1\"")).await.problem(412, "precondition_failed");
    assert_eq!(put(&sets, Some("\"2\"")).await.header("etag"), "\"3\"");

    let log = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/activities?limit=3")).await.expect(200);
    let entries = log["items"].as_array().unwrap();
    let types: Vec<_> = entries.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["synonyms.updated", "synonyms.deleted", "synonyms.updated"]);
    assert_eq!(entries[0]["details"], json!({ "sets": 2 }));
    assert_eq!(entries[0]["object"], json!({ "kind": "synonyms", "id": workspace }));
    let sql =
        format!("select type from event where workspace_id = '{workspace}' and type like 'synonyms.%' order by seq");
    let events: Vec<String> = app.rows(&sql).await.iter().map(|row| row.try_get("", "type").unwrap()).collect();
    assert_eq!(events, ["synonyms.updated", "synonyms.deleted", "synonyms.updated"]);
    app.sql(&format!("delete from workspace where id = '{workspace}'")).await;
    for table in ["synonyms", "synonym_set", "synonym_term"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn bad_sets_are_rejected_with_their_places() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let fields = async |sets: &Value| {
        let problem = put(&app, &ada, &workspace, sets, None).await.problem(422, "invalid_body");
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let good = json!({ "words": ["car", "automobile"] });
    let words = |words: Value| json!([good, { "words": words }]);
    for (entry, why) in [
        (json!(""), "empty"),
        (json!("  "), "blank"),
        (json!("?! --"), "only punctuation"),
        (json!("x".repeat(101)), "too long"),
        (json!("one two three four five six"), "too many words"),
        (json!("a\tb"), "a control character"),
        (json!("TÍDE"), "a repetition"),
    ] {
        assert_eq!(fields(&words(json!(["tide", entry]))).await, ["sets[1].words[1]"], "{why}");
        let one_way = json!([{ "from": ["tide"], "to": ["tide", "ebb", entry] }]);
        assert_eq!(fields(&one_way).await, ["sets[0].to[2]"], "{why}");
    }
    let many: Vec<String> = (0..21).map(|n| format!("word{n}")).collect();
    for list in [json!(many), json!(["alone"]), json!([])] {
        assert_eq!(fields(&words(list)).await, ["sets[1].words"]);
    }
    for set in [
        json!({}),
        json!({ "from": ["tide"] }),
        json!({ "to": ["tide"] }),
        json!({ "words": ["tide", "ebb"], "from": ["tide"], "to": ["ebb"] }),
    ] {
        assert_eq!(fields(&json!([good, set])).await, ["sets[1]"], "{set}");
    }
    assert_eq!(fields(&json!([{ "from": [], "to": ["tide"] }])).await, ["sets[0].from"]);
    assert_eq!(fields(&json!(vec![good.clone(); 1_001])).await, ["sets"]);
    for sets in [json!([{ "words": null }]), json!([{ "words": ["a", 1] }]), json!([{ "text": ["a", "b"] }]), json!({})]
    {
        put(&app, &ada, &workspace, &sets, None).await.problem(422, "invalid_body");
    }
    put(&app, &ada, &workspace, &json!(vec![good; 1_000]), None).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn only_admins_change_synonyms() {
    let app = TestApp::start().await;
    let [ada, member] = [app.create_account("ada").await, app.create_account("member").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &member, "member").await;
    put(&app, &member, &workspace, &cars(), None).await.problem(403, "forbidden");
    let path = format!("/api/v1/workspaces/{workspace}/synonyms");
    app.delete(&member, &path).await.problem(403, "forbidden");
    assert_eq!(app.get(&member, &path).await.expect(200)["sets"], json!([]));
    app.stop().await;
}
