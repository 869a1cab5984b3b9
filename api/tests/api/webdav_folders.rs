//! Folders of WebDAV that are too large to be listed: the server sends all entries of a folder in one response.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use serde_json::{Value, json};

use crate::support::{
    synced::{Synced, counts},
    web_server::{WebRequest, WebResponse, WebServer},
};

/// More than a worker reads of a response.
const LARGE_BYTES: usize = 65 << 20;

fn multistatus(entries: &[(&str, bool)]) -> WebResponse {
    let response = |(path, is_folder): &(&str, bool)| {
        let kind = match is_folder {
            true => "<D:resourcetype><D:collection/></D:resourcetype>",
            false => "<D:resourcetype/><D:getcontentlength>6</D:getcontentlength>",
        };
        format!(
            "<D:response><D:href>/dav{path}</D:href><D:propstat><D:prop>\
             <D:getlastmodified>Tue, 01 Dec 2026 00:00:00 GMT</D:getlastmodified>{kind}</D:prop>\
             <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        )
    };
    let responses: String = entries.iter().map(response).collect();
    let body = format!("<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">{responses}</D:multistatus>");
    WebResponse::new(207, "application/xml", body)
}

fn answer(request: &WebRequest, is_all_large: bool) -> Option<WebResponse> {
    let path = request.path().strip_prefix("/dav")?.trim_end_matches('/');
    let large = || WebResponse::new(207, "application/xml", vec![b' '; LARGE_BYTES]);
    Some(match (request.method.as_str(), path) {
        ("PROPFIND", "") if is_all_large => large(),
        ("PROPFIND", "") => multistatus(&[("/", true), ("/a.txt", false), ("/big/", true)]),
        ("PROPFIND", "/big") => large(),
        ("PROPFIND", "/a.txt") => multistatus(&[("/a.txt", false)]),
        ("GET", "/a.txt") => WebResponse::new(200, "text/plain", "Alpha."),
        _ => return None,
    })
}

#[actix_web::test]
async fn folder_that_is_too_large_fails_and_says_which_one_it_is() {
    let server = WebServer::start().await;
    let is_all_large = Arc::new(AtomicBool::new(false));
    let is_large = Arc::clone(&is_all_large);
    server.respond(move |request| answer(request, is_large.load(SeqCst)));
    let settings = json!({ "url": format!("{}/dav", server.url) });
    let synced = Synced::start("webdav", settings, Value::Null, json!({})).await;
    let run = synced.sync().await;
    assert_eq!(counts(&run), [2, 1, 0, 0, 0, 1], "{run}");
    let failed = synced.failed_objects(&run).await;
    assert_eq!(
        (&failed[0]["externalId"], &failed[0]["code"]),
        (&json!("big"), &json!("source_rejected")),
        "{failed:?}"
    );
    assert!(failed[0]["detail"].as_str().unwrap().contains("`big`"), "{failed:?}");

    is_all_large.store(true, SeqCst);
    let run = synced.sync().await;
    assert_eq!((&run["state"], &run["failure"]["code"]), (&json!("failed"), &json!("source_rejected")), "{run}");
    assert_eq!(synced.ids().await, ["a.txt"], "nothing is deleted");
    synced.app.stop().await;
}
