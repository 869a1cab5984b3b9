//! Changing and deleting files.

use nvisy_shared::{
    domain::{activity::Action, event::EventType, metadata, run::RunTrigger},
    entity,
    id::{FileId, WorkspaceId},
    runs::{self, Route},
    store::{self, Tx, change::ChangeScope, file::FileView},
};
use serde_json::{Map, Value, json};

use crate::{
    http::{etag::check_revision, extract::invalid_field},
    problem::Problem,
    upload::{record_update, set},
};

type FileRow = entity::file::Model;

/// Changes of a file's description; `None`: unchanged.
#[derive(Clone, Debug)]
pub struct FileChange {
    pub name: Option<String>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    pub metadata: Option<MetadataChange>,
}

/// A change of a file's metadata.
#[derive(Clone, Debug)]
pub enum MetadataChange {
    /// Removes all.
    Clear,
    /// As a JSON Merge Patch.
    Merge(Map<String, Value>),
}

/// Changes the description of a file. `revisions` are those that it may have; `None`: any.
pub async fn update(
    changes: &ChangeScope<'_>,
    workspace: WorkspaceId,
    file: FileId,
    revisions: Option<&[i32]>,
    requested: &FileChange,
) -> Result<FileView, Problem> {
    changes
        .run(async |change| {
            let mut row = lock(change, workspace, file, revisions).await?;
            let metadata = requested.metadata.as_ref().map(|change| changed_metadata(&row, change)).transpose()?;
            let mut changed = Vec::new();
            set(&mut row.name, requested.name.clone(), "name", &mut changed);
            set(&mut row.tags, requested.tags.clone(), "tags", &mut changed);
            set(&mut row.metadata, metadata, "metadata", &mut changed);
            record_update(change, &row, &changed).await?;
            if !changed.is_empty() {
                let pipelines = store::run::enabled_pipelines(change.tx(), workspace).await?;
                let of = (file, row.version_id);
                let (trigger, route) = (RunTrigger::Change, Route::default());
                runs::start_for_file(change, workspace, &pipelines, of, trigger, &route).await?;
            }
            store::file::find(change.tx(), workspace, file).await?.ok_or_else(Problem::not_found)
        })
        .await
}

fn changed_metadata(row: &FileRow, change: &MetadataChange) -> Result<Value, Problem> {
    let mut metadata = row.metadata.as_object().cloned().unwrap_or_default();
    match change {
        MetadataChange::Clear => metadata.clear(),
        MetadataChange::Merge(changes) => metadata::merge(&mut metadata, changes.clone()),
    }
    metadata::check(&metadata).map_err(|error| invalid_field("metadata", error.to_string()))?;
    Ok(Value::Object(metadata))
}

/// Deletes a file. `revisions` are those that it may have; `None`: any.
pub async fn delete(
    changes: &ChangeScope<'_>,
    workspace: WorkspaceId,
    file: FileId,
    revisions: Option<&[i32]>,
) -> Result<(), Problem> {
    changes
        .run(async |change| {
            if revisions.is_some() {
                lock(change, workspace, file, revisions).await?;
            }
            if !runs::delete_file(change, workspace, file).await? {
                return Err(Problem::not_found());
            }
            change.audit(Action::FileDeleted, file);
            change.emit(EventType::FileDeleted, file, json!({}));
            Ok(())
        })
        .await
}

/// Locks a file; 412 unless it has one of these revisions.
async fn lock(tx: &Tx, workspace: WorkspaceId, file: FileId, revisions: Option<&[i32]>) -> Result<FileRow, Problem> {
    let row = store::locks::lock_file(tx, workspace, file).await?.ok_or_else(Problem::not_found)?;
    check_revision(row.revision, revisions)?;
    Ok(row)
}
