//! Chores that nobody waits for.

mod accounts;
mod events;
mod gc;
mod idempotency;
mod limits;
mod measure;
mod workspaces;

use std::{error::Error, time::Duration};

use nvisy_shared::{lifecycle::Lifecycle, store};

use crate::context::Context;

/// How often each worker measures.
const MEASURE: Duration = Duration::from_secs(15);
/// How often each worker asks which chore is due.
const ASK: Duration = Duration::from_secs(5);
/// How long a worker that is at a chore may be silent before another takes it up.
const LEASE: Duration = Duration::from_secs(60);

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// What one worker at a time does for all of them.
#[derive(Clone, Copy)]
enum Chore {
    /// Sessions, tokens and accounts that are over.
    Accounts,
    /// Everything that may wait for some minutes.
    Sweep,
}

impl Chore {
    const ALL: [Self; 2] = [Self::Accounts, Self::Sweep];

    /// Its name in the table of chores.
    const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Sweep => "sweep",
        }
    }

    /// From the end of one time to the beginning of the next.
    const fn interval(self) -> Duration {
        match self {
            Self::Accounts => Duration::from_secs(30),
            Self::Sweep => Duration::from_secs(600),
        }
    }

    async fn work(self, cx: &Context) -> Outcome {
        match self {
            Self::Accounts => {
                accounts::credentials(cx).await?;
                accounts::erase(cx).await?;
            }
            Self::Sweep => {
                idempotency::forget(cx).await?;
                events::forget(cx).await?;
                workspaces::forget_invites(cx).await?;
                workspaces::erase(cx).await?;
                workspaces::retain(cx).await?;
                limits::forget(cx).await?;
                gc::blobs(cx).await?;
                gc::orphans(cx).await?;
            }
        }
        Ok(())
    }
}

/// Measures, and does the chores that are due and that no other worker does, until the soft stop.
pub async fn run(cx: Context, lifecycle: Lifecycle) {
    let measured = async {
        let mut rounds = tokio::time::interval(MEASURE);
        loop {
            rounds.tick().await;
            report(measure::backlog(&cx).await.map_err(Into::into));
        }
    };
    let done = async {
        let mut rounds = tokio::time::interval(ASK);
        loop {
            rounds.tick().await;
            for chore in Chore::ALL {
                report(alone(&cx, chore).await);
            }
        }
    };
    tokio::select! {
        () = lifecycle.soft().cancelled() => {}
        () = measured => {}
        () = done => {}
    }
}

fn report(outcome: Outcome) {
    if let Err(error) = outcome {
        tracing::warn!(error = &*error as &dyn Error, "upkeep failed, it will be tried again");
    }
}

/// Does a chore if it is due and nobody else is at it. What fails waits for its next time, like what is done.
async fn alone(cx: &Context, chore: Chore) -> Outcome {
    if !store::maintenance_lease::acquire(&cx.db, chore.name(), LEASE).await? {
        return Ok(());
    }
    let outcome = tokio::select! {
        outcome = chore.work(cx) => outcome,
        never = keep(cx, chore) => match never {},
    };
    store::maintenance_lease::extend(&cx.db, chore.name(), chore.interval()).await?;
    outcome
}

/// Says every so often that the chore is being done. Never returns.
async fn keep(cx: &Context, chore: Chore) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        report(store::maintenance_lease::extend(&cx.db, chore.name(), LEASE).await.map_err(Into::into));
    }
}
