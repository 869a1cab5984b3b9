//! Searches whose clients close the connection.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::support::{ReceivedRequest, TestAccount, TestApp};

/// A request whose response the client does not wait for.
async fn send_search(app: &TestApp, ada: &TestAccount, path: &str, query: &str) -> TcpStream {
    let body = json!({ "query": query, "mode": "vector" }).to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        ada.token,
        body.len()
    );
    let mut socket = TcpStream::connect(app.address).await.unwrap();
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    socket
}

/// Accepts a call of the model and reads its request.
async fn accept_call(model: &TcpListener) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(model.accept().await.unwrap().0);
    ReceivedRequest::read(&mut stream).await.expect("a whole request");
    stream
}

#[actix_web::test]
async fn search_ends_when_its_client_closes_the_connection() {
    let model = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", model.local_addr().unwrap());
    // No time limit ends the search within the test.
    let app = TestApp::start_with(&[
        ("NVISY_EMBEDDING_URL", url.as_str()),
        ("NVISY_EMBEDDING_TIMEOUT_SECONDS", "3600"),
        ("NVISY_SEARCH_EMBEDDING_SECONDS", "3600"),
        ("NVISY_HTTP_REQUEST_SECONDS", "3600"),
    ])
    .await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let path = format!("/api/v1/workspaces/{workspace}/search");

    let client = send_search(&app, &ada, &path, "tide").await;
    let mut call = accept_call(&model).await;
    drop(client);
    let mut byte = [0];
    let ended = tokio::time::timeout(Duration::from_secs(60), call.read(&mut byte)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "the call of the model ends with the search: {ended:?}");

    // A further request on the connection is no end of it.
    let mut client = send_search(&app, &ada, &path, "ebb").await;
    let mut call = accept_call(&model).await;
    client.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let vector = vec![0.5; 384];
    let body = json!({ "data": [{ "index": 0, "embedding": vector }] }).to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    call.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut responses = String::new();
    client.read_to_string(&mut responses).await.unwrap();
    assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 2, "{responses}");
    assert!(responses.contains("\"hits\":[]"), "{responses}");
    app.stop().await;
}
