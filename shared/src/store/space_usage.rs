//! The embedding spaces of a workspace, with the collections that use them.

use sea_orm::{FromQueryResult, raw_sql};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Conn, Result, sql};
use crate::{
    domain::space::Quantisation,
    id::{CollectionId, ConnectionId, SpaceId, WorkspaceId},
};

/// A space of a workspace.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `embedding_space`")]
pub struct UsedSpace {
    pub id: SpaceId,
    pub provider: String,
    pub model: String,
    pub dimensions: i32,
    pub quantisation: Quantisation,
    /// The connection whose server computes the vectors; `None`: a model of the installation.
    pub connection_id: Option<ConnectionId>,
    /// The list of [`UsingCollection`]s, by name.
    pub collections: Json,
}

/// A collection that has vectors of a space.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UsingCollection {
    /// The collection.
    pub id: CollectionId,
    /// Its name.
    pub name: String,
    /// Whether the space is its second one.
    pub is_second: bool,
    /// Chunks that search reads.
    pub chunks: i64,
    /// Those of them that have a vector of the space.
    pub vectors: i64,
}

/// The spaces of a workspace's collections before `before`, newest first, at most `limit`. Second spaces that are being deleted are
/// not among them. Their vectors are counted; those of first spaces are known.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<SpaceId>,
    limit: i64,
) -> Result<Vec<UsedSpace>> {
    let used = raw_sql!(
        Postgres,
        "with used as (
             select c.space_id, c.id, c.name, false as is_second
             from collection c
             where c.workspace_id = {workspace} and c.deleted_at is null and c.space_id is not null
             union all
             select s.space_id, c.id, c.name, true
             from second_space s join collection c on c.workspace_id = s.workspace_id and c.id = s.collection_id
             where s.workspace_id = {workspace} and s.state <> 'deleting' and c.deleted_at is null
         ), page as (
             select distinct space_id from used
             where {before}::uuid is null or space_id < {before}::uuid
             order by space_id desc limit {limit}
         )
         select space.id, space.provider, space.model, space.dimensions, space.quantisation, space.connection_id,
             jsonb_agg(jsonb_build_object('id', used.id, 'name', used.name, 'is_second', used.is_second,
                 'chunks', usage.chunks, 'vectors', case when used.is_second then counted.vectors else usage.vectors end)
                 order by used.name) as collections
         from page
         join embedding_space space on space.id = page.space_id
         join used on used.space_id = space.id
         join collection_usage usage on usage.workspace_id = {workspace} and usage.collection_id = used.id
         cross join lateral (
             select count(*) as vectors from target t
             join embedding e on e.workspace_id = t.workspace_id and e.space_id = space.id and e.target_id = t.id
             where used.is_second and t.workspace_id = {workspace} and t.collection_id = used.id and t.live) counted
         group by space.id order by space.id desc"
    );
    sql::all(conn, used).await
}
