//! The event stream: in order, without a gap, across reconnects.

use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;

use crate::{
    app::{Person, TestApp, send},
    files::part,
};

/// A listener that reads whole events.
struct Listener {
    bytes: std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>>>>,
    text: String,
}

impl Listener {
    async fn open(app: &TestApp, person: &Person, workspace: &str, last: Option<i64>) -> Self {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        let request = request.bearer_auth(&person.token);
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { bytes: Box::pin(response.bytes_stream()), text: String::new() }
    }

    /// The next event's data; its id must be its place.
    async fn next(&mut self) -> Value {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(data) = field("data:") else { continue };
                let event: Value = serde_json::from_str(data).expect("JSON");
                assert_eq!(field("id:"), Some(event["seq"].to_string().as_str()));
                assert_eq!(field("event:"), event["type"].as_str());
                return event;
            }
            let bytes = tokio::time::timeout(Duration::from_secs(30), self.bytes.next()).await;
            let bytes = bytes.expect("an event in time").expect("an open stream").expect("bytes");
            self.text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    }
}

#[actix_web::test]
async fn listeners_hear_everything_once_and_in_order() {
    let app = TestApp::start_whole(&[]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let mut live = Listener::open(&app, &ada, &workspace, None).await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    let file = &accepted["items"][0]["id"];

    let mut heard = Vec::new();
    while heard.last().is_none_or(|event: &Value| event["type"] != "file.ready") {
        heard.push(live.next().await);
    }
    let types: Vec<_> = heard.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["file.queued", "file.progressed", "file.progressed", "file.ready"]);
    assert!(heard.iter().all(|event| event["subjectId"] == *file));
    assert_eq!(heard.iter().map(|event| event["seq"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);

    // Somebody who was away from the second on, and while something else happened.
    let path = format!("/api/v1/workspaces/{workspace}/files/{}", file.as_str().unwrap());
    assert_eq!(send(app.request(Method::DELETE, &path).bearer_auth(&ada.token)).await.status, 204);
    let mut back = Listener::open(&app, &ada, &workspace, Some(2)).await;
    for expected in &heard[2..] {
        assert_eq!(back.next().await, *expected);
    }
    for listener in [&mut back, &mut live] {
        let event = listener.next().await;
        assert_eq!((event["seq"].as_i64(), event["type"].as_str()), (Some(5), Some("file.deleted")));
    }
    drop((live, back));
    app.stop().await;
}

#[actix_web::test]
async fn a_made_up_place_is_refused() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    for bad in ["-1", "x", "1.5"] {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        send(request.bearer_auth(&ada.token).header("last-event-id", bad)).await.problem(400, "invalid_header");
    }
    app.stop().await;
}
