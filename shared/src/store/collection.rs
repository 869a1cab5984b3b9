//! Collections: the named indexes of a workspace.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait, Select, UpdateMany, raw_sql,
    sea_query::{Expr, ExprTrait, LockType, OnConflict},
};

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    domain::space::Quantisation,
    entity::{
        collection::{ActiveModel, Column, Entity, Relation},
        collection_usage, embedding_space,
    },
    id::{CollectionId, ConnectionId, ItemId, SpaceId, WorkspaceId},
};

/// A collection with its space and its usage.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `collection`")]
pub struct Collection {
    pub id: CollectionId,
    pub name: String,
    pub description: String,
    /// The space and its properties; `None`: the collection has no vectors yet.
    pub space_id: Option<SpaceId>,
    pub space_provider: Option<String>,
    pub space_model: Option<String>,
    pub space_dimensions: Option<i32>,
    pub space_quantisation: Option<Quantisation>,
    /// The connection whose server computes its vectors; `None`: a model of the installation.
    pub space_connection_id: Option<ConnectionId>,
    /// `None`: only the quota of the workspace counts.
    pub max_chunks: Option<i64>,
    /// For how many days it keeps what new results replace.
    pub history_days: i32,
    /// Since when its history is complete, as far as the days reach back; `None`: it has none.
    pub history_since: Option<DateTime<Utc>>,
    /// Files, chunks and vectors that search reads.
    pub files: i64,
    pub chunks: i64,
    pub vectors: i64,
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The name or the id of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the documentation")]
pub enum CollectionKey {
    Id(CollectionId),
    Name(String),
}

/// A collection to be added.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "columns of `collection`")]
pub struct NewCollection<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub space: Option<SpaceId>,
    pub max_chunks: Option<i64>,
}

/// The collections of a workspace that are not deleted.
fn select_views(workspace: WorkspaceId) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Name,
            Column::Description,
            Column::SpaceId,
            Column::MaxChunks,
            Column::HistoryDays,
            Column::HistorySince,
            Column::Revision,
            Column::CreatedAt,
            Column::UpdatedAt,
        ])
        .column_as(embedding_space::Column::Provider, "space_provider")
        .column_as(embedding_space::Column::Model, "space_model")
        .column_as(embedding_space::Column::Dimensions, "space_dimensions")
        .column_as(embedding_space::Column::Quantisation, "space_quantisation")
        .column_as(embedding_space::Column::ConnectionId, "space_connection_id")
        .columns([collection_usage::Column::Files, collection_usage::Column::Chunks, collection_usage::Column::Vectors])
        .join(JoinType::InnerJoin, Relation::Usage.def())
        .join(JoinType::LeftJoin, Relation::Space.def())
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::DeletedAt.is_null())
}

/// Adds a collection. `None`: the workspace has one of this name.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, new: &NewCollection<'_>) -> Result<Option<CollectionId>> {
    let id = CollectionId::new();
    let row = ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        name: Set(new.name.to_owned()),
        description: Set(new.description.to_owned()),
        space_id: Set(new.space),
        max_chunks: Set(new.max_chunks),
        ..ActiveModel::default()
    };
    let unless_taken = OnConflict::columns([Column::WorkspaceId, Column::Name])
        .target_and_where(Expr::col(Column::DeletedAt).is_null())
        .do_nothing()
        .to_owned();
    match Entity::insert(row).on_conflict(unless_taken).exec_without_returning(tx).await {
        Ok(0) | Err(Error::RecordNotInserted) => Ok(None),
        Ok(_) => Ok(Some(id)),
        Err(error) => Err(error),
    }
}

/// A collection.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, key: &CollectionKey) -> Result<Option<Collection>> {
    let select = match key {
        CollectionKey::Id(id) => select_views(workspace).filter(Column::Id.eq(*id)),
        CollectionKey::Name(name) => select_views(workspace).filter(Column::Name.eq(name.as_str())),
    };
    select.into_model().one(conn).await
}

/// Collections before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<CollectionId>,
    limit: i64,
) -> Result<Vec<Collection>> {
    sql::newest(select_views(workspace), Column::Id, before, limit).into_model().all(conn).await
}

/// A collection, as search and sinks need it.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `collection`")]
pub struct CollectionSpace {
    pub id: CollectionId,
    pub name: String,
    /// `None`: the collection has no vectors yet.
    pub space_id: Option<SpaceId>,
    /// What the index of the space keeps of a vector.
    pub quantisation: Option<Quantisation>,
    /// The connection whose server computes its vectors.
    pub connection_id: Option<ConnectionId>,
    /// The second space, where new chunks get vectors in both.
    pub second_space_id: Option<SpaceId>,
    /// The second space in any state: the collection may have vectors of it, but not of all chunks.
    pub partial_space_id: Option<SpaceId>,
    /// Whether it keeps what new results replace, so that it may have many vectors that are not live.
    pub has_superseded: bool,
}

impl CollectionSpace {
    /// The spaces in which new chunks get vectors.
    pub fn written(&self) -> impl Iterator<Item = SpaceId> + use<> {
        self.space_id.into_iter().chain(self.second_space_id)
    }
}

/// All collections of a workspace with their spaces, by name.
pub async fn spaces(conn: &impl Conn, workspace: WorkspaceId) -> Result<Vec<CollectionSpace>> {
    let spaces = raw_sql!(
        Postgres,
        "select c.id, c.name, c.space_id, space.quantisation, space.connection_id,
             case when second.state in ('running', 'ready') then second.space_id end as second_space_id,
             second.space_id as partial_space_id,
             exists (
                 select from target t
                 where t.workspace_id = c.workspace_id and t.collection_id = c.id and t.superseded_at is not null) as has_superseded
         from collection c
         left join embedding_space space on space.id = c.space_id
         left join second_space second on second.workspace_id = c.workspace_id and second.collection_id = c.id
         where c.workspace_id = {workspace} and c.deleted_at is null order by c.name"
    );
    sql::all(conn, spaces).await
}

/// The name of a collection whose vectors the server of a connection computes.
pub async fn named_by_connection(
    conn: &impl Conn,
    workspace: WorkspaceId,
    connection: ConnectionId,
) -> Result<Option<String>> {
    let named = raw_sql!(
        Postgres,
        "select c.name from collection c
         left join second_space second on second.workspace_id = c.workspace_id and second.collection_id = c.id
         join embedding_space space on space.id in (c.space_id, second.space_id)
         where c.workspace_id = {workspace} and c.deleted_at is null and space.connection_id = {connection}
         order by c.name limit 1"
    );
    sql::first_value(conn, named).await
}

/// Locks a collection until the transaction ends. `false`: there is none. Its usage may change meanwhile.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, id: CollectionId) -> Result<bool> {
    let row = Entity::find_by_id((workspace, id)).select_only().column(Column::Id).filter(Column::DeletedAt.is_null());
    // Not `for update`: targets that refer to the collection may be added meanwhile.
    let row = row.lock(LockType::NoKeyUpdate).into_tuple::<CollectionId>();
    Ok(row.one(tx).await?.is_some())
}

/// The properties of a collection that users change.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `collection`")]
pub struct CollectionSettings {
    pub name: String,
    pub description: String,
    pub space_id: Option<SpaceId>,
    pub max_chunks: Option<i64>,
}

/// Stores the settings of a collection that this transaction has locked, under the workspace's lock. `false`: another
/// collection has the name.
pub async fn update(tx: &Tx, workspace: WorkspaceId, id: CollectionId, settings: &CollectionSettings) -> Result<bool> {
    let namesakes = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Name.eq(settings.name.as_str()))
        .filter(Column::DeletedAt.is_null())
        .filter(Column::Id.ne(id));
    if namesakes.count(tx).await? > 0 {
        return Ok(false);
    }
    let changed = ActiveModel {
        name: Set(settings.name.clone()),
        description: Set(settings.description.clone()),
        space_id: Set(settings.space_id),
        max_chunks: Set(settings.max_chunks),
        ..ActiveModel::default()
    };
    Ok(revise(workspace, id, changed).exec(tx).await?.rows_affected == 1)
}

/// An update that other changes of the collection can detect.
fn revise(workspace: WorkspaceId, id: CollectionId, values: ActiveModel) -> UpdateMany<Entity> {
    Entity::update_many()
        .set(values)
        .col_expr(Column::Revision, sql::incremented(Column::Revision))
        .col_expr(Column::UpdatedAt, sql::now())
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Id.eq(id))
        .filter(Column::DeletedAt.is_null())
}

/// Assigns the space to a collection without one, and returns the collection's space. `None`: the collection is deleted.
pub async fn assign_space(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: CollectionId,
    space: SpaceId,
) -> Result<Option<SpaceId>> {
    // Two statements: the second sees the space that another process assigned while the first waited for its lock.
    revise(workspace, id, ActiveModel { space_id: Set(Some(space)), ..ActiveModel::default() })
        .filter(Column::SpaceId.is_null())
        .exec(conn)
        .await?;
    let assigned: Option<Option<SpaceId>> = Entity::find_by_id((workspace, id))
        .select_only()
        .column(Column::SpaceId)
        .filter(Column::DeletedAt.is_null())
        .into_tuple()
        .one(conn)
        .await?;
    Ok(assigned.flatten())
}

/// A collection with more chunks than it may have.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `collection` and `collection_usage`")]
pub struct OverfullCollection {
    pub name: String,
    pub chunks: i64,
    pub max_chunks: i64,
}

/// A collection that this item has written to and that has more chunks than it may have.
pub async fn find_overfull(
    conn: &impl Conn,
    workspace: WorkspaceId,
    item: ItemId,
) -> Result<Option<OverfullCollection>> {
    let overfull = raw_sql!(
        Postgres,
        "select c.name, u.chunks, c.max_chunks from target t
         join collection c on c.workspace_id = t.workspace_id and c.id = t.collection_id
         join collection_usage u on u.workspace_id = c.workspace_id and u.collection_id = c.id
         where t.workspace_id = {workspace} and t.item_id = {item} and u.chunks > c.max_chunks
         order by c.name limit 1"
    );
    sql::first(conn, overfull).await
}

/// Deletes a collection: search does not read it any more, and its name is free. The worker erases its rows. `false`: there
/// is none.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, id: CollectionId) -> Result<bool> {
    let deleted = revise(workspace, id, ActiveModel::default()).col_expr(Column::DeletedAt, sql::now());
    Ok(deleted.exec(tx).await?.rows_affected == 1)
}

/// The collection that was deleted first among those that are not erased yet.
pub async fn next_deleted(conn: &impl Conn) -> Result<Option<(WorkspaceId, CollectionId)>> {
    Entity::find()
        .select_only()
        .columns([Column::WorkspaceId, Column::Id])
        .filter(Column::DeletedAt.is_not_null())
        .order_by_asc(Column::DeletedAt)
        .into_tuple()
        .one(conn)
        .await
}

/// Deletes the row of a deleted collection that has no targets any more. `false`: it has some, or there is no such collection.
pub async fn erase(conn: &impl Conn, workspace: WorkspaceId, id: CollectionId) -> Result<bool> {
    let erased = raw_sql!(
        Postgres,
        "delete from collection c where c.workspace_id = {workspace} and c.id = {id} and c.deleted_at is not null
             and not exists (select from target t where t.workspace_id = c.workspace_id and t.collection_id = c.id)"
    );
    Ok(sql::execute(conn, erased).await? == 1)
}
