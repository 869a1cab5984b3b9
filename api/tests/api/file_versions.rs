//! Versions of files: uploads with the external id of a file, and what search finds meanwhile.

use futures::future::join_all;
use reqwest::multipart::Form;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, part, wait_until};

async fn start(app: TestApp) -> (TestApp, TestAccount, String) {
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    (app, ada, workspace)
}

/// The texts that a search for the word finds.
async fn found(app: &TestApp, ada: &TestAccount, workspace: &str, word: &str) -> Vec<String> {
    let query = json!({ "query": word, "mode": "text" });
    let response = app.post(ada, &format!("/api/v1/workspaces/{workspace}/search"), &query).await.expect(200);
    let hits = response["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["snippet"]["text"].as_str().unwrap().to_owned()).collect()
}

async fn types(app: &TestApp, table: &str, column: &str) -> Vec<String> {
    let rows =
        app.rows(&format!("select {column} as type from {table} where {column} like 'file.%' order by seq")).await;
    rows.iter().map(|row| row.try_get("", "type").unwrap()).collect()
}

#[actix_web::test]
async fn upload_with_the_external_id_of_a_file_adds_a_version() {
    let (app, ada, workspace) = start(TestApp::start().await).await;
    let files = format!("/api/v1/workspaces/{workspace}/files");
    let first = app.upload_as(&ada, &workspace, "tides", "noon").await;
    assert_eq!((&first["outcome"], &first["version"]), (&json!("created"), &json!(1)));
    let path = format!("{files}/{}", first["id"].as_str().unwrap());
    let tag = app.get(&ada, &path).await.header("etag").to_owned();

    let second = app.upload_as(&ada, &workspace, "tides", "midnight").await;
    assert_eq!((&second["id"], &second["outcome"]), (&first["id"], &json!("new_version")));
    assert_eq!((&second["version"], &second["state"], &second["size"]), (&json!(2), &json!("queued"), &json!(8)));
    assert_ne!(second["versionId"], first["versionId"]);
    assert_ne!(app.get(&ada, &path).await.header("etag"), tag);
    // The content of the first version is a new content again.
    let third = app.upload_as(&ada, &workspace, "tides", "noon").await;
    assert_eq!((&third["version"], &third["sha256"]), (&json!(3), &first["sha256"]));
    // Other files: without an id, and with another one.
    app.upload(&ada, &workspace, vec![part("tide.txt", "noon")]).await.expect(202);
    assert_ne!(app.upload_as(&ada, &workspace, "Tides", "noon").await["id"], first["id"]);
    let other = app.create_workspace(&ada, "Wind").await;
    assert_ne!(app.upload_as(&ada, &other, "tides", "noon").await["id"], first["id"]);
    assert_eq!((app.count("file").await, app.count("file_version").await), (4, 6));
    assert_eq!((app.count("run").await, app.count("job").await), (6, 6));
    let usage = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/usage")).await.expect(200);
    assert_eq!((&usage["files"]["used"], &usage["bytes"]["used"]), (&json!(3), &json!(24)));

    let versions = app.get(&ada, &format!("{path}/versions?limit=2")).await.expect(200);
    let version = |item: &Value| (item["version"].clone(), item["id"].clone(), item["size"].clone());
    assert_eq!(version(&versions["items"][0]), (json!(3), third["versionId"].clone(), json!(4)));
    assert_eq!(version(&versions["items"][1]), (json!(2), second["versionId"].clone(), json!(8)));
    assert_eq!((&versions["items"][0]["live"], &versions["items"][0]["state"]), (&json!(false), &json!("queued")));
    let next = format!("{path}/versions?limit=2&cursor={}", versions["nextCursor"].as_str().unwrap());
    let versions = app.get(&ada, &next).await.expect(200);
    assert_eq!(version(&versions["items"][0]), (json!(1), first["versionId"].clone(), json!(4)));
    assert_eq!((versions["items"].as_array().unwrap().len(), versions.get("nextCursor")), (1, None));
    app.get(&ada, &format!("{files}/{workspace}/versions")).await.problem(404, "not_found");

    let content = async |version: &Value| {
        app.get(&ada, &format!("{path}/content?versionId={}", version["versionId"].as_str().unwrap())).await.text
    };
    assert_eq!((content(&first).await, content(&second).await), ("noon".to_owned(), "midnight".to_owned()));
    assert_eq!(app.get(&ada, &format!("{path}/content")).await.text, "noon");
    for kind in ["content", "text"] {
        let unknown = [nvisy_shared::id::new().to_string(), first["id"].as_str().unwrap().to_owned()];
        for version in unknown {
            app.get(&ada, &format!("{path}/{kind}?versionId={version}")).await.problem(404, "not_found");
        }
        app.get(&ada, &format!("{path}/{kind}?versionId=1")).await.problem(400, "invalid_query");
    }
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    // The id is free again.
    assert_eq!(app.upload_as(&ada, &workspace, "tides", "noon").await["outcome"], "created");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn identical_content_adds_no_version_and_stores_the_description() {
    let (app, ada, workspace) = start(TestApp::start().await).await;
    let upload = async |name: &str, fields: &[(&str, &str)]| {
        let form = Form::new().text("externalId", "tides");
        let form = fields.iter().fold(form, |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()));
        let form = form.part("file", part(name, "noon"));
        app.upload_form(&ada, &workspace, form, None).await.expect(202)["items"][0].take()
    };
    let first = upload("tide.txt", &[("tags", "manual"), ("metadata", r#"{"a":1}"#)]).await;
    let same = upload("tide.txt", &[("tags", "manual"), ("metadata", r#"{"a":1}"#)]).await;
    assert_eq!(same["outcome"], "unchanged");
    assert_eq!((&same["versionId"], &same["updatedAt"]), (&first["versionId"], &first["updatedAt"]));
    assert_eq!(types(&app, "event", "type").await, ["file.queued"]);

    // Fields that the upload does not have stay; metadata are replaced, not merged.
    let changed = upload("tides.txt", &[("metadata", r#"{"b":2}"#)]).await;
    assert_eq!((&changed["outcome"], &changed["version"]), (&json!("unchanged"), &json!(1)));
    assert_eq!((&changed["name"], &changed["tags"]), (&json!("tides.txt"), &json!(["manual"])));
    assert_eq!(changed["metadata"], json!({ "b": 2 }));
    let changed = upload("tides.txt", &[("tags", "[]")]).await;
    assert_eq!((&changed["tags"], &changed["metadata"]), (&json!([]), &json!({ "b": 2 })));
    assert_eq!(types(&app, "event", "type").await, ["file.queued", "file.updated", "file.updated"]);
    assert_eq!(types(&app, "activity", "action").await, ["file.uploaded", "file.updated", "file.updated"]);
    let log = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/activities?type=file.updated")).await.expect(200);
    assert_eq!(log["items"][1]["details"], json!({ "fields": ["name", "metadata"] }));

    // A new version may change the description as well.
    let form = Form::new().text("externalId", "tides").text("tags", "new").part("file", part("tides.txt", "dawn"));
    let versioned = app.upload_form(&ada, &workspace, form, None).await.expect(202);
    assert_eq!((&versioned["items"][0]["tags"], &versioned["items"][0]["version"]), (&json!(["new"]), &json!(2)));
    assert_eq!(types(&app, "event", "type").await[3..], ["file.updated", "file.queued"]);
    assert_eq!(app.deployment.stored_objects().await, 2);
    assert_eq!((app.count("file_version").await, app.count("run").await), (2, 2));
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn old_version_is_searchable_until_the_new_one_is_ready() {
    let (app, ada, workspace) = start(TestApp::start_with_worker(&[]).await).await;
    let first = app.upload_as(&ada, &workspace, "tides", "The tide turns at noon.").await;
    let id = first["id"].as_str().unwrap();
    assert_eq!(app.finished_file(&ada, &workspace, id).await["liveVersionId"], first["versionId"]);

    // Jobs wait for an hour, unless their time is changed.
    app.sql("alter table job alter column run_at set default now() + interval '1 hour'").await;
    let second = app.upload_as(&ada, &workspace, "tides", "The tide turns at midnight.").await;
    assert_eq!((&second["state"], &second["liveVersionId"]), (&json!("queued"), &first["versionId"]));
    assert_eq!(found(&app, &ada, &workspace, "tide").await, ["The tide turns at noon."]);
    let path = format!("/api/v1/workspaces/{workspace}/files/{id}");
    app.get(&ada, &format!("{path}/text")).await.problem(409, "not_extracted");
    let text = format!("{path}/text?versionId={}", first["versionId"].as_str().unwrap());
    assert_eq!(app.get(&ada, &text).await.text, "The tide turns at noon.");

    app.sql("alter table job alter column run_at set default now()").await;
    app.sql("update job set run_at = now()").await;
    let file = app.finished_file(&ada, &workspace, id).await;
    assert_eq!((&file["state"], &file["liveVersionId"]), (&json!("ready"), &second["versionId"]));
    assert_eq!(found(&app, &ada, &workspace, "tide").await, ["The tide turns at midnight."]);
    assert_eq!((app.count("chunk").await, app.count("embedding").await), (1, 1));
    let versions = app.get(&ada, &format!("{path}/versions")).await.expect(200);
    let live: Vec<_> = versions["items"].as_array().unwrap().iter().map(|version| version["live"] == true).collect();
    assert_eq!(live, [true, false]);
    app.stop().await;
}

#[actix_web::test]
async fn old_version_stays_searchable_when_the_new_one_fails() {
    let (app, ada, workspace) = start(TestApp::start_with_worker(&[]).await).await;
    let first = app.upload_as(&ada, &workspace, "tides", "The tide turns at noon.").await;
    let id = first["id"].as_str().unwrap();
    app.finished_file(&ada, &workspace, id).await;
    app.upload_as(&ada, &workspace, "tides", " ").await;
    let file = app.finished_file(&ada, &workspace, id).await;
    assert_eq!((&file["state"], &file["failure"]["code"]), (&json!("failed"), &json!("empty")), "{file}");
    assert_eq!((&file["version"], &file["liveVersionId"]), (&json!(2), &first["versionId"]));
    assert_eq!(found(&app, &ada, &workspace, "tide").await, ["The tide turns at noon."]);
    let versions = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files/{id}/versions")).await.expect(200);
    assert_eq!(versions["items"][0]["failure"]["code"], "empty");
    assert_eq!((&versions["items"][1]["state"], &versions["items"][1]["live"]), (&json!("ready"), &json!(true)));

    let third = app.upload_as(&ada, &workspace, "tides", "The tide turns at dawn.").await;
    wait_until("the third version is live", async || {
        (app.file(&ada, &workspace, id).await["liveVersionId"] == third["versionId"]).then_some(())
    })
    .await;
    assert_eq!(found(&app, &ada, &workspace, "tide").await, ["The tide turns at dawn."]);
    app.stop().await;
}

#[actix_web::test]
async fn version_that_is_overtaken_by_a_newer_one_leaves_nothing() {
    let (app, ada, workspace) = start(TestApp::start_with_worker(&[]).await).await;
    let long = "Blades foul faster in summer, when plankton blooms along the coast. ".repeat(3000);
    let first = app.upload_as(&ada, &workspace, "blades", &long).await;
    let id = first["id"].as_str().unwrap();
    wait_until("embedding has begun", async || {
        (app.file(&ada, &workspace, id).await["progress"]["stage"] == "embed").then_some(())
    })
    .await;
    let second = app.upload_as(&ada, &workspace, "blades", "Blades are cleaned in autumn.").await;
    app.wait_until_no_jobs_are_left().await;
    let file = app.file(&ada, &workspace, id).await;
    assert_eq!((&file["state"], &file["liveVersionId"]), (&json!("ready"), &second["versionId"]));
    assert_eq!(found(&app, &ada, &workspace, "blades").await, ["Blades are cleaned in autumn."]);
    assert_eq!((app.count("chunk").await, app.count("embedding").await), (1, 1));
    assert_eq!(app.count("dead_job").await, 0);
    assert_eq!(app.count("run where finished_at is null").await, 0);
    app.stop().await;
}

#[actix_web::test]
async fn new_version_without_an_enabled_pipeline_is_ready_at_once() {
    let (app, ada, workspace) = start(TestApp::start().await).await;
    app.sql("update pipeline set state = 'disabled'").await;
    app.upload_as(&ada, &workspace, "tides", "noon").await;
    let second = app.upload_as(&ada, &workspace, "tides", "midnight").await;
    assert_eq!((&second["version"], &second["state"]), (&json!(2), &json!("ready")));
    assert_eq!(second["liveVersionId"], second["versionId"]);
    let expected = ["file.queued", "file.ready", "file.queued", "file.ready"];
    assert_eq!(types(&app, "event", "type").await, expected);
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_uploads_with_one_external_id_are_numbered_in_one_order() {
    let (app, ada, workspace) = start(TestApp::start().await).await;
    let contents: Vec<_> = (0..8).map(|n| format!("content {n}")).collect();
    let uploaded = join_all(contents.iter().map(|content| app.upload_as(&ada, &workspace, "tides", content))).await;
    let mut versions: Vec<_> = uploaded.iter().map(|file| file["version"].as_i64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<_>>());
    assert!(uploaded.iter().all(|file| file["id"] == uploaded[0]["id"]));
    assert_eq!(uploaded.iter().filter(|file| file["outcome"] == "created").count(), 1);

    let same = join_all((0..8).map(|_| app.upload_as(&ada, &workspace, "ebb", "the same"))).await;
    let with = |outcome: &str| same.iter().filter(|file| file["outcome"] == outcome).count();
    assert_eq!((with("created"), with("unchanged")), (1, 7));
    assert_eq!((app.count("file").await, app.count("file_version").await), (2, 9));
    assert_eq!(app.deployment.stored_objects().await, 9);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn version_beyond_the_quota_is_rejected_and_a_repetition_is_not() {
    let (app, ada, workspace) = start(TestApp::start_with(&[("NVISY_QUOTA_BYTES", "15")]).await).await;
    app.upload_as(&ada, &workspace, "tides", "123456").await;
    let form = |content: &'static str| Form::new().text("externalId", "tides").part("file", part("tide.txt", content));
    app.upload_form(&ada, &workspace, form("1234567890"), None).await.problem(409, "quota_exceeded");
    assert_eq!(app.deployment.stored_objects().await, 1);
    let path = format!("/api/v1/workspaces/{workspace}");
    let body = json!({ "limits": { "files": 0 } });
    app.patch(&ada, &path, &body).await.expect(200);
    app.upload_form(&ada, &workspace, form("12345"), None).await.problem(409, "quota_exceeded");
    let repeated = app.upload_form(&ada, &workspace, form("123456").text("tags", "x"), None).await.expect(202);
    assert_eq!((&repeated["items"][0]["outcome"], &repeated["items"][0]["tags"]), (&json!("unchanged"), &json!(["x"])));
    app.stop_and_drop_jobs().await;
}
