//! Refusing what is too much.

use nvisy_shared::{
    id::WorkspaceId,
    platform::Platform,
    store::{self, Tx},
};

use crate::problem::{Code, FieldError, Problem};

/// Fails when the workspace now has more than it may: to be asked after something was added, in the same transaction.
pub(crate) async fn check(tx: &Tx, platform: &Platform, workspace: WorkspaceId) -> Result<(), Problem> {
    let usage = store::usage::find(tx, workspace, platform.quota()).await?;
    let usage = usage.ok_or_else(Problem::not_found)?;
    let exceeded: Vec<FieldError> = usage
        .used
        .above(&usage.limits)
        .map(|resource| {
            let (limit, used) = (usage.limits.of(resource), usage.used.of(resource));
            FieldError::new(resource.name(), format!("{limit} are allowed, with this there would be {used}"))
        })
        .collect();
    if exceeded.is_empty() { Ok(()) } else { Err(Problem::new(Code::QuotaExceeded).fields(exceeded)) }
}
