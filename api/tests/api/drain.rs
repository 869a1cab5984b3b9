//! Stopping: readiness fails first, then nobody new is let in, then what was begun is finished.

use futures::StreamExt;
use reqwest::Method;

use crate::{
    app::{TestApp, send, until},
    files::part,
};

/// Longer than any test.
const LONG: (&str, &str) = ("NVISY_HTTP_DRAIN_SECONDS", "3600");
const SHORT: (&str, &str) = ("NVISY_HTTP_DRAIN_SECONDS", "1");

#[actix_web::test]
async fn while_draining_only_readiness_fails() {
    let app = TestApp::start_with(&[LONG]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let events = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
    let mut events = events.bearer_auth(&ada.token).send().await.unwrap().bytes_stream();

    app.lifecycle.soft().cancel();
    for path in ["/health", "/health/ready"] {
        assert_eq!(send(app.request(Method::GET, path)).await.expect(503)["status"], "stopping");
    }
    // A listener goes on elsewhere at once, and holds nobody up.
    while let Some(more) = events.next().await {
        more.expect("a stream that ends in order");
    }
    // New connections are still taken: whoever has not looked at readiness yet gets its answer.
    let stranger = TestApp::stranger();
    let live = stranger.get(format!("http://{}/health/live", app.address)).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let file = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await;
    assert_eq!(file.status, 202, "{}", file.text);
    app.lifecycle.hard().cancel();
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn what_was_begun_is_finished() {
    let app = TestApp::start_with(&[SHORT]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let (sender, body) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let request = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
    let request = request.bearer_auth(&ada.token).header("content-type", "multipart/form-data; boundary=x").body(body);
    let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nSlack water";
    sender.send(Ok(head.to_owned())).await.unwrap();
    let upload = tokio::spawn(send(request));
    // Its first bytes are with the server once the channel has room for the next.
    sender.send(Ok(" is at".to_owned())).await.unwrap();
    sender.send(Ok(" six.".to_owned())).await.unwrap();

    app.lifecycle.soft().cancel();
    until("new connections are refused", async || {
        let answer = TestApp::stranger().get(format!("http://{}/health/live", app.address)).send().await;
        answer.is_err().then_some(())
    })
    .await;
    sender.send(Ok("\r\n--x--\r\n".to_owned())).await.unwrap();
    drop(sender);
    let answer = upload.await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    app.stop_with_jobs().await;
}
