//! A server over HTTP on a socket: the far end of websites, services and repositories. Pages have validators, and a test can answer
//! any request itself.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A request that the server received.
#[derive(Clone, Debug, Default)]
pub struct WebRequest {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers, with names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl WebRequest {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A parameter of the query, as it is written.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// The path, as it is written.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default)]
pub struct WebResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ends this many bytes before the end of the body.
    pub missing: usize,
}

impl WebResponse {
    pub fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Self { status, headers, body: body.into(), missing: 0 }
    }

    pub fn html(body: &str) -> Self {
        Self::new(200, "text/html; charset=utf-8", body)
    }

    pub fn json(body: &serde_json::Value) -> Self {
        Self::new(200, "application/json", body.to_string())
    }

    pub fn status(status: u16) -> Self {
        Self::new(status, "text/html", "<p>no</p>")
    }

    pub fn redirect(to: &str) -> Self {
        Self::status(302).with("location", to)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Respond = Box<dyn FnMut(&WebRequest) -> Option<WebResponse> + Send>;

#[derive(Clone)]
pub struct WebServer {
    /// Without a slash at the end.
    pub url: String,
    pages: Arc<Mutex<HashMap<String, WebResponse>>>,
    respond: Arc<Mutex<Respond>>,
    received: Arc<Mutex<Vec<(WebRequest, u16)>>>,
}

impl WebServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let respond: Respond = Box::new(|_| None);
        let server =
            Self { url, pages: Arc::default(), respond: Arc::new(Mutex::new(respond)), received: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        server
    }

    /// Sets a page of HTML.
    pub fn page(&self, path: &str, html: &str) {
        self.set(path, WebResponse::html(html));
    }

    /// Sets the response of a path.
    pub fn set(&self, path: &str, response: WebResponse) {
        self.pages.lock().unwrap().insert(path.to_owned(), response);
    }

    pub fn remove(&self, path: &str) {
        self.pages.lock().unwrap().remove(path);
    }

    /// Answers requests before pages do, unless it gives nothing.
    pub fn respond(&self, respond: impl FnMut(&WebRequest) -> Option<WebResponse> + Send + 'static) {
        *self.respond.lock().unwrap() = Box::new(respond);
    }

    /// The requests by now; forgets them.
    pub fn take_requests(&self) -> Vec<(WebRequest, u16)> {
        std::mem::take(&mut self.received.lock().unwrap())
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await {
            let server = self.clone();
            // A response can be that of a program.
            let asked = request.clone();
            let response = tokio::task::spawn_blocking(move || server.response(&asked)).await.unwrap();
            self.received.lock().unwrap().push((request, response.status));
            let headers: String = response.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = response.body.len();
            let head = format!("HTTP/1.1 {} S\r\n{headers}content-length: {length}\r\n\r\n", response.status);
            let sent = stream.write_all(head.as_bytes()).await;
            let body = &response.body[..length - response.missing];
            if sent.is_err() || stream.write_all(body).await.is_err() || response.missing > 0 {
                return;
            }
        }
    }

    fn response(&self, request: &WebRequest) -> WebResponse {
        if let Some(response) = (self.respond.lock().unwrap())(request) {
            return response;
        }
        let pages = self.pages.lock().unwrap();
        let Some(page) = pages.get(&request.target).or_else(|| pages.get(request.path())) else {
            return WebResponse::status(404);
        };
        if page.status != 200 {
            return page.clone();
        }
        let mut hasher = DefaultHasher::new();
        page.body.hash(&mut hasher);
        let etag = format!("\"{:x}\"", hasher.finish());
        if request.header("if-none-match") == etag {
            return WebResponse { status: 304, ..WebResponse::default() }.with("etag", &etag);
        }
        page.clone().with("etag", &etag)
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<WebRequest> {
    let mut first = String::new();
    stream.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
    let mut parts = first.split_ascii_whitespace();
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(WebRequest { method, target, headers, body })
}
