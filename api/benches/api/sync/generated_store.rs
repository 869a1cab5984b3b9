//! A store of generated objects that speaks the protocol of S3 over a socket: listings with pages of 1,000 keys, and contents that are
//! made while they are read. A real store of a million objects takes longer to fill than to read, and one of a large object needs a disk.

use std::{
    convert::Infallible,
    fmt::Write,
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use actix_web::{App, HttpResponse, HttpServer, body::SizedStream, http::header, web};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::object_store::BUCKET;

/// Keys of a page, as Amazon's store has them.
const PAGE_KEYS: u64 = 1_000;
/// Keys of a folder.
const FOLDER_KEYS: u64 = 1_000;
const BLOCK_BYTES: u64 = 256 * 1024;
static BLOCK: [u8; BLOCK_BYTES as usize] = [b'.'; BLOCK_BYTES as usize];

/// The number and the size of the objects, and the requests.
#[derive(Debug, Default)]
struct State {
    objects: AtomicU64,
    bytes: AtomicU64,
    listings: AtomicU64,
    reads: AtomicU64,
}

/// The server, which ends with the process.
pub struct GeneratedStore {
    endpoint: String,
    state: Arc<State>,
}

/// The requests that a store has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    pub listings: u64,
    pub reads: u64,
}

impl GeneratedStore {
    /// Starts a store without objects.
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let of_server = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(of_server.clone())
                .route("/{bucket}", web::get().to(list))
                .route("/{bucket}/", web::get().to(list))
                .route("/{bucket}/{key:.+}", web::get().to(read))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .expect("a free port");
        let endpoint = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { endpoint, state }
    }

    /// Sets the number of objects, and the size of each. Objects of another size are other objects of the same keys.
    pub fn set(&self, objects: u64, bytes: u64) {
        self.state.objects.store(objects, Relaxed);
        self.state.bytes.store(bytes, Relaxed);
    }

    /// The settings of a connection.
    pub fn settings(&self) -> Value {
        json!({ "bucket": BUCKET, "endpoint": self.endpoint })
    }

    /// The requests since the last call.
    pub fn take_requests(&self) -> Requests {
        Requests { listings: self.state.listings.swap(0, Relaxed), reads: self.state.reads.swap(0, Relaxed) }
    }
}

/// The keys in their order: a name without zeros in front would be out of it.
fn key(at: u64) -> String {
    format!("d{:05}/{at:08}.txt", at / FOLDER_KEYS)
}

fn place_of(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.strip_suffix(".txt")?.parse().ok()
}

fn etag(at: u64, bytes: u64) -> String {
    format!("\"{at}-{bytes}\"")
}

/// Content that no other object has, as it arrives at a client.
pub fn content(at: u64, bytes: u64) -> impl Stream<Item = Bytes> + Send + Unpin {
    let mut first = Bytes::from(format!("Reading {at} of {bytes} bytes. "));
    first.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    let rest = bytes - first.len() as u64;
    let blocks = (0..rest.div_ceil(BLOCK_BYTES)).map(move |block| {
        let left = (rest - block * BLOCK_BYTES).min(BLOCK_BYTES);
        Bytes::from_static(&BLOCK[..usize::try_from(left).unwrap_or_default()])
    });
    stream::iter(iter::once(first).chain(blocks))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ListQuery {
    max_keys: Option<u64>,
    start_after: Option<String>,
    continuation_token: Option<u64>,
}

/// `ListObjectsV2`, without folders.
async fn list(query: web::Query<ListQuery>, state: web::Data<State>) -> HttpResponse {
    state.listings.fetch_add(1, Relaxed);
    let (objects, bytes) = (state.objects.load(Relaxed), state.bytes.load(Relaxed));
    let behind = query.start_after.as_deref().and_then(place_of).map(|at| at + 1);
    let first = query.continuation_token.or(behind).unwrap_or(0);
    let end = objects.min(first + query.max_keys.unwrap_or(PAGE_KEYS).min(PAGE_KEYS));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult>");
    let _ = write!(xml, "<Name>{BUCKET}</Name><IsTruncated>{}</IsTruncated>", end < objects);
    if end < objects {
        let _ = write!(xml, "<NextContinuationToken>{end}</NextContinuationToken>");
    }
    for at in first..end {
        let _ = write!(
            xml,
            "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{}</ETag>\
             <Size>{bytes}</Size></Contents>",
            key(at),
            etag(at, bytes)
        );
    }
    xml.push_str("</ListBucketResult>");
    HttpResponse::Ok().content_type("application/xml").body(xml)
}

/// `GetObject`.
async fn read(path: web::Path<(String, String)>, state: web::Data<State>) -> HttpResponse {
    let (objects, bytes) = (state.objects.load(Relaxed), state.bytes.load(Relaxed));
    let Some(at) = place_of(&path.1).filter(|at| *at < objects && key(*at) == path.1) else {
        return HttpResponse::NotFound().finish();
    };
    state.reads.fetch_add(1, Relaxed);
    let content = content(at, bytes).map(Ok::<_, Infallible>);
    HttpResponse::Ok()
        .insert_header((header::ETAG, etag(at, bytes)))
        .insert_header((header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT"))
        .content_type("text/plain")
        .body(SizedStream::new(bytes, content))
}
