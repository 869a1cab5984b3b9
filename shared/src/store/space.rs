//! Embedding spaces.

use nvisy_embed::SpaceSpec;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, raw_sql};

use super::{Conn, Db, Result, TransactionTrait, Tx, sql, workspace::revise};
use crate::{
    entity::{
        embedding_space::{ActiveModel, Column, Entity},
        workspace,
    },
    id::{SpaceId, WorkspaceId},
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

async fn find(conn: &impl Conn, spec: &SpaceSpec) -> Result<Option<SpaceId>> {
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

/// The workspace's default space; `None`: it has no vectors yet.
pub async fn of_workspace(conn: &impl Conn, workspace: WorkspaceId) -> Result<Option<SpaceId>> {
    let space: Option<Option<SpaceId>> = workspace::Entity::find_by_id(workspace)
        .select_only()
        .column(workspace::Column::DefaultSpaceId)
        .into_tuple()
        .one(conn)
        .await?;
    Ok(space.flatten())
}

/// Assigns the space to a workspace without one, and returns the workspace's space.
pub async fn assign_default(conn: &impl Conn, workspace: WorkspaceId, space: SpaceId) -> Result<Option<SpaceId>> {
    // Two statements: the second sees the space that another process assigned while the first waited for its lock.
    revise(workspace, workspace::ActiveModel { default_space_id: Set(Some(space)), ..Default::default() })
        .filter(workspace::Column::DefaultSpaceId.is_null())
        .exec(conn)
        .await?;
    of_workspace(conn, workspace).await
}

/// A space, and the number of workspaces that use it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SpaceUsage {
    /// The embedding provider.
    pub provider: String,
    /// The provider's name of the model.
    pub model: String,
    /// Length of a vector.
    pub dimensions: i32,
    /// Workspaces with this default space.
    pub workspaces: i64,
}

/// The other default spaces of workspaces, the most used first.
pub async fn other_spaces_in_use(conn: &impl Conn, spec: &SpaceSpec) -> Result<Vec<SpaceUsage>> {
    let dimensions = i32::from(spec.dimensions);
    let others = raw_sql!(
        Postgres,
        "select provider, model, dimensions, count(*) as workspaces
         from workspace join embedding_space space on space.id = default_space_id
         where deleted_at is null
             and (provider, model, dimensions, query_prefix, passage_prefix) is distinct from
                 ({spec.provider}, {spec.model}, {dimensions}, {spec.query_prefix}, {spec.passage_prefix})
         group by space.id order by workspaces desc, space.id"
    );
    sql::all(conn, others).await
}
