//! `nvisy-worker [COMMAND]`: without a command it runs jobs until SIGTERM or SIGINT; a second signal stops it at once.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use nvisy_shared::{
    config::{Config, LayeredSettings},
    error_chain,
    lifecycle::Lifecycle,
    probe,
    telemetry::{self, metrics::metrics},
};
use nvisy_worker::app::Worker;

/// The worker of Nvisy. Without a command it runs jobs until SIGTERM or SIGINT.
#[derive(Debug, Parser)]
#[command(name = "nvisy-worker", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the health of the running worker
    Health,
    /// Print every setting with its value and source; secrets are hidden
    Config,
    /// Read one file for a worker, in a process of its own
    #[command(hide = true)]
    Extract,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        // Before any thread starts, because the limits apply to the whole process.
        Some(Command::Extract) => nvisy_extract::child::main(),
        Some(Command::Health) => run(check_health()),
        Some(Command::Config) => run(async { print_config() }),
        None => run(work()),
    }
}

fn run(work: impl Future<Output = Result<(), Box<dyn Error>>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nvisy-worker: {}", error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn work() -> Result<(), Box<dyn Error>> {
    let config = Config::load()?;
    let telemetry = telemetry::init("nvisy-worker", &config.log)?;
    let lifecycle = Lifecycle::new();
    let program = std::env::current_exe()?;
    let worker = Worker::build(config, program.clone()).await?;
    match nvisy_extract::confinement(&program).await {
        Ok(confinement) => {
            tracing::info!(%confinement, "the processes that read files are confined");
            for (layer, is_present) in confinement.layers() {
                metrics().extract_confined(layer, is_present);
            }
        }
        Err(error) => tracing::warn!(error = error_chain(&error), "no process that reads files can be started"),
    }
    let stopping = lifecycle.clone();
    tokio::spawn(async move { stopping.stop_on_signal().await });
    let in_time = worker.run(lifecycle).await;
    if !in_time {
        tracing::warn!("unfinished jobs were handed back");
    }
    telemetry.shutdown().await;
    Ok(())
}

async fn check_health() -> Result<(), Box<dyn Error>> {
    let address = Config::load()?.worker.health_address;
    match probe::is_healthy(address, false).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the worker on {address} reports that it is not healthy").into()),
        Err(error) => Err(format!("no worker responds on {address}: {}", error_chain(&error)).into()),
    }
}

fn print_config() -> Result<(), Box<dyn Error>> {
    let settings = LayeredSettings::read();
    io::stdout().write_all(settings.to_string().as_bytes())?;
    Ok(settings.check().map(drop)?)
}
