//! `nvisy-api verify-activity`: whether the activity log is as it was written.

use std::fmt::Write;

use nvisy_shared::{
    config::Config,
    crypt::{KeyFileError, Keyring, MasterKey, seal::Seals},
    store::{self, activity},
};

/// Why the log could not be checked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum VerifyError {
    #[error("the master key cannot be used (NVISY_ENCRYPTION_KEY_FILE)")]
    Key(#[from] KeyFileError),
    #[error("the activity log cannot be read (NVISY_DATABASE_URL)")]
    Database(#[from] store::Error),
}

/// What came of it.
#[derive(Debug)]
pub struct Verified {
    /// Every entry of every chain is as it was written.
    pub intact: bool,
    /// A line for each chain: its length and last seal, or its first broken entry.
    pub report: String,
}

/// Checks every chain. A line names the last seal: kept elsewhere, it shows later that nothing was cut off the end.
///
/// # Errors
/// When key or database cannot be used.
pub async fn verify_activity(config: &Config) -> Result<Verified, VerifyError> {
    let seals = Seals::new(Keyring::new(MasterKey::read(&config.encryption.key_file)?));
    let db = store::connect(&config.database).await?;
    let mut verified = Verified { intact: true, report: String::new() };
    for chain in activity::chains(&db).await? {
        let checked = activity::check(&db, &seals, chain).await?;
        let name = if chain == activity::ACCOUNTS { "accounts".to_owned() } else { format!("workspace {chain}") };
        let line = match checked.broken {
            None => format!("{name}: intact, {} entries, last seal {}", checked.intact, hex::encode(checked.seal)),
            Some(broken) => {
                verified.intact = false;
                let id = broken.id.map(|id| format!(" ({id})")).unwrap_or_default();
                format!("{name}: BROKEN at entry {}{id}: {}", broken.seq, broken.why)
            }
        };
        writeln!(verified.report, "{line}").expect("a string takes every line");
    }
    db.close().await?;
    Ok(verified)
}
