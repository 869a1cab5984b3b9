//! The second embedding space of a collection: its vectors are computed while the first one is searched, and the two are exchanged
//! at once when both are complete.
//!
//! Locks in this order: the collection, the usage of the workspace and its own, the second space.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, EntityTrait, FromQueryResult, raw_sql};

use super::{Conn, Result, Tx, history, query_sample, sql};
use crate::{
    domain::{
        failure::{Failure, FailureCode},
        space::{Quantisation, SecondSpaceState},
    },
    entity::second_space::{ActiveModel, Entity, Model},
    id::{ChunkId, CollectionId, ConnectionId, SpaceId, TargetId, WorkspaceId},
};

/// The second space of a collection.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, collection: CollectionId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, collection)).one(conn).await
}

/// The second space of a collection, as members see it.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `second_space` and `embedding_space`")]
pub struct SecondSpace {
    pub space_id: SpaceId,
    pub provider: String,
    pub model: String,
    pub dimensions: i32,
    pub quantisation: Quantisation,
    pub connection_id: Option<ConnectionId>,
    pub state: SecondSpaceState,
    pub exchange_requested: bool,
    pub chunks: i64,
    pub done: i64,
    pub rejected: i64,
    pub tokens: i64,
    pub tokens_saved: i64,
    /// By the speed since the work began; `None`: nothing is computed, or nothing is done yet.
    pub seconds_left: Option<i64>,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The second space of a collection, with the properties of the space.
pub async fn read(conn: &impl Conn, workspace: WorkspaceId, collection: CollectionId) -> Result<Option<SecondSpace>> {
    let second = raw_sql!(
        Postgres,
        "select s.space_id, space.provider, space.model, space.dimensions, space.quantisation, space.connection_id, s.state,
             s.exchange_requested, s.chunks, s.done, s.rejected, s.tokens, s.tokens_saved, s.failure_code, s.failure_detail, s.created_at, s.updated_at,
             case when s.state = 'running' and s.done > 0
                 then ceil(greatest(s.chunks - s.done, 0) * extract(epoch from now() - s.began_at) / s.done)::bigint
             end as seconds_left
         from second_space s join embedding_space space on space.id = s.space_id
         where s.workspace_id = {workspace} and s.collection_id = {collection}"
    );
    sql::first(conn, second).await
}

/// Adds a second space to a collection that this transaction has locked, and that has none.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, collection: CollectionId, space: SpaceId) -> Result<()> {
    let row = ActiveModel {
        workspace_id: Set(workspace),
        collection_id: Set(collection),
        space_id: Set(space),
        ..ActiveModel::default()
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Lets the work begin anew: chunks that have their vector are passed over. Returns the epoch of its jobs; `None`: there is no second
/// space, or it is being deleted.
pub async fn begin(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<Option<i32>> {
    let begun = raw_sql!(
        Postgres,
        "update second_space s set state = 'running', epoch = epoch + 1, failure_code = null, failure_detail = null,
             after_target_id = '00000000-0000-0000-0000-000000000000', after_ordinal = -1, done = 0, rejected = 0,
             began_at = now(), updated_at = now(),
             chunks = (
                 select count(*) from target t
                 join collection c on c.workspace_id = t.workspace_id and c.id = t.collection_id
                 join embedding e on e.workspace_id = t.workspace_id and e.space_id = c.space_id and e.target_id = t.id
                 where t.workspace_id = {workspace} and t.collection_id = {collection} and t.live and not exists (
                     select from embedding other where other.workspace_id = e.workspace_id and other.space_id = s.space_id
                         and other.target_id = e.target_id and other.chunk_id = e.chunk_id))
         where s.workspace_id = {workspace} and s.collection_id = {collection} and s.state <> 'deleting'
         returning epoch"
    );
    sql::first_value(tx, begun).await
}

/// Lets the work rest. `false`: there is none.
pub async fn pause(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<bool> {
    let paused = raw_sql!(
        Postgres,
        "update second_space set state = 'paused', exchange_requested = false, updated_at = now()
         where workspace_id = {workspace} and collection_id = {collection} and state in ('running', 'ready', 'failed')"
    );
    Ok(sql::execute(tx, paused).await? == 1)
}

/// Requests that the spaces are exchanged when the second one is complete.
pub async fn request_exchange(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<()> {
    let requested = raw_sql!(
        Postgres,
        "update second_space set exchange_requested = true, updated_at = now()
         where workspace_id = {workspace} and collection_id = {collection}"
    );
    sql::execute(tx, requested).await?;
    Ok(())
}

/// A chunk without a vector in the second space.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `chunk`")]
pub struct MissingChunk {
    pub id: ChunkId,
    pub target_id: TargetId,
    pub ordinal: i32,
    pub prefix: Option<String>,
    pub text: String,
    pub tokens: i32,
}

/// Live chunks with a vector in `first` and none in `second`, behind the target and ordinal `after`, at most `limit`, in their order.
pub async fn missing(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collection: CollectionId,
    (first, second): (SpaceId, SpaceId),
    (after_target, after_ordinal): (TargetId, i32),
    limit: i64,
) -> Result<Vec<MissingChunk>> {
    let missing = raw_sql!(
        Postgres,
        "select c.id, c.target_id, c.ordinal, c.prefix, c.text, c.tokens
         from target t
         cross join lateral (
             select c.* from chunk c
             where c.workspace_id = t.workspace_id and c.target_id = t.id
                 and (c.target_id, c.ordinal) > ({after_target}::uuid, {after_ordinal}::integer)
                 and exists (
                     select from embedding e where e.workspace_id = c.workspace_id and e.space_id = {first}
                         and e.target_id = c.target_id and e.chunk_id = c.id)
                 and not exists (
                     select from embedding e where e.workspace_id = c.workspace_id and e.space_id = {second}
                         and e.target_id = c.target_id and e.chunk_id = c.id)
             order by c.ordinal limit {limit}) c
         where t.workspace_id = {workspace} and t.collection_id = {collection} and t.live and t.id >= {after_target}
         order by t.id, c.ordinal limit {limit}"
    );
    sql::all(conn, missing).await
}

/// What a pass over the missing chunks has done.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    /// The epoch of the job.
    pub epoch: i32,
    /// The last chunk.
    pub after: (TargetId, i32),
    /// Chunks.
    pub done: i64,
    /// Chunks that the provider rejects.
    pub rejected: i64,
    /// Tokens that the model was given.
    pub tokens: i64,
    /// Tokens of vectors that the workspace had already.
    pub tokens_saved: i64,
}

/// Records a part of a pass. `false`: the work was paused, ended or began anew.
pub async fn advance(tx: &Tx, workspace: WorkspaceId, collection: CollectionId, by: Advance) -> Result<bool> {
    let Advance { epoch, after: (target, ordinal), done, rejected, tokens, tokens_saved } = by;
    let advanced = raw_sql!(
        Postgres,
        "update second_space set after_target_id = {target}, after_ordinal = {ordinal}, done = done + {done},
             rejected = rejected + {rejected}, tokens = tokens + {tokens}, tokens_saved = tokens_saved + {tokens_saved},
             updated_at = now()
         where workspace_id = {workspace} and collection_id = {collection} and state = 'running' and epoch = {epoch}"
    );
    Ok(sql::execute(tx, advanced).await? == 1)
}

/// Those of these chunks that still exist; they stay until the transaction ends.
pub async fn lock_chunks(tx: &Tx, workspace: WorkspaceId, chunks: Vec<ChunkId>) -> Result<Vec<ChunkId>> {
    let existing = raw_sql!(
        Postgres,
        "select id from chunk where workspace_id = {workspace} and id = any({chunks}) order by id for key share"
    );
    sql::all_values(tx, existing).await
}

/// Locks the usage of a collection, behind that of the workspace: until the transaction ends, no results become visible in it.
pub async fn lock_usage(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<()> {
    history::lock(tx, workspace).await?;
    let locked = raw_sql!(
        Postgres,
        "select collection_id from collection_usage where workspace_id = {workspace} and collection_id = {collection}
         for update"
    );
    sql::execute(tx, locked).await?;
    Ok(())
}

/// Whether every live chunk with a vector in the first space has one in the second, but those that the provider rejected in this pass.
/// To be called under the lock of the usage. `false` where that is not certain, so that another pass, which reads only the chunks that
/// are left, decides: if rejected chunks were deleted since, or chunks without the vector became visible.
pub async fn is_complete(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<bool> {
    let complete = raw_sql!(
        Postgres,
        "select missing.chunks = s.rejected and missing.are_old
         from second_space s join collection c on c.workspace_id = s.workspace_id and c.id = s.collection_id
         cross join lateral (
             select count(*) as chunks, coalesce(bool_and(t.published_at <= s.began_at), true) as are_old
             from target t
             join embedding e on e.workspace_id = t.workspace_id and e.space_id = c.space_id and e.target_id = t.id
             where t.workspace_id = c.workspace_id and t.collection_id = c.id and t.live and not exists (
                 select from embedding other where other.workspace_id = e.workspace_id and other.space_id = s.space_id
                     and other.target_id = e.target_id and other.chunk_id = e.chunk_id)) missing
         where s.workspace_id = {workspace} and s.collection_id = {collection}"
    );
    Ok(sql::first_value(tx, complete).await?.unwrap_or(false))
}

/// Records that the second space is complete.
pub async fn set_ready(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<()> {
    let ready = raw_sql!(
        Postgres,
        "update second_space set state = 'ready', updated_at = now()
         where workspace_id = {workspace} and collection_id = {collection}"
    );
    sql::execute(tx, ready).await?;
    Ok(())
}

/// Exchanges the spaces of a collection, under its lock and that of its usage: search reads the second one from now on, and the first
/// one becomes the second.
pub async fn exchange(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<()> {
    let exchanged = raw_sql!(
        Postgres,
        "with before as (
             select c.space_id as first, s.space_id as second
             from collection c join second_space s on s.workspace_id = c.workspace_id and s.collection_id = c.id
             where c.workspace_id = {workspace} and c.id = {collection}),
         moved as (
             update collection set space_id = before.second, revision = revision + 1, updated_at = now()
             from before where workspace_id = {workspace} and id = {collection})
         update second_space set space_id = before.first, exchange_requested = false, rejected = 0, updated_at = now()
         from before where workspace_id = {workspace} and collection_id = {collection}"
    );
    sql::execute(tx, exchanged).await?;
    // Where the provider of one of them rejected passages.
    let counted = raw_sql!(
        Postgres,
        "update target t set vector_count = counted.vectors from (
             select t.id, (
                 select count(*) from embedding e
                 where e.workspace_id = t.workspace_id and e.space_id = c.space_id and e.target_id = t.id)::integer as vectors
             from target t join collection c on c.workspace_id = t.workspace_id and c.id = t.collection_id
             where t.workspace_id = {workspace} and t.collection_id = {collection} and t.live) counted
         where t.workspace_id = {workspace} and t.id = counted.id and t.vector_count <> counted.vectors"
    );
    sql::execute(tx, counted).await?;
    Ok(())
}

/// Records that the work failed. It can begin anew.
pub async fn fail(
    tx: &Tx,
    workspace: WorkspaceId,
    collection: CollectionId,
    epoch: i32,
    failure: &Failure,
) -> Result<bool> {
    let (code, detail) = (failure.code.as_str(), failure.detail.as_str());
    let failed = raw_sql!(
        Postgres,
        "update second_space set state = 'failed', failure_code = {code}, failure_detail = {detail}, updated_at = now()
         where workspace_id = {workspace} and collection_id = {collection} and state = 'running' and epoch = {epoch}"
    );
    Ok(sql::execute(tx, failed).await? == 1)
}

/// Lets the second space end: from now on no vectors are written to it, and its sample of queries is deleted. `false`: there is none,
/// or it is being deleted already.
pub async fn end(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<bool> {
    let ended = raw_sql!(
        Postgres,
        "update second_space set state = 'deleting', exchange_requested = false, updated_at = now()
         where workspace_id = {workspace} and collection_id = {collection} and state <> 'deleting'"
    );
    let is_ended = sql::execute(tx, ended).await? == 1;
    query_sample::delete(tx, workspace, collection).await?;
    Ok(is_ended)
}

/// Deletes up to `limit` vectors of a second space that is deleted, and then the space itself. `false`: some are left.
pub async fn clear(tx: &Tx, workspace: WorkspaceId, collection: CollectionId, limit: i64) -> Result<bool> {
    let vectors = raw_sql!(
        Postgres,
        "delete from embedding where (workspace_id, space_id, target_id, chunk_id) in (
             select e.workspace_id, e.space_id, e.target_id, e.chunk_id
             from second_space s
             join target t on t.workspace_id = s.workspace_id and t.collection_id = s.collection_id
             join embedding e on e.workspace_id = s.workspace_id and e.space_id = s.space_id and e.target_id = t.id
             where s.workspace_id = {workspace} and s.collection_id = {collection} and s.state = 'deleting'
             limit {limit})"
    );
    if sql::execute(tx, vectors).await? > 0 {
        return Ok(false);
    }
    let space = raw_sql!(
        Postgres,
        "delete from second_space
         where workspace_id = {workspace} and collection_id = {collection} and state = 'deleting'"
    );
    sql::execute(tx, space).await?;
    Ok(true)
}

/// What it takes to fill a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Estimate {
    /// Live chunks with a vector in the collection's space.
    pub chunks: i64,
    /// Their tokens, by the model that they were cut for.
    pub tokens: i64,
    /// Those of them whose vector the workspace has already.
    pub known_chunks: i64,
    /// The tokens of those.
    pub known_tokens: i64,
}

/// What it takes to fill a space with the vectors of a collection. `known`: the spaces that have the same vectors.
pub async fn estimate(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collection: CollectionId,
    known: Vec<SpaceId>,
) -> Result<Option<Estimate>> {
    let estimate = raw_sql!(
        Postgres,
        "select count(*) as chunks, coalesce(sum(tokens), 0)::bigint as tokens,
             count(*) filter (where is_known) as known_chunks,
             coalesce(sum(tokens) filter (where is_known), 0)::bigint as known_tokens
         from (
             select c.tokens, exists (
                     select from embedding known where known.workspace_id = e.workspace_id and known.space_id = any({known}::uuid[])
                         and known.input_hash = e.input_hash) as is_known
             from target t
             join collection col on col.workspace_id = t.workspace_id and col.id = t.collection_id
             join embedding e on e.workspace_id = t.workspace_id and e.space_id = col.space_id and e.target_id = t.id
             join chunk c on c.workspace_id = e.workspace_id and c.id = e.chunk_id
             where t.workspace_id = {workspace} and t.collection_id = {collection} and t.live) found"
    );
    sql::first(conn, estimate).await
}
