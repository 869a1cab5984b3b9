//! Writing as the holder of a job: fenced at the beginning, all or nothing at the end.

use nvisy_shared::store::{self, Db, TransactionTrait, Tx, job::Claim};

use super::JobError;

/// Does the job's last work and ends the job, in one transaction.
///
/// # Errors
/// [`JobError::Lost`] when the claim does not hold any more; then nothing is written.
pub async fn settle<T>(
    db: &Db,
    claim: &Claim,
    work: impl AsyncFnOnce(&Tx) -> Result<T, JobError>,
) -> Result<T, JobError> {
    let tx = fenced(db, claim).await?;
    let value = work(&tx).await?;
    if !store::job::complete(&tx, claim).await? {
        return Err(JobError::Lost);
    }
    tx.commit().await?;
    Ok(value)
}

/// Writes something in the middle of a job.
///
/// # Errors
/// As [`settle`].
pub async fn begin<T>(
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
        return Err(JobError::Lost);
    }
    Ok(tx)
}
