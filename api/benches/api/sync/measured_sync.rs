//! A sync whose items end at the first node behind the source, so that the sync itself is measured.

use std::time::{Duration, Instant};

use nvisy_shared::{
    id::WorkspaceId,
    platform::Platform,
    store::{self, Db},
};
use nvisy_worker::{
    connectors::{DynSource, ListRequest, ListedObject, OpenConnection, table::open_source},
    context::Context,
};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::support::{TestApp, program, send, spawn, synced::Synced};

/// A sync of many objects takes longer than an access token lives by default.
const SETTINGS: [(&str, &str); 1] = [("NVISY_AUTH_TOKEN_SECONDS", "604800")];
/// How long the benchmark waits before it reads the state of a run again.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

pub struct MeasuredSync {
    pub synced: Synced,
    /// A connection to the database of the deployment.
    pub db: Db,
}

impl MeasuredSync {
    /// With an API of its own and no worker. `source` are settings of the node.
    pub async fn start(provider: &str, settings: Value, credentials: Value, source: &Value) -> Self {
        let app = TestApp::start_with(&SETTINGS).await;
        let synced = Synced::of(app, provider, settings, credentials, source.clone()).await;
        let mut first = json!({ "id": "in", "type": "source.connection", "connection": synced.connection });
        first.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        let definition = json!({ "schemaVersion": 1, "nodes": [
            first, { "id": "none", "type": "filter", "expression": "false" }, { "id": "read", "type": "partition" },
            { "id": "out", "type": "sink.file", "suffix": ".txt" },
        ], "edges": [{ "from": "in", "to": "none" }, { "from": "none", "to": "read" }, { "from": "read", "to": "out" }] });
        let path = synced.path(&format!("pipelines/{}", synced.pipeline));
        let request = synced.app.request(reqwest::Method::PATCH, &path).bearer_auth(&synced.ada.token);
        send(request.json(&json!({ "definition": definition }))).await.expect(200);
        let db = store::connect(&synced.app.config().database).await.unwrap();
        Self { synced, db }
    }

    /// Starts a worker, which is killed when dropped; returns it with its id.
    pub fn spawn_worker(&self) -> (Child, u32) {
        let worker = spawn("nvisy-worker", &self.synced.app.deployment, &[]);
        let id = worker.id().expect("a worker that runs");
        (worker, id)
    }

    /// The source of the connection, as a worker opens it.
    pub async fn source(&self) -> Box<DynSource> {
        let platform = Platform::open(self.synced.app.config().clone()).await.unwrap();
        let cx = Context::new(platform, program("nvisy-worker"), None);
        let workspace = WorkspaceId(self.synced.workspace.parse().unwrap());
        let id = self.synced.connection.parse::<uuid::Uuid>().unwrap().into();
        let row = store::connection::find(&cx.db, workspace, id).await.unwrap().unwrap();
        let connection = OpenConnection::open(&cx, workspace, row).unwrap();
        open_source(&cx, &connection).unwrap()
    }

    /// A sync to its end: the run, and how long it took.
    pub async fn sync(&self) -> (Value, Duration) {
        let began = Instant::now();
        let run = self.synced.start_sync(json!({})).await;
        let run = self.ended(&run).await;
        (run, began.elapsed())
    }

    /// The run, once it has ended; fails unless it is completed. However long that takes: `Synced::ended` waits two minutes.
    pub async fn ended(&self, run: &str) -> Value {
        let run = self.run_that(run, |run| run["finishedAt"].is_string()).await;
        assert_eq!(run["state"], "completed", "{run}");
        run
    }

    /// The run, once it satisfies a condition.
    pub async fn run_that(&self, run: &str, is_satisfied: impl Fn(&Value) -> bool) -> Value {
        let path = self.synced.path(&format!("runs/{run}"));
        loop {
            let run = self.synced.app.get(&self.synced.ada, &path).await.expect(200);
            if is_satisfied(&run) {
                return run;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Stops the API and removes the deployment; the worker must have ended.
    pub async fn stop(self) {
        self.db.close().await.unwrap();
        self.synced.app.stop_and_drop_jobs().await;
    }
}

/// Lists everything with the client of a connection alone; passes each page to `take`.
pub async fn list(source: &DynSource, stream: Value, mut take: impl FnMut(Vec<ListedObject>)) -> Duration {
    let began = Instant::now();
    let mut listing = source.list(ListRequest { stream, ..ListRequest::default() }).await.unwrap();
    loop {
        let page = listing.next().await.unwrap();
        assert!(page.failures.is_empty(), "{:?}", page.failures);
        take(page.objects);
        if page.checkpoint.is_none() {
            return began.elapsed();
        }
    }
}

/// The number that the arguments have, otherwise `default`.
pub fn argument<T: std::str::FromStr>(default: T) -> T {
    std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(default)
}
