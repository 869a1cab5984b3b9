//! Embedding spaces.

use nvisy_embed::SpaceSpec;
use sea_orm::FromQueryResult;

use super::{Conn, Db, Result, TransactionTrait, sql};
use crate::id::{SpaceId, WorkspaceId};

/// Advisory lock of the creation of a space, so that processes that start at the same time create its index once.
const CREATION_LOCK: i64 = 0x6e76_6973_7900_0003;

#[derive(FromQueryResult)]
struct Row {
    id: SpaceId,
}

/// The id of a space; creates the space with its index if it does not exist.
pub async fn ensure(db: &Db, spec: &SpaceSpec) -> Result<SpaceId> {
    let key = || -> [sea_orm::Value; 5] {
        [
            spec.provider.clone().into(),
            spec.model.clone().into(),
            i32::from(spec.dimensions).into(),
            spec.query_prefix.clone().into(),
            spec.passage_prefix.clone().into(),
        ]
    };
    let find = "select id from embedding_space
         where (provider, model, dimensions, query_prefix, passage_prefix) = ($1, $2, $3, $4, $5)";
    if let Some(row) = sql::first::<Row>(db, find, key()).await? {
        return Ok(row.id);
    }
    let tx = db.begin().await?;
    sql::execute(&tx, "select pg_advisory_xact_lock($1)", [CREATION_LOCK.into()]).await?;
    let id = if let Some(row) = sql::first::<Row>(&tx, find, key()).await? {
        row.id
    } else {
        let id = SpaceId::new();
        let values = key().into_iter().chain([id.into()]);
        sql::execute(
            &tx,
            "insert into embedding_space (provider, model, dimensions, query_prefix, passage_prefix, id)
             values ($1, $2, $3, $4, $5, $6)",
            values,
        )
        .await?;
        sql::execute(&tx, "select create_space_index($1, $2)", [id.into(), i32::from(spec.dimensions).into()]).await?;
        id
    };
    tx.commit().await?;
    Ok(id)
}

/// The workspace's default space; `None`: it has no vectors yet.
pub async fn of_workspace(conn: &impl Conn, workspace: WorkspaceId) -> Result<Option<SpaceId>> {
    #[derive(FromQueryResult)]
    struct Default {
        default_space_id: Option<SpaceId>,
    }
    let row: Option<Default> =
        sql::first(conn, "select default_space_id from workspace where id = $1", [workspace.into()]).await?;
    Ok(row.and_then(|row| row.default_space_id))
}

/// Assigns the space to a workspace without one, and returns the workspace's space.
pub async fn assign_default(conn: &impl Conn, workspace: WorkspaceId, space: SpaceId) -> Result<Option<SpaceId>> {
    // Two statements: the second sees the space that another process assigned while the first waited for its lock.
    sql::execute(
        conn,
        "update workspace set default_space_id = $2, revision = revision + 1, updated_at = now()
         where id = $1 and default_space_id is null",
        [workspace.into(), space.into()],
    )
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
    sql::all(
        conn,
        "select provider, model, dimensions, count(*) as workspaces
         from workspace join embedding_space space on space.id = default_space_id
         where deleted_at is null
             and (provider, model, dimensions, query_prefix, passage_prefix) is distinct from ($1, $2, $3, $4, $5)
         group by space.id order by workspaces desc, space.id",
        [
            spec.provider.clone().into(),
            spec.model.clone().into(),
            i32::from(spec.dimensions).into(),
            spec.query_prefix.clone().into(),
            spec.passage_prefix.clone().into(),
        ],
    )
    .await
}
