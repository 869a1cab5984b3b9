//! Slow clients and invalid HTTP, over bare sockets.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{TestAccount, TestApp, wait_until};

/// Each test shortens only the timeout that it needs.
const HEAD_TIMEOUT: (&str, &str) = ("NVISY_HTTP_HEAD_SECONDS", "1");
const BODY_TIMEOUT: (&str, &str) = ("NVISY_HTTP_BODY_SECONDS", "1");

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address).await.expect("a connection")
}

/// Reads until the server closes the connection.
async fn read_to_close(mut socket: TcpStream) -> String {
    let mut response = Vec::new();
    let reading = socket.read_to_end(&mut response);
    // A reset also ends the connection.
    let _ = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("the server closes the connection");
    String::from_utf8_lossy(&response).into_owned()
}

async fn send_bytes(app: &TestApp, bytes: &[u8]) -> String {
    let mut socket = connect(app).await;
    socket.write_all(bytes).await.expect("an open connection");
    read_to_close(socket).await
}

fn upload_head(ada: &TestAccount, workspace: &str) -> String {
    format!(
        "POST /api/v1/workspaces/{workspace}/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=x\r\ncontent-length: 100000\r\n\r\n\
         --x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nSlowly",
        ada.token
    )
}

#[actix_web::test]
async fn unfinished_request_head_times_out() {
    let app = TestApp::start_with(&[HEAD_TIMEOUT]).await;
    let response = send_bytes(&app, b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(response.is_empty() || response.starts_with("HTTP/1.1 408 "), "{response}");
    app.stop().await;
}

#[actix_web::test]
async fn stalled_request_body_times_out() {
    let app = TestApp::start_with(&[BODY_TIMEOUT]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 500\r\n\r\n{\"email\":";
    for request in [login.to_owned(), upload_head(&ada, &workspace)] {
        let response = send_bytes(&app, request.as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
        assert!(response.contains("\"code\":\"request_timeout\""), "{response}");
    }
    assert_eq!(app.count("file").await, 0);
    app.stop().await;
}

#[actix_web::test]
async fn trickling_request_body_times_out() {
    let app = TestApp::start_with(&[BODY_TIMEOUT]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let (mut reader, mut writer) = connect(&app).await.into_split();
    writer.write_all(upload_head(&ada, &workspace).as_bytes()).await.unwrap();
    // Sends a byte now and then until the server closes the connection.
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut response = Vec::new();
    let reading = reader.read_to_end(&mut response);
    let _ = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("the server closes the connection");
    assert!(String::from_utf8_lossy(&response).starts_with("HTTP/1.1 408 "));
    trickle.abort();
    app.stop().await;
}

/// A client that requests much and reads nothing; its receive buffer has a few KiB.
#[actix_web::test]
async fn unread_response_closes_the_connection() {
    let app = TestApp::start_with(&[BODY_TIMEOUT]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(app.address).await.unwrap();
    let request = "GET /api/scalar/scalar.js HTTP/1.1\r\nhost: x\r\n\r\n";
    // More than the send buffer of the server holds.
    socket.write_all(request.repeat(16).as_bytes()).await.unwrap();
    let client_port = socket.local_addr().unwrap().port();
    let connection =
        || server_connections(app.address.port()).into_iter().find(|connection| connection.client_port == client_port);
    wait_until("the response has begun", async || {
        connection().filter(|connection| connection.unsent_bytes > 0).map(drop)
    })
    .await;
    wait_until("the server has closed the connection", async || connection().is_none().then_some(())).await;
    app.stop().await;
}

/// The server's end of a connection.
pub struct ServerConnection {
    client_port: u16,
    unsent_bytes: u64,
}

/// The established connections of a server, as the kernel lists them.
pub fn server_connections(server: u16) -> Vec<ServerConnection> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let port = |address: &str| u16::from_str_radix(address.split(':').nth(1).unwrap_or_default(), 16).ok();
    lines
        .filter(|fields| port(fields[1]) == Some(server) && fields[3] == ESTABLISHED)
        .map(|fields| ServerConnection {
            client_port: port(fields[2]).unwrap(),
            unsent_bytes: u64::from_str_radix(fields[4].split(':').next().unwrap(), 16).unwrap(),
        })
        .collect()
}

#[actix_web::test]
async fn steady_request_body_may_outlast_the_body_timeout() {
    // Much longer than the pauses, so that a busy machine does not fail the test.
    let app = TestApp::start_with(&[("NVISY_HTTP_BODY_SECONDS", "4")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let mut socket = connect(&app).await;
    let body = format!(
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{}\r\n--x--\r\n",
        "Slack water. ".repeat(1000)
    );
    let head = format!(
        "POST /api/v1/workspaces/{workspace}/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary=x\r\ncontent-length: {}\r\n\r\n",
        ada.token,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    for piece in body.as_bytes().chunks(body.len() / 5) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        socket.write_all(piece).await.unwrap();
    }
    let response = read_to_close(socket).await;
    assert!(response.starts_with("HTTP/1.1 202 "), "{response}");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn invalid_http_is_rejected_and_the_server_goes_on() {
    let app = TestApp::start().await;
    let line = |line: &[u8]| [line, b"\r\nhost: x\r\n\r\n"].concat();
    let header = |header: &[u8]| [b"GET /health HTTP/1.1\r\nhost: x\r\n".as_slice(), header, b"\r\n\r\n"].concat();
    let both = b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    for request in [
        line(b"nonsense"),
        line(b"GET /\xff\xfe HTTP/1.1"),
        line(b"GET /a\0b HTTP/1.1"),
        line(b"GET / HTTP/7.0"),
        header(b"x: a\0b"),
        header(b"x y: z"),
        header(b"content-length: -1"),
        header(b"content-length: 1\r\ncontent-length: 2"),
        header(&[b"x: ".as_slice(), &[b'a'; 200_000]].concat()),
        header(&b"x: y\r\n".repeat(2_000)),
        both.to_vec(),
    ] {
        let response = send_bytes(&app, &request).await;
        let description = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 4"), "{description}: {response}");
        assert!(!response.to_lowercase().contains("actix"), "{response}");
    }
    let response = send_bytes(&app, b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    app.stop().await;
}
