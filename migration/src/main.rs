//! `nvisy-migrate up | down | status | fresh`: the schema by hand, on `NVISY_DATABASE_URL`.

use std::process::ExitCode;

use nvisy_migration::{ApplyError, Migrator, apply, connect};
use sea_orm_migration::MigratorTrait;

const USAGE: &str = "usage: nvisy-migrate up | down | status | fresh
  up      apply what is missing
  down    revert everything: all data is lost
  status  list the migrations and whether each is applied
  fresh   down, then up
NVISY_DATABASE_URL names the database.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let Ok(url) = std::env::var("NVISY_DATABASE_URL") else {
        eprintln!("NVISY_DATABASE_URL must be set\n{USAGE}");
        return ExitCode::from(2);
    };
    let result = match command.as_str() {
        "up" => apply(&url).await,
        "down" => revert(&url).await,
        "status" => status(&url).await,
        "fresh" => match revert(&url).await {
            Ok(()) => apply(&url).await,
            failed => failed,
        },
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("{error}{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn revert(url: &str) -> Result<(), ApplyError> {
    let db = connect(url).await?;
    Migrator::down(&db, None).await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
async fn status(url: &str) -> Result<(), ApplyError> {
    let db = connect(url).await?;
    Migrator::install(&db).await?;
    for migration in Migrator::get_migration_with_status(&db).await? {
        println!("{:<24} {}", migration.name(), migration.status());
    }
    Ok(())
}
