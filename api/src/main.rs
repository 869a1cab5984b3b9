//! `nvisy-api [COMMAND]`: without a command, it runs the server.

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser;
use nvisy_api::{app::App, cli::Cli};
use nvisy_shared::{config::Config, error_chain, lifecycle::Lifecycle, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    // Two providers are linked in; without a choice the first TLS connection would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // `--help` and `--version` arrive here, too.
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        Some(command) => command.run().await,
        None => serve().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let config = Config::load()?;
    let telemetry = telemetry::init("nvisy-api", &config.log)?;
    let grace = Duration::from_secs(config.queue.grace_seconds);
    let lifecycle = Lifecycle::new();
    let app = App::build(config, lifecycle.clone()).await?.bind()?;
    tracing::info!(address = %app.address(), "listening");
    let signals = lifecycle.clone();
    tokio::spawn(async move { signals.stop_on_signal().await });
    app.run().await?;
    lifecycle.finish(grace).await;
    telemetry.shutdown().await;
    Ok(())
}
