//! The end of the jobs of several items: what they have in common is one statement for each table.

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::{ItemId, WorkspaceId},
    job::RunSegment,
    queue::outbox,
    store::{
        self,
        change::Change,
        collection::OverfullCollection,
        run_item::{Item, ItemProgress},
    },
};

use super::item::{self, ItemOutcome};
use crate::{pipeline::effects::Applied, runner::JobError};

/// What a job has written. [`Conclusion::write`] writes the rest of it.
#[must_use]
pub(super) struct Completed {
    pub(super) applied: Applied,
    /// The number of items that were added for members of the file, of which their run does not know yet: [`item::count`].
    pub(super) added: usize,
    /// The jobs that follow.
    pub(super) jobs: Vec<RunSegment>,
    /// How the item goes on.
    pub(super) course: Course,
}

/// How an item goes on behind a job.
pub(super) enum Course {
    Ends(ItemOutcome),
    GoesOn(ItemProgress),
}

/// The rows that are written once for the jobs of several items: the jobs that follow, the progress of items that go on, and the end
/// of others.
#[derive(Default)]
pub(super) struct Conclusion {
    jobs: Vec<RunSegment>,
    going_on: Vec<ItemProgress>,
    outcomes: Vec<ItemOutcome>,
}

impl Conclusion {
    /// Adds what is left of a job; returns what it has written, and the number of items that it has added.
    pub(super) fn add(&mut self, completed: Completed) -> (Applied, usize) {
        let Completed { applied, added, jobs, course } = completed;
        self.jobs.extend(jobs);
        match course {
            Course::Ends(outcome) => self.outcomes.push(outcome),
            Course::GoesOn(progress) => self.going_on.push(progress),
        }
        (applied, added)
    }

    /// The items that go on.
    pub(super) fn going_on(&self) -> impl Iterator<Item = &Item> {
        self.going_on.iter().map(|progress| &progress.item)
    }

    /// Writes it. Returns the items that have ended, of which their run does not know yet: [`item::count`].
    pub(super) async fn write(self, change: &mut Change, workspace: WorkspaceId) -> Result<Vec<item::Ended>, JobError> {
        outbox::enqueue_all(change, workspace, &self.jobs).await?;
        store::run_item::store_progress(change, workspace, &self.going_on).await?;
        let with_rows = self.outcomes.iter().filter(|outcome| outcome.item().progress.written > 0);
        let with_rows: Vec<ItemId> = with_rows.map(|outcome| outcome.item().id).collect();
        let ended = item::end(change, workspace, self.outcomes).await?;
        for item in with_rows {
            check_collections(change, workspace, item).await?;
        }
        Ok(ended)
    }
}

/// Fails an item if it makes a collection larger than it may be.
async fn check_collections(change: &Change, workspace: WorkspaceId, item: ItemId) -> Result<(), JobError> {
    match store::collection::find_overfull(change.tx(), workspace, item).await? {
        None => Ok(()),
        Some(OverfullCollection { name, chunks, max_chunks }) => {
            let detail = format!(
                "the collection `{name}` may have {max_chunks} chunks, and with this file it would have {chunks}"
            );
            Err(JobError::Fail(Failure::new(FailureCode::QuotaExceeded, detail)))
        }
    }
}
