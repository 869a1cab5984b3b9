//! `nvisy-api [COMMAND]`: serves without a command.

use std::{
    collections::HashMap,
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use nvisy_api::{app::App, cli};
use nvisy_shared::{
    config::{self, Config},
    domain::{account::AccountState, quota::Resource},
    lifecycle::Lifecycle,
    probe, telemetry,
};

const USAGE: &str = "usage: nvisy-api [COMMAND]
  (none)                            serve the API
  doctor                            look at everything it stands on; say what is wrong and what to do
  schema                            compare the tables of the database with what the programs expect
  keys [--directory DIR] [--force]  make the key files that are missing; --force replaces all
  adopt-signing-keys                sign with the present pair from now on, whatever the database knew
  health                            ask the running API whether it is well
  config                            print every setting as it holds, secrets hidden, and where it came from
  verify-activity [--against FILE]  check every entry of the activity log, and print the end of each chain; against
                                    what was printed before, entries cut off the end show, too
  quota WORKSPACE [--files N] [--bytes N] [--chunks N] [--runs N]
                                    set how much a workspace may use; what is not named is as the settings say
  admit EMAIL [--days N]            print the code with which this address signs up, good for 7 days unless told otherwise
  suspend ACCOUNT                   refuse everything to the account of this address or id, from its next request on
  resume ACCOUNT                    let it go on
  env-example                       print every setting with its default and meaning";

#[tokio::main]
async fn main() -> ExitCode {
    // Two providers are linked in; without a choice the first TLS connection would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => serve().await,
        ["keys", options @ ..] => keys(options),
        ["doctor"] => doctor().await,
        ["schema"] => schema().await,
        ["adopt-signing-keys"] => adopt_signing_keys().await,
        ["health"] => health().await,
        ["config"] => show_config(),
        ["verify-activity"] => verify_activity(None).await,
        ["verify-activity", "--against", file] => verify_activity(Some(file.into())).await,
        ["quota", workspace, options @ ..] => quota(workspace, options).await,
        ["admit", email] => admit(email, "7").await,
        ["admit", email, "--days", days] => admit(email, days).await,
        ["suspend", account] => set_state(account, AccountState::Suspended).await,
        ["resume", account] => set_state(account, AccountState::Active).await,
        ["env-example"] => print(&config::example()),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", nvisy_shared::error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn Error>>;

async fn serve() -> Outcome {
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

fn keys(options: &[&str]) -> Outcome {
    let (directory, force) = match options {
        [] => (".", false),
        ["--force"] => (".", true),
        ["--directory", directory] => (*directory, false),
        ["--directory", directory, "--force"] | ["--force", "--directory", directory] => (*directory, true),
        _ => return Err(USAGE.into()),
    };
    let made = cli::keys(Path::new(directory), force)?;
    for path in made {
        print(&format!("made {}\n", path.display()))?;
    }
    Ok(())
}

async fn doctor() -> Outcome {
    let findings = cli::doctor(&Config::load()?).await;
    for finding in &findings {
        print(&format!("{finding}\n"))?;
    }
    let wrong = findings.iter().filter(|finding| finding.result.is_err()).count();
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} of {} are wrong", findings.len()).into()) }
}

async fn schema() -> Outcome {
    let differences = cli::differences(&Config::load()?).await?;
    if differences.is_empty() {
        return print("the tables are as expected\n");
    }
    Err(differences.join("\n").into())
}

async fn adopt_signing_keys() -> Outcome {
    let id = cli::adopt_signing_keys(&Config::load()?).await?;
    print(&format!("the database belongs to the signing keys {id} now; restart every API\n"))
}

async fn health() -> Outcome {
    let http = Config::load()?.http;
    let address = http.address;
    match probe::is_healthy(address, http.tls_certificate_file.is_some()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the API on {address} says that it is not well").into()),
        Err(error) => Err(format!("no API answers on {address}: {}", nvisy_shared::error_chain(&error)).into()),
    }
}

fn show_config() -> Outcome {
    let settings = config::Settings::read();
    print(&settings.to_string())?;
    Ok(settings.check().map(drop)?)
}

async fn verify_activity(earlier: Option<PathBuf>) -> Outcome {
    let verified = cli::verify_activity(&Config::load()?, earlier).await?;
    print(&verified.report)?;
    if verified.intact { Ok(()) } else { Err("the activity log is not as it was written".into()) }
}

async fn quota(workspace: &str, options: &[&str]) -> Outcome {
    let workspace = workspace.parse().map_err(|_| "a workspace is named by its id")?;
    let mut amounts = HashMap::new();
    for option in options.chunks(2) {
        let [name, amount] = option else { return Err(USAGE.into()) };
        let resource = Resource::ALL.into_iter().find(|resource| name.strip_prefix("--") == Some(resource.name()));
        let amount = amount.parse::<i64>();
        let (Some(resource), Ok(amount @ 0..)) = (resource, amount) else { return Err(USAGE.into()) };
        amounts.insert(resource, amount);
    }
    cli::quota(&Config::load()?, workspace, &amounts).await?;
    Ok(())
}

async fn set_state(account: &str, state: AccountState) -> Outcome {
    let id = cli::suspend(&Config::load()?, account, state).await?;
    match state {
        AccountState::Suspended => print(&format!("the account {id} is suspended\n")),
        AccountState::Active => print(&format!("the account {id} may go on\n")),
    }
}

async fn admit(email: &str, days: &str) -> Outcome {
    let days = days.parse().map_err(|_| USAGE)?;
    let code = cli::admit(&Config::load()?, email, days).await?;
    // Alone on standard output, for scripts.
    eprintln!("{email} signs up with this inviteCode, once, within {days} days:");
    print(&format!("{}\n", code.expose()))
}

fn print(text: &str) -> Outcome {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
