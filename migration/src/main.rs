//! `nvisy-migrate`: applies, reverts and inspects the schema by hand.

use std::{
    env,
    error::Error,
    fs,
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use nvisy_migration::{apply, grant, revert};

/// The database schema of Nvisy.
///
/// NVISY_MIGRATION_DATABASE_URL names the database, or else NVISY_DATABASE_URL; with the suffix _FILE, a file that contains it.
#[derive(Debug, Parser)]
#[command(name = "nvisy-migrate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Apply pending migrations
    Up,
    /// Revert everything: all data is lost
    Down(Consent),
    /// List the migrations as applied or pending; exit status 1 unless all are applied
    Status,
    /// `down`, then `up`
    Fresh(Consent),
    /// Grant a role the privileges that API and worker need, and no others; again after each `up`
    Grant {
        /// The role, which must not own the schema
        role: String,
    },
}

#[derive(Debug, Args)]
struct Consent {
    /// Delete all data without confirmation
    #[arg(long)]
    yes: bool,
}

type CommandResult = Result<ExitCode, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // `--help` and `--version` arrive here, too.
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        Command::Up => up().await,
        Command::Down(consent) => down(&consent).await,
        Command::Status => status().await,
        Command::Fresh(consent) => fresh(&consent).await,
        Command::Grant { role } => grant_to(&role).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("{error}{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn up() -> CommandResult {
    apply(&url()?).await?;
    Ok(ExitCode::SUCCESS)
}

async fn down(consent: &Consent) -> CommandResult {
    let url = url()?;
    consent.check()?;
    revert(&url).await?;
    Ok(ExitCode::SUCCESS)
}

async fn fresh(consent: &Consent) -> CommandResult {
    let url = url()?;
    consent.check()?;
    revert(&url).await?;
    apply(&url).await?;
    Ok(ExitCode::SUCCESS)
}

async fn grant_to(role: &str) -> CommandResult {
    grant(&url()?, role).await?;
    Ok(ExitCode::SUCCESS)
}

async fn status() -> CommandResult {
    let (_, history) = nvisy_migration::status(&url()?).await?;
    let lines =
        [(&history.applied, "applied"), (&history.pending, "pending"), (&history.unknown, "unknown to this program")];
    for (names, state) in lines {
        for name in names {
            writeln!(io::stdout(), "{name:<24} {state}")?;
        }
    }
    let current = history.pending.is_empty() && history.unknown.is_empty();
    Ok(if current { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Consent {
    /// Requires a typed word rather than a key: the data cannot be restored.
    fn check(&self) -> Result<(), Box<dyn Error>> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err("this deletes all data of the database: give --yes, or confirm in a terminal".into());
        }
        write!(io::stderr(), "This deletes all data of the database. Type `delete` to continue: ")?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if answer.trim() == "delete" { Ok(()) } else { Err("nothing was changed".into()) }
    }
}

/// The URL of the schema's owner if there is one, else that of the programs, from the variables that they read.
fn url() -> Result<String, Box<dyn Error>> {
    let owner = variable("NVISY_MIGRATION_DATABASE_URL")?;
    let url = if owner.is_some() { owner } else { variable("NVISY_DATABASE_URL")? };
    url.ok_or_else(|| "NVISY_DATABASE_URL must be set".into())
}

fn variable(name: &str) -> Result<Option<String>, Box<dyn Error>> {
    let read = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let file_variable = format!("{name}_FILE");
    match (read(name), read(&file_variable)) {
        (Some(_), Some(_)) => Err(format!("{name} and {file_variable} are both set: set one of them").into()),
        (None, Some(file)) => {
            let text = fs::read_to_string(&file);
            let text = text.map_err(|error| format!("{file_variable} names {file}, which cannot be read: {error}"))?;
            Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
        }
        (url, None) => Ok(url),
    }
}
