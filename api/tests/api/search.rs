//! Search over uploaded files.

use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, part, send};

async fn start(files: &[(&str, &str)]) -> (TestApp, TestAccount, String) {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.upload_and_index(&ada, &workspace, files).await;
    (app, ada, workspace)
}

impl TestApp {
    async fn upload_and_index(&self, account: &TestAccount, workspace: &str, files: &[(&str, &str)]) -> Vec<String> {
        let parts = files.iter().map(|(name, text)| part(name, *text)).collect();
        let accepted = self.upload(account, workspace, parts).await.expect(202);
        let mut ids = Vec::new();
        for file in accepted["items"].as_array().unwrap() {
            let id = file["id"].as_str().unwrap().to_owned();
            assert_eq!(self.finished_file(account, workspace, &id).await["state"], "ready");
            ids.push(id);
        }
        ids
    }

    async fn search(&self, account: &TestAccount, workspace: &str, body: Value) -> Value {
        self.post(account, &format!("/api/v1/workspaces/{workspace}/search"), &body).await.expect(200)
    }
}

fn names(response: &Value) -> Vec<&str> {
    response["hits"].as_array().unwrap().iter().map(|hit| hit["file"]["name"].as_str().unwrap()).collect()
}

const FILES: [(&str, &str); 3] = [
    (
        "blades.md",
        "# Blades\n\n## Cleaning\n\nDivers scrape barnacles from the rotor blades every six weeks in summer.\n",
    ),
    ("seals.md", "# Seals\n\nGrey seals rest on the sandbank. Observers count the pups from a hide in November.\n"),
    ("cable.txt", "The export cable to the substation carries 33 kilovolts. Fault code E-417 means a blown fuse.\n"),
];

#[actix_web::test]
async fn vector_text_and_hybrid_modes_find_the_expected_files() {
    let (app, ada, workspace) = start(&FILES).await;
    // Vector search: the query has no word in common with the file.
    let vector_search = json!({ "query": "removing marine growth under water", "mode": "vector", "explain": true });
    let response = app.search(&ada, &workspace, vector_search).await;
    assert_eq!(names(&response)[0], "blades.md");
    assert_eq!((names(&response).len(), response["plan"].as_str()), (3, Some("exact")), "as many results as match");
    assert!(response["hits"][0]["scores"]["text"].is_null());
    // Text search: a code without a meaning.
    let text_search = app.search(&ada, &workspace, json!({ "query": "E-417", "mode": "text" })).await;
    assert_eq!(names(&text_search), ["cable.txt"]);
    assert!(text_search["hits"][0]["scores"]["vector"].is_null());
    // Hybrid search, the default.
    let hybrid = app.search(&ada, &workspace, json!({ "query": "Where do seals have their pups?", "limit": 2 })).await;
    assert_eq!((names(&hybrid)[0], hybrid["mode"].as_str(), names(&hybrid).len()), ("seals.md", Some("hybrid"), 2));
    let scores: Vec<_> = hybrid["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b));
    app.stop().await;
}

#[actix_web::test]
async fn hit_carries_headings_offsets_and_highlights() {
    let (app, ada, workspace) = start(&FILES).await;
    let response = app.search(&ada, &workspace, json!({ "query": "scraping barnacles", "limit": 1 })).await;
    let hit = &response["hits"][0];
    assert_eq!(hit["headingPath"], json!(["Blades", "Cleaning"]));
    let id = hit["file"]["id"].as_str().unwrap();
    let text = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files/{id}/text")).await.text;
    let at = |name: &str| usize::try_from(hit[name].as_u64().unwrap()).unwrap();
    let passage = &text[at("start")..at("end")];
    let snippet = hit["snippet"]["text"].as_str().unwrap();
    assert!(passage.contains(snippet), "`{passage}` does not contain `{snippet}`");
    let words: Vec<_> = hit["snippet"]["highlights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| &snippet[range["start"].as_u64().unwrap() as usize..range["end"].as_u64().unwrap() as usize])
        .collect();
    assert_eq!(words, ["scrape", "barnacles"]);
    app.stop().await;
}

#[actix_web::test]
async fn deleted_files_and_other_workspaces_files_are_not_found() {
    let (app, ada, workspace) = start(&FILES).await;
    let other = app.create_workspace(&ada, "Wind").await;
    let ids = app
        .upload_and_index(&ada, &other, &[("rotor.txt", "Rotor blades of wind turbines are cleaned by callers.")])
        .await;
    let query = || json!({ "query": "cleaning rotor blades" });
    assert!(!names(&app.search(&ada, &workspace, query()).await).contains(&"rotor.txt"));
    assert_eq!(names(&app.search(&ada, &other, query()).await), ["rotor.txt"]);
    // A filter by id finds the file only in its own workspace; elsewhere its id is like an unknown one.
    let by_id = |id: &str| {
        let filter = json!({ "field": "id", "op": "eq", "value": id });
        json!({ "query": "cleaning rotor blades", "filter": filter })
    };
    assert_eq!(names(&app.search(&ada, &other, by_id(&ids[0])).await), ["rotor.txt"]);
    for id in [&ids[0], &nvisy_shared::id::new().to_string()] {
        assert_eq!(names(&app.search(&ada, &workspace, by_id(id)).await), [""; 0]);
    }
    let path = format!("/api/v1/workspaces/{other}/files/{}", ids[0]);
    let delete = app.request(reqwest::Method::DELETE, &path).bearer_auth(&ada.token);
    assert_eq!(send(delete).await.status, 204);
    assert_eq!(names(&app.search(&ada, &other, query()).await), [""; 0]);
    app.stop().await;
}

#[actix_web::test]
async fn unusual_queries_succeed_and_invalid_ones_are_rejected() {
    let (app, ada, workspace) = start(&FILES).await;
    for query in ["the of and", "!?;:'\"\\()&|", &"tide ".repeat(1999), "水", "a:* & !b"] {
        for mode in ["hybrid", "vector", "text"] {
            app.search(&ada, &workspace, json!({ "query": query, "mode": mode })).await;
        }
    }
    let path = format!("/api/v1/workspaces/{workspace}/search");
    for bad in [
        json!({}),
        json!({ "query": "" }),
        json!({ "query": "  " }),
        json!({ "query": "nul \u{0} here" }),
        json!({ "query": "x".repeat(10_001) }),
        json!({ "query": "x", "limit": 0 }),
        json!({ "query": "x", "limit": 101 }),
        json!({ "query": "x", "mode": "magic" }),
        json!({ "query": "x", "colour": "red" }),
        json!({ "vector": [0.1, 0.2], "mode": "vector" }),
        json!({ "vector": vec![0.0; 384], "mode": "vector" }),
    ] {
        app.post(&ada, &path, &bad).await.problem(422, "invalid_body");
    }
    let given_vector = json!({ "vector": vec![0.05; 384], "mode": "vector", "limit": 1 });
    assert_eq!(names(&app.search(&ada, &workspace, given_vector).await).len(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn filter_narrows_the_hits_and_invalid_filters_are_named() {
    let (app, ada, workspace) = start(&FILES).await;
    let one = |field: &str, op: &str, value: Value| json!({ "field": field, "op": op, "value": value });
    let filter =
        json!({ "and": [one("name", "ne", json!("seals.md")), { "not": one("size", "gt", json!(1_000_000)) }] });
    for mode in ["hybrid", "vector"] {
        let query = json!({ "query": "grey seals", "mode": mode, "filter": filter });
        let response = app.search(&ada, &workspace, query).await;
        let mut found = names(&response);
        found.sort_unstable();
        assert_eq!(found, ["blades.md", "cable.txt"], "{mode}");
    }
    let path = format!("/api/v1/workspaces/{workspace}/search");
    let search_with = async |filter: Value| app.post(&ada, &path, &json!({ "query": "seals", "filter": filter })).await;
    let problem =
        search_with(json!({ "or": [one("colour", "eq", json!("grey"))] })).await.problem(400, "invalid_filter");
    assert!(problem["detail"].as_str().unwrap().starts_with("filter.or[0].field is not a field"), "{problem}");
    search_with(one("name", "like", json!("x"))).await.problem(400, "invalid_filter");
    let problem = search_with(one("size", "eq", json!("large"))).await.problem(422, "invalid_body");
    assert_eq!(
        problem["errors"],
        json!([{ "field": "filter.value", "message": "must be an integer of at most 2^53 - 1" }])
    );
    let problem = search_with(json!(7)).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "filter");
    app.stop().await;
}
