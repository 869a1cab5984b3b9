//! Embedding spaces.

use nvisy_embed::SpaceSpec;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, SelectGetableTuple,
    Selector, raw_sql,
};

use super::{Conn, Db, Result, TransactionTrait, Tx, sql};
use crate::{
    entity::embedding_space::{ActiveModel, Column, Entity},
    id::{ConnectionId, SpaceId, WorkspaceId},
};

/// Advisory lock of the creation of a space, so that processes that start at the same time create its index once.
const CREATION_LOCK: i64 = 0x6e76_6973_7900_0003;

/// The id of a space; creates the space with its index if it does not exist.
pub async fn ensure(db: &Db, spec: &SpaceSpec) -> Result<SpaceId> {
    if let Some(id) = find(db, spec).await? {
        return Ok(id);
    }
    let tx = db.begin().await?;
    sql::execute(&tx, raw_sql!(Postgres, "select pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    let id = match find(&tx, spec).await? {
        Some(id) => id,
        None => {
            let id = insert(&tx, spec, None).await?;
            create_index(&tx, id, spec.dimensions).await?;
            id
        }
    };
    tx.commit().await?;
    Ok(id)
}

/// The id of the space of a connection's vectors, in the transaction that needs it. The space has no index at first: a tenant makes
/// as many spaces as it likes, and the vectors of a small one are compared exactly.
pub async fn ensure_of_connection(
    tx: &Tx,
    workspace: WorkspaceId,
    connection: ConnectionId,
    spec: &SpaceSpec,
) -> Result<SpaceId> {
    sql::execute(tx, raw_sql!(Postgres, "select pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    match select(spec, Some(connection)).one(tx).await? {
        Some(id) => Ok(id),
        None => insert(tx, spec, Some((workspace, connection))).await,
    }
}

/// A space whose vectors the server of a connection computes.
#[derive(Clone, Debug)]
pub struct ConnectionSpace {
    /// The connection, which may be deleted.
    pub connection: ConnectionId,
    /// The properties of the vectors.
    pub spec: SpaceSpec,
}

/// The connection of a space of this workspace; `None`: it is a model of the installation, or of another workspace.
pub async fn of_connection(conn: &impl Conn, workspace: WorkspaceId, id: SpaceId) -> Result<Option<ConnectionSpace>> {
    let row = Entity::find_by_id(id).filter(Column::WorkspaceId.eq(workspace)).one(conn).await?;
    Ok(row.and_then(|row| {
        let spec = SpaceSpec {
            provider: row.provider,
            model: row.model,
            dimensions: u16::try_from(row.dimensions).ok()?,
            query_prefix: row.query_prefix,
            passage_prefix: row.passage_prefix,
        };
        Some(ConnectionSpace { connection: row.connection_id?, spec })
    }))
}

/// A space that may become the subject of maintenance.
#[derive(Clone, Copy, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `embedding_space`")]
pub struct SpaceSize {
    pub id: SpaceId,
    pub dimensions: i32,
}

/// Spaces of connections in which at least so many vectors are live, and which have no index.
pub async fn without_index(conn: &impl Conn, vectors: i64) -> Result<Vec<SpaceSize>> {
    let large = raw_sql!(
        Postgres,
        "select space.id, space.dimensions
         from embedding_space space
         join (
             select workspace_id, id, space_id from collection
             union all select workspace_id, collection_id, space_id from second_space) collection on collection.space_id = space.id
         join collection_usage usage on usage.workspace_id = collection.workspace_id and usage.collection_id = collection.id
         where space.connection_id is not null
             and to_regclass('embedding_hnsw_' || replace(space.id::text, '-', '')) is null
         group by space.id having sum(usage.vectors) >= {vectors}"
    );
    sql::all(conn, large).await
}

/// Creates the index of a space. Vectors cannot be added meanwhile.
pub async fn create_index(tx: &Tx, id: SpaceId, dimensions: u16) -> Result<()> {
    let dimensions = i32::from(dimensions);
    sql::execute(tx, raw_sql!(Postgres, "select create_space_index({id}, {dimensions})")).await?;
    Ok(())
}

/// Deletes spaces of connections that no collection and no vector is in. Returns their number.
pub async fn delete_unused(tx: &Tx) -> Result<i64> {
    // A space is unused for a moment before its first collection has it: the lock is that of its creation.
    sql::execute(tx, raw_sql!(Postgres, "select pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    let deleted = raw_sql!(
        Postgres,
        "select count(*) filter (where delete_connection_space(space.id))
         from embedding_space space where connection_id is not null
             and not exists (select from collection where collection.space_id = space.id)"
    );
    Ok(sql::first_value(tx, deleted).await?.unwrap_or_default())
}

/// The id of the space of a connection's vectors; `None`: no collection has had it.
pub async fn find_of_connection(
    conn: &impl Conn,
    connection: ConnectionId,
    spec: &SpaceSpec,
) -> Result<Option<SpaceId>> {
    select(spec, Some(connection)).one(conn).await
}

/// The id of a space of the installation; `None`: no process has opened an embedder of it.
pub async fn find(conn: &impl Conn, spec: &SpaceSpec) -> Result<Option<SpaceId>> {
    select(spec, None).one(conn).await
}

fn select(spec: &SpaceSpec, connection: Option<ConnectionId>) -> Selector<SelectGetableTuple<SpaceId>> {
    let of_connection = match connection {
        Some(id) => Column::ConnectionId.eq(id),
        None => Column::ConnectionId.is_null(),
    };
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(of_connection)
        .filter(Column::Provider.eq(spec.provider.as_str()))
        .filter(Column::Model.eq(spec.model.as_str()))
        .filter(Column::Dimensions.eq(i32::from(spec.dimensions)))
        .filter(Column::QueryPrefix.eq(spec.query_prefix.as_str()))
        .filter(Column::PassagePrefix.eq(spec.passage_prefix.as_str()))
        .into_tuple()
}

async fn insert(tx: &Tx, spec: &SpaceSpec, connection: Option<(WorkspaceId, ConnectionId)>) -> Result<SpaceId> {
    let id = SpaceId::new();
    let (workspace, connection) = connection.unzip();
    let space = ActiveModel {
        id: Set(id),
        provider: Set(spec.provider.clone()),
        model: Set(spec.model.clone()),
        dimensions: Set(i32::from(spec.dimensions)),
        query_prefix: Set(spec.query_prefix.clone()),
        passage_prefix: Set(spec.passage_prefix.clone()),
        workspace_id: Set(workspace),
        connection_id: Set(connection),
        ..Default::default()
    };
    Entity::insert(space).exec_without_returning(tx).await?;
    Ok(id)
}

/// A space, and the number of collections that use it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SpaceUsage {
    /// The embedding provider.
    pub provider: String,
    /// The provider's name of the model.
    pub model: String,
    /// Length of a vector.
    pub dimensions: i32,
    /// Collections with this space.
    pub collections: i64,
}

/// The spaces of collections that are not among these, the most used first.
pub async fn other_spaces_in_use(conn: &impl Conn, served: &[SpaceId]) -> Result<Vec<SpaceUsage>> {
    let served = served.to_vec();
    let others = raw_sql!(
        Postgres,
        "select provider, model, dimensions, count(*) as collections
         from collection
         join workspace on workspace.id = collection.workspace_id
         join embedding_space space on space.id = collection.space_id
         where workspace.deleted_at is null and collection.deleted_at is null and space.id <> all({served}::uuid[])
             and space.connection_id is null
         group by space.id order by collections desc, space.id"
    );
    sql::all(conn, others).await
}
