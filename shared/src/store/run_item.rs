//! Items of runs: a file version on its way through the segments of a plan.
//!
//! An item is counted in the row of its run, which is locked after everything else that its items write.

mod progress;

pub use progress::{FinishedItem, ItemFailure, ItemProgress, WorkDone, finish, store_progress};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    RelationTrait, Select, UpdateMany, raw_sql,
    sea_query::{Expr, ExprTrait, LockType},
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    Conn, Error, Result, Tx,
    run::{finish_run, update_run},
    sql,
};
use crate::{
    domain::{
        failure::Failure,
        run::{ItemState, RunPriority, RunState, RunTrigger},
    },
    entity::{run, run_item},
    id::{FileId, ItemId, PipelineId, RunId, VersionId, WorkspaceId},
    pipeline::progress::Progress,
};

/// An item to be added.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `run_item`")]
pub struct NewItem {
    pub file: FileId,
    pub version: VersionId,
    /// The segment where it enters.
    pub entry: usize,
    pub parent: Option<ItemId>,
    /// The id of the first node.
    pub stage: String,
}

/// Adds items to a run, and counts them.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, run: RunId, items: Vec<NewItem>) -> Result<Vec<ItemId>> {
    let ids = add(tx, workspace, run, items).await?;
    count_added(tx, workspace, run, ids.len()).await?;
    Ok(ids)
}

/// Adds items to a run; [`count_added`] counts them, later in the transaction. Their progress begins with their entry.
pub async fn add(tx: &Tx, workspace: WorkspaceId, run: RunId, items: Vec<NewItem>) -> Result<Vec<ItemId>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<ItemId> = items.iter().map(|_| ItemId::new()).collect();
    let files: Vec<FileId> = items.iter().map(|item| item.file).collect();
    let versions: Vec<VersionId> = items.iter().map(|item| item.version).collect();
    let entries: Vec<i32> = items.iter().map(|item| i32::try_from(item.entry).unwrap_or(i32::MAX)).collect();
    // The nil id stands for null.
    let parents: Vec<Uuid> = items.iter().map(|item| item.parent.map_or(Uuid::nil(), Uuid::from)).collect();
    let progress: Vec<String> = items.iter().map(|item| json!(Progress::begin(item.entry).0).to_string()).collect();
    let stages: Vec<String> = items.into_iter().map(|item| item.stage).collect();
    let given = ids.clone();
    let added = raw_sql!(
        Postgres,
        "insert into run_item (workspace_id, id, run_id, file_id, version_id, stage, entry, parent_id, progress)
         select {workspace}, new.id, {run}, new.file_id, new.version_id, new.stage, new.entry,
             nullif(new.parent_id, '00000000-0000-0000-0000-000000000000'), new.progress::jsonb
         from unnest({given}::uuid[], {files}::uuid[], {versions}::uuid[], {stages}::text[], {entries}::integer[],
                 {parents}::uuid[], {progress}::text[])
             as new (id, file_id, version_id, stage, entry, parent_id, progress)"
    );
    sql::execute(tx, added).await?;
    Ok(ids)
}

/// Counts items of a run that this transaction has added.
pub async fn count_added(tx: &Tx, workspace: WorkspaceId, run: RunId, items: usize) -> Result<()> {
    if items == 0 {
        return Ok(());
    }
    let count = i32::try_from(items).unwrap_or(i32::MAX);
    update_run(workspace, run)
        .col_expr(run::Column::Items, Expr::col(run::Column::Items).add(count))
        .col_expr(run::Column::ItemsOpen, Expr::col(run::Column::ItemsOpen).add(count))
        .exec(tx)
        .await?;
    Ok(())
}

/// An item, with what its run says about it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `run_item` and `run`")]
pub struct Item {
    pub id: ItemId,
    pub run_id: RunId,
    pub file_id: FileId,
    pub version_id: VersionId,
    pub state: ItemState,
    pub entry: usize,
    pub parent: Option<ItemId>,
    pub progress: Progress,
    pub pipeline_id: PipelineId,
    pub pipeline_version: i32,
    pub trigger: RunTrigger,
    pub preview: bool,
    pub low_priority: bool,
    pub recompute_from: Option<String>,
    /// Whether the run synchronises files with a connection.
    pub syncs: bool,
}

impl Item {
    /// Whether the outputs that sinks take are kept: they are the results of a run with a definition of its own.
    #[must_use]
    pub const fn keeps_results(&self) -> bool {
        matches!(self.trigger, RunTrigger::Inline)
    }

    /// The priority of its jobs.
    #[must_use]
    pub const fn priority(&self) -> RunPriority {
        RunPriority::of(self.trigger, self.low_priority)
    }

    /// Whether the state of the file follows the item: it belongs to the file's arrival, by an upload, by a sync, or as a member of
    /// another file.
    #[must_use]
    pub const fn decides_file(&self) -> bool {
        !self.preview && (self.trigger.decides_file() || self.syncs || self.parent.is_some())
    }
}

#[derive(FromQueryResult)]
struct ItemRow {
    id: ItemId,
    run_id: RunId,
    file_id: FileId,
    version_id: VersionId,
    state: ItemState,
    entry: i32,
    parent_id: Option<ItemId>,
    progress: Json,
    pipeline_id: PipelineId,
    pipeline_version: i32,
    trigger: RunTrigger,
    preview: bool,
    low_priority: bool,
    recompute_from: Option<String>,
    syncs: bool,
}

impl ItemRow {
    fn into_item(self) -> Result<Item> {
        let progress = serde_json::from_value(self.progress).map_err(|error| Error::Json(error.to_string()))?;
        Ok(Item {
            id: self.id,
            run_id: self.run_id,
            file_id: self.file_id,
            version_id: self.version_id,
            state: self.state,
            entry: usize::try_from(self.entry).unwrap_or_default(),
            parent: self.parent_id,
            progress,
            pipeline_id: self.pipeline_id,
            pipeline_version: self.pipeline_version,
            trigger: self.trigger,
            preview: self.preview,
            low_priority: self.low_priority,
            recompute_from: self.recompute_from,
            syncs: self.syncs,
        })
    }
}

fn select_items(workspace: WorkspaceId, items: Vec<ItemId>) -> Select<run_item::Entity> {
    use run_item::Column;
    run_item::Entity::find()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Id.eq_any(items))
        .order_by_asc(Column::Id)
        .select_only()
        .columns([
            Column::Id,
            Column::RunId,
            Column::FileId,
            Column::VersionId,
            Column::State,
            Column::Entry,
            Column::ParentId,
            Column::Progress,
        ])
        .columns([
            run::Column::PipelineId,
            run::Column::PipelineVersion,
            run::Column::Trigger,
            run::Column::Preview,
            run::Column::LowPriority,
            run::Column::RecomputeFrom,
            run::Column::Syncs,
        ])
        .join(JoinType::InnerJoin, run_item::Relation::Run.def())
}

/// An item; `None` if its file was deleted.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, item: ItemId) -> Result<Option<Item>> {
    Ok(find_all(conn, workspace, vec![item]).await?.pop())
}

/// The items of runs that are not finished.
pub async fn open_of_runs(conn: &impl Conn, workspace: WorkspaceId, runs: Vec<RunId>) -> Result<Vec<ItemId>> {
    run_item::Entity::find()
        .select_only()
        .column(run_item::Column::Id)
        .filter(run_item::Column::WorkspaceId.eq(workspace))
        .filter(run_item::Column::RunId.eq_any(runs))
        .filter(run_item::Column::State.is_in([ItemState::Queued, ItemState::Running]))
        .into_tuple()
        .all(conn)
        .await
}

/// Those of these items whose file is not deleted, by id.
pub async fn find_all(conn: &impl Conn, workspace: WorkspaceId, items: Vec<ItemId>) -> Result<Vec<Item>> {
    let rows: Vec<ItemRow> = select_items(workspace, items).into_model().all(conn).await?;
    rows.into_iter().map(ItemRow::into_item).collect()
}

/// Like [`find_all`], and locks the items; [`super::locks::lock_items`] locks their files before.
pub(super) async fn lock(tx: &Tx, workspace: WorkspaceId, items: Vec<ItemId>) -> Result<Vec<Item>> {
    let mut select = select_items(workspace, items);
    QueryTrait::query(&mut select).lock_with_tables(LockType::Update, [run_item::Entity]);
    let rows: Vec<ItemRow> = select.into_model().all(tx).await?;
    rows.into_iter().map(ItemRow::into_item).collect()
}

fn update_item(workspace: WorkspaceId, item: ItemId) -> UpdateMany<run_item::Entity> {
    run_item::Entity::update_many()
        .col_expr(run_item::Column::UpdatedAt, sql::now())
        .filter(run_item::Column::WorkspaceId.eq(workspace))
        .filter(run_item::Column::Id.eq(item))
}

/// Marks items as running; [`start_run`] marks their run.
pub async fn start(tx: &Tx, workspace: WorkspaceId, items: Vec<ItemId>) -> Result<()> {
    let running = run_item::ActiveModel { state: Set(ItemState::Running), ..Default::default() };
    run_item::Entity::update_many()
        .set(running)
        .col_expr(run_item::Column::UpdatedAt, sql::now())
        .filter(run_item::Column::WorkspaceId.eq(workspace))
        .filter(run_item::Column::Id.eq_any(items))
        .exec(tx)
        .await?;
    Ok(())
}

/// Marks a run as running that has not begun. May lock the row of one that another transaction has just marked: this comes last.
pub async fn start_run(tx: &Tx, workspace: WorkspaceId, run: RunId) -> Result<()> {
    update_run(workspace, run)
        .set(run::ActiveModel { state: Set(RunState::Running), ..Default::default() })
        .filter(run::Column::State.eq(RunState::Queued))
        .exec(tx)
        .await?;
    Ok(())
}

/// Sets the segment where an item enters, and its first node. Its progress begins there.
pub async fn set_entry(tx: &Tx, workspace: WorkspaceId, item: ItemId, entry: usize, stage: &str) -> Result<()> {
    let (progress, _) = Progress::begin(entry);
    let row = run_item::ActiveModel {
        entry: Set(i32::try_from(entry).unwrap_or(i32::MAX)),
        stage: Set(stage.to_owned()),
        progress: Set(json!(progress)),
        ..Default::default()
    };
    update_item(workspace, item).set(row).exec(tx).await?;
    Ok(())
}

/// How far a run is, behind the end of some of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunProgress {
    /// The run's state, if it ended with these items.
    pub ended: Option<RunState>,
    /// Its items.
    pub items: i32,
    /// Those that have ended.
    pub items_ended: i32,
    /// Those that have failed.
    pub items_failed: i32,
}

/// Counts items of a run that this transaction has finished; with the last one the run ends, with `failure` if that is the run's.
///
/// Locks the row of the run, which all items of the run share, until the transaction ends: this comes last, under the lock of the
/// workspace's usage ([`super::history::lock`]), which the end of the run changes.
pub async fn count_ended(
    tx: &Tx,
    workspace: WorkspaceId,
    run: RunId,
    items: Vec<ItemId>,
    failure: Option<&Failure>,
) -> Result<RunProgress> {
    let count = raw_sql!(
        Postgres,
        "update run set items_open = greatest(run.items_open - ended.items, 0),
             items_failed = run.items_failed + ended.failed, items_skipped = run.items_skipped + ended.skipped,
             reused = run.reused + ended.reused, recomputed = run.recomputed + ended.recomputed,
             tokens = run.tokens + ended.tokens, tokens_saved = run.tokens_saved + ended.tokens_saved
         from (
             select count(*)::integer as items, (count(*) filter (where state = 'failed'))::integer as failed,
                 (count(*) filter (where state = 'skipped'))::integer as skipped, sum(reused) as reused,
                 sum(recomputed) as recomputed, sum(tokens)::bigint as tokens, sum(tokens_saved)::bigint as tokens_saved
             from run_item where workspace_id = {workspace} and id = any({items})
             having count(*) > 0) ended
         where run.workspace_id = {workspace} and run.id = {run}
         returning run.items, run.items - run.items_open, run.items_failed"
    );
    let (items, items_ended, items_failed) = sql::first_value(tx, count).await?.unwrap_or_default();
    // Of a run whose items are all finished, others may enter yet.
    let ended = if items_ended < items { None } else { finish_run(tx, workspace, run, failure).await? };
    Ok(RunProgress { ended, items, items_ended, items_failed })
}

/// Those of these versions that have been items of a pipeline that entered at this segment and were not cancelled.
pub async fn entered(
    conn: &impl Conn,
    workspace: WorkspaceId,
    (pipeline, entry): (PipelineId, usize),
    versions: Vec<VersionId>,
) -> Result<Vec<VersionId>> {
    if versions.is_empty() {
        return Ok(Vec::new());
    }
    let entry = i32::try_from(entry).unwrap_or(i32::MAX);
    let entered = raw_sql!(
        Postgres,
        "select distinct i.version_id from run_item i join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
         where i.workspace_id = {workspace} and i.version_id = any({versions}) and i.entry = {entry}
             and r.pipeline_id = {pipeline} and not r.preview and i.state <> 'cancelled'"
    );
    sql::all_values(conn, entered).await
}

/// Of these versions, those that are items of members of an item, and go on or have ended well: with the segments where they entered.
pub async fn members(
    tx: &Tx,
    workspace: WorkspaceId,
    parent: ItemId,
    versions: Vec<VersionId>,
) -> Result<Vec<(VersionId, usize)>> {
    let members = raw_sql!(
        Postgres,
        "select version_id, entry from run_item
         where workspace_id = {workspace} and version_id = any({versions}) and parent_id = {parent}
             and state in ('queued', 'running', 'done', 'skipped')"
    );
    let members: Vec<(VersionId, i32)> = sql::all_values(tx, members).await?;
    Ok(members.into_iter().map(|(version, entry)| (version, usize::try_from(entry).unwrap_or_default())).collect())
}
