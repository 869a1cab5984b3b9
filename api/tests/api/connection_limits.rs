//! `concurrency` and `rateLimit` of a connection count each object that is read or looked up.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, http::header, web};
use serde_json::{Value, json};

use crate::{
    source_notifications::Notifier,
    support::{
        QuickWorker, TestApp,
        object_store::{BUCKET, s3_credentials},
        synced::{LOOPBACK, Synced, counts},
        wait_until,
    },
};

const OBJECTS: usize = 24;
/// How long a call takes, so that others can be made at the same time.
const CALL: Duration = Duration::from_millis(50);

/// A store of S3 that counts its calls, and those at the same time.
#[derive(Default)]
struct CountingStore {
    version: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    calls: AtomicUsize,
}

impl CountingStore {
    /// Starts the server, which ends with the process; returns its address.
    fn start(self: &Arc<Self>) -> String {
        let store = web::Data::from(Arc::clone(self));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(store.clone())
                .route("/{bucket}", web::get().to(list))
                .route("/{bucket}/", web::get().to(list))
                .service(web::resource("/{bucket}/{key}").route(web::get().to(read)).route(web::head().to(read)))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        address
    }

    async fn call(&self) {
        self.calls.fetch_add(1, SeqCst);
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        tokio::time::sleep(CALL).await;
        self.now.fetch_sub(1, SeqCst);
    }

    /// The most calls at the same time, and all calls, since the last time.
    fn take(&self) -> (usize, usize) {
        (self.most.swap(0, SeqCst), self.calls.swap(0, SeqCst))
    }

    fn content(&self, at: &str) -> String {
        format!("The gauge of {at} is read {} times.", self.version.load(SeqCst))
    }

    fn etag(&self, at: &str) -> String {
        format!("\"{at}-{}\"", self.version.load(SeqCst))
    }
}

fn keys() -> impl Iterator<Item = String> {
    (0..OBJECTS).map(|at| format!("k{at:02}.txt"))
}

async fn list(store: web::Data<CountingStore>) -> HttpResponse {
    store.call().await;
    let mut xml = format!("<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>");
    for key in keys() {
        let (etag, bytes) = (store.etag(&key), store.content(&key).len());
        let facts =
            format!("<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{etag}</ETag><Size>{bytes}</Size>");
        write!(xml, "<Contents><Key>{key}</Key>{facts}</Contents>").unwrap();
    }
    xml.push_str("</ListBucketResult>");
    HttpResponse::Ok().content_type("application/xml").body(xml)
}

async fn read(path: web::Path<(String, String)>, store: web::Data<CountingStore>) -> HttpResponse {
    store.call().await;
    HttpResponse::Ok()
        .insert_header((header::ETAG, store.etag(&path.1)))
        .insert_header((header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT"))
        .content_type("text/plain")
        .body(store.content(&path.1))
}

#[actix_web::test]
async fn limits_of_a_connection_count_objects() {
    let store = Arc::new(CountingStore::default());
    let settings = |limits: Value| {
        let mut settings = json!({ "bucket": BUCKET });
        settings.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        settings
    };
    let endpoint = store.start();
    let app = TestApp::start_with(&[LOOPBACK]).await;
    let worker = QuickWorker::start(&app).await;
    let free = settings(json!({ "endpoint": endpoint }));
    let synced = Synced::of(app, "s3", free, s3_credentials(), json!({})).await;
    let objects = i64::try_from(OBJECTS).unwrap();
    assert_eq!(counts(&synced.sync().await), [objects, objects, 0, 0, 0, 0]);
    let (most, _) = store.take();
    assert!(most > 2, "without a limit {most} calls were made at the same time");

    store.version.store(2, SeqCst);
    let limited = settings(json!({ "endpoint": endpoint, "concurrency": 2 }));
    synced.patch_connection(json!({ "settings": limited, "credentials": s3_credentials() })).await;
    assert_eq!(counts(&synced.sync().await), [objects, 0, objects, 0, 0, 0]);
    let (most, _) = store.take();
    assert!((1..=2).contains(&most), "{most} calls were made at the same time");

    // More keys than calls are allowed: one lists the beginning, and the others look up an object each.
    let slow = json!({ "endpoint": endpoint, "concurrency": 2, "rateLimit": { "calls": 6, "perSeconds": 86400 } });
    synced.patch_connection(json!({ "settings": settings(slow), "credentials": s3_credentials() })).await;
    let notifier = Notifier::new(&synced).await;
    let keys: Vec<_> = keys().collect();
    notifier.notify(&json!({ "type": "objects.changed", "data": { "keys": keys } })).await;
    let waiting = "job where kind = 'source.sync' and state = 'waiting' and run_at > now() + interval '10 seconds'";
    let waits = async || (synced.app.count(waiting).await == 1).then_some(());
    wait_until("the sync waits for its rate limit", waits).await;
    assert_eq!(store.take(), (2, 6), "calls at the same time, and all calls");
    worker.stop().await;
    synced.app.stop_and_drop_jobs().await;
}
