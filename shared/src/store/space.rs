//! Embedding spaces.

use nvisy_embed::SpaceSpec;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Select, SelectGetableTuple,
    Selector, raw_sql,
};

use super::{Conn, Db, Result, TransactionTrait, Tx, sql};
use crate::{
    domain::space::Quantisation,
    entity::embedding_space::{ActiveModel, Column, Entity, Model},
    id::{ConnectionId, SpaceId, WorkspaceId},
};

/// Advisory lock of the creation of a space, so that processes that start at the same time create its index once.
const CREATION_LOCK: i64 = 0x6e76_6973_7900_0003;

/// The properties of a space: those of its vectors, and that of its index. Any difference makes another space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The properties of the vectors.
    pub spec: SpaceSpec,
    /// What the index keeps of them.
    pub quantisation: Quantisation,
}

impl Space {
    /// The space with the usual index.
    #[must_use]
    pub fn usual(spec: SpaceSpec) -> Self {
        Self { quantisation: Quantisation::of(spec.dimensions), spec }
    }

    fn of_row(row: &Model) -> Option<Self> {
        let spec = SpaceSpec {
            provider: row.provider.clone(),
            model: row.model.clone(),
            dimensions: u16::try_from(row.dimensions).ok()?,
            query_prefix: row.query_prefix.clone(),
            passage_prefix: row.passage_prefix.clone(),
        };
        Some(Self { spec, quantisation: row.quantisation })
    }
}

/// The id of the space of a model of the installation, with the usual index; creates the space with its index if it does not exist.
pub async fn ensure(db: &Db, spec: &SpaceSpec) -> Result<SpaceId> {
    let space = Space::usual(spec.clone());
    let kept = select(&space, None).filter(Column::OnRequest.eq(false));
    if let Some(id) = ids(kept).one(db).await? {
        return Ok(id);
    }
    let tx = db.begin().await?;
    sql::execute(&tx, raw_sql!(Postgres, "select pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    let id = match find(&tx, None, &space).await? {
        Some(id) => id,
        None => insert(&tx, &space, None, false).await?,
    };
    // A request may have created it without an index, to be deleted when it is unused.
    let kept = ActiveModel { id: Set(id), on_request: Set(false), ..Default::default() };
    Entity::update(kept).exec(&tx).await?;
    create_index(&tx, id, spec.dimensions).await?;
    tx.commit().await?;
    Ok(id)
}

/// The id of a space of a model of the installation, or of a connection's vectors, in the transaction of the request that needs it.
/// A new one has no index at first: a tenant makes as many spaces as it likes, and the vectors of a small one are compared exactly.
pub async fn ensure_requested(
    tx: &Tx,
    connection: Option<(WorkspaceId, ConnectionId)>,
    space: &Space,
) -> Result<SpaceId> {
    sql::execute(tx, raw_sql!(Postgres, "select pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    match find(tx, connection.map(|(_, connection)| connection), space).await? {
        Some(id) => Ok(id),
        None => insert(tx, space, connection, true).await,
    }
}

/// A space whose vectors the server of a connection computes.
#[derive(Clone, Debug)]
pub struct ConnectionSpace {
    /// The connection, which may be deleted.
    pub connection: ConnectionId,
    /// The properties.
    pub space: Space,
}

/// The connection of a space of this workspace; `None`: it is a model of the installation, or of another workspace.
pub async fn of_connection(conn: &impl Conn, workspace: WorkspaceId, id: SpaceId) -> Result<Option<ConnectionSpace>> {
    let row = Entity::find_by_id(id).filter(Column::WorkspaceId.eq(workspace)).one(conn).await?;
    Ok(row.and_then(|row| Some(ConnectionSpace { connection: row.connection_id?, space: Space::of_row(&row)? })))
}

/// Those of these spaces that are of models of the installation.
pub async fn of_models(conn: &impl Conn, ids: Vec<SpaceId>) -> Result<Vec<(SpaceId, Space)>> {
    let rows = Entity::find().filter(Column::Id.is_in(ids)).filter(Column::ConnectionId.is_null()).all(conn).await?;
    Ok(rows.iter().filter_map(|row| Some((row.id, Space::of_row(row)?))).collect())
}

/// The spaces of models of the installation.
pub async fn ids_of_models(conn: &impl Conn) -> Result<Vec<SpaceId>> {
    ids(Entity::find().filter(Column::ConnectionId.is_null())).all(conn).await
}

/// A space that may become the subject of maintenance.
#[derive(Clone, Copy, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `embedding_space`")]
pub struct SpaceSize {
    pub id: SpaceId,
    pub dimensions: i32,
}

/// Spaces that requests have created, in which at least so many vectors are live, and which have no index. A second space counts with
/// the vectors that it is to have.
pub async fn without_index(conn: &impl Conn, vectors: i64) -> Result<Vec<SpaceSize>> {
    let large = raw_sql!(
        Postgres,
        "with unindexed as materialized (
             select id, dimensions from embedding_space
             where on_request and to_regclass('embedding_hnsw_' || replace(id::text, '-', '')) is null)
         select space.id, space.dimensions
         from unindexed space
         join (
             select workspace_id, id, space_id from collection
             union all select workspace_id, collection_id, space_id from second_space) collection on collection.space_id = space.id
         join collection_usage usage on usage.workspace_id = collection.workspace_id and usage.collection_id = collection.id
         group by space.id, space.dimensions having sum(usage.vectors) >= {vectors}"
    );
    sql::all(conn, large).await
}

/// Creates the index of a space. Vectors cannot be added meanwhile.
pub async fn create_index(tx: &Tx, id: SpaceId, dimensions: u16) -> Result<()> {
    let dimensions = i32::from(dimensions);
    sql::execute(tx, raw_sql!(Postgres, "select create_space_index({id}, {dimensions})")).await?;
    Ok(())
}

/// Deletes spaces that requests have created, and that no collection and no vector is in. Returns their number.
pub async fn delete_unused(tx: &Tx) -> Result<i64> {
    // A space is unused for a moment before its first collection has it: the lock is that of its creation.
    sql::execute(tx, raw_sql!(Postgres, "select pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    let deleted = raw_sql!(
        Postgres,
        "select count(*) filter (where delete_connection_space(space.id))
         from embedding_space space where on_request
             and not exists (select from collection where collection.space_id = space.id)"
    );
    Ok(sql::first_value(tx, deleted).await?.unwrap_or_default())
}

/// The id of a space, of a connection's vectors or of a model of the installation. `None`: no collection has had it, and no process
/// has opened an embedder of it.
pub async fn find(conn: &impl Conn, connection: Option<ConnectionId>, space: &Space) -> Result<Option<SpaceId>> {
    ids(select(space, connection)).one(conn).await
}

/// The spaces whose vectors have these properties, whatever their indexes are.
pub async fn comparable(conn: &impl Conn, connection: Option<ConnectionId>, spec: &SpaceSpec) -> Result<Vec<SpaceId>> {
    ids(of_spec(spec, connection)).all(conn).await
}

fn ids(spaces: Select<Entity>) -> Selector<SelectGetableTuple<SpaceId>> {
    spaces.select_only().column(Column::Id).into_tuple()
}

fn select(space: &Space, connection: Option<ConnectionId>) -> Select<Entity> {
    of_spec(&space.spec, connection).filter(Column::Quantisation.eq(space.quantisation))
}

fn of_spec(spec: &SpaceSpec, connection: Option<ConnectionId>) -> Select<Entity> {
    let of_connection = match connection {
        Some(id) => Column::ConnectionId.eq(id),
        None => Column::ConnectionId.is_null(),
    };
    Entity::find()
        .filter(of_connection)
        .filter(Column::Provider.eq(spec.provider.as_str()))
        .filter(Column::Model.eq(spec.model.as_str()))
        .filter(Column::Dimensions.eq(i32::from(spec.dimensions)))
        .filter(Column::QueryPrefix.eq(spec.query_prefix.as_str()))
        .filter(Column::PassagePrefix.eq(spec.passage_prefix.as_str()))
}

async fn insert(
    tx: &Tx,
    space: &Space,
    connection: Option<(WorkspaceId, ConnectionId)>,
    on_request: bool,
) -> Result<SpaceId> {
    let id = SpaceId::new();
    let (workspace, connection) = connection.unzip();
    let Space { spec, quantisation } = space;
    let row = ActiveModel {
        id: Set(id),
        provider: Set(spec.provider.clone()),
        model: Set(spec.model.clone()),
        dimensions: Set(i32::from(spec.dimensions)),
        query_prefix: Set(spec.query_prefix.clone()),
        passage_prefix: Set(spec.passage_prefix.clone()),
        workspace_id: Set(workspace),
        connection_id: Set(connection),
        quantisation: Set(*quantisation),
        on_request: Set(on_request),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

/// A space of a model of the installation, and the number of collections that use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceUsage {
    /// The properties of the vectors.
    pub spec: SpaceSpec,
    /// Collections with this space.
    pub collections: i64,
}

#[derive(FromQueryResult)]
struct UsageRow {
    provider: String,
    model: String,
    dimensions: i32,
    query_prefix: String,
    passage_prefix: String,
    collections: i64,
}

/// The spaces of models of the installation that collections have, the most used first.
pub async fn in_use(conn: &impl Conn) -> Result<Vec<SpaceUsage>> {
    let spaces = raw_sql!(
        Postgres,
        "select provider, model, dimensions, query_prefix, passage_prefix, count(*) as collections
         from collection
         join workspace on workspace.id = collection.workspace_id
         join embedding_space space on space.id = collection.space_id
         where workspace.deleted_at is null and collection.deleted_at is null and space.connection_id is null
         group by provider, model, dimensions, query_prefix, passage_prefix order by collections desc, model, dimensions"
    );
    let rows: Vec<UsageRow> = sql::all(conn, spaces).await?;
    let usage = |row: UsageRow| {
        let UsageRow { provider, model, dimensions, query_prefix, passage_prefix, collections } = row;
        let dimensions = u16::try_from(dimensions).unwrap_or(u16::MAX);
        SpaceUsage { spec: SpaceSpec { provider, model, dimensions, query_prefix, passage_prefix }, collections }
    };
    Ok(rows.into_iter().map(usage).collect())
}
