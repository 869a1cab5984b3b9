//! `nvisy-migrate up | down | status | fresh | grant`: the schema by hand, on `NVISY_MIGRATION_DATABASE_URL`
//! or else `NVISY_DATABASE_URL`.

use std::{
    env, fs,
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
};

use nvisy_migration::{apply, grant, revert};

const USAGE: &str = "usage: nvisy-migrate up | down [--yes] | status | fresh [--yes] | grant ROLE
  up      apply what is missing
  down    revert everything: all data is lost
  status  list the migrations and whether each is applied; status 1 unless all are
  fresh   down, then up
  grant   give a role what API and worker need, and nothing more; again after each `up`
NVISY_MIGRATION_DATABASE_URL names the database, or else NVISY_DATABASE_URL; with _FILE at its end, a file that does.
down and fresh ask before they delete anything, unless --yes is given.";

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["up"] => up().await,
        ["down", rest @ ..] if is_consent(rest) => down(!rest.is_empty()).await,
        ["status"] => status().await,
        ["fresh", rest @ ..] if is_consent(rest) => fresh(!rest.is_empty()).await,
        ["grant", role] => grant_to(role).await,
        _ => Err(USAGE.into()),
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

fn is_consent(rest: &[&str]) -> bool {
    matches!(rest, [] | ["--yes"])
}

async fn up() -> Result<ExitCode, Failure> {
    apply(&url()?).await?;
    Ok(ExitCode::SUCCESS)
}

async fn down(yes: bool) -> Result<ExitCode, Failure> {
    let url = url()?;
    consent(yes)?;
    revert(&url).await?;
    Ok(ExitCode::SUCCESS)
}

async fn fresh(yes: bool) -> Result<ExitCode, Failure> {
    let url = url()?;
    consent(yes)?;
    revert(&url).await?;
    apply(&url).await?;
    Ok(ExitCode::SUCCESS)
}

async fn grant_to(role: &str) -> Result<ExitCode, Failure> {
    grant(&url()?, role).await?;
    Ok(ExitCode::SUCCESS)
}

async fn status() -> Result<ExitCode, Failure> {
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

/// A word typed, not a key pressed: what it deletes is gone.
fn consent(yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err("this deletes all data of the database: say --yes, or run it in a terminal to be asked".into());
    }
    write!(io::stderr(), "This deletes all data of the database. Type `delete` to go on: ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "delete" { Ok(()) } else { Err("nothing was changed".into()) }
}

/// The same variables, with the same meaning, as the programs read: the owner's URL where there is one.
fn url() -> Result<String, Failure> {
    let owner = named("NVISY_MIGRATION_DATABASE_URL")?;
    let url = if owner.is_some() { owner } else { named("NVISY_DATABASE_URL")? };
    url.ok_or_else(|| "NVISY_DATABASE_URL must be set".into())
}

fn named(name: &str) -> Result<Option<String>, Failure> {
    let given = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let in_file = format!("{name}_FILE");
    match (given(name), given(&in_file)) {
        (Some(_), Some(_)) => Err(format!("{name} and {in_file} are both set: set one of them").into()),
        (None, Some(file)) => {
            let text = fs::read_to_string(&file);
            let text = text.map_err(|error| format!("{in_file} names {file}, which cannot be read: {error}"))?;
            Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
        }
        (url, None) => Ok(url),
    }
}
