//! A workspace that is kept in step with a connection.

use serde_json::{Value, json};

use super::{TestAccount, TestApp, wait_until};

/// A workspace with a connection, and a pipeline that reads it.
pub struct Synced {
    pub app: TestApp,
    pub ada: TestAccount,
    pub workspace: String,
    pub connection: String,
    pub pipeline: String,
}

/// Settings of all deployments whose stores are on this machine.
pub const LOOPBACK: (&str, &str) = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8");

impl Synced {
    /// With a worker in this process, and a pipeline that indexes for full-text search.
    pub async fn start(provider: &str, settings: Value, credentials: Value, source: Value) -> Self {
        let app = TestApp::start_with_worker(&[LOOPBACK]).await;
        Self::of(app, provider, settings, credentials, source).await
    }

    pub async fn of(app: TestApp, provider: &str, settings: Value, credentials: Value, source: Value) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tides").await;
        let mut body = json!({ "name": "store", "provider": provider, "settings": settings });
        if !credentials.is_null() {
            body["credentials"] = credentials;
        }
        let path = format!("/api/v1/workspaces/{workspace}/connections");
        let connection = app.post(&ada, &path, &body).await.expect(201);
        let connection = connection["id"].as_str().unwrap().to_owned();
        let mut synced = Self { app, ada, workspace, connection, pipeline: String::new() };
        synced.pipeline = synced.add_pipeline("keep", source).await;
        synced
    }

    /// An enabled pipeline with a source of these settings.
    pub async fn add_pipeline(&self, name: &str, source: Value) -> String {
        self.add_definition(name, &self.definition("in", source)).await
    }

    /// A definition that indexes for full-text search, with a source of this id and these settings.
    pub fn definition(&self, id: &str, source: Value) -> Value {
        let mut node = json!({ "id": id, "type": "source.connection", "connection": self.connection });
        node.as_object_mut().unwrap().extend(source.as_object().cloned().unwrap_or_default());
        json!({
            "schemaVersion": 1,
            "nodes": [
                node, { "id": "read", "type": "partition" }, { "id": "cut", "type": "chunk.section" },
                { "id": "out", "type": "sink.collection", "collection": "default" } ],
            "edges": [{ "from": id, "to": "read" }, { "from": "read", "to": "cut" }, { "from": "cut", "to": "out" }],
        })
    }

    /// An enabled pipeline with this definition.
    pub async fn add_definition(&self, name: &str, definition: &Value) -> String {
        let path = format!("/api/v1/workspaces/{}/pipelines", self.workspace);
        let body = json!({ "name": name, "definition": definition });
        let pipeline = self.app.post(&self.ada, &path, &body).await.expect(201);
        let id = pipeline["id"].as_str().unwrap().to_owned();
        let request = self.app.request(reqwest::Method::PATCH, &format!("{path}/{id}")).bearer_auth(&self.ada.token);
        super::send(request.json(&json!({ "state": "enabled" }))).await.expect(200);
        id
    }

    /// Gives the pipeline another definition.
    pub async fn redefine(&self, definition: &Value) {
        let path = self.path(&format!("pipelines/{}", self.pipeline));
        let request = self.app.request(reqwest::Method::PATCH, &path).bearer_auth(&self.ada.token);
        super::send(request.json(&json!({ "definition": definition }))).await.expect(200);
    }

    pub fn path(&self, below: &str) -> String {
        format!("/api/v1/workspaces/{}/{below}", self.workspace)
    }

    pub async fn start_sync(&self, body: Value) -> String {
        let path = self.path(&format!("pipelines/{}/runs", self.pipeline));
        let run = self.app.post(&self.ada, &path, &body).await.expect(202);
        run["id"].as_str().unwrap().to_owned()
    }

    /// The run, once it has ended.
    pub async fn ended(&self, run: &str) -> Value {
        wait_until("the sync ended", async || {
            let run = self.app.get(&self.ada, &self.path(&format!("runs/{run}"))).await.expect(200);
            run["finishedAt"].is_string().then_some(run)
        })
        .await
    }

    /// The reason why a run waits.
    pub async fn waits_because(&self, run: &str) -> String {
        wait_until("the sync waits for a reason", async || {
            let run = self.app.get(&self.ada, &self.path(&format!("runs/{run}"))).await.expect(200);
            run["waiting"]["reason"].as_str().map(str::to_owned)
        })
        .await
    }

    /// The result of a check.
    pub async fn check(&self) -> Value {
        let path = self.path(&format!("connections/{}/check", self.connection));
        self.app.post(&self.ada, &path, &json!({})).await.expect(200)["check"].clone()
    }

    /// Changes the connection.
    pub async fn patch_connection(&self, body: Value) {
        let path = self.path(&format!("connections/{}", self.connection));
        let request = self.app.request(reqwest::Method::PATCH, &path).bearer_auth(&self.ada.token);
        super::send(request.json(&body)).await.expect(200);
    }

    /// A sync to its end.
    pub async fn sync(&self) -> Value {
        let run = self.start_sync(json!({})).await;
        self.ended(&run).await
    }

    /// The files, by their external ids.
    pub async fn files(&self) -> Vec<Value> {
        let mut files = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = self.path(&format!("files?limit=100{cursor}"));
            let page = self.app.get(&self.ada, &path).await.expect(200);
            files.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        files.sort_by_key(|file| file["externalId"].as_str().unwrap_or_default().to_owned());
        files
    }

    /// The external ids of the files.
    pub async fn ids(&self) -> Vec<String> {
        self.files().await.iter().map(|file| file["externalId"].as_str().unwrap().to_owned()).collect()
    }

    /// The names of the files that a search for words finds.
    pub async fn find(&self, words: &str) -> Vec<String> {
        let body = json!({ "query": words, "mode": "text" });
        let found = self.app.post(&self.ada, &self.path("search"), &body).await.expect(200);
        let mut names: Vec<_> = found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["file"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    pub async fn failed_objects(&self, run: &Value) -> Vec<Value> {
        let path = self.path(&format!("runs/{}/failed-objects", run["id"].as_str().unwrap()));
        self.app.get(&self.ada, &path).await.expect(200)["items"].as_array().unwrap().clone()
    }
}

/// The counts of a run: seen, new, changed, unchanged, deleted, failed.
pub fn counts(run: &Value) -> [i64; 6] {
    assert_eq!(run["sync"]["pending"], 0, "{run}");
    ["seen", "new", "changed", "unchanged", "deleted", "failed"].map(|name| run["sync"][name].as_i64().unwrap())
}
