//! Clients that take their time, and clients that do not speak HTTP: seen from a bare socket.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::app::{Person, TestApp, until};

/// Short waits, so that the tests need not be long: each test shortens its own only.
const HEAD: (&str, &str) = ("NVISY_HTTP_HEAD_SECONDS", "1");
const BODY: (&str, &str) = ("NVISY_HTTP_BODY_SECONDS", "1");

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address).await.expect("a connection")
}

/// All that comes until the server closes.
async fn rest(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    // A reset is an end too.
    let _ = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn sent(app: &TestApp, bytes: &[u8]) -> String {
    let mut socket = connect(app).await;
    socket.write_all(bytes).await.expect("room");
    rest(socket).await
}

fn upload(ada: &Person, workspace: &str) -> String {
    format!(
        "POST /api/v1/workspaces/{workspace}/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=x\r\ncontent-length: 100000\r\n\r\n\
         --x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nSlowly",
        ada.token
    )
}

#[actix_web::test]
async fn unfinished_request_head_times_out() {
    let app = TestApp::start_with(&[HEAD]).await;
    let answer = sent(&app, b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    app.stop().await;
}

#[actix_web::test]
async fn stalled_request_body_times_out() {
    let app = TestApp::start_with(&[BODY]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 500\r\n\r\n{\"email\":";
    for request in [login.to_owned(), upload(&ada, &workspace)] {
        let answer = sent(&app, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
    }
    assert_eq!(app.count("file").await, 0);
    app.stop().await;
}

#[actix_web::test]
async fn trickling_request_body_times_out() {
    let app = TestApp::start_with(&[BODY]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let (mut reader, mut writer) = connect(&app).await.into_split();
    writer.write_all(upload(&ada, &workspace).as_bytes()).await.unwrap();
    // A byte now and then, for as long as the server takes them.
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    let reading = reader.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("the server closes the connection");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408 "));
    trickle.abort();
    app.stop().await;
}

/// A client that asks for much and reads nothing: the kernel of this side would take no more than a few KiB.
#[actix_web::test]
async fn unread_response_closes_the_connection() {
    let app = TestApp::start_with(&[BODY]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(app.address).await.unwrap();
    let request = "GET /api/scalar/scalar.js HTTP/1.1\r\nhost: x\r\n\r\n";
    // More than buffers of the server's kernel hold, too.
    socket.write_all(request.repeat(16).as_bytes()).await.unwrap();
    let me = socket.local_addr().unwrap().port();
    let mine = || ends(app.address.port()).into_iter().find(|end| end.client == me);
    until("the answer has begun", async || mine().filter(|end| end.unsent > 0).map(drop)).await;
    until("the server's end is gone", async || mine().is_none().then_some(())).await;
    app.stop().await;
}

/// The server's end of a connection.
pub struct End {
    client: u16,
    unsent: u64,
}

/// The connections of a server, as the kernel lists them.
pub fn ends(server: u16) -> Vec<End> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let port = |address: &str| u16::from_str_radix(address.split(':').nth(1).unwrap_or_default(), 16).ok();
    lines
        .filter(|fields| port(fields[1]) == Some(server) && fields[3] == ESTABLISHED)
        .map(|fields| End {
            client: port(fields[2]).unwrap(),
            unsent: u64::from_str_radix(fields[4].split(':').next().unwrap(), 16).unwrap(),
        })
        .collect()
}

#[actix_web::test]
async fn steady_request_body_may_outlast_the_body_timeout() {
    // Much longer than the pauses: a busy machine is not taken for a slow client.
    let app = TestApp::start_with(&[("NVISY_HTTP_BODY_SECONDS", "4")]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let mut socket = connect(&app).await;
    let body = format!(
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{}\r\n--x--\r\n",
        "Steadily on. ".repeat(1000)
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
    let answer = rest(socket).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    app.stop_with_jobs().await;
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
        let answer = sent(&app, &request).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{shown}: {answer}");
        assert!(!answer.to_lowercase().contains("actix"), "{answer}");
    }
    let answer = sent(&app, b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    app.stop().await;
}
