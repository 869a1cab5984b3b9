//! Checking a chain from its first entry to its last.

use sea_orm::FromQueryResult;

use super::{Filter, Place, Stored, head, read, sealed};
use crate::{
    crypt::seal::{SEAL_BYTES, Seal, Seals},
    id::{ActivityId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// Entries read at once.
const BATCH: i64 = 500;

/// What came of checking a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Entries that are as they were written, from the first on.
    pub intact: i64,
    /// The seal of the last of them: somebody who kept an earlier one can tell whether the chain still holds it.
    pub seal: Seal,
    /// The first place that is not as it was written.
    pub broken: Option<Broken>,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The place.
    pub seq: i64,
    /// The entry there, if there is one.
    pub id: Option<ActivityId>,
    /// What is wrong.
    pub why: &'static str,
}

/// Reads a whole chain and checks every seal.
pub async fn check(conn: &impl Conn, seals: &Seals, chain: WorkspaceId) -> Result<Checked> {
    // The head first: what is added meanwhile is then behind it.
    let head = head(conn, chain).await?;
    let end = head.as_ref().map_or(0, |head| head.seq);
    let seals = seals.of(chain);
    let mut checked = Checked { intact: 0, seal: [0; SEAL_BYTES], broken: None };
    let broken = |checked: &Checked, id, why| Checked {
        broken: Some(Broken { seq: checked.intact + 1, id, why }),
        ..checked.clone()
    };
    while checked.intact < end {
        let place = Place::Between(checked.intact, end);
        let entries = read(conn, chain, &Filter::default(), place, BATCH).await?;
        if entries.is_empty() {
            return Ok(broken(&checked, None, "the entry is missing"));
        }
        for Stored { entry, .. } in entries {
            if entry.seq != checked.intact + 1 {
                return Ok(broken(&checked, None, "the entry is missing"));
            }
            let seal = seals.seal(&checked.seal, &sealed(&entry));
            if entry.seal != seal {
                return Ok(broken(&checked, Some(entry.id), "the entry and its seal do not fit"));
            }
            checked = Checked { intact: entry.seq, seal, broken: None };
        }
    }
    match head {
        Some(head) if head.seal != checked.seal => {
            Ok(broken(&checked, None, "the chain does not end in its last seal"))
        }
        Some(_) => Ok(checked),
        None => {
            let stray = read(conn, chain, &Filter::default(), Place::Between(0, i64::MAX), 1).await?;
            let stray = stray.first().map(|stray| stray.entry.id);
            Ok(stray.map_or(checked.clone(), |id| broken(&checked, Some(id), "the chain has no end")))
        }
    }
}

/// The seal of the entry at a place, if there is one.
pub async fn seal_at(conn: &impl Conn, chain: WorkspaceId, seq: i64) -> Result<Option<Vec<u8>>> {
    #[derive(FromQueryResult)]
    struct Row {
        seal: Vec<u8>,
    }
    let values = [chain.into(), seq.into()];
    let row: Option<Row> = sql::first(conn, "select seal from activity where chain = $1 and seq = $2", values).await?;
    Ok(row.map(|row| row.seal))
}

/// Every chain that has an end or an entry.
pub async fn chains(conn: &impl Conn) -> Result<Vec<WorkspaceId>> {
    #[derive(FromQueryResult)]
    struct Row {
        chain: WorkspaceId,
    }
    // From chain to chain along the key, not over all entries.
    let rows: Vec<Row> = sql::all(
        conn,
        "with recursive found as (
             (select chain from activity order by chain limit 1)
             union all
             select next.chain from found cross join lateral (
                 select chain from activity where chain > found.chain order by chain limit 1) next)
         select chain from found union select chain from activity_chain order by chain",
        [],
    )
    .await?;
    Ok(rows.into_iter().map(|row| row.chain).collect())
}
