//! Evaluations: searches of judged queries, their metrics, comparisons, and weights that are fitted to judgements.

use serde_json::{Value, json};

use crate::support::{Searched, TestApp, TestFile, part, spawn, wait_until};

/// Searched files, and a query set.
struct Setup {
    searched: Searched,
    /// The path of the set, in the workspace.
    set: String,
}

impl Setup {
    async fn new(files: &[(&str, &str)]) -> Self {
        let files: Vec<TestFile<'_>> = files.iter().map(|(name, content)| TestFile::new(name, content)).collect();
        let searched = Searched::new(&files).await;
        let set = new_set(&searched, "Questions").await;
        Self { searched, set }
    }

    fn file(&self, number: usize) -> &str {
        &self.searched.files[number]
    }

    async fn get(&self, path: &str) -> Value {
        self.searched.app.get(&self.searched.ada, &self.searched.path(path)).await.expect(200)
    }

    async fn judge(&self, query: &str, file: usize, grade: i16) {
        let path = self.searched.path(&format!("{}/judgements", self.set));
        self.searched
            .app
            .put(&self.searched.ada, &path, &json!({ "query": query, "file": self.file(file), "grade": grade }))
            .await
            .expect(200);
    }

    /// An evaluation that has ended.
    async fn evaluate(&self, body: Value) -> Value {
        self.evaluate_set(&self.set, body).await
    }

    async fn evaluate_set(&self, set: &str, body: Value) -> Value {
        let started = self.searched.post(&format!("{set}/evaluations"), &body).await.expect(202);
        let path = format!("evaluations/{}", started["id"].as_str().unwrap());
        wait_until("the evaluation has ended", async || {
            let evaluation = self.get(&path).await;
            (evaluation["state"] != "running").then_some(evaluation)
        })
        .await
    }

    async fn compare(&self, first: &Value, second: &Value) -> Value {
        let id = |evaluation: &Value| evaluation["id"].as_str().unwrap().to_owned();
        self.get(&format!("evaluations/{}/comparisons/{}", id(first), id(second))).await
    }

    async fn queries(&self, evaluation: &Value) -> Vec<Value> {
        let page = self.get(&format!("evaluations/{}/queries", evaluation["id"].as_str().unwrap())).await;
        page["items"].as_array().unwrap().clone()
    }
}

/// Creates a set; returns its path in the workspace.
async fn new_set(searched: &Searched, name: &str) -> String {
    let set = searched.post("query-sets", &json!({ "name": name })).await.expect(201);
    format!("query-sets/{}", set["id"].as_str().unwrap())
}

fn assert_near(value: &Value, expected: f64) {
    let number = value.as_f64().unwrap_or(f64::NAN);
    assert!((number - expected).abs() < 1e-9, "{value} is not {expected}");
}

const TIDE: [(&str, &str); 4] = [
    ("often.txt", "Tide after tide, the tide turns."),
    ("once.txt", "The tide is one of many words of this longer sentence about the water of the estuary."),
    ("seals.txt", "Seals rest on sand banks at low water."),
    ("birds.txt", "Terns dive for fish near the barrage."),
];

#[actix_web::test]
async fn metrics_are_those_computed_by_hand() {
    let setup = Setup::new(&TIDE).await;
    let found = setup.searched.search(json!({ "query": "tide", "mode": "text", "groupBy": "file" })).await;
    let files: Vec<&Value> = found["groups"].as_array().unwrap().iter().map(|group| &group["file"]["id"]).collect();
    assert_eq!(files, [setup.file(0), setup.file(1)]);
    for (file, grade) in [(0, 1), (1, 3), (2, 2)] {
        setup.judge("tide", file, grade).await;
    }
    let unknown = json!({ "id": "q2", "query": "seals", "judgements": [
        { "externalId": "drive/none", "grade": 3 }, { "file": setup.file(0), "grade": 0 }] });
    let import = format!("{}/import", setup.set);
    setup.searched.post(&import, &json!({ "jsonl": unknown.to_string() })).await.expect(200);

    let evaluation = setup.evaluate(json!({ "settings": { "mode": "text" } })).await;
    assert_eq!(evaluation["state"], "done", "{evaluation}");
    let counts = ["queries", "done", "k", "revision"].map(|field| evaluation[field].as_i64().unwrap());
    assert_eq!(counts, [2, 2, 10, 5], "{evaluation}");
    let metrics = &evaluation["metrics"];
    let counts = ["measured", "skipped", "unresolved"].map(|field| metrics[field].as_i64().unwrap());
    assert_eq!(counts, [1, 1, 1], "{evaluation}");
    // Grades 1 and 3 were found; 3, 2, 1 is the best order.
    let log3 = 3_f64.log2();
    assert_near(&metrics["mean"]["ndcg10"], (1.0 + 3.0 / log3) / (3.0 + 2.0 / log3 + 0.5));
    assert_near(&metrics["mean"]["recall"], 2.0 / 3.0);
    assert_near(&metrics["mean"]["precision"], 0.2);
    assert_near(&metrics["mean"]["mrr"], 1.0);
    assert_near(&metrics["mean"]["judged10"], 1.0);
    let at_1 = setup.evaluate(json!({ "settings": { "mode": "text" }, "k": 1 })).await;
    assert_near(&at_1["metrics"]["mean"]["recall"], 1.0 / 3.0);
    assert_near(&at_1["metrics"]["mean"]["precision"], 1.0);

    let queries = setup.queries(&evaluation).await;
    assert_eq!((&queries[0]["query"], &queries[1]["externalId"]), (&json!("tide"), &json!("q2")));
    let hits = queries[0]["hits"].as_array().unwrap();
    assert_eq!(hits[0], json!({ "file": setup.file(0), "start": 0, "end": TIDE[0].1.len(), "grade": 1 }));
    assert_eq!(hits.len(), 2);
    assert!(queries[1].get("metrics").is_none() && queries[1]["unresolved"] == 1, "{}", queries[1]);
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn evaluations_are_listed_by_set_and_collection_over_time() {
    let setup = Setup::new(&TIDE).await;
    setup.judge("tide", 0, 1).await;
    let other = setup.searched.post("collections", &json!({ "name": "empty" })).await.expect(201);
    let first = setup.evaluate(json!({ "settings": { "mode": "text", "collections": ["default"] } })).await;
    let second = setup.evaluate(json!({ "settings": { "mode": "text", "collections": ["empty"] } })).await;
    assert_near(&first["metrics"]["mean"]["recall"], 1.0);
    assert_near(&second["metrics"]["mean"]["recall"], 0.0);
    assert_eq!(second["settings"]["collections"], json!([other["id"]]));
    let ids = async |query: &str| -> Vec<Value> {
        let page = setup.get(&format!("evaluations?{query}")).await;
        page["items"].as_array().unwrap().iter().map(|evaluation| evaluation["id"].clone()).collect()
    };
    let set = setup.set.split_once('/').unwrap().1;
    assert_eq!(ids(&format!("querySet={set}")).await, [second["id"].clone(), first["id"].clone()]);
    let collection = other["id"].as_str().unwrap();
    assert_eq!(ids(&format!("collection={collection}")).await, [second["id"].clone()]);
    assert!(ids(&format!("querySet={collection}")).await.is_empty());
    let path = setup.searched.path(&format!("evaluations/{}", first["id"].as_str().unwrap()));
    assert_eq!(setup.searched.app.delete(&setup.searched.ada, &path).await.status, 204);
    assert_eq!(ids("").await, [second["id"].clone()]);
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn settings_are_compared_on_the_same_queries() {
    let setup = Setup::new(&TIDE).await;
    // Words of the file, and a question that has none of them.
    for (query, file) in [("seals", 2), ("Which birds catch food?", 3), ("tide", 1)] {
        setup.judge(query, file, 1).await;
    }
    let text = setup.evaluate(json!({ "settings": { "mode": "text" } })).await;
    let hybrid = setup.evaluate(json!({ "settings": { "mode": "hybrid", "rerank": "neighbours" } })).await;
    let comparison = setup.compare(&text, &hybrid).await;
    assert_eq!((&comparison["queries"], &comparison["sameJudgements"]), (&json!(3), &json!(true)), "{comparison}");
    let ndcg = &comparison["ndcg10"];
    assert_near(&ndcg["first"], text["metrics"]["mean"]["ndcg10"].as_f64().unwrap());
    assert_near(&ndcg["second"], hybrid["metrics"]["mean"]["ndcg10"].as_f64().unwrap());
    let counts = ["wins", "losses", "ties"].map(|field| ndcg[field].as_i64().unwrap());
    assert!(counts[0] >= 1 && counts.iter().sum::<i64>() == 3, "{comparison}");
    assert!((0.25..=1.0).contains(&ndcg["p"].as_f64().unwrap()), "{comparison}");
    let changed = comparison["changed"].as_array().unwrap();
    let birds = changed.iter().find(|query| query["query"] == "Which birds catch food?").unwrap();
    assert_eq!(birds["first"], 0.0);
    assert!(birds["second"].as_f64().unwrap() > 0.0, "{comparison}");

    let same = setup.compare(&text, &text).await;
    assert_eq!((&same["ndcg10"]["p"], &same["ndcg10"]["ties"]), (&json!(1.0), &json!(3)), "{same}");
    let other = new_set(&setup.searched, "Other").await;
    let other = setup.evaluate_set(&other, json!({})).await;
    assert_eq!((&other["state"], &other["metrics"]["measured"]), (&json!("done"), &json!(0)), "{other}");
    let path = format!("evaluations/{}/comparisons/{}", text["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    let path = setup.searched.path(&path);
    setup.searched.app.get(&setup.searched.ada, &path).await.problem(409, "not_comparable");
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn feedback_changes_the_next_evaluation() {
    let setup = Setup::new(&TIDE).await;
    setup.judge("tide", 0, 1).await;
    let settings = json!({ "settings": { "mode": "text" } });
    let before = setup.evaluate(settings.clone()).await;
    assert_near(&before["metrics"]["mean"]["judged10"], 0.5);
    assert_near(&before["metrics"]["mean"]["precision"], 0.1);
    setup.judge("tide", 1, 2).await;
    let after = setup.evaluate(settings.clone()).await;
    assert_near(&after["metrics"]["mean"]["judged10"], 1.0);
    assert_near(&after["metrics"]["mean"]["precision"], 0.2);
    let comparison = setup.compare(&before, &after).await;
    assert_eq!((&comparison["sameJudgements"], &comparison["ndcg10"]["losses"]), (&json!(false), &json!(1)));

    // A deleted file is not missed.
    let path = setup.searched.path(&format!("files/{}", setup.file(1)));
    assert_eq!(setup.searched.app.delete(&setup.searched.ada, &path).await.status, 204);
    let last = setup.evaluate(settings).await;
    assert_near(&last["metrics"]["mean"]["recall"], 1.0);
    assert_near(&last["metrics"]["mean"]["ndcg10"], 1.0);
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn judged_passage_counts_where_the_hit_overlaps_it() {
    let setup = Setup::new(&TIDE).await;
    for (query, start, end) in [("tide", 0, 10), ("turns", 500, 600)] {
        let line = json!({ "query": query, "judgements": [
            { "file": setup.file(0), "grade": 1, "start": start, "end": end }] });
        let path = format!("{}/import", setup.set);
        setup.searched.post(&path, &json!({ "jsonl": line.to_string() })).await.expect(200);
    }
    let evaluation = setup.evaluate(json!({ "settings": { "mode": "text" } })).await;
    let queries = setup.queries(&evaluation).await;
    assert_eq!((&queries[0]["metrics"]["mrr"], &queries[1]["metrics"]["mrr"]), (&json!(1.0), &json!(0.0)));
    assert!(queries[1]["hits"][0].get("grade").is_none(), "{}", queries[1]);
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn weights_are_fitted_to_the_judgements() {
    let setup = Setup::new(&TIDE).await;
    for (query, file) in [("tide turns", 0), ("seals", 2), ("terns", 3), ("estuary", 1), ("barrage", 3)] {
        setup.judge(query, file, 1).await;
    }
    let evaluation = setup.evaluate(json!({ "fitWeights": true })).await;
    assert_eq!(evaluation["state"], "done", "{evaluation}");
    let fit = &evaluation["fit"];
    let number = |value: &Value| value.as_f64().unwrap();
    let (text, vector) = (number(&fit["weights"]["text"]), number(&fit["weights"]["vector"]));
    assert!((text + vector - 1.0).abs() < 1e-9, "{fit}");
    let grid = fit["grid"].as_array().unwrap();
    let best = grid.iter().map(|point| number(&point["ndcg10"])).fold(0.0, f64::max);
    assert_eq!(grid.len(), 9);
    assert_near(&fit["ndcg10"], best);
    assert_near(&evaluation["metrics"]["mean"]["ndcg10"], best);
    assert_near(&fit["equalWeights"], number(&grid[4]["ndcg10"]));
    assert!((0.0..=1.0).contains(&number(&fit["crossValidated"])), "{fit}");

    // The weights are those of searches, and an evaluation with them has the same metrics.
    let weighted = json!({ "query": "tide", "weights": fit["weights"] });
    assert!(!setup.searched.search(weighted).await["hits"].as_array().unwrap().is_empty());
    let again = setup.evaluate(json!({ "settings": { "weights": fit["weights"] } })).await;
    assert_near(&again["metrics"]["mean"]["ndcg10"], best);
    let body = json!({ "fitWeights": true, "settings": { "mode": "text" } });
    let problem = setup.searched.post(&format!("{}/evaluations", setup.set), &body).await;
    assert_eq!(problem.problem(422, "invalid_body")["errors"][0]["field"], "fitWeights");
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn weights_decide_between_the_legs_of_a_hybrid_search() {
    let setup = Setup::new(&TIDE).await;
    let first = async |fields: Value| {
        let mut body = json!({ "query": "Where do marine animals lie on the beach? longer" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        setup.searched.search(body).await["hits"][0]["file"]["id"].clone()
    };
    let (by_words, by_meaning) = (first(json!({ "mode": "text" })).await, first(json!({ "mode": "vector" })).await);
    assert_eq!(by_words, json!(setup.file(1)));
    assert_ne!(by_words, by_meaning);
    assert_eq!(first(json!({ "weights": { "text": 1.0, "vector": 0.01 } })).await, by_words);
    assert_eq!(first(json!({ "weights": { "text": 0.01, "vector": 1.0 } })).await, by_meaning);
    for weights in [json!({ "text": 0, "vector": 1 }), json!({ "text": 1 }), json!({ "text": 2, "vector": 1 })] {
        setup
            .searched
            .post("search", &json!({ "query": "tide", "weights": weights }))
            .await
            .problem(422, "invalid_body");
    }
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn thousand_queries_are_evaluated() {
    let setup = Setup::new(&TIDE).await;
    let topics: String = (0..1_000).map(|n| format!("{n}\tseals {n}\n")).collect();
    let qrels: String = (0..1_000).map(|n| format!("{n} 0 {} 1\n", setup.file(2))).collect();
    let path = format!("{}/import", setup.set);
    setup.searched.post(&path, &json!({ "topics": topics, "qrels": qrels })).await.expect(200);
    let evaluation = setup.evaluate(json!({ "settings": { "mode": "text" } })).await;
    assert_eq!(
        (&evaluation["done"], &evaluation["metrics"]["measured"]),
        (&json!(1_000), &json!(1_000)),
        "{evaluation}"
    );
    assert_near(&evaluation["metrics"]["mean"]["recall"], 1.0);
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn evaluation_has_each_query_once_when_workers_are_killed() {
    const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
    const QUERIES: u64 = 400;
    let app = TestApp::start_with(&[LOCAL]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = |path: &str| format!("/api/v1/workspaces/{workspace}/{path}");
    let mut worker = spawn("nvisy-worker", &app.deployment, &[LOCAL]);
    let parts = TIDE.iter().map(|(name, content)| part(name, (*content).to_owned())).collect();
    let accepted = app.upload(&ada, &workspace, parts).await.expect(202);
    for file in accepted["items"].as_array().unwrap() {
        app.finished_file(&ada, &workspace, file["id"].as_str().unwrap()).await;
    }
    let seals = accepted["items"][2]["id"].as_str().unwrap();
    let set = app.post(&ada, &path("query-sets"), &json!({ "name": "Questions" })).await.expect(201);
    let set = path(&format!("query-sets/{}", set["id"].as_str().unwrap()));
    let topics: String = (0..QUERIES).map(|n| format!("{n}\tseals on bank {n}\n")).collect();
    let qrels: String = (0..QUERIES).map(|n| format!("{n} 0 {seals} 1\n")).collect();
    app.post(&ada, &format!("{set}/import"), &json!({ "topics": topics, "qrels": qrels })).await.expect(200);
    let started = app.post(&ada, &format!("{set}/evaluations"), &json!({ "settings": {} })).await.expect(202);
    let evaluation = path(&format!("evaluations/{}", started["id"].as_str().unwrap()));
    let mut killed_at = Vec::new();
    let ended = loop {
        let now = app.get(&ada, &evaluation).await.expect(200);
        if now["state"] != "running" {
            break now;
        }
        let done = now["done"].as_u64().unwrap();
        if killed_at.len() < 3 && done > killed_at.last().copied().unwrap_or(0) {
            worker.kill().await.expect("a killed worker");
            killed_at.push(done);
            worker = spawn("nvisy-worker", &app.deployment, &[LOCAL]);
        }
    };
    assert_eq!(killed_at.len(), 3, "the evaluation was over before it could be disturbed: {killed_at:?}");
    assert_eq!((&ended["state"], &ended["done"]), (&json!("done"), &json!(QUERIES)), "{ended}");
    assert_eq!(ended["metrics"]["measured"], QUERIES, "{ended}");
    assert_near(&ended["metrics"]["mean"]["mrr"], 1.0);
    let mut queries = Vec::new();
    let mut page = app.get(&ada, &format!("{evaluation}/queries?limit=100")).await.expect(200);
    loop {
        queries.extend(page["items"].as_array().unwrap().iter().map(|query| query["externalId"].to_string()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        page = app.get(&ada, &format!("{evaluation}/queries?limit=100&cursor={cursor}")).await.expect(200);
    }
    queries.sort();
    queries.dedup();
    assert_eq!(queries.len() as u64, QUERIES);
    wait_until("no job is left", async || (app.count("job").await == 0).then_some(())).await;
    assert_eq!(app.count("dead_job").await, 0);
    drop(worker);
    app.stop().await;
}

#[actix_web::test]
async fn evaluation_of_a_deleted_collection_fails_and_a_deleted_one_ends() {
    let mut app = TestApp::start_with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = |path: &str| format!("/api/v1/workspaces/{workspace}/{path}");
    app.post(&ada, &path("collections"), &json!({ "name": "reports" })).await.expect(201);
    let set = app.post(&ada, &path("query-sets"), &json!({ "name": "Questions" })).await.expect(201);
    let set = path(&format!("query-sets/{}", set["id"].as_str().unwrap()));
    app.post(&ada, &format!("{set}/import"), &json!({ "topics": "1\ttide" })).await.expect(200);
    let start =
        async |settings: Value| app.post(&ada, &format!("{set}/evaluations"), &json!({ "settings": settings })).await;
    start(json!({ "collections": ["none"] })).await.problem(404, "not_found");
    start(json!({ "secondSpace": true })).await.problem(409, "second_space_not_ready");
    start(json!({ "filter": { "field": "colour", "op": "eq", "value": "blue" } })).await.problem(400, "invalid_filter");
    start(json!({ "limit": 3 })).await.problem(422, "invalid_body");
    let failing = start(json!({ "collections": ["reports"] })).await.expect(202);
    let deleted = start(json!({})).await.expect(202);
    for _ in 0..3 {
        start(json!({ "mode": "text" })).await.expect(202);
    }
    // Five run, as long as there is no worker.
    start(json!({})).await.problem(409, "quota_exceeded");
    let evaluation = |evaluation: &Value| path(&format!("evaluations/{}", evaluation["id"].as_str().unwrap()));
    let running = app.get(&ada, &evaluation(&failing)).await.expect(200);
    assert_eq!((&running["state"], &running["done"]), (&json!("running"), &json!(0)));
    assert_eq!(app.delete(&ada, &evaluation(&deleted)).await.status, 204);
    assert_eq!(app.delete(&ada, &path("collections/reports")).await.status, 204);
    app.start_worker().await;
    let failed = wait_until("the evaluations have ended", async || {
        let page = app.get(&ada, &path("evaluations")).await.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        let has_ended = items.len() == 4 && items.iter().all(|evaluation| evaluation["state"] != "running");
        has_ended.then(|| items.into_iter().find(|evaluation| evaluation["id"] == failing["id"]).unwrap())
    })
    .await;
    assert_eq!(failed["failure"]["code"], "collection_not_found", "{failed}");
    app.get(&ada, &evaluation(&deleted)).await.problem(404, "not_found");
    wait_until("no job is left", async || (app.count("job").await == 0).then_some(())).await;
    app.stop().await;
}

#[actix_web::test]
async fn language_of_an_evaluation_decides_on_the_forms_of_words() {
    let german =
        "Die Häuser am Hafen sind verkauft worden, und im Frühjahr ziehen die neuen Bewohner mit ihren Kindern ein.";
    let setup = Setup::new(&[("houses.txt", german)]).await;
    setup.judge("Häusern", 0, 3).await;
    for (language, recall) in [("de", 1.0), ("en", 0.0)] {
        let evaluation = setup.evaluate(json!({ "settings": { "mode": "text", "language": language } })).await;
        assert_eq!(evaluation["settings"]["language"], language, "{evaluation}");
        assert_near(&evaluation["metrics"]["mean"]["recall"], recall);
    }
    setup.searched.app.stop().await;
}
