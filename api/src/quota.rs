//! Checks of quotas.

use nvisy_shared::{
    domain::quota::Resource,
    id::{AccountId, WorkspaceId},
    platform::Platform,
    store::{self, Tx},
};

use crate::problem::{Code, FieldError, Problem};

/// Fails if the account owns the maximum number of workspaces, each of which has its own quota. To be called in the
/// transaction that creates one.
pub async fn check_workspace_count(tx: &Tx, platform: &Platform, account: AccountId) -> Result<(), Problem> {
    let limit = platform.config.quota.workspaces;
    if store::workspace::count_owned(tx, account).await? < limit {
        return Ok(());
    }
    let error = FieldError::new("workspaces", format!("an account can own at most {limit}"));
    Err(Problem::new(Code::QuotaExceeded).fields(vec![error]))
}

/// The rest of the workspace's quota of bytes.
pub async fn free_bytes(platform: &Platform, workspace: WorkspaceId) -> Result<u64, Problem> {
    let usage = store::usage::find(&platform.db, workspace, platform.quota()).await?.ok_or_else(Problem::not_found)?;
    Ok(u64::try_from(usage.limits.bytes - usage.used.bytes).unwrap_or(0))
}

/// The problem where an upload exceeds the [`free_bytes`] of its start.
pub fn bytes_exceeded() -> Problem {
    let error =
        FieldError::new(Resource::Bytes.name(), "the upload exceeds the rest of the workspace's quota".to_owned());
    Problem::new(Code::QuotaExceeded).fields(vec![error])
}

/// The resources that an upload takes.
pub const OF_UPLOADS: &[Resource] = &[Resource::Files, Resource::Bytes, Resource::Chunks, Resource::Runs];

/// Fails if the workspace exceeds its quota of one of these resources: to be called after an addition, in the same transaction.
pub async fn check(
    tx: &Tx,
    platform: &Platform,
    workspace: WorkspaceId,
    resources: &[Resource],
) -> Result<(), Problem> {
    let usage = store::usage::find(tx, workspace, platform.quota()).await?;
    let usage = usage.ok_or_else(Problem::not_found)?;
    let exceeded: Vec<FieldError> = usage
        .used
        .exceeding(&usage.limits)
        .filter(|resource| resources.contains(resource))
        .map(|resource| {
            let (limit, used) = (usage.limits.of(resource), usage.used.of(resource));
            FieldError::new(resource.name(), format!("the limit is {limit}; the request would make it {used}"))
        })
        .collect();
    if exceeded.is_empty() { Ok(()) } else { Err(Problem::new(Code::QuotaExceeded).fields(exceeded)) }
}
