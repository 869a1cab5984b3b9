//! The nearest chunks to a query, without their texts.

use super::{
    fusion::Candidate,
    legs::Legs,
    model::{THRESHOLDS, Thresholds},
    query::SearchQuery,
    selection::{self, Duplicates},
    snapshot,
};
use crate::{
    id::{ChunkId, WorkspaceId},
    store::{Db, Result, db::ReadTransaction},
};

/// The chunks that a search by vector finds, best first.
pub async fn nearest_chunks(db: &Db, workspace: WorkspaceId, query: &SearchQuery) -> Result<Vec<ChunkId>> {
    let tx = snapshot::begin(db).await?;
    let found = nearest(&tx, workspace, query, THRESHOLDS).await?;
    Ok(found.into_iter().filter_map(|candidate| candidate.chunk).collect())
}

/// The candidates that a search selects.
pub(super) async fn nearest(
    tx: &ReadTransaction,
    workspace: WorkspaceId,
    query: &SearchQuery,
    thresholds: Thresholds,
) -> Result<Vec<Candidate>> {
    let mut legs = Legs::open(tx, workspace, query, thresholds).await?;
    Ok(selection::select(&mut legs, Duplicates::Keep).await?.candidates)
}
