//! Maintenance: recurring tasks that no request waits for.

mod accounts;
mod collections;
mod events;
mod external_targets;
mod gc;
mod idempotency;
mod limits;
mod measure;
mod postings;
mod repair;
mod schedules;
mod spaces;
mod workspaces;

use std::{error::Error, time::Duration};

use nvisy_shared::{lifecycle::Lifecycle, store};

use crate::context::Context;

/// How often each worker measures.
const MEASURE_INTERVAL: Duration = Duration::from_secs(15);
/// How long a worker that runs a task may be silent before another may take the task.
const TASK_LEASE: Duration = Duration::from_secs(60);

type TaskResult = Result<(), Box<dyn Error + Send + Sync>>;

/// How often maintenance happens. Tests shorten it.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How often each worker checks which tasks are due.
    pub poll_interval: Duration,
    /// From the end of one run of the task for sessions, tokens and accounts to the next.
    pub accounts_interval: Duration,
    /// From the end of one search for obsolete targets of sinks to the next.
    pub targets_interval: Duration,
    /// From the end of one merge of postings to the next.
    pub postings_interval: Duration,
    /// From the end of one run of garbage collection to the next.
    pub gc_interval: Duration,
    /// From the end of one search for spaces that need an index to the next.
    pub new_indexes_interval: Duration,
    /// From the end of one search for indexes of mostly deleted vectors to the next.
    pub indexes_interval: Duration,
    /// From the end of one search for runs that have lost jobs to the next.
    pub repair_interval: Duration,
    /// How long runs and items have gone on that are repaired.
    pub repair_age: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(5),
            accounts_interval: Duration::from_secs(30),
            targets_interval: Duration::from_secs(30),
            postings_interval: Duration::from_secs(20),
            gc_interval: Duration::from_secs(600),
            new_indexes_interval: Duration::from_secs(10),
            indexes_interval: Duration::from_secs(3600),
            repair_interval: Duration::from_secs(120),
            repair_age: Duration::from_secs(300),
        }
    }
}

/// A task that one worker at a time runs for all of them.
#[derive(Clone, Copy)]
enum MaintenanceTask {
    /// Expired sessions and tokens, and accounts due for erasure.
    Accounts,
    /// Pipelines with a schedule.
    Schedules,
    /// What sinks have written outside and is obsolete.
    ExternalTargets,
    /// Postings that are missing, many small rows, or of deleted chunks.
    Postings,
    /// Everything that may wait some minutes.
    Gc,
    /// Runs that have lost jobs.
    Repair,
    /// Spaces that have become large enough for an index.
    NewIndexes,
    /// Indexes of mostly deleted vectors, which take long to build anew.
    Indexes,
}

impl MaintenanceTask {
    /// Those that run one after the other.
    const SHORT: [Self; 6] =
        [Self::Schedules, Self::Accounts, Self::ExternalTargets, Self::Postings, Self::Repair, Self::Gc];
    /// Those that take long, and run beside the others.
    const LONG: [Self; 1] = [Self::Indexes];
    /// Those that wait for no other: writers of vectors wait for a new index, the longer, the more vectors it has.
    const PROMPT: [Self; 1] = [Self::NewIndexes];

    /// The key of its lease in the database.
    const fn name(self) -> &'static str {
        match self {
            Self::Schedules => "schedules",
            Self::Accounts => "accounts",
            Self::ExternalTargets => "external_targets",
            Self::Postings => "postings",
            Self::Gc => "gc",
            Self::Repair => "repair",
            Self::NewIndexes => "new_indexes",
            Self::Indexes => "indexes",
        }
    }

    const fn interval(self, schedule: &Schedule) -> Duration {
        match self {
            Self::Schedules => schedule.poll_interval,
            Self::Accounts => schedule.accounts_interval,
            Self::ExternalTargets => schedule.targets_interval,
            Self::Postings => schedule.postings_interval,
            Self::Gc => schedule.gc_interval,
            Self::Repair => schedule.repair_interval,
            Self::NewIndexes => schedule.new_indexes_interval,
            Self::Indexes => schedule.indexes_interval,
        }
    }

    async fn work(self, cx: &Context, schedule: &Schedule) -> TaskResult {
        match self {
            Self::Schedules => {
                schedules::start_due(cx).await?;
                schedules::start_notified(cx).await?;
            }
            Self::Accounts => {
                accounts::delete_expired_credentials(cx).await?;
                accounts::erase(cx).await?;
            }
            Self::ExternalTargets => external_targets::clear(cx).await?,
            Self::Postings => {
                postings::add_missing(cx).await?;
                postings::merge(cx).await?;
            }
            Self::Gc => {
                idempotency::delete_expired(cx).await?;
                events::delete_expired(cx).await?;
                workspaces::delete_expired_invites(cx).await?;
                workspaces::erase(cx).await?;
                workspaces::apply_retention(cx).await?;
                collections::erase(cx).await?;
                collections::delete_abandoned_targets(cx).await?;
                collections::delete_expired_targets(cx).await?;
                spaces::delete_unused(cx).await?;
                gc::obsolete_fingerprints(cx).await?;
                limits::delete_full(cx).await?;
                gc::unused_artifacts(cx).await?;
                gc::expired_inline_pipelines(cx).await?;
                gc::old_connection_queries(cx).await?;
                gc::abandoned_files(cx).await?;
                gc::unreferenced_blobs(cx).await?;
                gc::orphaned_objects(cx).await?;
            }
            Self::Repair => repair::lost_jobs(cx, schedule.repair_age).await?,
            Self::NewIndexes => spaces::create_indexes(cx).await?,
            Self::Indexes => spaces::rebuild_index(cx).await?,
        }
        Ok(())
    }
}

/// Until the soft stop: measures, and runs the tasks that are due and that no other worker runs.
pub async fn run(cx: Context, schedule: Schedule, lifecycle: Lifecycle) {
    let measuring = async {
        let mut ticks = tokio::time::interval(MEASURE_INTERVAL);
        loop {
            ticks.tick().await;
            report(measure::backlog(&cx).await.map_err(Into::into));
        }
    };
    tokio::select! {
        () = lifecycle.soft().cancelled() => {}
        () = measuring => {}
        () = run_due(&cx, &MaintenanceTask::SHORT, &schedule) => {}
        () = run_due(&cx, &MaintenanceTask::LONG, &schedule) => {}
        () = run_due(&cx, &MaintenanceTask::PROMPT, &schedule) => {}
    }
}

/// Runs each of these tasks when it is due. Never returns.
async fn run_due(cx: &Context, tasks: &[MaintenanceTask], schedule: &Schedule) {
    let mut ticks = tokio::time::interval(schedule.poll_interval);
    loop {
        ticks.tick().await;
        for task in tasks {
            report(run_if_due(cx, *task, schedule).await);
        }
    }
}

fn report(result: TaskResult) {
    if let Err(error) = result {
        tracing::warn!(error = &*error as &dyn Error, "maintenance failed, it is retried at its next interval");
    }
}

/// Runs a task if it is due and no other worker holds its lease. A failed task waits for its interval like a successful one.
async fn run_if_due(cx: &Context, task: MaintenanceTask, schedule: &Schedule) -> TaskResult {
    if !store::maintenance_lease::acquire(&cx.db, task.name(), TASK_LEASE).await? {
        return Ok(());
    }
    let result = tokio::select! {
        result = task.work(cx, schedule) => result,
        never = keep_lease(cx, task) => match never {},
    };
    store::maintenance_lease::extend(&cx.db, task.name(), task.interval(schedule)).await?;
    result
}

/// Renews the lease of a running task. Never returns.
async fn keep_lease(cx: &Context, task: MaintenanceTask) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(TASK_LEASE / 3).await;
        report(store::maintenance_lease::extend(&cx.db, task.name(), TASK_LEASE).await.map_err(Into::into));
    }
}
