//! Workspaces: tenants.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, RelationTrait, Select, UpdateMany, raw_sql,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};

use super::{
    Conn, Error, Result, Tx, account,
    collection::{self, NewCollection},
    invite::{self, WithdrawnInvite},
    job, member, pipeline, sql,
};
use crate::{
    domain::{role::Role, slug::derive_slug},
    entity::{
        member as membership,
        workspace::{ActiveModel, Column, Entity},
    },
    id::{AccountId, FileId, SpaceId, WorkspaceId},
    pipeline::{Definition, node::sink_collection::DEFAULT_COLLECTION},
};

/// A workspace as one of its members sees it.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `workspace`")]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
    /// The member's role.
    pub role: Role,
    pub retention_days: Option<i32>,
    pub limit_files: Option<i64>,
    pub limit_bytes: Option<i64>,
    pub limit_chunks: Option<i64>,
    pub limit_runs: Option<i64>,
    pub limit_collections: Option<i64>,
    /// In millionths.
    pub monthly_budget: Option<i64>,
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The workspaces of an account.
fn select_views(account: AccountId) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Name,
            Column::Slug,
            Column::RetentionDays,
            Column::LimitFiles,
            Column::LimitBytes,
            Column::LimitChunks,
            Column::LimitRuns,
            Column::LimitCollections,
            Column::MonthlyBudget,
            Column::Revision,
            Column::CreatedAt,
            Column::UpdatedAt,
        ])
        .column(membership::Column::Role)
        .join_rev(JoinType::InnerJoin, membership::Relation::Workspace.def())
        .filter(membership::Column::AccountId.eq(account))
        .filter(Column::DeletedAt.is_null())
}

/// Adds a workspace with its owner, the collection `default` in this space, and the built-in pipeline, whose definition must
/// compile. Without a slug the workspace gets one derived from its name. `None`: the slug is taken.
pub async fn insert(
    tx: &Tx,
    name: &str,
    slug: Option<&str>,
    owner: AccountId,
    builtin: &Definition,
    space: SpaceId,
) -> Result<Option<Workspace>> {
    let id = WorkspaceId::new();
    if !insert_named(tx, id, name, slug).await? {
        return Ok(None);
    }
    member::insert(tx, id, owner, Role::Owner).await?;
    let default = NewCollection { name: DEFAULT_COLLECTION, description: "", space: Some(space), max_chunks: None };
    collection::insert(tx, id, &default).await?.ok_or(Error::RecordNotInserted)?;
    pipeline::insert_builtin(tx, id, builtin).await?;
    find(tx, id, owner).await?.ok_or_else(|| Error::RecordNotInserted).map(Some)
}

/// The number of workspaces that an account owns. The account stays locked until the transaction ends, so that concurrent
/// calls for it wait.
pub async fn count_owned(tx: &Tx, account: AccountId) -> Result<i64> {
    account::lock(tx, account).await?;
    let owned = membership::Entity::find()
        .filter(membership::Column::AccountId.eq(account))
        .filter(membership::Column::Role.eq(Role::Owner))
        .count(tx)
        .await?;
    Ok(i64::try_from(owned).unwrap_or(i64::MAX))
}

async fn insert_named(tx: &Tx, id: WorkspaceId, name: &str, slug: Option<&str>) -> Result<bool> {
    let derived = derive_slug(name);
    // The end of an id is random, so the suffix is unique.
    let unique = format!("{derived}-{}", &id.0.simple().to_string()[20..]);
    let unique = unique.trim_start_matches('-');
    let candidates = match slug {
        Some(slug) => vec![slug],
        None if derived.is_empty() => vec![unique],
        None => vec![derived.as_str(), unique],
    };
    for slug in candidates {
        lock_slug(tx, slug).await?;
        let workspace =
            ActiveModel { id: Set(id), name: Set(name.to_owned()), slug: Set(slug.to_owned()), ..Default::default() };
        let unless_taken = OnConflict::column(Column::Slug)
            .target_and_where(Expr::col(Column::DeletedAt).is_null())
            .do_nothing()
            .to_owned();
        if Entity::insert(workspace).on_conflict(unless_taken).exec_without_returning(tx).await? == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Serialises transactions that choose the same slug.
async fn lock_slug(tx: &Tx, slug: &str) -> Result<()> {
    let lock = raw_sql!(Postgres, "select pg_advisory_xact_lock(hashtextextended('slug ' || {slug}::text, 0))");
    sql::execute(tx, lock).await?;
    Ok(())
}

/// The workspace, if the account is a member of it.
pub async fn find(conn: &impl Conn, id: WorkspaceId, account: AccountId) -> Result<Option<Workspace>> {
    select_views(account).filter(Column::Id.eq(id)).into_model().one(conn).await
}

/// The account's workspaces (if `among` is set, only those in it) before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    account: AccountId,
    among: Option<&[WorkspaceId]>,
    before: Option<WorkspaceId>,
    limit: i64,
) -> Result<Vec<Workspace>> {
    let select =
        select_views(account).apply_if(among, |select, among| select.filter(Column::Id.eq_any(among.to_vec())));
    sql::newest(select, Column::Id, before, limit).into_model().all(conn).await
}

/// Locks the workspace's row until the transaction ends. Every change of its members or settings and its deletion begin
/// with this, so that they decide on current data. `false`: the workspace does not exist or is deleted.
pub async fn lock(tx: &Tx, id: WorkspaceId) -> Result<bool> {
    // Not `for update`, which would block inserts of rows that refer to the workspace.
    let workspace = Entity::find_by_id(id)
        .select_only()
        .column(Column::Id)
        .filter(Column::DeletedAt.is_null())
        .lock(LockType::NoKeyUpdate);
    Ok(workspace.into_tuple::<WorkspaceId>().one(tx).await?.is_some())
}

/// The settings of a workspace.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `workspace`")]
pub struct WorkspaceSettings {
    pub name: String,
    pub slug: String,
    pub retention_days: Option<i32>,
    pub limit_files: Option<i64>,
    pub limit_bytes: Option<i64>,
    pub limit_chunks: Option<i64>,
    pub limit_runs: Option<i64>,
    pub limit_collections: Option<i64>,
    /// In millionths.
    pub monthly_budget: Option<i64>,
}

impl From<&Workspace> for WorkspaceSettings {
    fn from(workspace: &Workspace) -> Self {
        Self {
            name: workspace.name.clone(),
            slug: workspace.slug.clone(),
            retention_days: workspace.retention_days,
            limit_files: workspace.limit_files,
            limit_bytes: workspace.limit_bytes,
            limit_chunks: workspace.limit_chunks,
            limit_runs: workspace.limit_runs,
            limit_collections: workspace.limit_collections,
            monthly_budget: workspace.monthly_budget,
        }
    }
}

/// Stores the settings of a workspace that this transaction has locked. `false`: the slug is taken.
pub async fn update(tx: &Tx, id: WorkspaceId, settings: &WorkspaceSettings) -> Result<bool> {
    // Checked in the statement: an update that violates the unique index would abort the transaction.
    lock_slug(tx, &settings.slug).await?;
    let taken = Query::select()
        .expr(Expr::cust("1"))
        .from_as(Entity, "other")
        .and_where(Expr::col(("other", Column::Slug)).eq(settings.slug.as_str()))
        .and_where(Expr::col(("other", Column::DeletedAt)).is_null())
        .and_where(Expr::col(("other", Column::Id)).ne(id))
        .take();
    let changed = ActiveModel {
        name: Set(settings.name.clone()),
        slug: Set(settings.slug.clone()),
        retention_days: Set(settings.retention_days),
        limit_files: Set(settings.limit_files),
        limit_bytes: Set(settings.limit_bytes),
        limit_chunks: Set(settings.limit_chunks),
        limit_runs: Set(settings.limit_runs),
        limit_collections: Set(settings.limit_collections),
        monthly_budget: Set(settings.monthly_budget),
        ..Default::default()
    };
    let updated = revise(id, changed).filter(Expr::not_exists(taken)).exec(tx).await?;
    Ok(updated.rows_affected == 1)
}

/// An update that other changes of the workspace can detect.
fn revise(id: WorkspaceId, values: ActiveModel) -> UpdateMany<Entity> {
    Entity::update_many()
        .set(values)
        .col_expr(Column::Revision, sql::incremented(Column::Revision))
        .col_expr(Column::UpdatedAt, sql::now())
        .filter(Column::Id.eq(id))
}

/// Deletes a workspace that this transaction has locked, with its members, invites and jobs. Its content stays until it is
/// erased. Returns the withdrawn invites.
pub async fn delete(tx: &Tx, id: WorkspaceId) -> Result<Vec<WithdrawnInvite>> {
    let withdrawn = invite::withdraw_all(tx, id).await?;
    job::delete_all(tx, id).await?;
    membership::Entity::delete_many().filter(membership::Column::WorkspaceId.eq(id)).exec(tx).await?;
    revise(id, ActiveModel::default()).col_expr(Column::DeletedAt, sql::now()).exec(tx).await?;
    Ok(withdrawn)
}

/// The workspace that was deleted first among those that are not erased yet.
pub async fn next_deleted(conn: &impl Conn) -> Result<Option<WorkspaceId>> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::DeletedAt.is_not_null())
        .order_by_asc(Column::DeletedAt)
        .into_tuple()
        .one(conn)
        .await
}

/// Deletes the row of a deleted workspace, with every row that belongs to it. `false`: there is none.
pub async fn erase(tx: &Tx, id: WorkspaceId) -> Result<bool> {
    let erased = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::DeletedAt.is_not_null());
    Ok(erased.exec(tx).await?.rows_affected == 1)
}

/// Up to `limit` files whose newest versions are older than their workspace's retention, oldest first.
pub async fn files_past_retention(conn: &impl Conn, limit: i64) -> Result<Vec<(WorkspaceId, FileId)>> {
    let files = raw_sql!(
        Postgres,
        "select file.workspace_id, file.id from workspace
         cross join lateral (
             select f.workspace_id, f.id from file f
             join file_version v on v.workspace_id = f.workspace_id and v.id = f.version_id
             where f.workspace_id = workspace.id and f.created_at < now() - make_interval(days => retention_days)
                 and v.created_at < now() - make_interval(days => retention_days)
             order by f.id limit {limit}) file
         where retention_days is not null and deleted_at is null
         limit {limit}"
    );
    sql::all_values(conn, files).await
}
