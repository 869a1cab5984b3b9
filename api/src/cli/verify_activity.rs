//! `nvisy-api verify-activity`: whether the activity log is as it was written, and still holds what it held before.

use std::{collections::BTreeSet, fmt::Write, fs, io, path::PathBuf};

use nvisy_shared::{
    config::Config,
    crypt::{KeyFileError, Keyring, MasterKey, audit_mac::AuditKeys},
    id::WorkspaceId,
    store::{self, Db, activity},
};
use uuid::Uuid;

/// Why the log could not be checked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum VerifyError {
    #[error("the master key cannot be used (NVISY_ENCRYPTION_KEY_FILE)")]
    Key(#[from] KeyFileError),
    #[error("the activity log cannot be read (NVISY_DATABASE_URL)")]
    Database(#[from] store::Error),
    #[error("the earlier report {} cannot be read", .0.display())]
    Report(PathBuf, #[source] io::Error),
    #[error("{} is not an earlier report: it names no chain that was intact", .0.display())]
    NoReport(PathBuf),
}

/// What came of it.
#[derive(Debug)]
pub struct Verified {
    /// Every entry of every chain is as it was written.
    pub intact: bool,
    /// A line for each chain: its length and last seal, or its first broken entry.
    pub report: String,
}

/// Checks every chain, and that each still has the entries at which an earlier report ended, with the same MACs. A
/// report that is kept elsewhere shows later that nothing was cut off the end, even by a holder of the master key.
///
/// # Errors
/// When key, database or report cannot be used.
pub async fn verify_activity(config: &Config, earlier: Option<PathBuf>) -> Result<Verified, VerifyError> {
    let earlier = earlier.map(read).transpose()?.unwrap_or_default();
    let audit_keys = AuditKeys::new(Keyring::new(MasterKey::read(&config.encryption.key_file)?));
    let db = store::connect(&config.database).await?;
    let mut verified = Verified { intact: true, report: String::new() };
    let named = earlier.iter().map(|head| head.chain);
    let chains: BTreeSet<_> = activity::chains(&db).await?.into_iter().chain(named).collect();
    for chain in chains {
        let checked = activity::check(&db, &audit_keys, chain).await?;
        let name = if chain == activity::ACCOUNT_CHAIN { ACCOUNTS.to_owned() } else { format!("{WORKSPACE}{chain}") };
        let lost = lost(&db, earlier.iter().filter(|head| head.chain == chain)).await?;
        let line = match (checked.broken, lost) {
            (None, None) => format!("{name}{INTACT}{}{SEAL}{}", checked.intact, hex::encode(checked.mac)),
            (Some(broken), _) => {
                let id = broken.id.map(|id| format!(" ({id})")).unwrap_or_default();
                format!("{name}: BROKEN at entry {}{id}: {}", broken.seq, broken.reason)
            }
            (None, Some(seq)) => format!("{name}: BROKEN at entry {seq}: it is not the one of the earlier report"),
        };
        verified.intact &= line.contains(INTACT);
        writeln!(verified.report, "{line}").expect("a string takes every line");
    }
    db.close().await?;
    Ok(verified)
}

// A line of the report, in pieces: it is written for people and read again.
const ACCOUNTS: &str = "accounts";
const WORKSPACE: &str = "workspace ";
const INTACT: &str = ": intact, ";
const SEAL: &str = " entries, last seal ";

/// Where a chain ended.
struct Head {
    chain: WorkspaceId,
    seq: i64,
    seal: Vec<u8>,
}

/// The ends that a report names; other lines of a log it was kept in may stand between.
fn read(path: PathBuf) -> Result<Vec<Head>, VerifyError> {
    let text = fs::read_to_string(&path).map_err(|error| VerifyError::Report(path.clone(), error))?;
    let heads: Vec<_> = text.lines().filter_map(head).collect();
    if heads.is_empty() { Err(VerifyError::NoReport(path)) } else { Ok(heads) }
}

fn head(line: &str) -> Option<Head> {
    let (name, rest) = line.trim_end().split_once(INTACT)?;
    let (seq, seal) = rest.split_once(SEAL)?;
    let chain = match name.strip_prefix(WORKSPACE) {
        Some(id) => WorkspaceId(id.parse::<Uuid>().ok()?),
        None if name == ACCOUNTS => activity::ACCOUNT_CHAIN,
        None => return None,
    };
    let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
    Some(Head { chain, seq, seal: hex::decode(seal).ok()? })
}

/// The first of these places that does not have its seal any more.
async fn lost(db: &Db, heads: impl Iterator<Item = &Head>) -> Result<Option<i64>, store::Error> {
    for head in heads {
        if activity::mac_at(db, head.chain, head.seq).await?.as_ref() != Some(&head.seal) {
            return Ok(Some(head.seq));
        }
    }
    Ok(None)
}
