//! `nvisy-api verify-activity`: detects changed and removed entries of the activity log.

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
#[allow(missing_docs, reason = "the messages explain them")]
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

/// The result of a check.
#[derive(Debug)]
pub struct Verified {
    /// Whether every entry of every chain is unchanged.
    pub intact: bool,
    /// A line per chain: its length and last MAC, or its first broken entry.
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
    let named = earlier.iter().map(|end| end.chain);
    let chains: BTreeSet<_> = activity::chains(&db).await?.into_iter().chain(named).collect();
    for chain in chains {
        let checked = activity::check(&db, &audit_keys, chain).await?;
        let name =
            if chain == activity::ACCOUNT_CHAIN { ACCOUNTS.to_owned() } else { format!("{WORKSPACE_PREFIX}{chain}") };
        let differing = first_differing(&db, earlier.iter().filter(|end| end.chain == chain)).await?;
        let line = match (checked.broken, differing) {
            (None, None) => format!("{name}{INTACT}{}{LAST_MAC}{}", checked.intact, hex::encode(checked.mac)),
            (Some(broken), _) => {
                let id = broken.id.map(|id| format!(" ({id})")).unwrap_or_default();
                format!("{name}: BROKEN at entry {}{id}: {}", broken.seq, broken.reason)
            }
            (None, Some(seq)) => format!("{name}: BROKEN at entry {seq}: it differs from the earlier report"),
        };
        verified.intact &= line.contains(INTACT);
        writeln!(verified.report, "{line}").expect("writing to a string cannot fail");
    }
    db.close().await?;
    Ok(verified)
}

// The parts of a report's line, which a later check reads.
const ACCOUNTS: &str = "accounts";
const WORKSPACE_PREFIX: &str = "workspace ";
const INTACT: &str = ": intact, ";
const LAST_MAC: &str = " entries, last MAC ";

/// The end of a chain in an earlier report.
struct ChainEnd {
    chain: WorkspaceId,
    seq: i64,
    mac: Vec<u8>,
}

/// Reads the ends of a report's chains. Other lines between them are ignored: the report may be part of a log.
fn read(path: PathBuf) -> Result<Vec<ChainEnd>, VerifyError> {
    let text = fs::read_to_string(&path).map_err(|error| VerifyError::Report(path.clone(), error))?;
    let ends: Vec<_> = text.lines().filter_map(parse_line).collect();
    if ends.is_empty() { Err(VerifyError::NoReport(path)) } else { Ok(ends) }
}

fn parse_line(line: &str) -> Option<ChainEnd> {
    let (name, rest) = line.trim_end().split_once(INTACT)?;
    let (seq, mac) = rest.split_once(LAST_MAC)?;
    let chain = match name.strip_prefix(WORKSPACE_PREFIX) {
        Some(id) => WorkspaceId(id.parse::<Uuid>().ok()?),
        None if name == ACCOUNTS => activity::ACCOUNT_CHAIN,
        None => return None,
    };
    let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
    Some(ChainEnd { chain, seq, mac: hex::decode(mac).ok()? })
}

/// The number of the first of these entries that has another MAC or is missing.
async fn first_differing(db: &Db, ends: impl Iterator<Item = &ChainEnd>) -> Result<Option<i64>, store::Error> {
    for end in ends {
        if activity::mac_at(db, end.chain, end.seq).await?.as_ref() != Some(&end.mac) {
            return Ok(Some(end.seq));
        }
    }
    Ok(None)
}
