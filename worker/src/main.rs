//! `nvisy-worker`: runs jobs until SIGTERM or SIGINT; a second signal stops at once.
//!
//! `nvisy-worker health` checks a running worker, `nvisy-worker config` prints the settings, `nvisy-worker extract` is the child process that
//! extracts one file.

use std::process::ExitCode;

use nvisy_shared::{
    config::{Config, Settings},
    lifecycle::Lifecycle,
    probe, telemetry,
};
use nvisy_worker::app::Worker;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        // Before any thread starts, because the limits apply to the whole process.
        Some("extract") => nvisy_extract::child::main(),
        Some("health") => run(health()),
        Some("config") => run(async { show_config() }),
        None => run(work()),
        Some(other) => {
            eprintln!("nvisy-worker: unknown command `{other}`; start it without one, or with `health` or `config`");
            ExitCode::from(2)
        }
    }
}

fn run(work: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nvisy-worker: {}", nvisy_shared::error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn work() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load()?;
    let telemetry = telemetry::init("nvisy-worker", &config.log)?;
    let lifecycle = Lifecycle::new();
    let worker = Worker::build(config, std::env::current_exe()?).await?;
    let stopping = lifecycle.clone();
    tokio::spawn(async move { stopping.stop_on_signal().await });
    let in_time = worker.run(lifecycle).await;
    if !in_time {
        tracing::warn!("unfinished jobs were handed back");
    }
    telemetry.shutdown().await;
    Ok(())
}

async fn health() -> Result<(), Box<dyn std::error::Error>> {
    let address = Config::load()?.worker.health_address;
    match probe::is_healthy(address, false).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the worker on {address} reports that it is not healthy").into()),
        Err(error) => Err(format!("no worker responds on {address}: {}", nvisy_shared::error_chain(&error)).into()),
    }
}

fn show_config() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write;
    let settings = Settings::read();
    std::io::stdout().write_all(settings.to_string().as_bytes())?;
    Ok(settings.check().map(drop)?)
}
