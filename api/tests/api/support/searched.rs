//! A workspace whose files are indexed, to be searched.

use reqwest::multipart::Form;
use serde_json::{Value, json};

use super::{TestAccount, TestApp, TestResponse, part};

/// A file to upload: name, content, and the fields of its upload.
pub struct TestFile<'a> {
    pub name: &'a str,
    pub content: &'a str,
    pub tags: &'a [&'a str],
    pub metadata: Value,
}

impl<'a> TestFile<'a> {
    pub fn new(name: &'a str, content: &'a str) -> Self {
        Self { name, content, tags: &[], metadata: json!({}) }
    }
}

pub struct Searched {
    pub app: TestApp,
    pub ada: TestAccount,
    pub workspace: String,
    /// The ids of the files, in their order.
    pub files: Vec<String>,
}

impl Searched {
    pub async fn new(files: &[TestFile<'_>]) -> Self {
        Self::new_with(&[], files).await
    }

    /// With settings of API and worker.
    pub async fn new_with(settings: &[(&str, &str)], files: &[TestFile<'_>]) -> Self {
        let app = TestApp::start_with_worker(settings).await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let mut searched = Self { app, ada, workspace, files: Vec::new() };
        searched.add(files).await;
        searched
    }

    /// Uploads further files, and waits until they are indexed.
    pub async fn add(&mut self, files: &[TestFile<'_>]) {
        let form = files.iter().fold(Form::new(), |form, file| {
            let form = form.text("metadata", file.metadata.to_string()).text("tags", json!(file.tags).to_string());
            form.part("file", part(file.name, file.content))
        });
        let accepted = self.app.upload_form(&self.ada, &self.workspace, form, None).await.expect(202);
        for file in accepted["items"].as_array().unwrap() {
            let id = file["id"].as_str().unwrap().to_owned();
            let finished = self.app.finished_file(&self.ada, &self.workspace, &id).await;
            assert_eq!(finished["state"], "ready", "{finished}");
            self.files.push(id);
        }
    }

    pub fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.app.post(&self.ada, &self.path(path), body).await
    }

    pub async fn search(&self, body: Value) -> Value {
        self.post("search", &body).await.expect(200)
    }

    /// The text of a file.
    pub async fn text(&self, file: &str) -> String {
        self.app.get(&self.ada, &self.path(&format!("files/{file}/text"))).await.text
    }
}

/// The names of the files of hits.
pub fn hit_names(response: &Value) -> Vec<&str> {
    response["hits"].as_array().unwrap().iter().map(|hit| hit["file"]["name"].as_str().unwrap()).collect()
}
