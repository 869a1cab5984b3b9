//! Transactions fenced by the job's lease: they begin by asserting it, and write all or nothing.

use nvisy_shared::store::{self, Db, TransactionTrait, Tx, job::Claim};

use super::JobError;

/// Does the job's last writes and completes the job, in one transaction.
///
/// # Errors
/// [`JobError::LeaseLost`] when another worker has the lease; then nothing is written.
pub async fn complete_in_tx<T>(
    db: &Db,
    claim: &Claim,
    work: impl AsyncFnOnce(&Tx) -> Result<T, JobError>,
) -> Result<T, JobError> {
    let tx = fenced(db, claim).await?;
    let value = work(&tx).await?;
    if !store::job::complete(&tx, claim).await? {
        return Err(JobError::LeaseLost);
    }
    tx.commit().await?;
    Ok(value)
}

/// Writes in the middle of a job, which goes on afterwards.
///
/// # Errors
/// As [`complete_in_tx`].
pub async fn write_in_tx<T>(
    db: &Db,
    claim: &Claim,
    work: impl AsyncFnOnce(&Tx) -> Result<T, JobError>,
) -> Result<T, JobError> {
    let tx = fenced(db, claim).await?;
    let value = work(&tx).await?;
    tx.commit().await?;
    Ok(value)
}

async fn fenced(db: &Db, claim: &Claim) -> Result<Tx, JobError> {
    let tx = db.begin().await?;
    if !store::job::assert_lease(&tx, claim).await? {
        return Err(JobError::LeaseLost);
    }
    Ok(tx)
}
