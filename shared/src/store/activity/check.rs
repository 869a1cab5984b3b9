//! Verifies the MACs of a chain from its first entry to its last.

use sea_orm::{EntityTrait, QuerySelect, raw_sql};

use super::{
    head, mac_input,
    read::{ActivityFilter, SeqRange, StoredEntry, read},
};
use crate::{
    crypt::audit_mac::{AuditKeys, ChainMac, MAC_BYTES},
    entity::activity::{Column, Entity},
    id::{ActivityId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// Entries read by one statement.
const BATCH_SIZE: i64 = 500;

/// The result of checking a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCheck {
    /// How many entries are unchanged, counted from the first.
    pub intact: i64,
    /// The MAC of the last of them. Compared with a MAC from an earlier report, it shows that the chain was not cut.
    pub mac: ChainMac,
    /// The first entry that is missing or changed.
    pub broken: Option<ChainBreak>,
}

/// The point at which a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainBreak {
    /// The sequence number.
    pub seq: i64,
    /// The entry with that number, if there is one.
    pub id: Option<ActivityId>,
    /// The kind of mismatch.
    pub reason: &'static str,
}

/// Reads a whole chain and verifies every MAC.
pub async fn check(conn: &impl Conn, keys: &AuditKeys, chain: WorkspaceId) -> Result<ChainCheck> {
    // Read first: entries added from here on come after this head.
    let head = head(conn, chain).await?;
    let end = head.as_ref().map_or(0, |head| head.seq);
    let mac_key = keys.chain(chain);
    let mut checked = ChainCheck { intact: 0, mac: [0; MAC_BYTES], broken: None };
    let broken = |checked: &ChainCheck, id, reason| ChainCheck {
        broken: Some(ChainBreak { seq: checked.intact + 1, id, reason }),
        ..checked.clone()
    };
    while checked.intact < end {
        let range = SeqRange::Between(checked.intact, end);
        let entries = read(conn, chain, &ActivityFilter::default(), range, BATCH_SIZE).await?;
        if entries.is_empty() {
            return Ok(broken(&checked, None, "the entry is missing"));
        }
        for StoredEntry { row, .. } in entries {
            if row.seq != checked.intact + 1 {
                return Ok(broken(&checked, None, "the entry is missing"));
            }
            let mac = mac_key.mac(&checked.mac, &mac_input(&row));
            if row.mac != mac {
                return Ok(broken(&checked, Some(row.id), "the entry does not match its seal"));
            }
            checked = ChainCheck { intact: row.seq, mac, broken: None };
        }
    }
    match head {
        Some(head) if head.mac != checked.mac => {
            Ok(broken(&checked, None, "the last entry does not match the head of the chain"))
        }
        Some(_) => Ok(checked),
        None => {
            let stray = read(conn, chain, &ActivityFilter::default(), SeqRange::Between(0, i64::MAX), 1).await?;
            let stray = stray.first().map(|stray| stray.row.id);
            Ok(stray.map_or(checked.clone(), |id| broken(&checked, Some(id), "the chain has entries but no head")))
        }
    }
}

/// The MAC of the entry with this sequence number, if there is one.
pub async fn mac_at(conn: &impl Conn, chain: WorkspaceId, seq: i64) -> Result<Option<Vec<u8>>> {
    let entry = Entity::find_by_id((chain.0, seq)).select_only().column(Column::Mac);
    entry.into_tuple().one(conn).await
}

/// Every chain that has a head or an entry.
pub async fn chains(conn: &impl Conn) -> Result<Vec<WorkspaceId>> {
    // Skips from chain to chain along the primary key instead of reading all entries.
    let chains = raw_sql!(
        Postgres,
        "with recursive found as (
             (select chain from activity order by chain limit 1)
             union all
             select next.chain from found cross join lateral (
                 select chain from activity where chain > found.chain order by chain limit 1) next)
         select chain from found union select chain from activity_chain order by chain"
    );
    sql::all_values(conn, chains).await
}
