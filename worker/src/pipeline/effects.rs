//! Applying the writes of nodes, in the transaction that completes their job.

use std::collections::HashMap;

use nvisy_shared::{
    domain::{
        event::EventType,
        failure::{Failure, FailureCode},
        file::clean_name,
        run::LogKind,
    },
    id::{ChunkId, CollectionId, FileId, SpaceId, TargetId, VersionId, WorkspaceId},
    job::EmbedChunks,
    queue::outbox,
    store::{
        self,
        change::Change,
        chunk::{NewChunk, NewVector, input_hash},
        collection::CollectionSpace,
        derived::DerivedFile,
        external_target::{self, TargetKey},
        file::{Extraction, StoredBlob},
        item_log::{self, NewEntry},
        run_item::Item,
        target::NewTarget,
    },
    telemetry::metrics::metrics,
};

use serde_json::{Value as Json, json};

use super::{
    contract::{Effect, TextBlob},
    element::VectorElement,
};
use crate::runner::JobError;

/// The writes of a job that has no other effects than rows.
#[derive(Default)]
pub struct Applied {
    /// As of [`Effect::written`].
    pub written: u64,
    /// The number of vectors among them.
    pub vectors: u64,
    /// Files that were made.
    pub files: Vec<FileId>,
    /// Whether one of them is new, or has another content than before.
    pub has_new_content: bool,
    /// Members of the item's file, each a version of a file of its own.
    pub members: Vec<Member>,
}

/// A file that was a member of the item's file.
pub struct Member {
    /// The node that found it.
    pub node: String,
    /// The file.
    pub file: FileId,
    /// Its version.
    pub version: VersionId,
}

/// What makes files of others: with the external id, their identity.
#[must_use]
pub fn derived_source(item: &Item) -> String {
    format!("pipeline:{}", item.pipeline_id)
}

/// Applies writes, each of a node. `place` gives the place of the first chunk that a sink has written in this job.
///
/// # Errors
/// When the database fails, or a collection does not exist.
pub async fn apply(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    collections: &[CollectionSpace],
    effects: &[(String, Effect)],
    place: impl Fn(&str) -> u32 + Send + Sync,
) -> Result<Applied, JobError> {
    let mut applied = Applied::default();
    for (node, effect) in effects {
        applied.written += effect.written();
        match effect {
            Effect::Extraction { media_type, text, page_count } => {
                let text_blob_id = match text {
                    TextBlob::Stored(blob) => *blob,
                    TextBlob::New(blob) => store::file::register_blob(change, workspace, *blob).await?,
                };
                let extraction = Extraction { media_type: media_type.clone(), text_blob_id, page_count: *page_count };
                store::file::set_extraction(change, workspace, item.version_id, &extraction).await?;
            }
            Effect::Metadata(metadata) => {
                store::processing::merge_metadata(change, workspace, item.file_id, Json::Object(metadata.clone()))
                    .await?;
            }
            Effect::Collection { collection, rows } => {
                let to = find(collections, collection)?;
                let target = open(change, workspace, item, node, to.id).await?;
                applied.vectors += write(change, workspace, target, to, rows, place(node)).await?;
            }
            Effect::DerivedFile { name, media_type, content } => {
                let derived = derived_file(item, node, name, name.clone(), media_type, *content);
                let (file, version, is_new) = store::derived::put(change, workspace, &derived).await?;
                applied.has_new_content |= is_new;
                store::processing::set_ready(change, workspace, file, version).await?;
                applied.files.push(file);
            }
            Effect::Member { path, media_type, content } => {
                let derived = derived_file(item, node, path, clean_name(path), media_type, *content);
                let (file, version, is_new) = store::derived::put(change, workspace, &derived).await?;
                applied.has_new_content |= is_new;
                applied.files.push(file);
                applied.members.push(Member { node: node.clone(), file, version });
            }
            Effect::Delivered { url, .. } => {
                if let Some(url) = url {
                    let key = target_key(workspace, item, node, external_target::destination(&[url.as_bytes()]));
                    external_target::put(change, &key, url, source(item)).await?;
                }
            }
            Effect::Written { elements, destination } => {
                let key = target_key(workspace, item, node, destination.clone());
                let elements = i32::try_from(*elements).unwrap_or(i32::MAX);
                external_target::complete(change, &key, item.run_id, elements).await?;
            }
            Effect::Incomplete { path, failure } => {
                let entry = NewEntry::failure(LogKind::Incomplete, failure);
                let entry = NewEntry { node: Some(node), path: path.as_deref(), ..entry };
                item_log::append(change, workspace, item.id, &entry).await?;
            }
            Effect::Warning { message } => {
                let entry = NewEntry::new(LogKind::Warning, Some(node), message);
                item_log::append(change, workspace, item.id, &entry).await?;
            }
            Effect::CheckFailed { message, elements } => {
                report_failed_check(change, workspace, item, node, message, *elements).await?;
            }
        }
    }
    Ok(applied)
}

/// Tells of a condition that did not hold: in the log of the item, as an event, and in the metrics.
async fn report_failed_check(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    node: &str,
    message: &str,
    elements: u64,
) -> Result<(), JobError> {
    let detail = format!("{message} ({elements} elements)");
    let entry = NewEntry::new(LogKind::CheckFailed, Some(node), &detail);
    item_log::append(change, workspace, item.id, &entry).await?;
    let data = json!({
        "runId": item.run_id, "fileId": item.file_id, "node": node, "message": message, "elements": elements,
    });
    change.emit(EventType::CheckFailed, item.id, data);
    metrics().check_failed();
    Ok(())
}

/// A file that a node makes of the item's; `path` identifies it among those of the node.
fn derived_file(item: &Item, node: &str, path: &str, name: String, media_type: &str, blob: StoredBlob) -> DerivedFile {
    DerivedFile {
        source: derived_source(item),
        external_id: format!("{}/{node}/{path}", item.file_id),
        parent: item.file_id,
        name,
        media_type: media_type.to_owned(),
        blob,
    }
}

/// The version of the item's file, and its run.
#[must_use]
pub fn source(item: &Item) -> external_target::Source {
    external_target::Source { version: item.version_id, run: item.run_id }
}

fn target_key(workspace: WorkspaceId, item: &Item, node: &str, destination: String) -> TargetKey {
    TargetKey {
        workspace_id: workspace,
        pipeline_id: item.pipeline_id,
        node: node.to_owned(),
        file_id: item.file_id,
        destination,
    }
}

/// The collection with this name.
fn find<'a>(collections: &'a [CollectionSpace], name: &str) -> Result<&'a CollectionSpace, JobError> {
    collections.iter().find(|collection| collection.name == name).ok_or_else(|| {
        let detail = format!("there is no collection `{name}`: create it, or name another one");
        JobError::Fail(Failure::new(FailureCode::CollectionNotFound, detail))
    })
}

async fn open(
    change: &Change,
    workspace: WorkspaceId,
    item: &Item,
    node: &str,
    collection: CollectionId,
) -> Result<TargetId, JobError> {
    let target = NewTarget {
        collection,
        pipeline: Some(item.pipeline_id),
        node,
        item: item.id,
        file: item.file_id,
        version: item.version_id,
    };
    Ok(store::target::open(change, workspace, &target).await?)
}

/// Writes chunks and their vectors in the collection's spaces; returns the number of vectors.
async fn write(
    change: &Change,
    workspace: WorkspaceId,
    target: TargetId,
    to: &CollectionSpace,
    rows: &[VectorElement],
    first: u32,
) -> Result<u64, JobError> {
    let places = (0..).map(|n| i32::try_from(first).unwrap_or(i32::MAX).saturating_add(n));
    let chunks = rows.iter().zip(places).map(|(row, place)| (place, new_chunk(row))).collect();
    let inserted = store::chunk::insert(change, workspace, target, chunks).await?;
    let mut by_space: HashMap<SpaceId, Vec<NewVector>> = HashMap::new();
    // The vectors of edited texts are others than those of the rows.
    let mut edited: Vec<ChunkId> = Vec::new();
    for (row, chunk) in rows.iter().zip(inserted.ids) {
        if inserted.edited.contains(&chunk) {
            edited.extend((!row.vectors.is_empty()).then_some(chunk));
            continue;
        }
        let is_written = |space: &SpaceId| to.space_id.is_none() || to.written().any(|of| of == *space);
        for (of, vector) in row.vectors.iter().filter(|(of, _)| is_written(of)) {
            let vector = NewVector { chunk, input_hash: input_hash(&row.chunk.input()), vector: vector.to_vec() };
            by_space.entry(*of).or_default().push(vector);
        }
    }
    let mut count = 0;
    for (space, vectors) in by_space {
        count += vectors.len() as u64;
        store::chunk::insert_vectors(change, workspace, space, target, vectors).await?;
    }
    for job in EmbedChunks::of(to.id, &edited) {
        outbox::enqueue(change, workspace, &job).await?;
    }
    Ok(count)
}

fn new_chunk(row: &VectorElement) -> NewChunk {
    let chunk = &row.chunk;
    let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    NewChunk {
        text: chunk.text.clone(),
        bytes: place(chunk.bytes.start)..place(chunk.bytes.end),
        page: chunk.page,
        heading_path: chunk.headings.clone(),
        tokens: chunk.tokens.max(1),
        prefix: chunk.prefix.clone(),
    }
}
