//! One handler for each payload.

mod progress;
mod run_batch;
mod run_segment;
mod send_mail;

use nvisy_shared::{
    domain::plan::{self, Plan},
    job::{RunBatch, RunSegment, SendMail},
    store::run::Item,
};

use crate::runner::{JobError, Registry};

/// All of them.
#[must_use]
pub fn registry() -> Registry {
    Registry::default().with::<RunSegment>().with::<RunBatch>().with::<SendMail>()
}

/// The plan of an item's run. Definitions are validated before they are stored.
fn compile(item: &Item) -> Result<Plan, JobError> {
    let definition = serde_json::from_value(item.definition.clone())
        .map_err(JobError::retry("the definition of the pipeline cannot be read"))?;
    plan::compile(&definition).map_err(JobError::retry("the definition of the pipeline is not valid"))
}
