//! A worker whose maintenance does not wait.

use std::time::Duration;

use nvisy_shared::lifecycle::Lifecycle;
use nvisy_worker::{app::Worker, maintenance::Schedule};

use super::{TestApp, program};

/// A worker in this process that looks for obsolete targets all the time.
pub struct QuickWorker {
    lifecycle: Lifecycle,
    task: tokio::task::JoinHandle<bool>,
}

impl QuickWorker {
    pub async fn start(app: &TestApp) -> Self {
        let schedule = Schedule {
            poll_interval: Duration::from_millis(100),
            targets_interval: Duration::from_millis(200),
            ..Schedule::default()
        };
        Self::start_with(app, schedule).await
    }

    /// With other intervals.
    pub async fn start_with(app: &TestApp, schedule: Schedule) -> Self {
        let build = Worker::build(app.config().clone(), program("nvisy-worker")).await.unwrap();
        let lifecycle = Lifecycle::new();
        let task = tokio::spawn(build.with_maintenance(schedule).run(lifecycle.clone()));
        Self { lifecycle, task }
    }

    pub async fn stop(self) {
        self.lifecycle.soft().cancel();
        assert!(self.task.await.unwrap(), "the worker finished in time");
    }
}
