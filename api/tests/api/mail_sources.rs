//! Messages of mailboxes as files that are kept in step: Dovecot, and a server that lies.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Dovecot, ImapServer, ScriptedMessage, TestApp,
    documented::{Examples, with},
    send,
    synced::{LOOPBACK, Synced, counts},
    wait_until,
};

fn mail(subject: &str, text: &str) -> String {
    format!("From: ada@example.org\r\nTo: eve@example.org\r\nSubject: {subject}\r\n\r\n{text}\r\n")
}

fn now() -> SystemTime {
    nvisy_shared::clock::now().into()
}

async fn start(server: &Dovecot, source: Value) -> Synced {
    Synced::start("imap", server.settings(), Dovecot::credentials(), source).await
}

/// Checks the connection; returns the state, and the steps with their details.
async fn check(synced: &Synced) -> (String, Vec<(String, String)>) {
    let path = synced.path(&format!("connections/{}/check", synced.connection));
    let checked = synced.app.post(&synced.ada, &path, &json!({})).await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = checked["check"]["steps"].as_array().unwrap();
    (text(&checked["check"]["state"]), steps.iter().map(|one| (text(&one["name"]), text(&one["detail"]))).collect())
}

async fn change_connection(synced: &Synced, change: &Value) {
    let path = synced.path(&format!("connections/{}", synced.connection));
    send(synced.app.request(Method::PATCH, &path).bearer_auth(&synced.ada.token).json(change)).await.expect(200);
}

/// Creates a pipeline and enables it; returns its id.
async fn enabled_pipeline(synced: &Synced, body: &Value) -> String {
    let created = synced.app.post(&synced.ada, &synced.path("pipelines"), body).await.expect(201);
    let id = created["id"].as_str().unwrap().to_owned();
    let path = synced.path(&format!("pipelines/{id}"));
    let request = synced.app.request(Method::PATCH, &path).bearer_auth(&synced.ada.token);
    send(request.json(&json!({ "state": "enabled" }))).await.expect(200);
    id
}

#[actix_web::test]
async fn messages_of_a_mailbox_stay_in_step() {
    let server = Dovecot::start().await;
    server.put("INBOX", "a", mail("=?utf-8?Q?Gezeiten_=C3=BCber_Nacht?=", "The ebb begins at noon."), now());
    server.put("INBOX", "b", mail("re: a/b", "Barnacles hold on to the rock."), now());
    server.put("Archive.2026", "c", mail("Kelp", "Kelp is an alga."), now());
    server.put("Entw&APw-rfe", "d", mail("Limpets", "Limpets graze at night."), now());
    let synced = start(&server, json!({})).await;

    let (state, steps) = check(&synced).await;
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((state.as_str(), names), ("ok", vec!["address", "connect", "login", "list", "read"]), "{steps:?}");
    let connection = synced.path(&format!("connections/{}", synced.connection));
    let streams = synced.app.post(&synced.ada, &format!("{connection}/discover"), &json!({})).await.expect(200);
    let streams: Vec<_> = streams["items"].as_array().unwrap().iter().map(|stream| stream["name"].clone()).collect();
    assert_eq!(streams, ["all folders", "Archive/2026", "Entwürfe", "INBOX"]);
    let body = json!({ "stream": { "folders": ["INBOX"] }, "limit": 10 });
    let listed = synced.app.post(&synced.ada, &format!("{connection}/browse"), &body).await.expect(200);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|object| object["name"].clone()).collect();
    assert_eq!(names, ["INBOX/Gezeiten über Nacht.eml", "INBOX/re: a_b.eml"], "{listed}");

    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [4, 4, 0, 0, 0, 0]), "{run}");
    assert_eq!(synced.find("barnacles").await, ["re: a_b.eml"]);
    let files = synced.files().await;
    let archived = files.iter().find(|file| file["name"] == "Kelp.eml").unwrap();
    assert_eq!(archived["metadata"]["sourcePath"], "Archive/2026/Kelp.eml", "{archived}");
    assert_eq!(archived["mediaType"], "message/rfc822", "{archived}");
    let id = archived["externalId"].as_str().unwrap();
    assert!(id.starts_with("Archive.2026;UIDVALIDITY=") && id.ends_with("/;UID=1"), "{id}");

    // A flag is no change.
    server.mark_as_seen("INBOX", "a");
    assert_eq!(counts(&synced.sync().await), [4, 0, 0, 4, 0, 0]);
    server.delete("INBOX", "b");
    server.put("INBOX", "e", mail("New", "Whelks lay their eggs in spring."), now());
    let run = synced.sync().await;
    assert_eq!(counts(&run), [4, 1, 0, 3, 1, 0], "{run}");
    assert!(synced.find("barnacles").await.is_empty());
    assert_eq!(synced.find("whelks").await, ["New.eml"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn example_of_the_documentation_makes_messages_searchable() {
    let server = Dovecot::start().await;
    server.put("INBOX", "a", mail("Tides", "The ebb begins at noon."), now());
    server.put("Archive.2026", "b", mail("Kelp", "Kelp is an alga."), now());
    server.put("Other", "c", mail("Other", "Other."), now());
    let mut examples = Examples::of("MAIL_SOURCES.md");
    let connection = examples.json("Example");
    let mut settings = connection["settings"].clone();
    settings.as_object_mut().unwrap().extend(server.settings().as_object().unwrap().clone());
    let mut credentials = connection["credentials"].clone();
    credentials["password"] = Dovecot::PASSWORD.into();
    let mut synced = Synced::start("imap", settings, credentials, json!({})).await;
    let pipeline = with(&examples.json("Example"), &[("CONNECTION", &synced.connection)]);
    examples.finish();
    synced.pipeline = enabled_pipeline(&synced, &pipeline).await;
    assert_eq!(counts(&synced.sync().await), [2, 2, 0, 0, 0, 0]);
    assert_eq!(synced.find("ebb").await, ["Tides.eml"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn incremental_sync_reads_new_messages_alone_and_finds_deleted_ones() {
    let server = Dovecot::start().await;
    server.put("INBOX", "a", mail("A", "Alpha."), now());
    server.put("Other", "b", mail("B", "Beta."), now());
    let synced = start(&server, json!({ "mode": "incremental" })).await;
    assert_eq!(counts(&synced.sync().await), [2, 2, 0, 0, 0, 0]);
    assert_eq!(counts(&synced.sync().await), [0; 6]);
    server.put("INBOX", "c", mail("C", "Gamma."), now());
    server.delete("Other", "b");
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 1, 0]);
    assert_eq!(synced.find("gamma").await, ["C.eml"]);
    assert!(synced.find("beta").await.is_empty());
    // Messages that are numbered anew are others.
    server.renumber("INBOX");
    let run = synced.sync().await;
    assert_eq!(counts(&run), [2, 2, 0, 0, 2, 0], "{run}");
    assert_eq!(synced.files().await.len(), 2);
    synced.app.stop().await;
}

#[actix_web::test]
async fn folders_dates_and_patterns_select_messages() {
    let server = Dovecot::start().await;
    let long_ago = now() - Duration::from_secs(400 * 86_400);
    server.put("INBOX", "old", mail("Old", "Old."), long_ago);
    server.put("INBOX", "new", mail("New", "New."), now());
    server.put("Work.Tides", "t", mail("Tides", "Tides."), now());
    server.put("Work", "w", mail("Work", "Work."), now());
    let since = (nvisy_shared::clock::now().date_naive() - chrono::Days::new(30)).to_string();
    let source = json!({ "stream": { "folders": ["INBOX", "Work/*"], "since": since } });
    let mut synced = start(&server, source).await;
    let run = synced.sync().await;
    assert_eq!(counts(&run), [2, 2, 0, 0, 0, 0], "{run}");
    let names: Vec<_> = synced.files().await.iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["New.eml", "Tides.eml"]);
    synced.pipeline = synced.add_pipeline("by subject", json!({ "include": ["**/Wor*.eml"] })).await;
    assert_eq!(counts(&synced.sync().await), [1, 1, 0, 0, 0, 0]);
    for stream in [json!({ "folders": ["["] }), json!({ "since": "yesterday" }), json!({ "folder": "INBOX" })] {
        synced.pipeline = synced.add_pipeline(&stream.to_string(), json!({ "stream": stream })).await;
        let run = synced.sync().await;
        assert_eq!((&run["state"], &run["failure"]["code"]), (&json!("failed"), &json!("source_rejected")), "{run}");
    }
    synced.app.stop().await;
}

#[actix_web::test]
async fn attachments_become_files_of_their_own_and_go_with_the_message() {
    let server = Dovecot::start().await;
    let attachment = "--x\r\ncontent-type: text/plain\r\ncontent-disposition: attachment; filename=\"tide.txt\"\r\n\r\n\
                      Spring tides are high.\r\n";
    let message = format!(
        "From: ada@example.org\r\nSubject: Tides\r\nmime-version: 1.0\r\ncontent-type: multipart/mixed; boundary=x\r\n\r\n\
         --x\r\ncontent-type: text/plain\r\n\r\nSee the attachment.\r\n{attachment}--x--\r\n"
    );
    server.put("INBOX", "a", message, now());
    let mut synced = start(&server, json!({})).await;
    let definition = json!({
        "schemaVersion": 1,
        "nodes": [
            { "id": "in", "type": "source.connection", "connection": synced.connection, "allowEmpty": true },
            { "id": "open", "type": "unpack" }, { "id": "read", "type": "partition" },
            { "id": "cut", "type": "chunk.section" }, { "id": "out", "type": "sink.collection" } ],
        "edges": [
            { "from": "in", "to": "open" }, { "from": "open.members", "to": "read" }, { "from": "open.else", "to": "read" },
            { "from": "read", "to": "cut" }, { "from": "cut", "to": "out" } ],
    });
    let body = json!({ "name": "mails", "definition": definition });
    synced.pipeline = enabled_pipeline(&synced, &body).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{run}");
    assert_eq!(synced.find("spring").await, ["tide.txt"]);
    assert_eq!(synced.find("attachment").await, ["Tides.eml"]);
    server.delete("INBOX", "a");
    assert_eq!(counts(&synced.sync().await)[4], 1);
    let gone = async || synced.files().await.is_empty().then_some(());
    wait_until("message and attachment are gone", gone).await;
    synced.app.stop().await;
}

#[actix_web::test]
async fn messages_are_found_again_when_the_server_numbers_them_anew() {
    let server = Dovecot::start().await;
    for name in ["a", "b", "c"] {
        server.put("INBOX", name, mail(name, &format!("Text of {name}.")), now());
    }
    let synced = start(&server, json!({})).await;
    assert_eq!(counts(&synced.sync().await), [3, 3, 0, 0, 0, 0]);
    let before: Vec<_> = synced.ids().await;
    server.renumber("INBOX");
    let run = synced.sync().await;
    assert_eq!(counts(&run), [3, 3, 0, 0, 3, 0], "{run}");
    let after = synced.ids().await;
    assert!(after.len() == 3 && after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn encryption_and_credentials_are_checked_step_by_step() {
    let server = Dovecot::start().await;
    server.put("INBOX", "a", mail("A", "Alpha."), now());
    let synced = start(&server, json!({})).await;
    let authority = server.authority();
    let settings = |host: &str, port: u16, tls: &str, authority: Option<&str>| {
        let mut settings = json!({ "host": host, "port": port, "tls": tls });
        if let Some(authority) = authority {
            settings["caCertificate"] = authority.into();
        }
        json!({ "settings": settings, "credentials": Dovecot::credentials() })
    };
    let (plain, tls) = (server.port, server.tls_port);
    for change in [
        settings("localhost", plain, "starttls", Some(&authority)),
        // The network of this machine is one that the operator has allowed.
        settings("localhost", plain, "none", None),
    ] {
        change_connection(&synced, &change).await;
        let (state, steps) = check(&synced).await;
        assert_eq!(state, "ok", "{change}: {steps:?}");
    }
    for (change, reason) in [
        (settings("127.0.0.1", tls, "tls", Some(&authority)), "certificate"),
        (settings("127.0.0.1", plain, "starttls", Some(&authority)), "certificate"),
        (settings("localhost", tls, "tls", None), "certificate"),
        (settings("localhost", plain, "tls", Some(&authority)), "no encrypted connection"),
    ] {
        change_connection(&synced, &change).await;
        let (state, steps) = check(&synced).await;
        let (name, detail) = steps.last().unwrap();
        assert_eq!((state.as_str(), name.as_str()), ("failed", "connect"), "{change}: {steps:?}");
        assert!(detail.contains(reason), "{change}: {detail}");
    }
    change_connection(&synced, &settings("localhost", tls, "tls", Some(&authority))).await;
    let wrong = json!({ "credentials": { "username": Dovecot::USER, "password": "wrong-hunter2 \"\\ ü" } });
    change_connection(&synced, &wrong).await;
    let (state, steps) = check(&synced).await;
    assert_eq!((state.as_str(), steps[2].0.as_str()), ("failed", "login"), "{steps:?}");
    assert!(steps[2].1.contains("does not accept the credentials") && !steps[2].1.contains("hunter2"), "{steps:?}");
    let run = synced.start_sync(json!({})).await;
    let waiting = wait_until("the sync says why it waits", async || {
        let run = synced.app.get(&synced.ada, &synced.path(&format!("runs/{run}"))).await.expect(200);
        run["waiting"]["reason"].as_str().map(str::to_owned)
    });
    assert!(waiting.await.contains("does not accept the credentials"));
    change_connection(&synced, &json!({ "credentials": Dovecot::credentials() })).await;
    assert_eq!(counts(&synced.ended(&run).await), [1, 1, 0, 0, 0, 0]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn broken_message_leaves_the_others_alone() {
    let server = Dovecot::start().await;
    let broken = [
        &b"Subject: =?utf-8?B?////?=\r\nContent-Type: multipart/mixed; boundary\r\n\r\n\x00\xff\xfe--\r\n"[..],
        &[0xff; 4096],
    ];
    server.put("INBOX", "a", mail("A", "The ebb begins at noon."), now());
    server.put("INBOX", "b", broken.concat(), now());
    server.put("INBOX", "c", b"", now());
    server.put("INBOX", "d", mail("D", "The flood begins at six."), now());
    let synced = start(&server, json!({})).await;
    let run = synced.sync().await;
    assert_eq!(run["sync"]["seen"], 4, "{run}");
    assert_eq!(synced.find("ebb").await, ["A.eml"]);
    assert_eq!(synced.find("flood").await, ["D.eml"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn server_that_lies_about_messages_fails_those_alone() {
    fn large() -> String {
        mail("Tides", &"Spring tides are high. ".repeat(100_000))
    }
    fn whole(offset: usize) -> Option<Vec<u8>> {
        let message = large();
        Some(message.as_bytes()[offset.min(message.len())..].iter().copied().take(1 << 20).collect())
    }
    let message = |size, piece| ScriptedMessage { size, piece };
    let server = ImapServer::start(vec![
        message("2300090", whole),
        // Larger than the protocol can say.
        message("5368709120", whole),
        message("4000000000", whole),
        // Deleted after it was listed.
        message("100", |_| None),
        // Small by its own account, and without an end.
        message("100", |_| Some(vec![b'x'; 1 << 20])),
        // Whatever is asked for, the same 3 MB.
        message("100", |_| Some(vec![b'x'; 3 << 20])),
        // A text that no literal may have.
        message("100", |_| Some(b"Subject: a\r\n\r\nb\0c".to_vec())),
    ])
    .await;
    let app = TestApp::start_with_worker(&[LOOPBACK, ("NVISY_HTTP_UPLOAD_BYTES", "5000000")]).await;
    let synced = Synced::of(app, "imap", server.settings(), Dovecot::credentials(), json!({})).await;
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed_with_errors", "{run}");
    let failed = synced.failed_objects(&run).await;
    let code = |uid: usize| {
        let id = format!("INBOX;UIDVALIDITY=7/;UID={uid}");
        let failed = failed.iter().find(|failed| failed["externalId"] == id.as_str());
        failed.map(|failed| failed["code"].as_str().unwrap())
    };
    let codes: Vec<_> = (1..=6).map(code).collect();
    let expected = [
        None,
        Some("source_rejected"),
        Some("too_large"),
        Some("source_missing"),
        Some("too_large"),
        Some("source_rejected"),
    ];
    assert_eq!(codes, expected, "{failed:?}");
    assert!(synced.files().await.iter().any(|file| file["size"] == large().len()), "{:?}", synced.files().await);
    synced.app.stop().await;
}

#[actix_web::test]
async fn large_mailbox_is_listed_page_by_page() {
    let server = Dovecot::start().await;
    for number in 0..1_250 {
        server.put("INBOX", &format!("m{number:04}"), mail(&format!("Mail {number}"), "Text."), now());
    }
    let synced = start(&server, json!({})).await;
    let run = synced.start_sync(json!({ "dryRun": true })).await;
    let run = synced.ended(&run).await;
    assert_eq!(counts(&run), [1_250, 1_250, 0, 0, 0, 0], "{run}");
    synced.app.stop().await;
}
