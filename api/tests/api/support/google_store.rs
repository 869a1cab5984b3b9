//! Google Cloud Storage with both of its interfaces. The emulator has the one of JSON, but not the one of XML, over which objects of
//! several parts are written. The requests of that one are those of S3, so SeaweedFS answers them.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Client, Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{
    TestApp,
    object_store::{BUCKET, FakeGcs, SeaweedFs},
    web_server::{WebRequest, WebResponse, WebServer},
};

/// A bucket at one address, of two servers.
pub struct GoogleStore {
    server: WebServer,
    json: FakeGcs,
    _xml: SeaweedFs,
}

impl GoogleStore {
    pub async fn start() -> Self {
        let (json, xml) = (FakeGcs::start().await, SeaweedFs::start_public().await);
        let router = Router { client: TestApp::new_client(), json: json.endpoint.clone(), xml: xml.s3.clone() };
        let server = WebServer::start().await;
        server.respond(move |request| Some(Handle::current().block_on(router.respond(request))));
        Self { server, json, _xml: xml }
    }

    /// All objects of the bucket.
    pub async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.json.objects().await
    }

    pub fn settings(&self) -> Value {
        json!({ "bucket": BUCKET, "endpoint": self.server.url })
    }

    /// The numbers of the parts that were stored; forgets them.
    pub fn take_parts(&self) -> BTreeSet<String> {
        let requests = self.server.take_requests().into_iter().filter(|(_, status)| *status == 200);
        requests.filter_map(|(request, _)| request.parameter("partNumber").map(str::to_owned)).collect()
    }
}

/// Forwards requests as they are.
struct Router {
    client: Client,
    json: String,
    xml: String,
}

impl Router {
    async fn respond(&self, request: &WebRequest) -> WebResponse {
        let has_upload = request.parameter("uploadId").is_some();
        if !has_upload && !request.target.ends_with("?uploads") {
            return self.forward(&self.json, request).await;
        }
        let response = self.forward(&self.xml, request).await;
        if has_upload && request.method == "POST" && response.status == 200 {
            self.move_object(request.path()).await;
        }
        response
    }

    async fn forward(&self, server: &str, request: &WebRequest) -> WebResponse {
        let method = Method::from_bytes(request.method.as_bytes()).expect("a method");
        let mut forwarded = self.client.request(method, format!("{server}{}", request.target));
        for (name, value) in &request.headers {
            if !["connection", "host"].contains(&name.as_str()) {
                forwarded = forwarded.header(name, value);
            }
        }
        let response = forwarded.body(request.body.clone()).send().await.expect("a response");
        let mut answered = WebResponse { status: response.status().as_u16(), ..WebResponse::default() };
        for (name, value) in response.headers() {
            // The server sets them by itself.
            if !["connection", "content-length", "transfer-encoding"].contains(&name.as_str()) {
                answered = answered.with(name.as_str(), value.to_str().expect("a header of text"));
            }
        }
        answered.body = response.bytes().await.expect("a body").to_vec();
        answered
    }

    /// Moves a complete object into the emulator: both interfaces have the same bucket.
    async fn move_object(&self, path: &str) {
        let source = format!("{}{path}", self.xml);
        let object = self.client.get(&source).send().await.and_then(reqwest::Response::error_for_status);
        let object = object.expect("a complete object");
        let media_type = object.headers().get(CONTENT_TYPE).expect("a media type").clone();
        let content = object.bytes().await.expect("a content");
        // The key is the path behind the bucket, and is encoded.
        let key = path.strip_prefix(&format!("/{BUCKET}/")).expect("a path in the bucket");
        let target = format!("{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={key}", self.json);
        let stored = self.client.post(target).header(CONTENT_TYPE, media_type).body(content).send().await;
        stored.and_then(reqwest::Response::error_for_status).expect("a stored object");
        let deleted = self.client.delete(source).send().await;
        deleted.and_then(reqwest::Response::error_for_status).expect("a deleted object");
    }
}
