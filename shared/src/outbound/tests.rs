//! The guarded client against servers on sockets.

use std::{
    io::{ErrorKind, Write},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use super::{GuardedClient, OutboundFailure, OutboundResponse, client, names::Names};
use crate::{config::OutboundConfig, secret::Secret};

const LOOPBACK: &str = "127.0.0.0/8, ::1";

fn settings(allowed: &str) -> OutboundConfig {
    OutboundConfig {
        allowed_networks: allowed.parse().unwrap(),
        response_bytes: 1_000_000,
        timeout_seconds: 5,
        local_folders: Default::default(),
        writable_folders: Default::default(),
        proxy_url: None,
        no_proxy: Default::default(),
    }
}

fn guarded(allowed: &str) -> GuardedClient {
    GuardedClient::new(&settings(allowed)).unwrap()
}

/// A client whose DNS server gives these answers, one after the other.
fn with_answers(allowed: &str, answers: &[&[&str]]) -> GuardedClient {
    GuardedClient::resolving(&settings(allowed), scripted(answers)).unwrap()
}

fn scripted(answers: &[&[&str]]) -> Names {
    let parse = |answer: &&[&str]| -> Vec<IpAddr> { answer.iter().map(|ip| ip.parse().unwrap()).collect() };
    Names::Scripted(Arc::new(Mutex::new(answers.iter().map(parse).collect())))
}

/// A client whose requests go through a proxy at a port of this machine.
fn proxied(allowed: &str, port: u16, answers: &[&[&str]]) -> GuardedClient {
    proxied_with(allowed, port, scripted(answers))
}

fn proxied_with(allowed: &str, port: u16, names: Names) -> GuardedClient {
    let proxy = Url::parse(&format!("http://ada:hunter2@127.0.0.1:{port}")).unwrap();
    let settings = OutboundConfig { proxy_url: Some(Secret::new(proxy)), ..settings(allowed) };
    GuardedClient::resolving(&settings, names).unwrap()
}

async fn get(client: &GuardedClient, url: &str, max_bytes: usize) -> Result<OutboundResponse, OutboundFailure> {
    let url = Url::parse(url).unwrap();
    client.send(client.request(Method::GET, url), max_bytes).await
}

/// A server that gives every connection the same bytes; returns its port.
async fn serve(response: Vec<u8>) -> u16 {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    serve_on(server, response);
    port
}

fn serve_on(server: TcpListener, response: Vec<u8>) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            let response = response.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&response).await;
                let _ = stream.shutdown().await;
            });
        }
    });
}

/// An address that stands for a public one: the operator allows it, and no other.
const OPEN: &str = "127.0.0.2";
const CLOSED: &str = "127.0.0.1";

/// A server at [`OPEN`], and one on the same port at [`CLOSED`], which accepts what has connected.
async fn open_and_closed() -> (TcpListener, std::net::TcpListener, u16) {
    loop {
        let open = TcpListener::bind((OPEN, 0)).await.unwrap();
        let port = open.local_addr().unwrap().port();
        // Another test may have this port.
        if let Ok(closed) = std::net::TcpListener::bind((CLOSED, port)) {
            closed.set_nonblocking(true).unwrap();
            return (open, closed, port);
        }
    }
}

fn assert_no_connection(server: &std::net::TcpListener) {
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the closed address saw a connection");
}

fn response(head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn https_request_starts_a_tls_handshake() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let first = tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        stream.read_u8().await.unwrap()
    });
    client(Duration::from_secs(5), None).unwrap().get(format!("https://{address}/")).send().await.unwrap_err();
    assert_eq!(first.await.unwrap(), 22, "a TLS connection opens with a handshake record");
}

#[tokio::test]
async fn closed_addresses_are_blocked_in_every_spelling() {
    let client = guarded("");
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1:8080/",
        // A name, which the resolver checks.
        "http://localhost/",
        "ftp://example.org/",
    ] {
        let failure = get(&client, url, 10).await.unwrap_err();
        assert!(matches!(failure, OutboundFailure::Blocked(_)), "{url}: {failure:?}");
        assert!(!failure.is_temporary(), "{url}: {failure}");
    }
    // reqwest turns credentials into a header before the request is checked, so only the check of a setting sees them.
    let failure = client.check(&Url::parse("http://user:secret@example.org/").unwrap()).unwrap_err();
    assert!(matches!(failure, OutboundFailure::Blocked(reason) if !reason.contains("secret")));
}

#[tokio::test]
async fn name_of_a_closed_address_gets_no_connection() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let failure = get(&guarded(""), &format!("http://localhost:{port}/"), 10).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Blocked(_)), "{failure:?}");
    let accepted = tokio::time::timeout(Duration::from_millis(100), server.accept()).await;
    assert!(accepted.is_err(), "the server saw a connection");
}

#[tokio::test]
async fn second_answer_of_a_dns_server_is_never_reached() {
    let (open, closed, port) = open_and_closed().await;
    serve_on(open, response("200 OK", b"open"));
    let url = format!("http://rebind.example:{port}/");
    // Checked and reached by one answer: the second one is that of the next request, which fails.
    let client = with_answers(OPEN, &[&[OPEN], &[CLOSED], &[OPEN]]);
    assert_eq!(get(&client, &url, 10).await.unwrap().body.as_ref(), b"open");
    let failure = get(&client, &url, 10).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Blocked(_)), "{failure:?}");
    assert_eq!(get(&client, &url, 10).await.unwrap().body.as_ref(), b"open");
    // Of an answer with both addresses the closed one is dropped.
    let client = with_answers(OPEN, &[&[CLOSED, OPEN]]);
    assert_eq!(get(&client, &url, 10).await.unwrap().body.as_ref(), b"open");
    assert_no_connection(&closed);

    let client = with_answers(OPEN, &[&[OPEN, CLOSED], &[CLOSED]]);
    let resolved = client.resolve("rebind.example", port).await.unwrap();
    assert_eq!(resolved, [format!("{OPEN}:{port}").parse::<SocketAddr>().unwrap()]);
    let failure = client.resolve("rebind.example", port).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Blocked(_)), "{failure:?}");
}

#[tokio::test]
async fn closed_address_is_not_tried_when_the_open_one_does_not_respond() {
    let (open, closed, port) = open_and_closed().await;
    drop(open);
    let client = with_answers(OPEN, &[&[OPEN, CLOSED], &[CLOSED]]);
    let failure = get(&client, &format!("http://rebind.example:{port}/"), 10).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Connect(_)), "{failure:?}");
    assert_no_connection(&closed);
}

#[tokio::test]
async fn allowed_networks_are_reached_by_address_and_by_name() {
    let port = serve(response("200 OK", b"hello")).await;
    let client = guarded(LOOPBACK);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let answer = get(&client, &format!("http://{host}:{port}/"), 10).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, b"hello".as_ref()), "{host}");
    }
}

#[tokio::test]
async fn redirect_is_returned_and_not_followed() {
    let port = serve(response("302 Found\r\nlocation: http://169.254.169.254/", b"")).await;
    let answer = get(&guarded(LOOPBACK), &format!("http://127.0.0.1:{port}/"), 10).await.unwrap();
    assert_eq!(answer.status.as_u16(), 302);
}

#[tokio::test]
async fn bodies_are_bounded_before_and_after_decompression() {
    let client = guarded(LOOPBACK);
    let plain = serve(response("200 OK", &[b'a'; 101])).await;
    let endless = serve([b"HTTP/1.1 200 OK\r\n\r\n".as_ref(), &[b'a'; 5000]].concat()).await;
    let bomb = serve(response("200 OK\r\ncontent-encoding: gzip", &gzip(&[0; 50_000]))).await;
    for port in [plain, endless, bomb] {
        let failure = get(&client, &format!("http://127.0.0.1:{port}/"), 100).await.unwrap_err();
        assert_eq!(failure, OutboundFailure::TooLarge(100));
    }
    let answer = get(&client, &format!("http://127.0.0.1:{bomb}/"), 50_000).await.unwrap();
    assert_eq!(answer.body.len(), 50_000);
}

#[tokio::test]
async fn broken_and_missing_responses_are_temporary_failures() {
    let client = guarded(LOOPBACK);
    let half = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf".to_vec()).await;
    let nonsense = serve(b"nonsense\r\n\r\n".to_vec()).await;
    let damaged = serve(response("200 OK\r\ncontent-encoding: gzip", b"no gzip")).await;
    for port in [half, nonsense, damaged] {
        let failure = get(&client, &format!("http://127.0.0.1:{port}/secret"), 100).await.unwrap_err();
        assert!(matches!(failure, OutboundFailure::Broken(_)) && failure.is_temporary(), "{failure:?}");
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let failure = get(&client, &format!("http://127.0.0.1:{closed}/"), 100).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Connect(_)), "{failure:?}");
}

#[tokio::test]
async fn silent_server_meets_the_timeout_of_the_request() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", server.local_addr().unwrap())).unwrap();
    let client = guarded(LOOPBACK);
    let request = client.request(Method::GET, url).timeout(Duration::from_millis(50));
    assert_eq!(client.send(request, 10).await.unwrap_err(), OutboundFailure::Timeout);
}

#[tokio::test]
async fn closed_address_is_refused_before_the_proxy_sees_it() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let port = proxy.local_addr().unwrap().port();
    let closed: &[&[&str]] = &[&["10.0.0.1"], &["1.1.1.1", "10.0.0.1"]];
    let client = proxied("", port, closed);
    for url in ["http://10.0.0.1/", "https://[::ffff:a9fe:a9fe]/", "http://intranet.example/", "https://mixed.example/"]
    {
        let failure = get(&client, url, 10).await.unwrap_err();
        assert!(matches!(failure, OutboundFailure::Blocked(_)), "{url}: {failure:?}");
    }
    // The name of this machine is resolved here, and not by the proxy.
    let failure = get(&proxied("", port, &[&["127.0.0.1"]]), "http://localhost/", 10).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Blocked(_)), "{failure:?}");
    assert_no_connection(&proxy);
}

#[tokio::test]
async fn name_that_is_unknown_here_is_left_to_the_proxy() {
    let port = serve(response("200 OK", b"hello")).await;
    let client = proxied("", port, &[]);
    let url = Url::parse("http://far.example/").unwrap();
    client.check_resolved(&url).await.unwrap();
    assert_eq!(get(&client, url.as_str(), 10).await.unwrap().body.as_ref(), b"hello");
    // Protocols other than HTTP do not use the proxy.
    let failure = client.check_resolved(&Url::parse("postgres://far.example:5432/").unwrap()).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Connect(_)), "{failure:?}");
}

#[tokio::test]
async fn name_whose_lookup_takes_too_long_is_not_looked_up_for_each_request() {
    let port = serve(response("200 OK", b"hello")).await;
    let questions = Arc::new(AtomicUsize::new(0));
    let client = proxied_with("", port, Names::Silent(Arc::clone(&questions)));
    for _ in 0..3 {
        assert_eq!(get(&client, "http://far.example/", 10).await.unwrap().body.as_ref(), b"hello");
    }
    assert_eq!(questions.load(Ordering::SeqCst), 1);
    // An address in a URL needs no lookup, and stays refused.
    let failure = get(&client, "http://10.0.0.1/", 10).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Blocked(_)), "{failure:?}");
}

#[tokio::test]
async fn proxy_at_fault_is_a_failure_of_its_own() {
    let failing = async |status: &str, url: &str| {
        let client = proxied("", serve(response(status, b"")).await, &[]);
        assert!(!format!("{client:?}").contains("hunter2"), "{client:?}");
        get(&client, url, 10).await
    };
    for url in ["http://far.example/", "https://far.example/"] {
        let failure = failing("407 Proxy Authentication Required", url).await.unwrap_err();
        assert!(failure.to_string().contains("407") && failure.is_temporary(), "{url}: {failure:?}");
    }
    for status in ["502 Bad Gateway", "403 Forbidden"] {
        let failure = failing(status, "https://far.example/").await.unwrap_err();
        assert!(failure.to_string().contains("opens no connection"), "{status}: {failure:?}");
        // Without a tunnel, the response can be that of the server.
        assert_eq!(failing(status, "http://far.example/").await.unwrap().status.to_string(), status);
    }
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for url in ["http://far.example/", "https://far.example/"] {
        let failure = get(&proxied("", unused, &[]), url, 10).await.unwrap_err();
        assert_eq!(failure.to_string(), "the operator's proxy cannot be reached", "{url}");
    }
}

#[tokio::test]
async fn host_without_proxy_is_checked_and_reached_directly() {
    let (open, closed, port) = open_and_closed().await;
    serve_on(open, response("200 OK", b"open"));
    let url = format!("http://models.direct.example:{port}/");
    let settings = OutboundConfig {
        proxy_url: Some(Secret::new(Url::parse(&format!("http://{CLOSED}:{port}")).unwrap())),
        no_proxy: "direct.example".parse().unwrap(),
        ..settings(OPEN)
    };
    let client = GuardedClient::resolving(&settings, scripted(&[&[CLOSED, OPEN], &[CLOSED]])).unwrap();
    assert_eq!(get(&client, &url, 10).await.unwrap().body.as_ref(), b"open");
    let failure = get(&client, &url, 10).await.unwrap_err();
    assert!(matches!(failure, OutboundFailure::Blocked(_)), "{failure:?}");
    assert_no_connection(&closed);
}
