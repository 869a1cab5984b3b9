//! The command line of `nvisy-api`. Each command is a file of its own; this one declares them and prints their results.

mod adopt_signing_keys;
mod allow_sign_up;
mod doctor;
mod keys;
mod operator;
mod quota;
mod schema;
mod suspend;
mod verify_activity;

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
};

pub use adopt_signing_keys::{AdoptError, adopt_signing_keys};
pub use allow_sign_up::{AllowSignUpError, allow_sign_up};
use clap::{Parser, Subcommand, value_parser};
pub use doctor::doctor;
use futures::future::LocalBoxFuture;
pub use keys::{KeysError, keys};
use nvisy_shared::{
    config::{self, Config},
    domain::{account::AccountState, quota::Resource},
    error_chain, probe,
};
pub use operator::OperatorError;
pub use quota::{QuotaError, quota};
pub use schema::differences;
pub use suspend::{SuspendError, suspend};
use uuid::Uuid;
pub use verify_activity::{Verified, VerifyError, verify_activity};

/// The HTTP API of Nvisy. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "nvisy-api", version)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Everything `nvisy-api` does besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check every dependency; report problems and their remedies
    Doctor,
    /// Compare the tables of the database with the entities of this program
    Schema,
    /// Create the missing key files
    Keys {
        /// The directory of the files
        #[arg(long, value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// Replace all existing keys: everything signed or encrypted with them is lost
        #[arg(long)]
        force: bool,
    },
    /// Make the configured signing keys those of the database
    AdoptSigningKeys,
    /// Check the health of the running API
    Health,
    /// Print every setting with its value and source; secrets are hidden
    Config,
    /// Check every entry of the activity log, and print the end of each chain
    VerifyActivity {
        /// An earlier output of this command: entries removed from the end since then are detected, too
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Set the quotas of a workspace; those not given follow the settings
    Quota {
        /// The id of the workspace
        workspace: Uuid,
        /// Files
        #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..))]
        files: Option<i64>,
        /// Bytes of all versions of all files
        #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..))]
        bytes: Option<i64>,
        /// Chunks
        #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..))]
        chunks: Option<i64>,
        /// Unfinished runs
        #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..))]
        runs: Option<i64>,
        /// Collections
        #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(0..))]
        collections: Option<i64>,
    },
    /// Print the invite code with which this address can sign up once
    AllowSignUp {
        /// The e-mail address
        email: String,
        /// Days until the code expires
        #[arg(long, value_name = "N", default_value_t = 7)]
        days: u32,
    },
    /// Suspend an account from its next request on
    Suspend {
        /// The e-mail address or id of the account
        account: String,
    },
    /// End the suspension of an account
    Resume {
        /// The e-mail address or id of the account
        account: String,
    },
    /// Print every setting with its default and meaning
    EnvExample,
}

type CommandResult = Result<(), Box<dyn Error>>;

impl Command {
    /// Runs the command and prints its result to standard output.
    ///
    /// # Errors
    /// The sentence to print to standard error.
    // Boxed, so that the program does not compile what the commands call once more.
    pub fn run(self) -> LocalBoxFuture<'static, CommandResult> {
        Box::pin(self.execute())
    }

    async fn execute(self) -> CommandResult {
        match self {
            Self::Doctor => print_findings().await,
            Self::Schema => print_differences().await,
            Self::Keys { directory, force } => {
                keys(&directory, force)?.iter().try_for_each(|path| print(&format!("created {}\n", path.display())))
            }
            Self::AdoptSigningKeys => {
                let id = adopt_signing_keys(&Config::load()?).await?;
                print(&format!("the database now belongs to the signing keys {id}; restart every API\n"))
            }
            Self::Health => check_health().await,
            Self::Config => print_config(),
            Self::VerifyActivity { against } => {
                let verified = verify_activity(&Config::load()?, against).await?;
                print(&verified.report)?;
                if verified.intact { Ok(()) } else { Err("the activity log was changed".into()) }
            }
            Self::Quota { workspace, files, bytes, chunks, runs, collections } => {
                let amounts = [
                    (Resource::Files, files),
                    (Resource::Bytes, bytes),
                    (Resource::Chunks, chunks),
                    (Resource::Runs, runs),
                    (Resource::Collections, collections),
                ];
                let amounts = amounts.into_iter().filter_map(|(resource, amount)| Some((resource, amount?))).collect();
                Ok(quota(&Config::load()?, workspace, &amounts).await?)
            }
            Self::AllowSignUp { email, days } => {
                let code = allow_sign_up(&Config::load()?, &email, days).await?;
                // Only the code goes to standard output, for scripts.
                eprintln!("the inviteCode with which {email} can sign up once within {days} days:");
                print(&format!("{}\n", code.expose()))
            }
            Self::Suspend { account } => {
                let id = suspend(&Config::load()?, &account, AccountState::Suspended).await?;
                print(&format!("the account {id} is suspended\n"))
            }
            Self::Resume { account } => {
                let id = suspend(&Config::load()?, &account, AccountState::Active).await?;
                print(&format!("the account {id} is active\n"))
            }
            Self::EnvExample => print(&config::example()),
        }
    }
}

async fn print_findings() -> CommandResult {
    let findings = doctor(&Config::load()?).await;
    for finding in &findings {
        print(&format!("{finding}\n"))?;
    }
    let wrong = findings.iter().filter(|finding| finding.result.is_err()).count();
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} of {} checks failed", findings.len()).into()) }
}

async fn print_differences() -> CommandResult {
    let differences = differences(&Config::load()?).await?;
    if differences.is_empty() {
        return print("the tables are as expected\n");
    }
    Err(differences.join("\n").into())
}

async fn check_health() -> CommandResult {
    let http = Config::load()?.http;
    let address = http.address;
    match probe::is_healthy(address, http.tls_certificate_file.is_some()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the API on {address} reports that it is not healthy").into()),
        Err(error) => Err(format!("no API responds on {address}: {}", error_chain(&error)).into()),
    }
}

fn print_config() -> CommandResult {
    let settings = config::LayeredSettings::read();
    print(&settings.to_string())?;
    Ok(settings.check().map(drop)?)
}

fn print(text: &str) -> CommandResult {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn amounts_are_not_negative() {
        let parse = |files: &str| {
            let workspace = Uuid::nil().to_string();
            Cli::try_parse_from(["nvisy-api", "quota", &workspace, "--files", files])
        };
        assert!(parse("0").is_ok());
        assert!(parse("-1").is_err());
        assert!(parse("many").is_err());
    }
}
