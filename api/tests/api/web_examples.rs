//! The examples of `docs/WEB_SOURCES.md`: each connection is read by the source below it.

use serde_json::{Map, Value, json};

use crate::{
    connection_rows::{counts, sync},
    git_sources::Repository,
    support::{
        Setup, TestApp, definition,
        documented::{Examples, with},
        web_server::{WebResponse, WebServer},
    },
};

/// A website with a page that the example leaves out.
async fn start_website() -> WebServer {
    let server = WebServer::start().await;
    server.page("/handbook/", "<p>The handbook.</p><a href=tides.html>Tides</a><a href=print/tides.html>Print</a>");
    server.page("/handbook/tides.html", "<p>Tides.</p>");
    server
}

/// A service with two pages of items, which takes the token of the example.
async fn start_service() -> WebServer {
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
    server
}

async fn start_repository() -> Repository {
    let repository = Repository::start().await;
    repository.write("docs/tides.md", "# Tides");
    repository.write("docs/image.png", "not wanted");
    repository.write("other.md", "not wanted");
    repository.commit();
    repository
}

/// Creates the connection of a section with another address, and syncs the source below it; returns the ids and names of the files.
async fn read(setup: &Setup, examples: &mut Examples, section: &str, address: Value) -> Vec<[String; 2]> {
    let (connection, source) = (examples.json(section), examples.json(section));
    let id = setup.connect_example(&connection, &address, &connection["credentials"]).await;
    let nodes = json!([
        with(&source, &[("ID", &id)]),
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection", "collection": "default" },
    ]);
    let pipeline = setup.pipeline(section, &definition(&nodes, &["in > read", "read > cut", "cut > out"])).await;
    let run = sync(setup, &pipeline).await;
    assert_eq!((&run["state"], counts(&run)[5]), (&json!("completed"), 0), "{section}: {run}");
    let files = setup.get("files?limit=100").await;
    let files = files["items"].as_array().unwrap().iter().filter_map(Value::as_object);
    let text = |file: &Map<String, Value>, field: &str| file[field].as_str().unwrap().to_owned();
    let files = files.filter(|file| file["connectionId"] == id.as_str());
    let mut files: Vec<_> = files.map(|file| [text(file, "externalId"), text(file, "name")]).collect();
    files.sort();
    files
}

#[actix_web::test]
async fn every_documented_example_of_a_web_source_is_read() {
    let (website, service, repository) =
        futures::future::join3(start_website(), start_service(), start_repository()).await;
    let setup = Setup::of(TestApp::start_with_worker(&[]).await).await;
    let mut examples = Examples::of("WEB_SOURCES.md");
    let ids = |files: Vec<[String; 2]>| files.into_iter().map(|[id, _]| id).collect::<Vec<_>>();

    let start = format!("{}/handbook/", website.url);
    let files = read(&setup, &mut examples, "Website", json!({ "startUrls": [start] })).await;
    assert_eq!(ids(files), ["", "tides.html"].map(|name| format!("{start}{name}")));
    let address = json!({ "baseUrl": format!("{}/v1", service.url) });
    let files = read(&setup, &mut examples, "JSON over HTTP", address).await;
    assert_eq!(files[0], ["articles/1", "Tide 1.html"]);
    assert_eq!(ids(files), ["articles/1", "articles/2"]);
    let files = read(&setup, &mut examples, "Git", json!({ "url": repository.url() })).await;
    assert_eq!(ids(files), ["main:docs/tides.md"]);
    examples.finish();
    setup.app.stop().await;
}
