//! Changes fenced by the job's lease: they begin by asserting it, and write all or nothing.

use nvisy_shared::store::{
    self,
    activity::ActorContext,
    change::{Change, ChangeScope},
    job::Claim,
};

use super::JobError;
use crate::context::Context;

/// Does the job's last writes and completes the job, in one change. `work` makes the closure that writes, for each attempt.
///
/// # Errors
/// [`JobError::LeaseLost`] when another worker has the lease; then nothing is written.
pub async fn complete_in_tx<T, F>(cx: &Context, claim: &Claim, mut work: impl FnMut() -> F) -> Result<T, JobError>
where
    F: AsyncFnOnce(&mut Change) -> Result<T, JobError>,
{
    write_in_tx(cx, claim, || {
        let work = work();
        async move |change: &mut Change| {
            let value = work(change).await?;
            if store::job::complete(change.tx(), claim).await? { Ok(value) } else { Err(JobError::LeaseLost) }
        }
    })
    .await
}

/// Writes in the middle of a job, which goes on afterwards.
///
/// # Errors
/// As [`complete_in_tx`].
pub async fn write_in_tx<T, F>(cx: &Context, claim: &Claim, mut work: impl FnMut() -> F) -> Result<T, JobError>
where
    F: AsyncFnOnce(&mut Change) -> Result<T, JobError>,
{
    let changes = ChangeScope::new(&cx.db, &cx.audit_keys, claim.workspace_id, ActorContext::system());
    changes
        .run_send(|| {
            let work = work();
            async move |change: &mut Change| {
                if !store::job::assert_lease(change, claim).await? {
                    return Err(JobError::LeaseLost);
                }
                work(change).await
            }
        })
        .await
}
