//! Workspaces: tenants.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use uuid::Uuid;

use super::{
    Conn, Error, Result, Tx,
    invite::{self, WithdrawnInvite},
    member, sql,
};
use crate::{
    domain::{pipeline::Definition, role::Role, slug::derive_slug},
    id::{AccountId, FileId, PipelineId, SpaceId, WorkspaceId},
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
    /// The default space and its properties; `None`: the workspace has no vectors yet.
    pub space_id: Option<SpaceId>,
    pub space_provider: Option<String>,
    pub space_model: Option<String>,
    pub space_dimensions: Option<i32>,
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

const VIEW: &str = "
    select id, name, slug, role, retention_days, limit_files, limit_bytes, limit_chunks, limit_runs,
        default_space_id as space_id, space_provider, space_model, space_dimensions, revision,
        workspace.created_at, updated_at
    from workspace join member on workspace_id = id
    left join (
        select id as of_space, provider as space_provider, model as space_model, dimensions as space_dimensions
        from embedding_space) space on of_space = default_space_id
    where deleted_at is null";

/// Adds a workspace with its owner, its embedding space and the built-in `index` pipeline, whose definition must compile.
/// Without a slug the workspace gets one derived from its name. `None`: the slug is taken.
pub async fn insert(
    tx: &Tx,
    name: &str,
    slug: Option<&str>,
    owner: AccountId,
    index: &Definition,
    space: SpaceId,
) -> Result<Option<Workspace>> {
    let id = WorkspaceId::new();
    if !insert_named(tx, id, name, slug, space).await? {
        return Ok(None);
    }
    member::insert(tx, id, owner, Role::Owner).await?;
    let definition = serde_json::to_value(index).map_err(|error| Error::Json(error.to_string()))?;
    sql::execute(
        tx,
        "with pipeline as (
             insert into pipeline (workspace_id, id, name, builtin, version) values ($1, $2, 'index', true, 1)
             returning workspace_id, id, version)
         insert into pipeline_version (workspace_id, pipeline_id, number, definition)
         select workspace_id, id, version, $3 from pipeline",
        [id.into(), PipelineId::new().into(), definition.into()],
    )
    .await?;
    find(tx, id, owner).await?.ok_or_else(|| Error::RecordNotInserted).map(Some)
}

/// The number of workspaces that an account owns. The account stays locked until the transaction ends, so that concurrent
/// calls for it wait.
pub async fn count_owned(tx: &Tx, account: AccountId) -> Result<i64> {
    #[derive(FromQueryResult)]
    struct Row {
        count: i64,
    }
    sql::execute(tx, "select 1 from account where id = $1 for no key update", [account.into()]).await?;
    let row: Option<Row> =
        sql::first(tx, "select count(*) from member where account_id = $1 and role = 'owner'", [account.into()])
            .await?;
    Ok(row.map_or(0, |row| row.count))
}

async fn insert_named(tx: &Tx, id: WorkspaceId, name: &str, slug: Option<&str>, space: SpaceId) -> Result<bool> {
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
        let rows = sql::execute(
            tx,
            "insert into workspace (id, name, slug, default_space_id) values ($1, $2, $3, $4)
             on conflict (slug) where deleted_at is null do nothing",
            [id.into(), name.into(), slug.into(), space.into()],
        )
        .await?;
        if rows == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Serialises transactions that choose the same slug.
async fn lock_slug(tx: &Tx, slug: &str) -> Result<()> {
    sql::execute(tx, "select pg_advisory_xact_lock(hashtextextended('slug ' || $1, 0))", [slug.into()]).await?;
    Ok(())
}

/// The workspace, if the account is a member of it.
pub async fn find(conn: &impl Conn, id: WorkspaceId, account: AccountId) -> Result<Option<Workspace>> {
    sql::first(conn, &format!("{VIEW} and id = $1 and account_id = $2"), [id.into(), account.into()]).await
}

/// The account's workspaces (if `among` is set, only those in it) before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    account: AccountId,
    among: Option<&[WorkspaceId]>,
    before: Option<WorkspaceId>,
    limit: i64,
) -> Result<Vec<Workspace>> {
    let among: Option<Vec<Uuid>> = among.map(|ids| ids.iter().map(|id| id.0).collect());
    // Ids are ordered by creation time.
    sql::all(
        conn,
        &format!(
            "{VIEW} and account_id = $1 and ($2::uuid is null or id < $2) and ($4::uuid[] is null or id = any($4))
             order by id desc limit $3"
        ),
        [account.into(), before.into(), limit.into(), among.into()],
    )
    .await
}

/// Locks the workspace's row until the transaction ends. Every change of its members or settings and its deletion begin
/// with this, so that they decide on current data. `false`: the workspace does not exist or is deleted.
pub async fn lock(tx: &Tx, id: WorkspaceId) -> Result<bool> {
    // Not `for update`, which would block inserts of rows that refer to the workspace.
    let rows =
        sql::execute(tx, "select 1 from workspace where id = $1 and deleted_at is null for no key update", [id.into()])
            .await?;
    Ok(rows == 1)
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
    pub default_space_id: Option<SpaceId>,
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
            default_space_id: workspace.space_id,
        }
    }
}

/// Stores the settings of a workspace that this transaction has locked. `false`: the slug is taken.
pub async fn update(tx: &Tx, id: WorkspaceId, settings: &WorkspaceSettings) -> Result<bool> {
    // Checked in the statement: an update that violates the unique index would abort the transaction.
    lock_slug(tx, &settings.slug).await?;
    let rows = sql::execute(
        tx,
        "update workspace set name = $2, slug = $3, retention_days = $4, limit_files = $5, limit_bytes = $6,
             limit_chunks = $7, limit_runs = $8, default_space_id = $9, revision = revision + 1, updated_at = now()
         where id = $1 and not exists (
             select from workspace other where other.slug = $3 and other.deleted_at is null and other.id <> $1)",
        [
            id.into(),
            settings.name.as_str().into(),
            settings.slug.as_str().into(),
            settings.retention_days.into(),
            settings.limit_files.into(),
            settings.limit_bytes.into(),
            settings.limit_chunks.into(),
            settings.limit_runs.into(),
            settings.default_space_id.into(),
        ],
    )
    .await?;
    Ok(rows == 1)
}

/// Deletes a workspace that this transaction has locked, with its members, invites and jobs. Its content stays until it is
/// erased. Returns the withdrawn invites.
pub async fn delete(tx: &Tx, id: WorkspaceId) -> Result<Vec<WithdrawnInvite>> {
    let withdrawn = invite::withdraw_all(tx, id).await?;
    for statement in [
        "delete from job where workspace_id = $1",
        "delete from member where workspace_id = $1",
        "update workspace set deleted_at = now(), updated_at = now(), revision = revision + 1 where id = $1",
    ] {
        sql::execute(tx, statement, [id.into()]).await?;
    }
    Ok(withdrawn)
}

/// The workspace that was deleted first among those that are not erased yet.
pub async fn next_deleted(conn: &impl Conn) -> Result<Option<WorkspaceId>> {
    #[derive(FromQueryResult)]
    struct Row {
        id: WorkspaceId,
    }
    let row: Option<Row> =
        sql::first(conn, "select id from workspace where deleted_at is not null order by deleted_at limit 1", [])
            .await?;
    Ok(row.map(|row| row.id))
}

/// Deletes the row of a deleted workspace, with every row that belongs to it. `false`: there is none.
pub async fn erase(tx: &Tx, id: WorkspaceId) -> Result<bool> {
    let rows = sql::execute(tx, "delete from workspace where id = $1 and deleted_at is not null", [id.into()]).await?;
    Ok(rows == 1)
}

/// Up to `limit` files that are older than their workspace's retention, oldest first.
pub async fn files_past_retention(conn: &impl Conn, limit: i64) -> Result<Vec<(WorkspaceId, FileId)>> {
    #[derive(FromQueryResult)]
    struct Row {
        workspace_id: WorkspaceId,
        id: FileId,
    }
    let rows: Vec<Row> = sql::all(
        conn,
        "select file.workspace_id, file.id from workspace
         cross join lateral (
             select workspace_id, id from file
             where file.workspace_id = workspace.id and file.created_at < now() - make_interval(days => retention_days)
             order by id limit $1) file
         where retention_days is not null and deleted_at is null
         limit $1",
        [limit.into()],
    )
    .await?;
    Ok(rows.into_iter().map(|row| (row.workspace_id, row.id)).collect())
}
