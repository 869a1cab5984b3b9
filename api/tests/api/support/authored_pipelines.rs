//! A workspace whose pipelines the test has authored.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{TestAccount, TestApp, part};

pub struct Setup {
    pub app: TestApp,
    pub ada: TestAccount,
    pub workspace: String,
}

impl Setup {
    /// Without the built-in pipeline: uploads start only what the test has authored.
    pub async fn of(app: TestApp) -> Self {
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let setup = Self { app, ada, workspace };
        let list = setup.get("pipelines").await;
        let id = list["items"][0]["id"].as_str().unwrap().to_owned();
        setup.patch(&format!("pipelines/{id}"), &json!({ "state": "disabled" })).await;
        setup
    }

    pub async fn with_worker() -> Self {
        Self::of(TestApp::start_with_worker(&[]).await).await
    }

    pub fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    pub async fn get(&self, path: &str) -> Value {
        self.app.get(&self.ada, &self.path(path)).await.expect(200)
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Value {
        self.app.patch(&self.ada, &self.path(path), body).await.expect(200)
    }

    pub async fn collection(&self, name: &str) {
        self.app.post(&self.ada, &self.path("collections"), &json!({ "name": name })).await.expect(201);
    }

    /// Creates and enables a pipeline; returns its path.
    pub async fn pipeline(&self, name: &str, definition: &Value) -> String {
        let body = json!({ "name": name, "definition": definition });
        let created = self.app.post(&self.ada, &self.path("pipelines"), &body).await.expect(201);
        let path = format!("pipelines/{}", created["id"].as_str().unwrap());
        self.patch(&path, &json!({ "state": "enabled" })).await;
        path
    }

    /// Uploads files and waits until they are finished; returns them by name.
    pub async fn upload(&self, files: &[(&str, &str)]) -> BTreeMap<String, Value> {
        let parts = files.iter().map(|(name, content)| part(name, (*content).to_owned())).collect();
        let accepted = self.app.upload(&self.ada, &self.workspace, parts).await.expect(202);
        let mut finished = BTreeMap::new();
        for item in accepted["items"].as_array().unwrap() {
            let file = self.app.finished_file(&self.ada, &self.workspace, item["id"].as_str().unwrap()).await;
            finished.insert(file["name"].as_str().unwrap().to_owned(), file);
        }
        finished
    }

    /// The texts that search can find, by collection.
    pub async fn live_chunks(&self) -> BTreeMap<String, Vec<String>> {
        let sql = format!(
            "select col.name, c.text from chunk c
             join target t on t.workspace_id = c.workspace_id and t.id = c.target_id
             join collection col on col.workspace_id = t.workspace_id and col.id = t.collection_id
             where c.workspace_id = '{}' and t.live order by 1, 2",
            self.workspace
        );
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in self.app.rows(&sql).await {
            found.entry(row.try_get("", "name").unwrap()).or_default().push(row.try_get("", "text").unwrap());
        }
        found
    }
}

pub fn definition(nodes: &Value, edges: &[&str]) -> Value {
    let edges: Vec<_> = edges
        .iter()
        .map(|edge| {
            let (from, to) = edge.split_once(" > ").unwrap();
            json!({ "from": from, "to": to })
        })
        .collect();
    json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges })
}
