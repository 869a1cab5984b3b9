//! The client that the source is compared with: plain requests of the protocol S3 without a signature, and nothing besides.

use reqwest::{Client, Url};

use crate::support::{TestApp, object_store::BUCKET};

pub struct BareStore {
    client: Client,
    bucket: Url,
}

impl BareStore {
    pub fn new(endpoint: &str) -> Self {
        Self { client: TestApp::new_client(), bucket: format!("{endpoint}/{BUCKET}").parse().unwrap() }
    }

    /// Lists all keys, which need no escapes.
    pub async fn list(&self) -> Vec<String> {
        let (mut keys, mut next) = (Vec::new(), None::<String>);
        loop {
            let mut url = self.bucket.clone();
            url.query_pairs_mut().append_pair("list-type", "2").append_pair("max-keys", "1000");
            if let Some(next) = next.take() {
                url.query_pairs_mut().append_pair("continuation-token", &next);
            }
            let response = self.client.get(url).send().await.unwrap();
            assert_eq!(response.status(), 200);
            let page = response.text().await.unwrap();
            keys.extend(elements(&page, "Key").map(str::to_owned));
            next = elements(&page, "NextContinuationToken").next().map(str::to_owned);
            if next.is_none() {
                return keys;
            }
        }
    }

    /// Reads an object to its end; returns its length.
    pub async fn read(&self, key: &str) -> u64 {
        let mut url = self.bucket.clone();
        url.path_segments_mut().unwrap().extend(key.split('/'));
        let mut response = self.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "{key}");
        let mut bytes = 0;
        while let Some(part) = response.chunk().await.unwrap() {
            bytes += part.len() as u64;
        }
        bytes
    }
}

/// The texts of the elements with a name.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (text, behind) = behind.split_once(&close)?;
        rest = behind;
        Some(text)
    })
}
