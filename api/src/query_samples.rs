//! Keeps queries of collections that have a second space, to compare both spaces with them. Written in batches.

use std::{collections::BTreeMap, time::Duration};

use nvisy_shared::{
    id::{CollectionId, WorkspaceId},
    store::{self, Db, TransactionTrait, query_sample::MAX_QUERY_CHARS},
};

use crate::{http::write_behind::WriteBehind, shutdown::Shutdown};

/// A killed process loses the queries of this time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);
/// Queries that wait to be written; of more, a sample is as good.
const BUFFER_CAPACITY: usize = 2_000;

/// Queries that are not written yet.
#[derive(Debug)]
pub struct QuerySamples(WriteBehind<(WorkspaceId, CollectionId, String), ()>);

impl QuerySamples {
    pub fn new() -> Self {
        Self(WriteBehind::new(|_, ()| {}))
    }

    /// Adds a query of a search in a collection, unless it is too long.
    pub fn add(&self, workspace: WorkspaceId, collection: CollectionId, query: &str) {
        if query.chars().count() <= MAX_QUERY_CHARS && self.0.len() < BUFFER_CAPACITY {
            self.0.add((workspace, collection, query.to_owned()), ());
        }
    }

    /// Writes the queries until the API has stopped.
    pub async fn flush_loop(&self, db: &Db, shutdown: &Shutdown) {
        let write = |samples: Vec<((WorkspaceId, CollectionId, String), ())>| async move {
            let mut by_collection: BTreeMap<(WorkspaceId, CollectionId), Vec<String>> = BTreeMap::new();
            for ((workspace, collection, query), ()) in samples {
                by_collection.entry((workspace, collection)).or_default().push(query);
            }
            for ((workspace, collection), queries) in by_collection {
                let tx = db.begin().await?;
                store::query_sample::add(&tx, workspace, collection, queries).await?;
                tx.commit().await?;
            }
            Ok::<_, store::Error>(())
        };
        self.0.flush_loop(shutdown, FLUSH_INTERVAL, "samples of queries", write).await;
    }
}
