//! The worker: build, then run. Tests make the same calls.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use nvisy_shared::{
    config::Config,
    domain::job::Lane,
    lifecycle::Lifecycle,
    platform::{Platform, PlatformError},
};
use tokio::net::TcpListener;

use crate::{
    context::Context,
    handlers, health,
    mail::{self, SmtpMailer},
    maintenance::{self, Schedule},
    pipeline::{embedding_connection, reranking},
    runner::{Heartbeats, JobRunner, ServedSpaces, run_lane},
    sync::listeners,
};

/// A worker that has opened all it needs and runs no job yet.
pub struct Worker {
    cx: Context,
    health: TcpListener,
    schedule: Schedule,
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The schema.
    #[error(transparent)]
    Migration(#[from] nvisy_migration::ApplyError),
    /// A service, a key or the model.
    #[error(transparent)]
    Open(#[from] PlatformError),
    /// The mail server.
    #[error(transparent)]
    Mail(#[from] mail::SmtpMailerError),
    /// The folder where files are staged.
    #[error(
        "no temporary file can be made in {}: let TMPDIR name a folder that may be written to, on a disk that is not full",
        .0.display()
    )]
    Scratch(PathBuf, #[source] std::io::Error),
    /// The health endpoint.
    #[error("{0} cannot be listened on: stop what uses it, or change NVISY_WORKER_HEALTH_ADDRESS")]
    Listen(SocketAddr, #[source] std::io::Error),
}

impl Worker {
    /// Migrates the database (unless its role owns nothing: then the API migrates), opens everything, and binds the health endpoint.
    /// `extractor` is the worker's own program.
    ///
    /// # Errors
    /// [`StartError`] says what is missing.
    pub async fn build(config: Config, extractor: PathBuf) -> Result<Self, StartError> {
        nvisy_migration::apply(config.database.url.expose()).await?;
        let address = config.worker.health_address;
        let health = TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))?;
        tempfile::tempfile().map_err(|error| StartError::Scratch(std::env::temp_dir(), error))?;
        let mailer = SmtpMailer::open(&config.smtp)?;
        Ok(Self {
            cx: Context::new(Platform::open(config).await?, extractor, mailer),
            health,
            schedule: Schedule::default(),
        })
    }

    /// Replaces the schedule of maintenance: tests do not wait for the default intervals.
    #[must_use]
    pub fn with_maintenance(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Runs jobs until the lifecycle's soft stop, then finishes the current ones within the grace period.
    /// Returns whether all were finished in time.
    pub async fn run(self, lifecycle: Lifecycle) -> bool {
        let cx = self.cx;
        let heartbeats = Heartbeats::new();
        let served_spaces = ServedSpaces::new(heartbeats.holder());
        let runner = JobRunner::new(cx.clone(), heartbeats.clone(), served_spaces.clone(), handlers::registry());
        let runner = Arc::new(runner);
        cx.start_relays(&lifecycle);
        lifecycle.spawn(served_spaces.run(cx.clone(), lifecycle.clone()));
        lifecycle.spawn(cx.embedding_speeds.clone().run(cx.db.clone(), lifecycle.clone()));
        lifecycle.spawn(heartbeats.run(cx.db.clone(), cx.lease(), lifecycle.clone()));
        let slots = &cx.config.worker;
        let lanes = [
            (Lane::Extract, slots.extract_slots),
            (Lane::Model, slots.model_slots),
            (Lane::Source, slots.source_slots),
            (Lane::Mail, slots.mail_slots),
        ];
        for (lane, slots) in lanes {
            for _ in 0..slots {
                lifecycle.spawn_graceful(run_lane(lane, cx.queue.clone(), Arc::clone(&runner), lifecycle.clone()));
            }
        }
        answer_searches(&cx, &lifecycle).await;
        lifecycle.spawn(maintenance::run(cx.clone(), self.schedule, lifecycle.clone()));
        lifecycle.spawn(listeners::run(cx.clone(), self.schedule.poll_interval, lifecycle.clone()));
        lifecycle.spawn(health::serve(self.health, cx.clone(), lifecycle.clone()));
        tracing::info!("the worker is ready");
        lifecycle.soft().cancelled().await;
        lifecycle.finish(cx.grace()).await
    }
}

/// Answers requests of searches that need the credentials of a connection.
async fn answer_searches(cx: &Context, lifecycle: &Lifecycle) {
    let of_queries = cx.clone();
    let embedded =
        cx.queue.answer_queries(lifecycle, move |query| embedding_connection::answer(of_queries.clone(), query));
    let of_reranks = cx.clone();
    let reranked = cx.queue.answer_reranks(lifecycle, move |query| reranking::answer(of_reranks.clone(), query));
    for answered in [embedded.await, reranked.await] {
        if let Err(error) = answered {
            // Searches with a connection answer 503, or are not reranked, until the worker is restarted; jobs need NATS as well.
            tracing::error!(error = &error as &dyn std::error::Error, "queries cannot be answered");
        }
    }
}
