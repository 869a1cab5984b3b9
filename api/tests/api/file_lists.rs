//! Conditions of the list of files.

use reqwest::multipart::Form;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, part};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    files: String,
}

impl Setup {
    /// Five files from `0.txt` to `4.txt` with 1 to 5 bytes: the even ones have the tag `even`, all have their number.
    async fn new() -> Self {
        let app = TestApp::start().await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let form = (0..5).fold(Form::new(), |form, n| {
            let tags = if n % 2 == 0 { json!(["all", "even"]) } else { json!(["all"]) };
            let form = form.text("tags", tags.to_string()).text("metadata", json!({ "n": n }).to_string());
            form.text("externalId", format!("drive/{n} ü")).part("file", part(&format!("{n}.txt"), "x".repeat(n + 1)))
        });
        app.upload_form(&ada, &workspace, form, None).await.expect(202);
        Self { app, ada, files: format!("/api/v1/workspaces/{workspace}/files") }
    }

    async fn list(&self, query: &[(&str, &str)]) -> TestResponse {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.app.get(&self.ada, &format!("{}?{query}", self.files)).await
    }

    async fn names(&self, query: &[(&str, &str)]) -> Vec<String> {
        names(&self.list(query).await.expect(200))
    }
}

fn names(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().replace(".txt", "")).collect()
}

#[actix_web::test]
async fn list_has_the_files_that_match_every_condition() {
    let setup = Setup::new().await;
    let filter = |field: &str, op: &str, value: Value| json!({ "field": field, "op": op, "value": value }).to_string();
    assert_eq!(setup.names(&[("tag", "even")]).await, ["4", "2", "0"]);
    assert_eq!(setup.names(&[("tag", "odd")]).await, [""; 0]);
    assert_eq!(setup.names(&[("externalId", "drive/3 ü")]).await, ["3"]);
    assert_eq!(setup.names(&[("externalId", "drive/9")]).await, [""; 0]);
    let large = filter("size", "gte", json!(3));
    assert_eq!(setup.names(&[("filter", &large)]).await, ["4", "3", "2"]);
    assert_eq!(setup.names(&[("filter", &large), ("tag", "even")]).await, ["4", "2"]);
    assert_eq!(setup.names(&[("filter", &large), ("externalId", "drive/1 ü")]).await, [""; 0]);
    for (filter, expected) in [
        (filter("metadata.n", "in", json!([1, 2])), vec!["2", "1"]),
        (filter("name", "eq", json!("0.txt")), vec!["0"]),
        (filter("tags", "nin", json!(["even"])), vec!["3", "1"]),
        (filter("createdAt", "lt", json!("2000-01-01T00:00:00Z")), vec![]),
        (json!({ "or": [] }).to_string(), vec![]),
        (json!({ "and": [] }).to_string(), vec!["4", "3", "2", "1", "0"]),
    ] {
        assert_eq!(setup.names(&[("filter", &filter)]).await, expected, "{filter}");
    }

    let failed = "update file_version set state = 'failed', failure_code = 'timed_out' where bytes = 2";
    setup.app.sql(failed).await;
    assert_eq!(setup.names(&[("state", "failed")]).await, ["1"]);
    assert_eq!(setup.names(&[("state", "queued"), ("tag", "even")]).await, ["4", "2", "0"]);
    assert_eq!(setup.names(&[("failure", "timed_out")]).await, ["1"]);
    assert_eq!(setup.names(&[("failure", "corrupt")]).await, [""; 0]);
    assert_eq!(setup.names(&[("filter", &filter("state", "ne", json!("queued")))]).await, ["1"]);
    assert_eq!(setup.names(&[("filter", &filter("failure", "in", json!(["corrupt", "timed_out"])))]).await, ["1"]);
    setup.list(&[("state", "asleep")]).await.problem(400, "invalid_query");
    setup.list(&[("failure", "tired")]).await.problem(400, "invalid_query");

    let first = setup.list(&[("tag", "even"), ("limit", "2")]).await.expect(200);
    assert_eq!(names(&first), ["4", "2"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    let last = setup.list(&[("tag", "even"), ("limit", "2"), ("cursor", cursor)]).await.expect(200);
    assert_eq!((names(&last), last.get("nextCursor")), (vec!["0".to_owned()], None));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn filter_sees_the_newest_version() {
    let setup = Setup::new().await;
    let workspace = setup.files.split('/').nth(4).unwrap();
    setup.app.upload_as(&setup.ada, workspace, "drive/0 ü", &"x".repeat(100)).await;
    let filter = json!({ "field": "size", "op": "eq", "value": 100 }).to_string();
    assert_eq!(setup.names(&[("filter", &filter)]).await, ["tide"]);
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn invalid_conditions_are_named() {
    let setup = Setup::new().await;
    for (filter, field) in [
        ("", "filter"),
        ("x", "filter"),
        ("[]", "filter"),
        ("{}", "filter"),
        (r#"{"field":"size","op":"eq","value":"x"}"#, "filter.value"),
        (r#"{"and":[{"field":"size","op":"eq","value":1},{"or":1}]}"#, "filter.and[1].or"),
        (r#"{"field":"name","op":"eq","value":"\u0000"}"#, "filter.value"),
    ] {
        let problem = setup.list(&[("filter", filter)]).await.problem(400, "invalid_query");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for filter in [r#"{"field":"colour","op":"eq","value":1}"#, r#"{"field":"id","op":"gt","value":1}"#] {
        let problem = setup.list(&[("filter", filter)]).await.problem(400, "invalid_filter");
        assert!(problem["detail"].as_str().unwrap().starts_with("filter."), "{problem}");
    }
    setup.list(&[("tag", "a"), ("tag", "b")]).await.problem(400, "invalid_query");
    setup.list(&[("tag", "a\0")]).await.problem(400, "invalid_query");
    setup.list(&[("cursor", "x")]).await.problem(400, "invalid_cursor");
    setup.app.stop_and_drop_jobs().await;
}
