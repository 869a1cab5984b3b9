//! Query sets: queries and judgements are imported from JSON lines and from files of TREC, and hits are judged.

use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, part};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    /// The path of a set.
    set: String,
    file: String,
}

impl Setup {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "tide")]).await.expect(202);
        let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/workspaces/{workspace}/query-sets");
        let created = app.post(&ada, &path, &json!({ "name": "Questions" })).await;
        let set = created.header("location").to_owned();
        assert_eq!(created.expect(201)["queries"], 0);
        Self { app, ada, workspace, set, file }
    }

    async fn import(&self, body: &Value) -> TestResponse {
        self.app.post(&self.ada, &format!("{}/import", self.set), body).await
    }

    async fn judge(&self, body: &Value) -> TestResponse {
        self.app.put(&self.ada, &format!("{}/judgements", self.set), body).await
    }

    async fn queries(&self) -> Vec<Value> {
        let page = self.app.get(&self.ada, &format!("{}/queries?limit=100", self.set)).await.expect(200);
        page["items"].as_array().unwrap().clone()
    }

    async fn counts(&self) -> (i64, i64) {
        let set = self.app.get(&self.ada, &self.set).await.expect(200);
        (set["queries"].as_i64().unwrap(), set["judgements"].as_i64().unwrap())
    }
}

const TOPICS: &str = "<top>\n<num> Number: 301\n<title> When does the tide turn?\n</top>\n\
                      <top>\n<num> 302\n<title> Where do seals rest?\n</top>\n";

#[actix_web::test]
async fn topics_and_judgements_of_trec_are_imported() {
    let setup = Setup::new().await;
    let qrels = format!("301 0 drive/a.pdf 2\n301 0 drive/b.pdf 0\n302 0 {} 1\n", setup.file);
    let set = setup.import(&json!({ "topics": TOPICS, "qrels": qrels })).await.expect(200);
    assert_eq!((&set["queries"], &set["judgements"], &set["revision"]), (&json!(2), &json!(3), &json!(2)), "{set}");
    let queries = setup.queries().await;
    assert_eq!((&queries[0]["externalId"], &queries[0]["query"]), (&json!("301"), &json!("When does the tide turn?")));
    let judgements = json!([{ "externalId": "drive/a.pdf", "grade": 2 }, { "externalId": "drive/b.pdf", "grade": 0 }]);
    assert_eq!((&queries[0]["judgements"], &queries[0]["judgementCount"]), (&judgements, &json!(2)));
    // The id of a file is one.
    assert_eq!(queries[1]["judgements"], json!([{ "file": setup.file, "grade": 1 }]));

    // A later import changes texts and grades, and its judgements may be of queries that the set has.
    let topics = "301\tWhen does the current turn?\n303\tWhat do seals eat?\n";
    let set = setup.import(&json!({ "topics": topics, "qrels": "302 0 drive/c.pdf 3\n301 0 drive/a.pdf 1\n" })).await;
    let set = set.expect(200);
    assert_eq!((&set["queries"], &set["judgements"]), (&json!(3), &json!(4)), "{set}");
    let queries = setup.queries().await;
    assert_eq!(queries[0]["query"], "When does the current turn?");
    assert_eq!(queries[0]["judgements"][0], json!({ "externalId": "drive/a.pdf", "grade": 1 }));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn json_lines_are_imported() {
    let setup = Setup::new().await;
    let one = json!({ "query": "When?", "judgements": [
        { "file": setup.file, "grade": 3, "start": 0, "end": 4 }, { "externalId": "drive/a", "grade": 1 }] });
    let jsonl = format!("{one}\n\n{}\n", json!({ "id": "q2", "query": "Where?" }));
    let set = setup.import(&json!({ "jsonl": jsonl })).await.expect(200);
    assert_eq!((&set["queries"], &set["judgements"]), (&json!(2), &json!(2)), "{set}");
    // A query without an id is the one with the same text.
    let again = json!({ "query": "When?", "judgements": [{ "externalId": "drive/a", "grade": 2 }] });
    let set = setup.import(&json!({ "jsonl": again.to_string() })).await.expect(200);
    assert_eq!((&set["queries"], &set["judgements"]), (&json!(2), &json!(2)), "{set}");
    let judgements = setup.queries().await[0]["judgements"].clone();
    let expected = [
        json!({ "file": setup.file, "grade": 3, "start": 0, "end": 4 }),
        json!({ "externalId": "drive/a", "grade": 2 }),
    ];
    assert_eq!(judgements, json!(expected));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn bad_lines_are_named_and_nothing_is_imported() {
    let setup = Setup::new().await;
    let unknown = nvisy_shared::id::new();
    let good = json!({ "query": "When?" });
    for (body, field, line) in [
        (json!({ "jsonl": format!("{good}\n{{\n") }), "jsonl", 2),
        (
            json!({ "jsonl": format!("{good}\n{}", json!({ "query": "a", "judgements": [{ "externalId": "x", "grade": 9 }] })) }),
            "jsonl",
            2,
        ),
        (
            json!({ "jsonl": json!({ "query": "a", "judgements": [{ "file": unknown, "grade": 1 }] }).to_string() }),
            "jsonl",
            1,
        ),
        (json!({ "topics": "301 no tab" }), "topics", 1),
        (json!({ "topics": "<top>\n<num> 1\n</top>\n" }), "topics", 1),
        (json!({ "topics": TOPICS, "qrels": "301 0 a 1\n\n301 0 a x\n" }), "qrels", 3),
        (json!({ "topics": TOPICS, "qrels": "301 0 a 1\n999 0 a 1\n" }), "qrels", 2),
    ] {
        let problem = setup.import(&body).await.problem(422, "invalid_body");
        let error = &problem["errors"][0];
        let message = error["message"].as_str().unwrap();
        assert_eq!(error["field"], field, "{problem}");
        assert!(message.starts_with(&format!("line {line}: ")), "{problem}");
        assert_eq!(setup.counts().await, (0, 0));
    }
    setup.import(&json!({ "csv": "a" })).await.problem(422, "invalid_body");
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn set_beyond_its_limits_is_rejected_as_a_whole() {
    let setup = Setup::new().await;
    let topics = |from: usize, to: usize| (from..to).map(|n| format!("{n}\tquery {n}\n")).collect::<String>();
    let problem = setup.import(&json!({ "topics": topics(0, 1_001) })).await.problem(409, "quota_exceeded");
    assert_eq!(problem["errors"][0]["field"], "queries", "{problem}");
    setup.import(&json!({ "topics": topics(0, 1_000) })).await.expect(200);
    setup.import(&json!({ "topics": topics(1_000, 1_001) })).await.problem(409, "quota_exceeded");
    setup.judge(&json!({ "query": "another", "file": setup.file, "grade": 1 })).await.problem(409, "quota_exceeded");
    assert_eq!(setup.counts().await, (1_000, 0));
    let qrels = |from: usize, to: usize| (from..to).map(|n| format!("1 d{n} 1\n")).collect::<String>();
    for part in [qrels(0, 50_000), qrels(50_000, 100_000)] {
        setup.import(&json!({ "qrels": part })).await.expect(200);
    }
    let problem = setup.import(&json!({ "qrels": "1 0 more 1" })).await.problem(409, "quota_exceeded");
    assert_eq!(problem["errors"][0]["field"], "judgements", "{problem}");
    assert_eq!(setup.counts().await, (1_000, 100_000));
    setup.import(&json!({ "jsonl": " ".repeat(1 << 20) })).await.problem(413, "payload_too_large");
    let page = setup.app.get(&setup.ada, &format!("{}/queries?limit=2", setup.set)).await.expect(200);
    let query = &page["items"][1];
    assert_eq!((&query["judgementCount"], query["judgements"].as_array().unwrap().len()), (&json!(100_000), 100));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn hit_is_judged_again_and_its_judgement_withdrawn() {
    let setup = Setup::new().await;
    let judgement = |grade: Value| json!({ "query": " When? ", "file": setup.file, "grade": grade });
    let query = setup.judge(&judgement(json!(3))).await.expect(200);
    assert_eq!(
        (&query["query"], &query["judgements"]),
        (&json!("When?"), &json!([{ "file": setup.file, "grade": 3 }]))
    );
    let again = setup.judge(&judgement(json!(0))).await.expect(200);
    assert_eq!((&again["id"], &again["judgements"][0]["grade"]), (&query["id"], &json!(0)));
    let passage = json!({ "query": "When?", "file": setup.file, "start": 0, "end": 4, "grade": 2 });
    setup.judge(&passage).await.expect(200);
    assert_eq!(setup.counts().await, (1, 2));
    let withdrawn = setup.judge(&json!({ "query": "When?", "file": setup.file })).await.expect(200);
    assert_eq!(withdrawn["judgements"], json!([{ "file": setup.file, "start": 0, "end": 4, "grade": 2 }]));
    for (body, field) in [
        (json!({ "query": " ", "file": setup.file, "grade": 1 }), "query"),
        (json!({ "query": "a", "file": setup.file, "grade": 4 }), "grade"),
        (json!({ "query": "a", "file": setup.file, "grade": 1, "start": 5, "end": 5 }), "end"),
        (json!({ "query": "a", "file": setup.file, "grade": 1, "start": 5 }), "end"),
    ] {
        let problem = setup.judge(&body).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn judgement_of_a_deleted_file_goes_with_it_and_of_an_external_id_stays() {
    let setup = Setup::new().await;
    let line = json!({ "query": "When?", "judgements": [
        { "file": setup.file, "grade": 3 }, { "externalId": "drive/a", "grade": 1 }] });
    setup.import(&json!({ "jsonl": line.to_string() })).await.expect(200);
    let path = format!("/api/v1/workspaces/{}/files/{}", setup.workspace, setup.file);
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    assert_eq!(setup.queries().await[0]["judgements"], json!([{ "externalId": "drive/a", "grade": 1 }]));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn sets_have_names_and_are_deleted_with_their_queries() {
    let setup = Setup::new().await;
    let path = format!("/api/v1/workspaces/{}/query-sets", setup.workspace);
    let name = json!({ "name": "Questions" });
    setup.app.post(&setup.ada, &path, &name).await.problem(409, "name_taken");
    setup.import(&json!({ "topics": TOPICS, "qrels": "301 0 a 1" })).await.expect(200);
    assert_eq!(setup.app.get(&setup.ada, &path).await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(setup.app.delete(&setup.ada, &setup.set).await.status, 204);
    setup.app.get(&setup.ada, &setup.set).await.problem(404, "not_found");
    for table in ["query_set", "judged_query", "judgement"] {
        assert_eq!(setup.app.count(table).await, 0, "{table}");
    }
    setup.app.post(&setup.ada, &path, &name).await.expect(201);
    setup.app.stop_and_drop_jobs().await;
}
