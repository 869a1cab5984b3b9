//! A second API and worker of a deployment, with another model than the first ones.

use std::net::SocketAddr;

use nvisy_api::app::App;
use nvisy_shared::lifecycle::Lifecycle;
use nvisy_worker::app::Worker;
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{TestAccount, TestApp, TestResponse, embedding_settings, program, send};

/// Another API and another worker of the same deployment with another model.
pub struct OtherModel {
    address: SocketAddr,
    lifecycle: Lifecycle,
    api: JoinHandle<()>,
    worker: JoinHandle<bool>,
}

impl OtherModel {
    pub async fn start(app: &TestApp, url: &str, model: &str) -> Self {
        let config = app.deployment.config(&embedding_settings(url, model));
        let lifecycle = Lifecycle::new();
        let bound = App::build(config.clone(), lifecycle.clone()).await.unwrap().bind().unwrap();
        let address = bound.address();
        let api = tokio::spawn(async move { bound.run().await.unwrap() });
        let worker = Worker::build(config, program("nvisy-worker")).await.unwrap();
        let worker = tokio::spawn(worker.run(lifecycle.clone()));
        Self { address, lifecycle, api, worker }
    }

    pub async fn request(
        &self,
        app: &TestApp,
        account: &TestAccount,
        method: Method,
        path: &str,
        body: &Value,
    ) -> TestResponse {
        let request = app.request_to(&format!("http://{}", self.address), method, path);
        send(request.bearer_auth(&account.token).json(body)).await
    }

    pub async fn stop(self) {
        self.lifecycle.soft().cancel();
        self.api.await.unwrap();
        self.worker.await.unwrap();
        self.lifecycle.finish(std::time::Duration::from_secs(5)).await;
    }
}
