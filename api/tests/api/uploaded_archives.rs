//! Archives and mails that are uploaded to a new workspace: what is in them becomes files, which search finds. What cannot be read
//! is in the log.

use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, hit_names, part};

/// `tides.txt`, `damaged.txt` with a wrong checksum, `plans/harbour.md`, and `program.exe`, which no reader knows.
const ARCHIVE: &[u8] = include_bytes!("../../../worker/extract/tests/data/members.zip");

/// A document with a paragraph, and an embedded document that is a program.
const LETTER: &[u8] = include_bytes!("../../../worker/extract/tests/data/unread-part.docx");

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
}

impl Setup {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with_worker(settings).await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        Self { app, ada, workspace }
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(&self.ada, &self.path(path)).await.expect(200)
    }

    /// Uploads a file, and waits until it and its members are processed.
    async fn upload(&self, name: &str, content: &[u8]) -> Value {
        let accepted = self.app.upload(&self.ada, &self.workspace, vec![part(name, content)]).await.expect(202);
        self.app.wait_until_no_jobs_are_left().await;
        self.get(&format!("files/{}", accepted["items"][0]["id"].as_str().unwrap())).await
    }

    /// Path, state and failure of the members of a file, by path.
    async fn members(&self, file: &Value) -> Vec<(String, String, Option<String>)> {
        let list = self.get(&format!("files?parentId={}", file["id"].as_str().unwrap())).await;
        let before = format!("{}/unpack/", file["id"].as_str().unwrap());
        let mut members: Vec<_> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| {
                let path = member["externalId"].as_str().unwrap().strip_prefix(&before).unwrap().to_owned();
                let code = member["failure"]["code"].as_str().map(str::to_owned);
                (path, member["state"].as_str().unwrap().to_owned(), code)
            })
            .collect();
        members.sort();
        members
    }

    /// The log of the item of a run that is no member.
    async fn log(&self, run: &Value) -> Vec<Value> {
        let run = run["id"].as_str().unwrap();
        let items = self.get(&format!("runs/{run}/items")).await;
        let item = items["items"].as_array().unwrap().iter().find(|item| item["parentId"].is_null()).unwrap();
        let log = self.get(&format!("runs/{run}/items/{}/log", item["id"].as_str().unwrap())).await;
        log["items"].as_array().unwrap().clone()
    }

    async fn found(&self, words: &str) -> Vec<String> {
        let body = json!({ "query": words, "mode": "text" });
        let found = self.app.post(&self.ada, &self.path("search"), &body).await.expect(200);
        let mut names: Vec<_> = hit_names(&found).into_iter().map(str::to_owned).collect();
        names.dedup();
        names
    }
}

fn member(path: &str, state: &str, code: Option<&str>) -> (String, String, Option<String>) {
    (path.to_owned(), state.to_owned(), code.map(str::to_owned))
}

#[actix_web::test]
async fn members_of_an_uploaded_archive_are_found_and_go_with_it() {
    let setup = Setup::new(&[]).await;
    let archive = setup.upload("archive.zip", ARCHIVE).await;
    assert_eq!(archive["state"], "ready", "{archive}");
    assert_eq!(
        setup.members(&archive).await,
        [
            member("plans/harbour.md", "ready", None),
            member("program.exe", "failed", Some("unsupported_media")),
            member("tides.txt", "ready", None),
        ]
    );
    assert_eq!(setup.found("turbines").await, ["tides.txt"]);
    assert_eq!(setup.found("barnacles").await, ["harbour.md"]);

    // One run has the archive and its members; the damaged one is an entry of the log.
    let runs = setup.get("runs").await;
    let run = &runs["items"][0];
    assert_eq!((&run["items"], &run["itemsFailed"]), (&json!(4), &json!(1)), "{run}");
    let log = setup.log(run).await;
    let [entry] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!(
        (&entry["kind"], &entry["code"], &entry["path"]),
        (&json!("incomplete"), &json!("corrupt"), &json!("damaged.txt"))
    );

    let path = setup.path(&format!("files/{}", archive["id"].as_str().unwrap()));
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    assert_eq!((setup.app.count("file").await, setup.app.count("chunk").await), (0, 0));
    setup.app.stop().await;
}

#[actix_web::test]
async fn attachments_of_an_uploaded_mail_are_found_also_of_a_mail_within() {
    let setup = Setup::new(&[]).await;
    let attachment = |boundary: &str, name: &str, text: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain\r\n\
             Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{text}\r\n"
        )
    };
    let head = |subject: &str, boundary: &str| {
        format!(
            "From: ada@example.com\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain\r\n\r\nThe {subject} has an attachment.\r\n"
        )
    };
    let inner =
        format!("{}{}--i--\r\n", head("envelope", "i"), attachment("i", "deep.txt", "Whelks live in the deep."));
    let mail = format!(
        "{}{}--o\r\nContent-Type: message/rfc822\r\n\r\n{inner}--o--\r\n",
        head("parcel", "o"),
        attachment("o", "gauge.txt", "The gauge stood at nine.")
    );
    let mail = setup.upload("report.eml", mail.as_bytes()).await;
    assert_eq!(mail["state"], "ready", "{mail}");
    assert_eq!(
        setup.members(&mail).await,
        [
            member("attachment-2.eml", "ready", None),
            member("attachment-2.eml/deep.txt", "ready", None),
            member("gauge.txt", "ready", None),
        ]
    );
    assert_eq!(setup.found("parcel").await, ["report.eml"]);
    assert_eq!(setup.found("gauge").await, ["gauge.txt"]);
    assert_eq!(setup.found("whelks").await, ["deep.txt"]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn upload_that_is_no_archive_is_one_item_with_two_jobs() {
    let setup = Setup::new(&[]).await;
    let file = setup.upload("tides.txt", b"The tide turns at noon.").await;
    assert_eq!(file["state"], "ready", "{file}");
    let runs = setup.get("runs").await;
    assert_eq!(runs["items"][0]["items"], 1, "{runs}");
    // The first segment and the model's; none of members.
    let rows = setup.app.rows("select progress->'segments' as segments from run_item").await;
    let segments: Value = rows[0].try_get("", "segments").unwrap();
    let total = |segment: &str| segments[segment]["total"].as_u64().unwrap();
    assert_eq!((total("0"), total("1"), total("2")), (1, 0, 1), "{segments}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn archive_whose_members_exceed_the_quota_fails_and_leaves_none() {
    let setup = Setup::new(&[("NVISY_QUOTA_FILES", "3")]).await;
    let archive = setup.upload("archive.zip", ARCHIVE).await;
    assert_eq!((&archive["state"], &archive["failure"]["code"]), (&json!("failed"), &json!("quota_exceeded")));
    assert_eq!(setup.app.count("file").await, 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn part_of_a_file_that_is_not_read_is_a_warning_of_the_log() {
    let setup = Setup::new(&[]).await;
    let file = setup.upload("sea.docx", LETTER).await;
    assert_eq!(file["state"], "ready", "{file}");
    let runs = setup.get("runs").await;
    let log = setup.log(&runs["items"][0]).await;
    let [warning] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!(warning["kind"], "warning", "{warning}");
    assert_eq!(
        (&warning["node"], &warning["detail"]),
        (&json!("partition"), &json!("An embedded document was not read."))
    );
    setup.app.stop().await;
}
