//! Accepting the files of a request: rows for bytes that are stored.
//!
//! Bytes come first, then rows. A crash in between leaves bytes for the garbage collector, and never a row without bytes.

use std::collections::{HashMap, HashSet};

use nvisy_shared::{
    blob::Blobs,
    domain::{activity::Action, event::EventType, run::RunTrigger},
    entity,
    id::{BlobId, FileId, VersionId, WorkspaceId},
    platform::Platform,
    runs::{self, Route},
    store::{
        self, Tx,
        change::Change,
        file::{FileView, NewFile, NewVersion},
        run::Pipeline,
    },
};
use serde_json::{Value, json};

use super::multipart::ReceivedFile;
use crate::{http::extract::invalid_field, problem::Problem, quota};

/// The effect of an upload on one of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// A new file.
    Created,
    /// A new version of the file with the external id.
    NewVersion,
    /// The newest version of the file with the external id has this content: only its description may have changed.
    Unchanged,
}

type FileRow = entity::file::Model;

/// An existing file, which is locked, and its newest version.
type KnownFile = (FileRow, entity::file_version::Model);

/// The transaction of an upload.
struct Upload<'a> {
    change: &'a mut Change,
    workspace: WorkspaceId,
    /// The pipelines that may process the files.
    pipelines: Vec<Pipeline>,
}

/// Adds files, and versions of files whose external ids exist, and starts a run of each of `pipelines` that takes uploads. Without
/// one, they are ready at once, without chunks. `referenced` gets the ids of the blobs that the rows refer to.
pub async fn accept(
    change: &mut Change,
    platform: &Platform,
    workspace: WorkspaceId,
    pipelines: Vec<Pipeline>,
    received: &[ReceivedFile],
    referenced: &mut HashSet<BlobId>,
) -> Result<Vec<(FileView, UploadOutcome)>, Problem> {
    // An attempt before this one may have found other blobs.
    referenced.clear();
    // Locks in the order of docs/ARCHITECTURE.md: files, then blobs.
    let external_ids = received.iter().filter_map(|part| part.fields.external_id.clone()).collect();
    let known = store::locks::lock_uploads(change, workspace, external_ids).await?;
    let mut known: HashMap<_, _> = known.into_iter().map(|known| (known.0.external_id.clone(), known)).collect();
    let parts: Vec<_> = received.iter().map(|part| (part, known.remove(&part.fields.external_id))).collect();
    let blobs = register_blobs(change, workspace, &parts).await?;
    referenced.extend(blobs.iter().flatten());

    let mut upload = Upload { change, workspace, pipelines };
    let mut files = Vec::with_capacity(received.len());
    for ((part, known), blob) in parts.into_iter().zip(blobs) {
        files.push(upload.accept(part, known, blob).await?);
    }
    if files.iter().any(|(_, outcome)| *outcome != UploadOutcome::Unchanged) {
        // No row refers to a rejected upload: its bytes are deleted at once.
        quota::check(change, platform, workspace, quota::OF_UPLOADS).await.inspect_err(|_| referenced.clear())?;
    }
    Ok(files)
}

fn has_content(version: &entity::file_version::Model, part: &ReceivedFile) -> bool {
    version.sha256 == part.blob.sha256
}

/// Registers the content of all parts but those that change no content, and returns the blobs in the order of the parts. In one
/// order of the contents, so that uploads of the same contents do not wait for each other in a circle.
async fn register_blobs(
    tx: &Tx,
    workspace: WorkspaceId,
    parts: &[(&ReceivedFile, Option<KnownFile>)],
) -> Result<Vec<Option<BlobId>>, Problem> {
    let mut blobs = vec![None; parts.len()];
    let is_new = |at: &usize| {
        let (part, known) = &parts[*at];
        !known.as_ref().is_some_and(|(_, newest)| has_content(newest, part))
    };
    let mut order: Vec<usize> = (0..parts.len()).filter(is_new).collect();
    order.sort_by_key(|at| parts[*at].0.blob.sha256);
    for at in order {
        blobs[at] = Some(store::file::register_blob(tx, workspace, parts[at].0.blob).await?);
    }
    Ok(blobs)
}

impl Upload<'_> {
    /// Stores a part. `blob` is its registered content, or `None` if the file has it already.
    async fn accept(
        &mut self,
        part: &ReceivedFile,
        known: Option<KnownFile>,
        blob: Option<BlobId>,
    ) -> Result<(FileView, UploadOutcome), Problem> {
        let mut runs = 0;
        let (file, outcome) = match (known, blob) {
            (None, None) => return Err(Problem::internal("a new file without content")),
            (None, Some(blob)) => {
                let (file, version) = self.create(part, blob).await?;
                runs = self.process(part, file, version).await?;
                (file, UploadOutcome::Created)
            }
            (Some((row, newest)), Some(blob)) => {
                let (file, version) = self.add_version(part, row, newest.number + 1, blob).await?;
                runs = self.process(part, file, version).await?;
                (file, UploadOutcome::NewVersion)
            }
            (Some((mut row, _)), None) => {
                let changed = describe(&mut row, part);
                record_update(self.change, &row, &changed).await?;
                (row.id, UploadOutcome::Unchanged)
            }
        };
        let view = store::file::find(self.change.tx(), self.workspace, file).await?;
        let view = view.ok_or_else(|| Problem::internal("a file is missing after its upload"))?;
        if outcome != UploadOutcome::Unchanged {
            self.record_version(&view, runs);
        }
        Ok((view, outcome))
    }

    async fn create(&mut self, part: &ReceivedFile, blob: BlobId) -> Result<(FileId, VersionId), Problem> {
        let new = NewFile {
            name: part.name.clone(),
            media_type: part.media_type.clone(),
            blob: part.blob,
            created_by: self.change.actor().account(),
            external_id: part.fields.external_id.clone(),
            tags: part.fields.tags.clone().unwrap_or_default(),
            metadata: Value::Object(part.fields.metadata.clone().unwrap_or_default()),
        };
        Ok(store::file::insert(self.change, self.workspace, blob, &new).await?)
    }

    async fn add_version(
        &mut self,
        part: &ReceivedFile,
        mut row: FileRow,
        number: i32,
        blob: BlobId,
    ) -> Result<(FileId, VersionId), Problem> {
        let (file, id) = (row.id, VersionId::new());
        let version = NewVersion { id, number, blob, media_type: &part.media_type, content: part.blob };
        store::file::insert_version(self.change, self.workspace, file, &version).await?;
        row.version_id = id;
        let changed = describe(&mut row, part);
        store::file::update(self.change, &row).await?;
        emit_update(self.change, file, &changed);
        Ok((file, id))
    }

    /// Starts the runs of a version; returns their number.
    async fn process(&mut self, part: &ReceivedFile, file: FileId, version: VersionId) -> Result<usize, Problem> {
        let (workspace, of) = (self.workspace, (file, version));
        let route = self.route(part)?;
        let trigger = RunTrigger::Upload;
        let runs = runs::start_for_file(self.change, workspace, &self.pipelines, of, trigger, &route).await?;
        if runs == 0 {
            if let Some(collection) = &route.collection {
                let message =
                    format!("no enabled pipeline that takes this upload writes to the collection `{collection}`");
                return Err(invalid_field("collection", message));
            }
            store::processing::set_ready(self.change, workspace, file, version).await?;
        }
        Ok(runs)
    }

    /// Which pipelines process a part.
    fn route(&self, part: &ReceivedFile) -> Result<Route, Problem> {
        let named = part.fields.pipeline.as_deref();
        let find = |name: &str| self.pipelines.iter().find(|one| one.name == name || one.id.to_string() == name);
        let pipeline = named
            .map(|name| {
                let found = find(name).map(|pipeline| pipeline.id);
                found.ok_or_else(|| invalid_field("pipeline", format!("there is no enabled pipeline `{name}`")))
            })
            .transpose()?;
        Ok(Route { pipeline, collection: part.fields.collection.clone() })
    }

    fn record_version(&mut self, file: &FileView, runs: usize) {
        let details = json!({ "versionId": file.version_id, "version": file.number, "bytes": file.bytes });
        self.change.audit_with(Action::FileUploaded, file.id, details);
        let data = json!({ "name": file.name, "versionId": file.version_id, "version": file.number });
        self.change.emit(EventType::FileQueued, file.id, data);
        if runs == 0 {
            let data = json!({ "versionId": file.version_id, "chunks": 0 });
            self.change.emit(EventType::FileReady, file.id, data);
        }
    }
}

/// Sets the name of a file, and the tags and metadata that the part has. Returns the names of the fields that differ.
fn describe(row: &mut FileRow, part: &ReceivedFile) -> Vec<&'static str> {
    let mut changed = Vec::new();
    set(&mut row.name, Some(part.name.clone()), "name", &mut changed);
    set(&mut row.tags, part.fields.tags.clone(), "tags", &mut changed);
    set(&mut row.metadata, part.fields.metadata.clone().map(Value::Object), "metadata", &mut changed);
    changed
}

/// Sets a field, and adds its name to the changed ones if it differs.
pub fn set<T: PartialEq>(field: &mut T, value: Option<T>, name: &'static str, changed: &mut Vec<&'static str>) {
    if let Some(value) = value.filter(|value| value != field) {
        *field = value;
        changed.push(name);
    }
}

/// Stores a locked file if fields of it have changed, and records that.
pub async fn record_update(change: &mut Change, row: &FileRow, changed: &[&str]) -> Result<(), Problem> {
    if !changed.is_empty() {
        store::file::update(change, row).await?;
        emit_update(change, row.id, changed);
    }
    Ok(())
}

fn emit_update(change: &mut Change, file: FileId, changed: &[&str]) {
    if !changed.is_empty() {
        let details = json!({ "fields": changed });
        change.audit_with(Action::FileUpdated, file, details.clone());
        change.emit(EventType::FileUpdated, file, details);
    }
}

/// Deletes stored bytes without a reference: copies of content that the workspace already has, and the parts of a failed
/// upload. The garbage collector deletes the ones that cannot be deleted now.
pub async fn delete_unreferenced(
    blobs: &Blobs,
    workspace: WorkspaceId,
    received: &[ReceivedFile],
    referenced: &HashSet<BlobId>,
) {
    for part in received.iter().filter(|part| !referenced.contains(&part.blob.id)) {
        if let Err(error) = blobs.delete(workspace, part.blob.id).await {
            tracing::warn!(error = &error as &dyn std::error::Error, blob.id = %part.blob.id, "unreferenced bytes could not be deleted; the garbage collector will delete them");
        }
    }
}
