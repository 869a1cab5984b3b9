//! Chores that nobody waits for.

mod accounts;
mod idempotency;
mod limits;
mod measure;
mod sweep;
mod workspaces;

use std::time::Duration;

use nvisy_shared::{lifecycle::Lifecycle, store};

use crate::context::Context;

/// How often the store is swept.
const SWEEP: Duration = Duration::from_secs(600);
/// How often accounts are looked at.
const ACCOUNTS: Duration = Duration::from_secs(30);
/// How often the backlog is measured.
const MEASURE: Duration = Duration::from_secs(15);

/// Does the chores until the soft stop. Any number of workers may do them at once.
pub async fn run(cx: Context, lifecycle: Lifecycle) {
    let mut sweep = tokio::time::interval(SWEEP);
    let mut accounts = tokio::time::interval(ACCOUNTS);
    let mut measure = tokio::time::interval(MEASURE);
    loop {
        let result = tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            _ = sweep.tick() => chores(&cx).await,
            _ = accounts.tick() => people(&cx).await.map_err(Into::into),
            _ = measure.tick() => measure::backlog(&cx).await.map_err(Into::into),
        };
        if let Err(error) = result {
            tracing::warn!(error = &*error as &dyn std::error::Error, "upkeep failed, it will be tried again");
        }
    }
}

async fn people(cx: &Context) -> store::Result<()> {
    accounts::credentials(cx).await?;
    accounts::erase(cx).await
}

async fn chores(cx: &Context) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    idempotency::forget(cx).await?;
    workspaces::forget_invites(cx).await?;
    workspaces::erase(cx).await?;
    workspaces::retain(cx).await?;
    limits::forget(cx).await?;
    sweep::blobs(cx).await?;
    sweep::orphans(cx).await
}
