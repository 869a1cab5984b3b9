//! Making files and items of fetched objects, in the transaction of their job.

use std::collections::HashSet;

use nvisy_shared::{
    domain::{
        event::EventType,
        failure::{Failure, FailureCode},
        quota::Resource,
    },
    id::{BlobId, VersionId},
    runs,
    store::{
        self,
        change::Change,
        run_item::{self, NewItem},
        source_fetch::{self, FetchedRevision},
        source_object,
        sync_run::SyncCounts,
        synced_file::{self, StoredFile, SyncOutcome},
    },
};
use serde_json::json;

use super::{SyncedSource, fetching::Fetched};
use crate::{context::Context, runner::JobError};

/// Jobs among which the items of a batch are divided, at least. Many batches enter at the same time, so fewer than of a page of files.
const MIN_JOBS: usize = 2;
/// The resources that objects take.
const TAKEN: [Resource; 2] = [Resource::Files, Resource::Bytes];

/// Adds files, versions and items for fetched objects, and counts them for [`sync_run::add_counts`]. Returns the blobs that the rows
/// refer to.
///
/// [`sync_run::add_counts`]: nvisy_shared::store::sync_run::add_counts
pub(crate) async fn ingest(
    change: &mut Change,
    cx: &Context,
    of: &SyncedSource,
    fetched: &[Fetched],
    counts: &mut SyncCounts,
) -> Result<HashSet<BlobId>, JobError> {
    let files: Vec<_> = fetched.iter().map(|object| object.file.clone()).collect();
    let ids = fetched.iter().map(|object| object.file.external_id.clone()).collect();
    let known = source_object::known(change.tx(), of.workspace, &of.node, ids).await?;
    let stored = synced_file::put(change, of.workspace, of.connection.id, &files).await?;
    let same = stored.iter().filter(|file| file.outcome == SyncOutcome::SameContent).map(|file| file.version).collect();
    let entered = run_item::entered(change.tx(), of.workspace, (of.node.pipeline, of.entry), same).await?;
    let entered: HashSet<VersionId> = entered.into_iter().collect();
    let (mut entering, mut done) = (Vec::new(), Vec::new());
    let mut used = HashSet::new();
    for (object, file) in fetched.iter().zip(&stored) {
        let id = object.file.external_id.as_str();
        let known = known.get(id);
        let had_file = known.is_some_and(|known| known.has_file);
        used.insert(file.blob);
        // Another pipeline or source may have brought the content, which this one has not processed. Without a revision it has forgotten
        // what it made of the content, or was cancelled before.
        let is_same = file.outcome == SyncOutcome::SameContent
            && known.is_some_and(|known| known.revision.is_some())
            && entered.contains(&file.version);
        match (is_same, had_file) {
            (true, _) => counts.unchanged += 1,
            (false, true) => counts.changed += 1,
            (false, false) => counts.new += 1,
        }
        if !is_same {
            entering.push((object, *file));
        }
        done.push(FetchedRevision { external_id: id.to_owned(), revision: object.revision.clone(), file: file.file });
    }
    source_fetch::fetched(change, of.workspace, &of.node, done).await?;
    enter(change, of, &entering).await?;
    counts.items += i32::try_from(entering.len()).unwrap_or(i32::MAX);
    let usage = store::usage::find(change.tx(), of.workspace, cx.quota()).await?.ok_or(JobError::Obsolete)?;
    if let Some(resource) = usage.used.exceeding(&usage.limits).find(|resource| TAKEN.contains(resource)) {
        let detail = format!("the object exceeds the workspace's quota of {}", resource.name());
        return Err(JobError::Fail(Failure::new(FailureCode::QuotaExceeded, detail)));
    }
    Ok(used)
}

/// Adds an item for each file, and the jobs of their first segment.
async fn enter(change: &mut Change, of: &SyncedSource, files: &[(&Fetched, StoredFile)]) -> Result<(), JobError> {
    let plan = &of.plan.plan;
    let stage = plan.stage(of.entry);
    let items = files.iter().map(|(_, file)| NewItem {
        file: file.file,
        version: file.version,
        entry: of.entry,
        parent: None,
        stage: stage.to_owned(),
    });
    let items = run_item::add(change, of.workspace, of.run.id, items.collect()).await?;
    runs::enqueue_entering(change, of.workspace, &of.run, (plan, of.entry), &items, MIN_JOBS).await?;
    for (object, file) in files {
        let data = json!({ "name": object.file.name, "versionId": file.version, "version": file.number });
        change.emit(EventType::FileQueued, file.file, data);
    }
    Ok(())
}
