//! The examples of docs/WEB_SOURCES.md, with the addresses of servers of the test.

use serde_json::{Value, json};

use crate::{
    git_sources::Repository,
    support::{
        TestApp,
        synced::{LOOPBACK, Synced, counts},
        web_server::{WebResponse, WebServer},
    },
};

/// The two examples of a section: a connection, and a source.
fn examples(section: &str) -> [Value; 2] {
    let document = include_str!("../../../docs/WEB_SOURCES.md");
    let start = document.find(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section `{section}`"));
    let mut blocks = document[start..].split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut next = || serde_json::from_str(blocks.next().expect("an example")).expect("an example is JSON");
    [next(), next()]
}

/// Creates the connection at a server and syncs the source.
async fn sync(section: &str, host: &str, url: &str) -> Synced {
    let [connection, source] = examples(section).map(|example| example.to_string().replace(host, url));
    let (mut connection, mut source): (Value, Value) =
        (serde_json::from_str(&connection).unwrap(), serde_json::from_str(&source).unwrap());
    let source = source.as_object_mut().unwrap();
    for field in ["id", "type", "connection", "schedule"] {
        source.remove(field);
    }
    let provider = connection["provider"].as_str().unwrap().to_owned();
    let (settings, credentials) = (connection["settings"].take(), connection["credentials"].take());
    let app = TestApp::start_with_worker(&[LOOPBACK]).await;
    let synced = Synced::of(app, &provider, settings, credentials, json!(source)).await;
    let check = synced.check().await;
    assert_eq!(check["state"], "ok", "{check}");
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)[5]), (&json!("completed"), 0), "{run}");
    synced
}

#[actix_web::test]
async fn example_of_a_website_reads_its_pages() {
    let server = WebServer::start().await;
    server.page("/handbook/", "<p>The handbook.</p><a href=tides.html>Tides</a><a href=print/tides.html>Print</a>");
    server.page("/handbook/tides.html", "<p>Tides.</p>");
    let synced = sync("Website", "https://www.example.org", &server.url).await;
    assert_eq!(synced.ids().await, ["", "tides.html"].map(|name| format!("{}/handbook/{name}", server.url)));
    synced.app.stop().await;
}

#[actix_web::test]
async fn example_of_a_service_reads_its_items() {
    let server = WebServer::start().await;
    server.respond(|request| {
        let is_right = request.header("authorization") == "Bearer token-of-a-reader";
        let next = if request.parameter("cursor").is_some() { Value::Null } else { json!("2") };
        let id = if next.is_null() { 2 } else { 1 };
        let article = json!({ "id": id, "title": format!("Tide {id}"), "html": "<p>Ebb.</p>", "updated": "2026-01-01T00:00:00Z" });
        let is_list = request.target.starts_with("/v1/articles?");
        (is_right && is_list).then(|| WebResponse::json(&json!({ "data": [article], "meta": { "next": next } })))
    });
    // The check without a stream calls the base address.
    server.set("/v1", WebResponse::json(&json!({})));
    let synced = sync("JSON over HTTP", "https://api.example.org", &server.url).await;
    assert_eq!(synced.ids().await, ["articles/1", "articles/2"]);
    assert_eq!(synced.files().await[0]["name"], "Tide 1.html");
    synced.app.stop().await;
}

#[actix_web::test]
async fn example_of_a_repository_reads_its_files() {
    let repository = Repository::start().await;
    repository.write("docs/tides.md", "# Tides");
    repository.write("docs/image.png", "not wanted");
    repository.write("other.md", "not wanted");
    repository.commit();
    let url = repository.url();
    let synced = sync("Git", "https://git.example.org/company/handbook.git", &url).await;
    assert_eq!(synced.ids().await, ["main:docs/tides.md"]);
    synced.app.stop().await;
}
