//! Authored pipelines of every shape, from uploads to collections and derived files.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Setup, TestApp, definition, part, send};

pub const GERMAN: &str =
    "Die Gezeiten wechseln zweimal am Tag, und das Kraftwerk steht dann still, bis das Wasser wieder steigt.";
pub const ENGLISH: &str = "The tide turns twice a day, and the power station stands still until the water rises again.";

/// Languages to collections of their own, and everything to a third one, with a check before.
pub fn languages() -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files", "trigger": "upload" },
            { "id": "read", "type": "partition" },
            { "id": "check", "type": "check", "expression": "document.characters > 20", "severity": "block", "message": "too short" },
            { "id": "lang", "type": "switch.language", "branches": { "german": ["de"] }, "minConfidence": 0.2 },
            { "id": "cutGerman", "type": "chunk.section" },
            { "id": "cutOther", "type": "chunk.characters", "maxCharacters": 200 },
            { "id": "vecGerman", "type": "embed" },
            { "id": "vecOther", "type": "embed" },
            { "id": "german", "type": "sink.collection", "collection": "german" },
            { "id": "other", "type": "sink.collection", "collection": "other" },
            { "id": "all", "type": "sink.collection", "collection": "default" },
        ]),
        &[
            "in > read",
            "read > check",
            "check > lang",
            "lang.german > cutGerman",
            "lang.else > cutOther",
            "cutGerman > vecGerman",
            "cutOther > vecOther",
            "vecGerman > german",
            "vecOther > other",
            "vecGerman > all",
            "vecOther > all",
        ],
    )
}

#[actix_web::test]
async fn documents_go_to_the_collection_of_their_language_and_fail_a_check_alone() {
    let setup = Setup::with_worker().await;
    setup.collection("german").await;
    setup.collection("other").await;
    setup.pipeline("Languages", &languages()).await;
    let files = setup.upload(&[("gezeiten.txt", GERMAN), ("tides.txt", ENGLISH), ("short.txt", "Ebb.")]).await;
    assert_eq!(files["gezeiten.txt"]["state"], "ready", "{files:?}");
    assert_eq!(files["tides.txt"]["state"], "ready", "{files:?}");
    assert_eq!(files["short.txt"]["failure"]["code"], "check_failed", "{files:?}");
    let text = |text: &str| text.to_owned();
    let found = setup.live_chunks().await;
    assert_eq!(found["german"], [text(GERMAN)]);
    assert_eq!(found["other"], [text(ENGLISH)]);
    assert_eq!(found["default"], [text(GERMAN), text(ENGLISH)]);
    // A vector for each chunk, and the same text embedded once.
    assert_eq!(setup.app.count("embedding").await, 4);
    let search = json!({ "query": "When does the water rise?", "collections": ["other"] });
    let hits = setup.app.post(&setup.ada, &setup.path("search"), &search).await.expect(200);
    assert_eq!(hits["hits"].as_array().unwrap().len(), 1, "{hits}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn branches_that_meet_again_write_everything_that_reaches_them() {
    let setup = Setup::with_worker().await;
    setup
        .pipeline(
            "Diamond",
            &definition(
                &json!([
                    { "id": "in", "type": "source.files" },
                    { "id": "read", "type": "partition" },
                    { "id": "long", "type": "chunk.characters", "maxCharacters": 4000 },
                    { "id": "short", "type": "chunk.characters", "maxCharacters": 50 },
                    { "id": "keep", "type": "filter", "expression": "item.text.contains('tide')" },
                    { "id": "vecLong", "type": "embed" },
                    { "id": "vecShort", "type": "embed" },
                    { "id": "out", "type": "sink.collection" },
                ]),
                &[
                    "in > read",
                    "read > long",
                    "read > short",
                    "short > keep",
                    "long > vecLong",
                    "keep > vecShort",
                    "vecLong > out",
                    "vecShort > out",
                ],
            ),
        )
        .await;
    let files = setup.upload(&[("tides.txt", ENGLISH)]).await;
    assert_eq!(files["tides.txt"]["state"], "ready", "{files:?}");
    let found = &setup.live_chunks().await["default"];
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|text| text.contains("tide")), "{found:?}");
    assert!(found.contains(&ENGLISH.to_owned()));
    assert_eq!(files["tides.txt"]["chunkCount"], 2);
    setup.app.stop().await;
}

#[actix_web::test]
async fn derived_files_and_metadata_are_written_and_go_with_their_source() {
    let setup = Setup::with_worker().await;
    setup
        .pipeline(
            "Rows",
            &definition(
                &json!([
                    { "id": "in", "type": "source.files" },
                    { "id": "read", "type": "partition" },
                    { "id": "facts", "type": "map", "metadata": { "characters": "document.characters" } },
                    { "id": "rows", "type": "map", "record": "{'name': file.name, 'characters': metadata.characters}" },
                    { "id": "out", "type": "sink.file", "suffix": ".jsonl" },
                ]),
                &["in > read", "read > facts", "facts > rows", "rows > out"],
            ),
        )
        .await;
    let files = setup.upload(&[("tides.txt", ENGLISH)]).await;
    let file = &files["tides.txt"];
    assert_eq!(file["state"], "ready", "{file}");
    assert_eq!(file["metadata"]["characters"], ENGLISH.len());
    let list = setup.get("files").await;
    let derived = list["items"].as_array().unwrap().iter().find(|file| file["name"] == "tides.txt.jsonl");
    let derived = derived.unwrap_or_else(|| panic!("{list}"))["id"].as_str().unwrap().to_owned();
    let content = setup.app.get(&setup.ada, &setup.path(&format!("files/{derived}/content"))).await.text;
    let row: Value = serde_json::from_str(content.trim()).unwrap();
    assert_eq!(row, json!({ "name": "tides.txt", "characters": ENGLISH.len() }));

    let path = setup.path(&format!("files/{}", file["id"].as_str().unwrap()));
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    assert_eq!(setup.app.count("file").await, 0);
    setup.app.stop().await;
}

#[actix_web::test]
async fn members_of_archives_become_files_of_their_own_and_go_with_the_archive() {
    let setup = Setup::with_worker().await;
    setup
        .pipeline(
            "Mails",
            &definition(
                &json!([
                    { "id": "in", "type": "source.files" },
                    { "id": "open", "type": "unpack" },
                    { "id": "read", "type": "partition" },
                    { "id": "cut", "type": "chunk.characters", "maxCharacters": 4000 },
                    { "id": "out", "type": "sink.collection" },
                ]),
                &["in > open", "open.members > read", "open.else > read", "read > cut", "cut > out"],
            ),
        )
        .await;
    let attachment = |name: &str, text: &str| {
        format!(
            "--x\r\ncontent-type: text/plain\r\ncontent-disposition: attachment; filename=\"{name}\"\r\n\r\n{text}\r\n"
        )
    };
    let mail = format!(
        "from: ada@example.com\r\nsubject: Tides\r\nmime-version: 1.0\r\ncontent-type: multipart/mixed; boundary=x\r\n\r\n\
         --x\r\ncontent-type: text/plain\r\n\r\nSee below.\r\n{}{}{}--x--\r\n",
        attachment("german.txt", GERMAN),
        attachment("empty.txt", " "),
        attachment("english.txt", ENGLISH),
    );
    let files = setup.upload(&[("report.eml", &mail), ("ebb.txt", "The ebb began at noon.")]).await;
    setup.app.wait_until_no_jobs_are_left().await;
    assert_eq!(files["ebb.txt"]["state"], "ready", "{files:?}");
    let mut found = setup.live_chunks().await.remove("default").unwrap();
    // The mail's own text is read as well.
    found.retain(|text| !text.contains("See below."));
    assert_eq!(found, [GERMAN, "The ebb began at noon.", ENGLISH]);

    // A member that fails is the failure of an item of its own.
    let list = setup.get("files").await;
    let state = |name: &str| {
        let file = list["items"].as_array().unwrap().iter().find(|file| file["name"] == name);
        let file = file.unwrap_or_else(|| panic!("no {name}: {list}"));
        (file["state"].as_str().unwrap().to_owned(), file["parentId"].clone())
    };
    let mail = files["report.eml"]["id"].clone();
    assert_eq!(state("german.txt"), ("ready".to_owned(), mail.clone()));
    assert_eq!(state("english.txt"), ("ready".to_owned(), mail.clone()));
    assert_eq!(state("empty.txt"), ("failed".to_owned(), mail.clone()));
    assert_eq!(state("report.eml").0, "ready");

    let of_mail = setup.get(&format!("files?parentId={}", mail.as_str().unwrap())).await;
    assert_eq!(of_mail["items"].as_array().unwrap().len(), 3, "{of_mail}");
    let path = setup.path(&format!("files/{}", mail.as_str().unwrap()));
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    assert_eq!(setup.app.count("file").await, 1);
    assert_eq!(setup.live_chunks().await["default"], ["The ebb began at noon."]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn bad_members_and_partial_files_are_entries_of_the_log() {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "open", "type": "unpack" },
        { "id": "read", "type": "partition", "partial": true },
        { "id": "cut", "type": "chunk.characters", "maxCharacters": 4000 },
        { "id": "out", "type": "sink.collection" },
    ]);
    let edges = ["in > open", "open.members > read", "open.else > read", "read > cut", "cut > out"];
    setup.pipeline("Archives", &definition(&nodes, &edges)).await;
    let mail = format!(
        "from: ada@example.com\r\nsubject: Tides\r\nmime-version: 1.0\r\ncontent-type: multipart/mixed; boundary=x\r\n\r\n\
         --x\r\ncontent-type: text/plain\r\ncontent-disposition: attachment; filename=\"good.txt\"\r\n\r\n{ENGLISH}\r\n\
         --x\r\ncontent-type: application/pdf\r\ncontent-transfer-encoding: base64\r\n\
         content-disposition: attachment; filename=\"cut.pdf\"\r\n\r\nJVBERi0xLjcKJVBERi0xLj"
    );
    let files = setup.upload(&[("report.eml", &mail), ("cut.rtf", "{\\rtf1 The ebb began at noon.\\par")]).await;
    setup.app.wait_until_no_jobs_are_left().await;
    let mut found = setup.live_chunks().await.remove("default").unwrap();
    found.retain(|text| !text.contains("Tides"));
    assert_eq!(found, ["The ebb began at noon.", ENGLISH]);
    assert!(files.values().all(|file| file["state"] == "ready"), "{files:?}");
    let mut entries = Vec::new();
    for run in setup.get("runs").await["items"].as_array().unwrap() {
        let run = run["id"].as_str().unwrap();
        for item in setup.get(&format!("runs/{run}/items")).await["items"].as_array().unwrap() {
            let log = setup.get(&format!("runs/{run}/items/{}/log", item["id"].as_str().unwrap())).await;
            entries.extend(log["items"].as_array().unwrap().clone());
        }
    }
    let shown = |entry: &Value| format!("{} {} {} {}", entry["kind"], entry["node"], entry["code"], entry["path"]);
    let mut shown: Vec<_> = entries.iter().map(shown).collect();
    shown.sort();
    let expected = [r#""incomplete" "open" "corrupt" "cut.pdf""#, r#""incomplete" "read" "corrupt" null"#];
    assert_eq!(shown, expected, "{entries:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn members_replace_their_chunks_when_their_file_is_processed_again() {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "open", "type": "unpack" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection" },
    ]);
    let edges = ["in > open", "open.members > read", "open.else > read", "read > cut", "cut > out"];
    let pipeline = setup.pipeline("Mails", &definition(&nodes, &edges)).await;
    let mail = "from: ada@example.org\r\nsubject: Tides\r\nmime-version: 1.0\r\n\
                content-type: multipart/mixed; boundary=x\r\n\r\n--x\r\ncontent-type: text/plain\r\n\r\nSee below.\r\n\
                --x\r\ncontent-type: text/plain\r\ncontent-disposition: attachment; filename=\"tide.txt\"\r\n\r\n\
                Spring tides are high.\r\n--x--\r\n";
    let files = setup.upload(&[("report.eml", mail)]).await;
    setup.app.wait_until_no_jobs_are_left().await;
    let before = setup.live_chunks().await.remove("default").unwrap();
    assert!(before.iter().any(|text| text.contains("Spring tides")), "{before:?}");

    let body = json!({ "files": [files["report.eml"]["id"]] });
    let started = setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &body).await.expect(202);
    let run = setup.ended_run(&format!("runs/{}", started["id"].as_str().unwrap())).await;
    assert_eq!((&run["state"], &run["items"]), (&json!("completed"), &json!(2)), "{run}");
    assert_eq!(setup.live_chunks().await.remove("default").unwrap(), before);
    setup.app.stop().await;
}

#[actix_web::test]
async fn new_version_embeds_only_what_changed() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let section =
        |n: usize, state: &str| format!("# Gauge {n}\n\nThe water at gauge {n} stood {state} on that day.\n\n");
    let text =
        |changed: usize| (0..60).map(|n| section(n, if n == changed { "high" } else { "low" })).collect::<String>();
    let mut runs = Vec::new();
    for changed in [60, 7] {
        let form =
            reqwest::multipart::Form::new().text("externalId", "gauges").part("file", part("gauges.md", text(changed)));
        let request = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
        let accepted = send(request.bearer_auth(&ada.token).multipart(form)).await.expect(202);
        let id = accepted["items"][0]["id"].as_str().unwrap().to_owned();
        let file = app.finished_file(&ada, &workspace, &id).await;
        assert_eq!((&file["state"], &file["chunkCount"]), (&json!("ready"), &json!(60)), "{file}");
        let list = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/runs")).await.expect(200);
        runs.push(list["items"][0].clone());
    }
    let number = |run: &Value, field: &str| run[field].as_u64().unwrap_or_else(|| panic!("{field}: {run}"));
    assert_eq!(number(&runs[0], "tokensSaved"), 0);
    let (tokens, saved) = (number(&runs[1], "tokens"), number(&runs[1], "tokensSaved"));
    assert!(tokens * 20 <= tokens + saved, "{tokens} tokens were embedded again, {saved} were not");
    assert_eq!(app.count("target").await, 1, "the version before is gone");
    assert_eq!(app.count("chunk").await, 60);
    app.stop().await;
}

#[actix_web::test]
async fn run_over_a_search_processes_the_files_that_it_finds() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}");
    let texts =
        [("seals.txt", "Grey seals rest on the sandbank."), ("rates.txt", "The bank raised its interest rates.")];
    let parts = texts.iter().map(|(name, text)| part(name, (*text).to_owned())).collect();
    let accepted = app.upload(&ada, &workspace, parts).await.expect(202);
    for file in accepted["items"].as_array().unwrap() {
        app.finished_file(&ada, &workspace, file["id"].as_str().unwrap()).await;
    }
    let definition = definition(
        &json!([
            { "id": "in", "type": "source.search", "query": "animals at the coast", "limit": 1 },
            { "id": "out", "type": "sink.file", "suffix": ".copy" },
        ]),
        &["in > out"],
    );
    let body = json!({ "definition": definition });
    let run = app.post(&ada, &format!("{path}/runs"), &body).await.expect(202);
    let run = format!("{path}/runs/{}", run["id"].as_str().unwrap());
    let ended = app.ended_run(&ada, &run).await;
    assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(1)), "{ended}");
    assert_eq!(app.count("file where name = 'seals.txt.copy'").await, 1);
    assert_eq!(app.count("file").await, 3);
    app.stop().await;
}

#[actix_web::test]
async fn check_that_warns_is_an_event_and_an_entry_of_the_log() {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "long", "type": "check", "expression": "item.tokens > 1000", "message": "a short passage" },
        { "id": "out", "type": "sink.collection" },
    ]);
    let edges = ["in > read", "read > cut", "cut > long", "long > out"];
    setup.pipeline("Checked", &definition(&nodes, &edges)).await;
    let files = setup.upload(&[("a.md", "# Ebb\n\nThe water falls.\n\n# Flood\n\nThe water rises.")]).await;
    assert_eq!((&files["a.md"]["state"], &files["a.md"]["chunkCount"]), (&json!("ready"), &json!(2)), "{files:?}");
    let runs = setup.get("runs").await;
    let run = runs["items"][0]["id"].as_str().unwrap();
    let items = setup.get(&format!("runs/{run}/items")).await;
    let item = items["items"][0]["id"].as_str().unwrap();
    let sql = "select subject_id::text as subject, data::text as data from event where type = 'check.failed'";
    let events = setup.app.rows(sql).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].try_get::<String>("", "subject").unwrap(), item);
    let data: Value = serde_json::from_str(&events[0].try_get::<String>("", "data").unwrap()).unwrap();
    let expected = json!({
        "runId": run, "fileId": files["a.md"]["id"], "node": "long", "message": "a short passage", "elements": 2,
    });
    assert_eq!(data, expected);
    let log = setup.get(&format!("runs/{run}/items/{item}/log")).await;
    let entry = &log["items"][0];
    assert_eq!((&entry["kind"], &entry["node"]), (&json!("check_failed"), &json!("long")), "{log}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn properties_of_a_file_are_the_same_in_each_of_its_runs() {
    let setup = Setup::with_worker().await;
    let declared = part("a.txt", "{\\rtf1 The ebb began at noon.}").mime_str("text/plain").unwrap();
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, vec![declared]).await.expect(202);
    let file = &accepted["items"][0]["id"];
    // Declared properties in front of `partition`, and found ones behind it, in the same segment.
    let nodes = json!([
        { "id": "in", "type": "source.files" },
        { "id": "declared", "type": "filter", "expression": "file.mediaType == 'text/plain' && !has(file.pageCount)" },
        { "id": "read", "type": "partition" },
        { "id": "found", "type": "filter", "expression": "file.mediaType.contains('rtf')" },
        { "id": "out", "type": "sink.file", "suffix": ".copy" },
    ]);
    let edges = ["in > declared", "declared > read", "read > found", "found > out"];
    let body = json!({ "definition": definition(&nodes, &edges), "files": [file] });
    for number in 1..=3 {
        let run = setup.app.post(&setup.ada, &setup.path("runs"), &body).await.expect(202);
        let path = format!("runs/{}", run["id"].as_str().unwrap());
        setup.ended_run(&path).await;
        let items = setup.get(&format!("{path}/items")).await;
        assert_eq!(items["items"][0]["state"], "done", "run {number}: {items}");
    }
    setup.app.stop().await;
}
