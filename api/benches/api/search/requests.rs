//! Searches over HTTP, and the same ones of the store.

use bytes::Bytes;
use nvisy_shared::{
    domain::{filter::Filter, space::Quantisation},
    id::SpaceId,
    store::search::{SearchMode, SearchQuery, SpaceVector},
};
use reqwest::{Client, header::CONTENT_TYPE};
use serde::Serialize;
use serde_json::Value;

use super::tenants::{Tenant, World};
use crate::support::TestApp;

/// Hits of a search.
pub const TOP: usize = 10;

/// The body of a request. The vector is the query's own, so that no search waits for a model.
#[derive(Serialize)]
pub struct SearchBody<'a> {
    pub query: &'a str,
    pub mode: &'a str,
    pub limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<&'a str>,
}

impl SearchBody<'_> {
    pub fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap().into()
    }
}

/// The search of a workspace over HTTP, authenticated.
pub struct SearchEndpoint {
    client: Client,
    url: String,
    token: String,
}

impl SearchEndpoint {
    pub async fn new(world: &World, tenant: &Tenant) -> Self {
        let url = format!("http://{}/api/v1/workspaces/{}/search", world.app.address, tenant.name);
        Self { client: TestApp::new_client(), url, token: world.log_in().await.token }
    }

    /// Sends a request, and reads the response to its end.
    pub async fn search(&self, body: &Bytes) {
        let request = self.client.post(&self.url).bearer_auth(&self.token).header(CONTENT_TYPE, "application/json");
        let response = request.body(body.clone()).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status == 200, "{status}: {text}");
    }
}

/// A search of the store.
pub fn query(
    mode: SearchMode,
    text: &str,
    space: SpaceId,
    vector: &[f32],
    filter: Option<Filter>,
    limit: usize,
) -> SearchQuery {
    let vectors = vec![SpaceVector { space, quantisation: Quantisation::Half, vector: vector.to_vec() }];
    let limit = i64::try_from(limit).unwrap();
    SearchQuery { mode, text: text.to_owned(), vectors, filter, limit, ..SearchQuery::default() }
}
