//! Behaviours with a deployment: object store, child process, model.

mod archives;
mod chunks;
mod expressions;
mod files;
mod places;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::stream;
use nvisy_extract::Document;
use nvisy_shared::{
    domain::failure::Failure,
    id::{BlobId, FileId, PipelineId, RunId, WorkspaceId},
    pipeline::content_key::ContentKey,
    pipeline::node::Settings,
    platform::Platform,
    store::file::StoredBlob,
    testing::TestDeployment,
};
use serde_json::{Map, Value, json};

use super::instantiate;
use crate::{
    context::Context,
    pipeline::{
        contract::{Call, FileFacts, FoundProperties, Output},
        element::{ChunkElement, DocumentElement, Elements, FileElement},
        spaces::OpenSpace,
    },
    runner::JobError,
};

struct Fixture {
    deployment: TestDeployment,
    cx: Context,
    workspace: WorkspaceId,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(changes: &[(&str, &str)]) -> Self {
        let deployment = TestDeployment::new().await;
        let platform = Platform::open(deployment.config(changes)).await.unwrap();
        Self { cx: Context::new(platform, worker(), None), workspace: WorkspaceId::new(), deployment }
    }

    async fn close(self) {
        drop(self.cx);
        self.deployment.close().await;
    }

    async fn store(&self, content: &[u8]) -> StoredBlob {
        let (id, bytes) = (BlobId::new(), content.len() as u64);
        let parts = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(content))]);
        let stored = self.cx.blobs.put(self.workspace, id, parts, bytes).await.unwrap();
        StoredBlob { id, sha256: stored.sha256, bytes }
    }

    async fn read(&self, blob: StoredBlob) -> String {
        let content = self.cx.blobs.read_all(self.workspace, blob.id, u64::MAX).await.unwrap();
        String::from_utf8(content).unwrap()
    }

    /// An uploaded file.
    async fn file(&self, name: &str, media_type: &str, content: &[u8]) -> FileFacts {
        let blob = self.store(content).await;
        let content = FileElement {
            blob: blob.id,
            bytes: blob.bytes,
            sha256: hex::encode(blob.sha256),
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            origin: Arc::default(),
            staged: None,
        };
        let declared = json!({ "name": name, "mediaType": media_type, "size": blob.bytes, "tags": [] });
        let found = FoundProperties { media_type: media_type.to_owned(), page_count: None, is_read: false };
        let metadata = Map::from_iter([("state".to_owned(), json!("final"))]);
        FileFacts { id: FileId::new(), content, declared, found, metadata, declared_key: ContentKey([0; 32]) }
    }

    async fn run(&self, kind: &str, settings: Value, file: &FileFacts, input: Elements) -> Result<Output, JobError> {
        self.run_for(&[], kind, settings, file, input).await
    }

    async fn run_for(
        &self,
        spaces: &[OpenSpace],
        kind: &str,
        settings: Value,
        file: &FileFacts,
        input: Elements,
    ) -> Result<Output, JobError> {
        let Value::Object(settings) = settings else { panic!("settings are a map") };
        let settings = Settings::read(kind, settings).expect("a known type").expect("valid settings");
        let ports = settings.ports().outputs.len();
        let call = Call {
            cx: &self.cx,
            workspace: self.workspace,
            run: RunId::new(),
            pipeline: PipelineId::new(),
            preview: false,
            node: "step",
            key: ContentKey([7; 32]),
            file,
            spaces,
            model_access: None,
            target_access: None,
        };
        let output = instantiate(&settings).run(&call, input).await;
        if let Ok(output) = &output {
            assert_eq!(output.ports.len(), ports, "{kind} has other ports than its settings say");
        }
        output
    }
}

/// The program that extracts files, built with the tests.
fn worker() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test program");
    let program = test.parent().and_then(|deps| deps.parent()).expect("a target folder").join("nvisy-worker");
    assert!(program.exists(), "{} is not built: run the tests through `just test`", program.display());
    program
}

fn failure(output: Result<Output, JobError>) -> Failure {
    match output {
        Err(JobError::Fail(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn document(text: &str) -> DocumentElement {
    let document = Document { text: text.to_owned(), ..Document::default() };
    DocumentElement { document: Arc::new(document), origin: Arc::default(), edits: Arc::default() }
}

fn chunk(ordinal: u32, text: &str, prefix: Option<&str>) -> ChunkElement {
    ChunkElement {
        ordinal,
        text: text.to_owned(),
        bytes: 0..text.len() as u64,
        page: Some(1),
        place: None,
        headings: Vec::new(),
        tokens: 1,
        prefix: prefix.map(str::to_owned),
        language: None,
        origin: Arc::default(),
    }
}

fn texts(elements: &Elements) -> Vec<&str> {
    match elements {
        Elements::Documents(documents) => documents.iter().map(|element| element.document.text.as_str()).collect(),
        Elements::Chunks(chunks) => chunks.iter().map(|chunk| chunk.text.as_str()).collect(),
        Elements::Bytes(files) => files.iter().map(|file| file.name.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}
