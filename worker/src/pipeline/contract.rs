//! The contract of nodes: a behaviour maps a list of elements to a list for each output, and returns its writes as effects.
//!
//! A behaviour writes nothing itself except content-addressed blobs, which garbage collection removes unless an effect refers to
//! them. It keeps no state between calls, and gives the same output for the same input and settings, or raises the code version of
//! its type (`NodeSpec::CODE_VERSION`).

use std::{cell::Cell, io::ErrorKind, sync::Arc};

use chrono::SecondsFormat;
use futures::{TryStreamExt, future::BoxFuture};
use nvisy_shared::{
    domain::failure::Failure,
    id::{BlobId, FileId, PipelineId, RunId, VersionId, WorkspaceId},
    pipeline::{content_key::ContentKey, expression::Variables, port::Flow},
    store::{file::StoredBlob, job::Claim, processing::VersionFacts},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::io::AsyncWriteExt;

use super::{
    connections::TargetConnection,
    element::{Elements, FileElement, StagedFile, VectorElement},
    model::ModelAccess,
    spaces::OpenSpace,
};
use crate::{context::Context, runner::JobError};

/// The surroundings of one call of a node.
pub struct Call<'a> {
    /// The context of the worker.
    pub cx: &'a Context,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The run.
    pub run: RunId,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Whether the call is a preview, which writes nothing.
    pub preview: bool,
    /// The node's id.
    pub node: &'a str,
    /// The content key of the call.
    pub key: ContentKey,
    /// The file that is processed.
    pub file: &'a FileFacts,
    /// The spaces of the collections behind the node; empty where there are none.
    pub spaces: &'a [OpenSpace],
    /// The model of the node's connection; `None`: the node has none.
    pub model_access: Option<ModelAccess<'a>>,
    /// The system that a sink writes to; `None`: the node is none.
    pub target_access: Option<TargetAccess<'a>>,
}

/// What a call of a sink needs to write to a connection.
#[derive(Clone, Copy)]
pub struct TargetAccess<'a> {
    /// The connection of the node.
    pub connection: &'a TargetConnection,
    /// The version of the file.
    pub version: VersionId,
    /// The job.
    pub claim: &'a Claim,
}

/// The file version that an item processes.
#[derive(Clone, Debug)]
pub struct FileFacts {
    /// The id.
    pub id: FileId,
    /// The content as it was uploaded.
    pub content: FileElement,
    /// The variable `file` of expressions as the upload says it.
    pub declared: Json,
    /// The properties that `partition` finds out: of a file that was not read, as the upload says them.
    pub found: FoundProperties,
    /// The metadata of the file.
    pub metadata: Map<String, Json>,
    /// The key of these properties, without those that `partition` finds out.
    pub declared_key: ContentKey,
}

/// What `partition` finds out about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundProperties {
    /// The media type by content.
    pub media_type: String,
    /// The number of pages, where there are pages.
    pub page_count: Option<u32>,
    /// Whether it has read the content.
    pub is_read: bool,
}

impl FileFacts {
    /// The properties of a file version, as nodes see them. The media type of the content is the declared one: that of the content
    /// is an output of `partition`.
    #[must_use]
    pub fn new(facts: VersionFacts) -> Self {
        let content = FileElement {
            blob: facts.blob_id,
            bytes: u64::try_from(facts.bytes).unwrap_or_default(),
            sha256: hex::encode(&facts.sha256),
            name: facts.name.clone(),
            media_type: facts.declared_type,
            origin: Arc::default(),
            staged: None,
        };
        let mut declared = json!({
            "id": facts.file_id, "name": facts.name, "mediaType": content.media_type, "size": facts.bytes,
            "createdAt": facts.created_at.to_rfc3339_opts(SecondsFormat::Secs, true), "tags": facts.tags,
        });
        if let Some(id) = facts.external_id {
            declared["externalId"] = id.into();
        }
        let declared_key = ContentKey::of([declared.to_string().as_bytes(), facts.metadata.to_string().as_bytes()]);
        let page_count = facts.page_count.and_then(|pages| u32::try_from(pages).ok());
        let found = FoundProperties { media_type: facts.media_type, page_count, is_read: facts.is_read };
        let metadata = match facts.metadata {
            Json::Object(metadata) => metadata,
            _ => Map::new(),
        };
        Self { id: facts.file_id, content, declared, found, metadata, declared_key }
    }

    /// Takes over what `partition` has found out, if that is its write.
    pub fn learn(&mut self, effect: &Effect) {
        if let Effect::Extraction { media_type, page_count, .. } = effect {
            self.found = FoundProperties { media_type: media_type.clone(), page_count: *page_count, is_read: true };
        }
    }

    /// The variable `file` of expressions at a node that takes this flow. Contents of files are in front of `partition`, where a first run
    /// does not know what it finds out: a later one has the declared properties there as well, and takes the same branches.
    #[must_use]
    pub fn variables(&self, flow: Flow) -> Json {
        let mut variables = self.declared.clone();
        if flow != Flow::Bytes {
            variables["mediaType"] = self.found.media_type.as_str().into();
            if let Some(pages) = self.found.page_count {
                variables["pageCount"] = pages.into();
            }
        }
        variables
    }

    /// The key of the properties of the file at a node that takes this flow.
    #[must_use]
    pub fn key(&self, flow: Flow) -> ContentKey {
        if flow == Flow::Bytes {
            return self.declared_key;
        }
        let pages = self.found.page_count.map(|pages| pages.to_string()).unwrap_or_default();
        ContentKey::of([self.declared_key.0.as_slice(), self.found.media_type.as_bytes(), pages.as_bytes()])
    }
}

/// The step that a node does. As with [`Handler`](crate::runner::Handler), implementations have an `async fn`.
pub trait Behaviour: Send + Sync {
    /// Computes the outputs from the input. Compiled plans give a node only flows that its ports accept.
    ///
    /// # Errors
    /// [`JobError::Fail`] where no repetition can help: the item fails. Others are repeated by the node's options.
    fn run(&self, call: &Call<'_>, input: Elements) -> impl Future<Output = Result<Output, JobError>> + Send;
}

/// A behaviour without the type of its settings.
pub trait ErasedBehaviour: Send + Sync {
    /// As [`Behaviour::run`].
    fn run<'a>(&'a self, call: &'a Call<'_>, input: Elements) -> BoxFuture<'a, Result<Output, JobError>>;
}

impl<B: Behaviour> ErasedBehaviour for B {
    fn run<'a>(&'a self, call: &'a Call<'_>, input: Elements) -> BoxFuture<'a, Result<Output, JobError>> {
        Box::pin(Behaviour::run(self, call, input))
    }
}

/// The result of a call.
#[derive(Debug, Default)]
pub struct Output {
    /// The elements of each output, in the order of the ports; none for a sink.
    pub ports: Vec<Elements>,
    /// The writes.
    pub effects: Vec<Effect>,
    /// Tokens that a model was given.
    pub tokens: u64,
    /// Tokens whose results were found instead.
    pub tokens_saved: u64,
}

impl Output {
    /// One output, and no writes.
    #[must_use]
    pub fn one(elements: Elements) -> Self {
        Self { ports: vec![elements], ..Self::default() }
    }

    /// Several outputs, and no writes.
    #[must_use]
    pub fn ports(ports: Vec<Elements>) -> Self {
        Self { ports, ..Self::default() }
    }

    /// Writes without an output.
    #[must_use]
    pub fn effects(effects: Vec<Effect>) -> Self {
        Self { effects, ..Self::default() }
    }
}

/// A write of a node. It is done in the transaction that completes the job, or not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// What `partition` found out about the file itself.
    Extraction {
        /// The media type by content.
        media_type: String,
        /// The blob that has the text.
        text: TextBlob,
        /// The number of pages, where there are pages.
        page_count: Option<u32>,
    },
    /// Metadata to set in the file.
    Metadata(Map<String, Json>),
    /// Chunks for a collection, with their vectors; those without a vector are found by words only.
    Collection {
        /// The name of the collection.
        collection: String,
        /// The chunks. Their ordinals are their places in the input.
        rows: Vec<VectorElement>,
    },
    /// A file derived from the item's.
    DerivedFile {
        /// The name.
        name: String,
        /// The media type.
        media_type: String,
        /// The stored content.
        content: StoredBlob,
    },
    /// A member of the item's file, which becomes an item of its own.
    Member {
        /// The path within the file, which identifies the member.
        path: String,
        /// The media type, as far as the name tells.
        media_type: String,
        /// The stored content.
        content: StoredBlob,
    },
    /// A connection has got rows, and no others of the file.
    Written {
        /// The number of elements.
        elements: u32,
        /// A hash of the place.
        destination: String,
    },
    /// A service has got elements.
    Delivered {
        /// The number of elements.
        elements: u64,
        /// The address, where the receiver is to be told when they are obsolete.
        url: Option<String>,
    },
    /// A part of the item's file was not read.
    Incomplete {
        /// The path of the member within the file; `None`: a part of the file itself.
        path: Option<String>,
        /// The reason.
        failure: Failure,
    },
    /// Something that the item goes on without, for its log.
    Warning {
        /// The message.
        message: String,
    },
    /// A condition of `check` did not hold.
    CheckFailed {
        /// The message.
        message: String,
        /// The number of elements for which it did not hold.
        elements: u64,
    },
}

impl Effect {
    /// The number of elements and files that a sink or a node with members writes.
    #[must_use]
    pub fn written(&self) -> u64 {
        match self {
            Self::Collection { rows, .. } => rows.len() as u64,
            Self::DerivedFile { .. } | Self::Member { .. } => 1,
            Self::Written { elements, .. } => (*elements).into(),
            Self::Delivered { elements, .. } => *elements,
            Self::Extraction { .. }
            | Self::Metadata(_)
            | Self::Incomplete { .. }
            | Self::Warning { .. }
            | Self::CheckFailed { .. } => 0,
        }
    }
}

/// The blob of a text.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TextBlob {
    /// A registered one.
    Stored(BlobId),
    /// A new one, to be registered.
    New(StoredBlob),
}

impl Call<'_> {
    /// The model that chunks must fit: of the collections behind the node the one that takes the fewest tokens, otherwise the
    /// default.
    #[must_use]
    pub fn model(&self) -> OpenSpace {
        let smallest = self.spaces.iter().min_by_key(|space| space.embedder().max_tokens());
        smallest.cloned().unwrap_or_else(|| OpenSpace { served: self.cx.spaces.default().clone(), connection: None })
    }

    /// The variables of an expression at element `index`.
    #[must_use]
    pub fn variables(&self, elements: &Elements, index: usize) -> Variables {
        let origin = elements.origin(index);
        let mut metadata = self.file.metadata.clone();
        let document = origin.and_then(|origin| origin.document.as_ref());
        metadata.extend(origin.map(|origin| origin.metadata.clone()).unwrap_or_default());
        Variables {
            file: self.file.variables(elements.flow()),
            metadata: Json::Object(metadata),
            item: elements.item(index),
            document: document.map_or_else(|| json!({}), |document| json!(document)),
            steps: Cell::default(),
        }
    }

    /// The content of a file on the local disk.
    ///
    /// # Errors
    /// Temporary ones: storage that cannot be read, a full disk.
    pub async fn stage(&self, file: &FileElement) -> Result<StagedFile, JobError> {
        if let Some(staged) = &file.staged {
            return Ok(Arc::clone(staged));
        }
        let reading = || JobError::retry("the upload cannot be read");
        let staging = |error: std::io::Error| match error.kind() {
            ErrorKind::StorageFull => JobError::storage_full("the temporary directory is full")(error),
            _ => JobError::retry("the upload cannot be staged on disk")(error),
        };
        // Without a name that a killed worker could leave behind.
        let target = tempfile::tempfile().map_err(JobError::retry("no temporary file can be created"))?;
        let content = self.cx.blobs.get(self.workspace, file.blob).await.map_err(reading())?;
        let mut content = std::pin::pin!(content);
        let mut target = tokio::fs::File::from_std(target);
        while let Some(bytes) = content.try_next().await.map_err(reading())? {
            target.write_all(&bytes).await.map_err(staging)?;
        }
        target.flush().await.map_err(staging)?;
        Ok(Arc::new(target.into_std().await))
    }
}

/// The error for an input of another flow, which compiled plans never give.
pub fn wrong_input(node: &'static str) -> JobError {
    JobError::retry("a plan gave a node the wrong input")(node)
}
