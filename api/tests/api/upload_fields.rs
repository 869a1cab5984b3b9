//! The fields of an upload that describe its files.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, part};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
}

impl Setup {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        Self { app, ada, workspace }
    }

    async fn upload(&self, form: Form) -> TestResponse {
        self.app.upload_form(&self.ada, &self.workspace, form, None).await
    }
}

/// The fields of a form in their order; `file` is a file with this name.
fn form(fields: &[(&str, &str)]) -> Form {
    fields.iter().fold(Form::new(), |form, (name, value)| match *name {
        "file" => form.part("file", part(value, value.as_bytes())),
        _ => form.text((*name).to_owned(), (*value).to_owned()),
    })
}

#[actix_web::test]
async fn fields_describe_the_next_file() {
    let setup = Setup::new().await;
    let metadata = json!({ "review": { "state": "draft" }, "year": 2026, "Größe": [1.5, null] });
    let fields = [
        ("tags", "manual"),
        ("metadata", &metadata.to_string()),
        ("tags", " safety "),
        ("tags", "manual"),
        ("externalId", "drive:1/a b"),
        ("file", "a.txt"),
        ("file", "b.txt"),
        ("tags", r#"["seal", "[x]"]"#),
        ("file", "c.txt"),
    ];
    let accepted = setup.upload(form(&fields)).await.expect(202);
    let described = |index: usize| {
        let file: &Value = &accepted["items"][index];
        assert_eq!(file["outcome"], "created");
        (file["name"].clone(), file.get("externalId").cloned(), file["tags"].clone(), file["metadata"].clone())
    };
    assert_eq!(
        described(0),
        (json!("a.txt"), Some(json!("drive:1/a b")), json!(["manual", "safety"]), metadata.clone())
    );
    assert_eq!(described(1), (json!("b.txt"), None, json!([]), json!({})));
    assert_eq!(described(2), (json!("c.txt"), None, json!(["seal", "[x]"]), json!({})));
    let id = accepted["items"][0]["id"].as_str().unwrap();
    let file = setup.app.file(&setup.ada, &setup.workspace, id).await;
    assert_eq!((&file["metadata"], file.get("outcome")), (&metadata, None));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn fields_may_follow_the_only_file() {
    let setup = Setup::new().await;
    let fields =
        [("tags", "manual"), ("file", "a.txt"), ("externalId", "a"), ("metadata", r#"{"a":1}"#), ("tags", "safety")];
    let accepted = setup.upload(form(&fields)).await.expect(202);
    let file = &accepted["items"][0];
    assert_eq!((&file["externalId"], &file["metadata"]), (&json!("a"), &json!({ "a": 1 })));
    assert_eq!(file["tags"], json!(["manual", "safety"]));

    let fields = [("file", "a.txt"), ("file", "b.txt"), ("tags", "manual")];
    let problem = setup.upload(form(&fields)).await.problem(422, "invalid_body");
    assert_eq!(
        (&problem["errors"][0]["field"], &problem["detail"]),
        (&json!("file"), &json!("of file 3 of the upload"))
    );
    let fields = [("externalId", "a"), ("file", "a.txt"), ("externalId", "b")];
    let problem = setup.upload(form(&fields)).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "externalId");
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn metadata_may_be_a_part_with_a_file_name_and_a_type() {
    let setup = Setup::new().await;
    let metadata = Part::text(r#"{"a":{"b":[1]}}"#).file_name("meta.json").mime_str("application/json").unwrap();
    let form = Form::new().part("metadata", metadata).part("file", part("a.txt", "a"));
    let accepted = setup.upload(form).await.expect(202);
    assert_eq!(accepted["items"][0]["metadata"], json!({ "a": { "b": [1] } }));
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn invalid_fields_are_named_and_leave_nothing_stored() {
    let setup = Setup::new().await;
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(8), "]".repeat(8));
    let large = json!({ "a": "x".repeat(65_536) }).to_string();
    let many_values = json!({ "a": vec![0; 4_096] }).to_string();
    let many_tags = json!((0..101).map(|n| n.to_string()).collect::<Vec<_>>()).to_string();
    let (long_tag, long_id) = ("x".repeat(101), "x".repeat(513));
    for (field, value) in [
        ("tags", ""),
        ("tags", " "),
        ("tags", "a\nb"),
        ("tags", "a\u{202e}b"),
        ("tags", "[1]"),
        ("tags", "[\"a\""),
        ("tags", long_tag.as_str()),
        ("tags", many_tags.as_str()),
        ("metadata", ""),
        ("metadata", "x"),
        ("metadata", "[]"),
        ("metadata", "null"),
        ("metadata", r#"{"a":1} x"#),
        ("metadata", r#"{"a":"\u0000"}"#),
        ("metadata", r#"{"a":1e999}"#),
        ("metadata", deep.as_str()),
        ("metadata", large.as_str()),
        ("metadata", many_values.as_str()),
        ("externalId", ""),
        ("externalId", "\t"),
        ("externalId", "a\u{0}b"),
        ("externalId", long_id.as_str()),
        ("collor", "red"),
    ] {
        // Of the second file: the first is stored by then.
        let fields = [("file", "first.txt"), (field, value), ("file", "second.txt")];
        let problem = setup.upload(form(&fields)).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        if field != "collor" {
            assert_eq!(problem["detail"], "of file 2 of the upload");
        }
    }
    for field in ["externalId", "metadata"] {
        let fields = [(field, "{}"), (field, "{}"), ("file", "a.txt")];
        let problem = setup.upload(form(&fields)).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let same_ids = [("externalId", "a"), ("file", "a.txt"), ("externalId", "a"), ("file", "b.txt")];
    let problem = setup.upload(form(&same_ids)).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "externalId");
    let only_fields = setup.upload(form(&[("tags", "a")])).await.problem(422, "invalid_body");
    assert_eq!(only_fields["errors"][0]["field"], "file");
    let not_text = Form::new().part("tags", Part::bytes(vec![0xff])).part("file", part("a.txt", "a"));
    setup.upload(not_text).await.problem(422, "invalid_body");

    assert_eq!(setup.app.count("file").await, 0);
    assert_eq!(setup.app.deployment.stored_objects().await, 0);
    setup.app.stop().await;
}

#[actix_web::test]
async fn largest_fields_are_accepted() {
    let setup = Setup::new().await;
    let tags: Vec<_> = (0..100).map(|n| format!("{n:🌊>100}")).collect();
    let metadata = json!({ "a": "x".repeat(65_536 - r#"{"a":""}"#.len()) }).to_string();
    let external_id = "🌊".repeat(512);
    let fields = [
        ("tags", &json!(tags).to_string()),
        ("metadata", &metadata),
        ("externalId", &external_id),
        ("file", &"a.txt".to_owned()),
    ];
    let fields = fields.map(|(name, value)| (name, value.as_str()));
    let accepted = setup.upload(form(&fields)).await.expect(202);
    let file = &accepted["items"][0];
    assert_eq!((&file["tags"], &file["externalId"]), (&json!(tags), &json!(external_id)));
    assert_eq!(setup.upload(form(&fields)).await.expect(202)["items"][0]["outcome"], "unchanged");
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn uploads_with_one_key_and_other_fields_are_different_requests() {
    let setup = Setup::new().await;
    let upload = async |fields: &[(&str, &str)]| {
        setup.app.upload_form(&setup.ada, &setup.workspace, form(fields), Some("once")).await
    };
    let fields = [("externalId", "a"), ("tags", "manual"), ("metadata", r#"{"a":1,"b":2}"#), ("file", "a.txt")];
    let first = upload(&fields).await.expect(202);
    let same =
        [("metadata", r#"{ "b": 2, "a": 1 }"#), ("tags", r#"["manual"]"#), ("externalId", "a"), ("file", "a.txt")];
    let again = upload(&same).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(202), first);
    for (changed, value) in [("externalId", "b"), ("tags", "safety"), ("metadata", "{}")] {
        let other = fields.map(|(name, old)| (name, if name == changed { value } else { old }));
        upload(&other).await.problem(422, "idempotency_key_reused");
    }
    upload(&[("file", "a.txt")]).await.problem(422, "idempotency_key_reused");
    assert_eq!(setup.app.count("file_version").await, 1);
    setup.app.stop_and_drop_jobs().await;
}
