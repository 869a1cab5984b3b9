//! Changes fenced by the job's lease: they begin with it, and write all or nothing. None follows one that PostgreSQL has lost
//! (`nvisy_shared::store::job::Fence`).

use nvisy_shared::store::{
    self,
    activity::ActorContext,
    change::{Change, ChangeScope},
    job::Claim,
};

use super::JobError;
use crate::context::Context;

/// Completes the job and does its last writes, in one change. `work` makes the closure that writes, for each attempt; it finds no row of
/// the job.
///
/// # Errors
/// [`JobError::LeaseLost`] when another worker has the lease, or an earlier write of this attempt is lost; then nothing is written.
pub async fn complete_in_tx<T, F>(cx: &Context, claim: &Claim, mut work: impl FnMut() -> F) -> Result<T, JobError>
where
    F: AsyncFnOnce(&mut Change) -> Result<T, JobError>,
{
    changes(cx, claim)
        .run_send(|| {
            let work = work();
            async move |change: &mut Change| {
                // In place of an assertion of the lease: it has the same condition and lock, and a rollback brings the job back.
                if !store::job::complete(change.tx(), claim).await? {
                    return Err(JobError::LeaseLost);
                }
                work(change).await
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
    let (value, number) = changes(cx, claim)
        .run_send(|| {
            let work = work();
            async move |change: &mut Change| {
                let number = store::job::assert_lease(change, claim).await?.ok_or(JobError::LeaseLost)?;
                let value = work(change).await?;
                Ok::<_, JobError>((value, number))
            }
        })
        .await?;
    claim.fence.confirm(number);
    Ok(value)
}

fn changes<'a>(cx: &'a Context, claim: &Claim) -> ChangeScope<'a> {
    ChangeScope::new(&cx.db, &cx.audit_keys, claim.workspace_id, ActorContext::system())
}
