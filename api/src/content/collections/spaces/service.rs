//! The spaces of a workspace, and which processes serve them.

use std::collections::HashSet;

use nvisy_shared::{
    id::{SpaceId, WorkspaceId},
    platform::Platform,
    store::{
        self,
        space_usage::{UsedSpace, UsingCollection},
    },
};

use crate::problem::Problem;

/// A space with its use.
#[derive(Debug)]
pub struct SpaceStatus {
    pub space: UsedSpace,
    pub collections: Vec<UsingCollection>,
    /// Whether the vectors of queries are computed.
    pub serves_queries: bool,
    /// Whether the vectors of passages are computed.
    pub serves_passages: bool,
}

/// Spaces before `before`, newest first, at most `limit`. This process computes the vectors of queries with its own models; for the
/// space of a connection it asks any worker.
pub async fn list(
    platform: &Platform,
    workspace: WorkspaceId,
    before: Option<SpaceId>,
    limit: i64,
) -> Result<Vec<SpaceStatus>, Problem> {
    let (db, lease) = (&platform.db, platform.lease());
    let spaces = store::space_usage::list(db, workspace, before, limit).await?;
    let of_models = spaces.iter().filter(|space| space.connection_id.is_none());
    platform.spaces.load(db, of_models.map(|space| space.id)).await?;
    let of_workers: HashSet<SpaceId> = store::job_space::served(db, lease).await?.into_iter().collect();
    let has_worker = store::job_space::has_worker(db, lease).await?;
    let status = |mut space: UsedSpace| -> Result<SpaceStatus, Problem> {
        let (serves_queries, serves_passages) = match space.connection_id {
            Some(_) => (has_worker, has_worker),
            None => (platform.spaces.get(space.id).is_some(), of_workers.contains(&space.id)),
        };
        let collections = serde_json::from_value(space.collections.take())
            .map_err(|error| Problem::internal(format!("the collections of a space cannot be read: {error}")))?;
        Ok(SpaceStatus { space, collections, serves_queries, serves_passages })
    };
    spaces.into_iter().map(status).collect()
}
