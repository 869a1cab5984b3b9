//! Pipelines that are due by their schedule, or by notifications of their sources.

use std::error::Error;

use nvisy_shared::{
    clock,
    domain::run::RunTrigger,
    runs::{self, Selection, StartRun},
    store::{
        self,
        activity::ActorContext,
        change::{Change, ChangeScope},
    },
};

use crate::context::Context;

/// Starts a run of each pipeline that is due. A pipeline whose last scheduled run goes on is left out this time, and times that no
/// worker was there for happen once, or not at all. A pipeline whose definition only a newer worker can compile stays due until one comes.
pub(super) async fn start_due(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut left_out = Vec::new();
    while let Some((workspace, pipeline)) = store::pipeline::next_due(&cx.db, left_out.clone()).await? {
        let changes = ChangeScope::new(&cx.db, &cx.audit_keys, workspace, ActorContext::system());
        let is_decided = changes
            .run_send(|| {
                async move |change: &mut Change| -> store::Result<bool> {
                    let Some(due) = store::pipeline::lock_due(change, workspace, pipeline).await? else {
                        return Ok(true);
                    };
                    let Ok(next) = store::pipeline::next_run(pipeline, &due.pipeline.definition, clock::now()) else {
                        return Ok(false);
                    };
                    store::pipeline::set_next_run(change, workspace, pipeline, next).await?;
                    let goes_on = store::run::has_open(change, workspace, pipeline, RunTrigger::Schedule).await?
                        || store::sync_run::has_open(change.tx(), workspace, pipeline, None).await?;
                    if !goes_on && !due.is_left_out(clock::now()) {
                        let start = StartRun::new(RunTrigger::Schedule, Selection::default());
                        runs::start(change, workspace, &due.pipeline, start).await?;
                    }
                    Ok(true)
                }
            })
            .await?;
        if !is_decided {
            tracing::info!(pipeline.id = %pipeline, "a newer worker is required for the schedule of a pipeline");
            left_out.push(pipeline);
        }
    }
    Ok(())
}

/// Starts a sync of each pipeline whose sources have said which objects have changed. One that is syncing comes when it has ended.
pub(super) async fn start_notified(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some((workspace, pipeline)) = store::source_notification::next_pipeline(&cx.db).await? {
        let changes = ChangeScope::new(&cx.db, &cx.audit_keys, workspace, ActorContext::system());
        let started = changes
            .run_send(|| {
                async move |change: &mut Change| -> store::Result<bool> {
                    let of = store::pipeline::lock_enabled(change, workspace, pipeline).await?;
                    let goes_on = store::sync_run::has_open(change.tx(), workspace, pipeline, None).await?;
                    let Some(of) = of.filter(|_| !goes_on) else { return Ok(false) };
                    let start = StartRun::new(RunTrigger::Notification, Selection::default());
                    runs::start(change, workspace, &of, start).await?;
                    Ok(true)
                }
            })
            .await?;
        if !started {
            // Another worker or a request was faster; the next time finds out.
            return Ok(());
        }
    }
    Ok(())
}
