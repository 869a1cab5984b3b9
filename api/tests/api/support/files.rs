//! Uploads and their state.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::Value;

use super::{TestAccount, TestApp, TestResponse, send, wait_until};

pub fn part(name: &str, content: impl Into<Vec<u8>>) -> Part {
    Part::bytes(content.into()).file_name(name.to_owned())
}

impl TestApp {
    pub async fn upload(&self, caller: &TestAccount, workspace: &str, parts: Vec<Part>) -> TestResponse {
        self.upload_with_key(caller, workspace, parts, None).await
    }

    /// With an idempotency key.
    pub async fn upload_with_key(
        &self,
        caller: &TestAccount,
        workspace: &str,
        parts: Vec<Part>,
        key: Option<&str>,
    ) -> TestResponse {
        let form = parts.into_iter().fold(Form::new(), |form, part| form.part("file", part));
        self.upload_form(caller, workspace, form, key).await
    }

    /// With any fields.
    pub async fn upload_form(
        &self,
        caller: &TestAccount,
        workspace: &str,
        form: Form,
        key: Option<&str>,
    ) -> TestResponse {
        let request = self.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
        let request = request.bearer_auth(&caller.token).multipart(form);
        send(key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))).await
    }

    /// Uploads a file with an external id; returns it as the response has it.
    pub async fn upload_as(&self, caller: &TestAccount, workspace: &str, external_id: &str, content: &str) -> Value {
        let form = Form::new().text("externalId", external_id.to_owned()).part("file", part("tide.txt", content));
        self.upload_form(caller, workspace, form, None).await.expect(202)["items"][0].take()
    }

    /// Creates a workspace with one file, and returns their ids.
    pub async fn create_workspace_with_file(&self, owner: &TestAccount) -> (String, String) {
        let workspace = self.create_workspace(owner, "Tidal energy").await;
        let accepted = self.upload(owner, &workspace, vec![part("a.txt", "tide")]).await.expect(202);
        (workspace, accepted["items"][0]["id"].as_str().unwrap().to_owned())
    }

    pub async fn file(&self, caller: &TestAccount, workspace: &str, id: &str) -> Value {
        self.get(caller, &format!("/api/v1/workspaces/{workspace}/files/{id}")).await.expect(200)
    }

    /// The file once its state is `ready` or `failed`.
    pub async fn finished_file(&self, caller: &TestAccount, workspace: &str, id: &str) -> Value {
        wait_until("the file is ready or failed", async || {
            let file = self.file(caller, workspace, id).await;
            matches!(file["state"].as_str(), Some("ready" | "failed")).then_some(file)
        })
        .await
    }
}
