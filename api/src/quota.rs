//! Refusing what is too much.

use nvisy_shared::{
    domain::quota::Resource,
    id::{AccountId, WorkspaceId},
    platform::Platform,
    store::{self, Tx},
};

use crate::problem::{Code, FieldError, Problem};

/// Fails when the account owns as many workspaces as it may: each has a quota of its own. To be asked in the transaction
/// that makes one.
pub async fn check_workspace_count(tx: &Tx, platform: &Platform, account: AccountId) -> Result<(), Problem> {
    let limit = platform.config.quota.workspaces;
    if store::workspace::count_owned(tx, account).await? < limit {
        return Ok(());
    }
    let error = FieldError::new("workspaces", format!("an account that owns {limit} makes no more"));
    Err(Problem::new(Code::QuotaExceeded).fields(vec![error]))
}

/// How many bytes there is room for in the workspace.
pub async fn free_bytes(platform: &Platform, workspace: WorkspaceId) -> Result<u64, Problem> {
    let usage = store::usage::find(&platform.db, workspace, platform.quota()).await?.ok_or_else(Problem::not_found)?;
    Ok(u64::try_from(usage.limits.bytes - usage.used.bytes).unwrap_or(0))
}

/// The refusal of bytes that are more than there was [`room`] for when they began to come.
pub fn bytes_exceeded() -> Problem {
    let error = FieldError::new(Resource::Bytes.name(), "the workspace has no room for so many".to_owned());
    Problem::new(Code::QuotaExceeded).fields(vec![error])
}

/// Fails when the workspace now has more than it may: to be asked after something was added, in the same transaction.
pub async fn check(tx: &Tx, platform: &Platform, workspace: WorkspaceId) -> Result<(), Problem> {
    let usage = store::usage::find(tx, workspace, platform.quota()).await?;
    let usage = usage.ok_or_else(Problem::not_found)?;
    let exceeded: Vec<FieldError> = usage
        .used
        .exceeding(&usage.limits)
        .map(|resource| {
            let (limit, used) = (usage.limits.of(resource), usage.used.of(resource));
            FieldError::new(resource.name(), format!("{limit} are allowed, with this there would be {used}"))
        })
        .collect();
    if exceeded.is_empty() { Ok(()) } else { Err(Problem::new(Code::QuotaExceeded).fields(exceeded)) }
}
