//! Runs that have lost jobs: they get them again, or end.

use std::{collections::HashSet, error::Error, time::Duration};

use nvisy_shared::{
    id::{RunId, WorkspaceId},
    runs,
    store::{
        self,
        activity::ActorContext,
        change::{Change, ChangeScope},
        lost_job::{self, OpenRun},
    },
    telemetry::metrics::metrics,
};

use crate::{context::Context, handlers::unit, pipeline::plans::PlanError};

/// Runs that are read at once.
const PAGE_RUNS: i64 = 500;
/// Items without a job that are read at once: enough to name all runs of a page, or a large one.
const PAGE_ITEMS: i64 = 1_000;

/// Repairs the runs that have lost jobs, of those that have gone on for longer than `age`. One that cannot be repaired does not keep the
/// others from it.
pub(super) async fn lost_jobs(cx: &Context, age: Duration) -> Result<(), Box<dyn Error + Send + Sync>> {
    let known = runs::known_jobs();
    let mut after = None;
    loop {
        let page = lost_job::open_runs(&cx.db, after, age, &known, PAGE_RUNS).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.workspace_id, last.id));
        let of: Vec<(WorkspaceId, RunId)> = page.iter().map(|run| (run.workspace_id, run.id)).collect();
        let items = lost_job::items(&cx.db, &of, age, PAGE_ITEMS).await?;
        let lost: HashSet<RunId> = items.into_iter().map(|item| item.run_id).collect();
        for run in page {
            if let Err(error) = repair(cx, run, lost.contains(&run.id), age).await {
                tracing::warn!(
                    workspace.id = %run.workspace_id,
                    run.id = %run.id,
                    error = &*error as &dyn Error,
                    "a run cannot be repaired, it is retried at the next interval"
                );
            }
        }
    }
}

/// Repairs a run. `lost_items`: items of it have no job.
async fn repair(
    cx: &Context,
    run: OpenRun,
    lost_items: bool,
    age: Duration,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let OpenRun { workspace_id: workspace, id, admits, fetches, has_jobs } = run;
    let changes = ChangeScope::new(&cx.db, &cx.audit_keys, workspace, ActorContext::system());
    if lost_items {
        report(run, "items", items(cx, &changes, run, age).await?);
    }
    if admits && (!has_jobs || !lost_job::has_job(&cx.db, id, &runs::SOURCE_JOBS).await?) {
        let source = changes
            .run_send(|| async move |change: &mut Change| runs::repair_source(change, workspace, id).await)
            .await?;
        report(run, "source", usize::from(source));
    }
    if fetches {
        report(run, "objects", objects(cx, &changes, run).await?);
    }
    if !admits && !has_jobs && !lost_items {
        let end =
            changes.run_send(|| async move |change: &mut Change| runs::repair_end(change, workspace, id).await).await?;
        report(run, "end", usize::from(end));
    }
    Ok(())
}

/// Gives jobs to the items of a run that have none; returns their number.
async fn items(
    cx: &Context,
    changes: &ChangeScope<'_>,
    run: OpenRun,
    age: Duration,
) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let workspace = run.workspace_id;
    let Some(row) = store::run::find(&cx.db, workspace, run.id).await? else { return Ok(0) };
    let plan = match cx.plans.get(&cx.db, workspace, row.pipeline_id, row.pipeline_version).await {
        Ok(plan) => Some(plan),
        Err(PlanError::Deleted) => return Ok(0),
        // A newer worker can compile it.
        Err(PlanError::Invalid(_)) => None,
        Err(PlanError::Store(error)) => return Err(error.into()),
    };
    let (row, plan) = (&row, plan.as_ref().map(|plan| &plan.plan));
    let unit = |elements: u32| unit(cx, elements);
    let mut repaired = 0;
    loop {
        let batch = changes
            .run_send(|| {
                async move |change: &mut Change| runs::repair_items(change, workspace, row, plan, unit, age).await
            })
            .await?;
        repaired += batch;
        if batch < runs::REPAIRED_AT_ONCE {
            return Ok(repaired);
        }
    }
}

/// Lets objects of a sync be fetched whose jobs are lost; returns the number of batches.
async fn objects(cx: &Context, changes: &ChangeScope<'_>, run: OpenRun) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let (workspace, id) = (run.workspace_id, run.id);
    let Some(row) = store::run::find(&cx.db, workspace, id).await? else { return Ok(0) };
    if lost_job::batches(&cx.db, workspace, row.pipeline_id, id).await?.is_empty() {
        return Ok(0);
    }
    let repaired =
        changes.run_send(|| async move |change: &mut Change| runs::repair_fetches(change, workspace, id).await).await?;
    Ok(repaired)
}

/// Tells operators. `what` is the label of the metric.
fn report(run: OpenRun, what: &'static str, count: usize) {
    if count == 0 {
        return;
    }
    tracing::warn!(
        workspace.id = %run.workspace_id,
        run.id = %run.id,
        repair = what,
        count,
        "a run was repaired"
    );
    metrics().run_repaired(what, count as u64);
}
