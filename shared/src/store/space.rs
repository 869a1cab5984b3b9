//! Embedding spaces.

use nvisy_embed::SpaceSpec;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, raw_sql};

use super::{Conn, Db, Result, TransactionTrait, Tx, sql};
use crate::{
    entity::embedding_space::{ActiveModel, Column, Entity},
    id::SpaceId,
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
        None => create(&tx, spec).await?,
    };
    tx.commit().await?;
    Ok(id)
}

/// The id of a space; `None`: no process has opened an embedder of it.
pub async fn find(conn: &impl Conn, spec: &SpaceSpec) -> Result<Option<SpaceId>> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Provider.eq(spec.provider.as_str()))
        .filter(Column::Model.eq(spec.model.as_str()))
        .filter(Column::Dimensions.eq(i32::from(spec.dimensions)))
        .filter(Column::QueryPrefix.eq(spec.query_prefix.as_str()))
        .filter(Column::PassagePrefix.eq(spec.passage_prefix.as_str()))
        .into_tuple()
        .one(conn)
        .await
}

async fn create(tx: &Tx, spec: &SpaceSpec) -> Result<SpaceId> {
    let (id, dimensions) = (SpaceId::new(), i32::from(spec.dimensions));
    let space = ActiveModel {
        id: Set(id),
        provider: Set(spec.provider.clone()),
        model: Set(spec.model.clone()),
        dimensions: Set(dimensions),
        query_prefix: Set(spec.query_prefix.clone()),
        passage_prefix: Set(spec.passage_prefix.clone()),
        ..Default::default()
    };
    Entity::insert(space).exec_without_returning(tx).await?;
    sql::execute(tx, raw_sql!(Postgres, "select create_space_index({id}, {dimensions})")).await?;
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
         group by space.id order by collections desc, space.id"
    );
    sql::all(conn, others).await
}
