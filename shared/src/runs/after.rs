//! Pipelines that follow others.

use super::start::{Selection, StartRun, start};
use crate::{
    domain::run::{RunState, RunTrigger},
    id::{PipelineId, WorkspaceId},
    pipeline::{self, references, uncompiled},
    store::{self, Result, change::Change, run::Pipeline},
};

/// Starts the enabled pipelines that run after this one, over the files of its run. A failed or cancelled run has no followers.
/// Enabled pipelines do not follow each other in a circle: the API rejects that.
///
/// # Errors
/// When the database fails.
pub(super) async fn start_followers(
    change: &mut Change,
    workspace: WorkspaceId,
    ended: PipelineId,
    state: RunState,
    files: &Selection,
) -> Result<()> {
    if !matches!(state, RunState::Completed | RunState::CompletedWithErrors) {
        return Ok(());
    }
    if !store::run::has_followers(change.tx(), workspace).await? {
        return Ok(());
    }
    let pipelines = store::run::enabled_pipelines(change.tx(), workspace).await?;
    let Some(name) = pipelines.iter().find(|pipeline| pipeline.id == ended).map(|pipeline| pipeline.name.clone())
    else {
        return Ok(());
    };
    for pipeline in pipelines.iter().filter(|pipeline| pipeline.id != ended && follows(pipeline, &name)) {
        let selection = Selection { followed: Some(name.clone()), ..files.clone() };
        start(change, workspace, pipeline, StartRun::new(RunTrigger::After, selection)).await?;
    }
    Ok(())
}

fn follows(pipeline: &Pipeline, name: &str) -> bool {
    match pipeline::compile(&pipeline.definition) {
        Ok(compiled) => references::followed(&compiled).any(|followed| followed == name),
        Err(_) => uncompiled::follows(&pipeline.definition, name),
    }
}
