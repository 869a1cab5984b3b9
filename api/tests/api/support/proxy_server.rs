//! An HTTP proxy on a socket: requests with whole URLs, and tunnels. It resolves the names that a test gives it, and no others, so
//! that a response can only have come through it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use url::Url;

/// A request that the proxy received.
#[derive(Clone, Debug)]
pub struct ProxyRequest {
    pub method: String,
    /// The URL, or host and port of a tunnel.
    pub target: String,
    /// The header `Proxy-Authorization`.
    pub authorization: String,
}

#[derive(Clone)]
pub struct ProxyServer {
    /// Without credentials.
    pub url: String,
    hosts: Arc<Mutex<HashMap<String, String>>>,
    status: Arc<Mutex<Option<u16>>>,
    received: Arc<Mutex<Vec<ProxyRequest>>>,
}

/// A request line with its headers, or the status line of a response.
struct Head {
    first: String,
    headers: Vec<(String, String)>,
}

impl Head {
    async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let first = line(stream).await?;
        let mut headers = Vec::new();
        loop {
            let line = line(stream).await?;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => return Some(Self { first, headers }),
            }
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// The bytes for another connection, to which the headers of this one do not belong.
    fn forwarded(&self, first: &str) -> Vec<u8> {
        let own = |name: &str| name.starts_with("proxy-") || name == "connection";
        let headers = self.headers.iter().filter(|(name, _)| !own(name));
        let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{first}\r\n{headers}connection: close\r\n\r\n").into_bytes()
    }

    /// The body, whose length the head has; `None` if it ends early.
    async fn body(&self, stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
        let mut body = vec![0; self.header("content-length").parse().unwrap_or(0)];
        stream.read_exact(&mut body).await.ok()?;
        Some(body)
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    Some(line.trim_end().to_owned())
}

impl ProxyServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self { url, hosts: Arc::default(), status: Arc::default(), received: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(BufReader::new(stream)));
            }
        });
        server
    }

    /// The URL with credentials.
    pub fn url_of(&self, username: &str, password: &str) -> String {
        self.url.replace("://", &format!("://{username}:{password}@"))
    }

    /// Resolves a name to a server of this machine, as `127.0.0.1:8080` or its URL, whatever port the client names.
    pub fn resolve(&self, host: &str, address: &str) {
        let address = address.trim_start_matches("http://").to_owned();
        self.hosts.lock().unwrap().insert(host.to_owned(), address);
    }

    /// Answers every request from here on with an error.
    pub fn fail(&self, status: u16) {
        *self.status.lock().unwrap() = Some(status);
    }

    pub fn requests(&self) -> Vec<ProxyRequest> {
        self.received.lock().unwrap().clone()
    }

    /// Serves one request; every response closes its connection.
    async fn serve(self, mut client: BufReader<TcpStream>) -> Option<()> {
        let head = Head::read(&mut client).await?;
        let (method, rest) = head.first.split_once(' ')?;
        let target = rest.split(' ').next()?;
        self.received.lock().unwrap().push(ProxyRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            authorization: head.header("proxy-authorization").to_owned(),
        });
        let body = head.body(&mut client).await?;
        let is_tunnel = method == "CONNECT";
        let host = match is_tunnel {
            true => target.rsplit_once(':')?.0.to_owned(),
            false => Url::parse(target).ok()?.host_str()?.to_owned(),
        };
        let status = *self.status.lock().unwrap();
        let server = match (status, self.connect(&host).await) {
            (Some(status), _) => return refuse(client, status).await,
            (None, None) => return refuse(client, 502).await,
            (None, Some(server)) => server,
        };
        if is_tunnel {
            tunnel(client, server).await
        } else {
            forward(client, server, &head, method, target, body).await
        }
    }

    async fn connect(&self, host: &str) -> Option<TcpStream> {
        let address = self.hosts.lock().unwrap().get(host).cloned()?;
        TcpStream::connect(address).await.ok()
    }
}

async fn tunnel(mut client: BufReader<TcpStream>, mut server: TcpStream) -> Option<()> {
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
}

/// Sends a request to its server, and the response back.
async fn forward(
    mut client: BufReader<TcpStream>,
    server: TcpStream,
    head: &Head,
    method: &str,
    target: &str,
    body: Vec<u8>,
) -> Option<()> {
    let url = Url::parse(target).ok()?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request = head.forwarded(&format!("{method} {}{query} HTTP/1.1", url.path()));
    let mut server = BufReader::new(server);
    server.write_all(&[request, body].concat()).await.ok()?;
    let response = Head::read(&mut server).await?;
    let body = response.body(&mut server).await?;
    client.write_all(&[response.forwarded(&response.first), body].concat()).await.ok()?;
    client.shutdown().await.ok()
}

/// Answers with an error of the proxy.
async fn refuse(mut client: BufReader<TcpStream>, status: u16) -> Option<()> {
    let challenge = if status == 407 { "proxy-authenticate: Basic realm=\"tides\"\r\n" } else { "" };
    let head = format!("HTTP/1.1 {status} S\r\n{challenge}content-length: 0\r\nconnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.ok()?;
    client.shutdown().await.ok()
}
