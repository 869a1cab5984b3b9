//! Table `run`: runs of pipelines.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::{
        failure::FailureCode,
        run::{RunState, RunTrigger},
    },
    id::{AccountId, PipelineId, RunId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "run")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RunId,
    pub pipeline_id: PipelineId,
    pub pipeline_version: i32,
    pub state: RunState,
    pub trigger: RunTrigger,
    pub preview: bool,
    pub low_priority: bool,
    pub recompute_from: Option<String>,
    pub origin_run_id: Option<RunId>,
    pub selection: Option<Json>,
    pub checkpoint: Option<Json>,
    pub admitted: bool,
    pub items: i32,
    pub items_open: i32,
    pub items_failed: i32,
    pub items_skipped: i32,
    pub reused: i64,
    pub recomputed: i64,
    pub tokens: i64,
    pub tokens_saved: i64,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub started_by: Option<AccountId>,
    pub code_versions: Option<Json>,
    pub budget: Option<i64>,
    pub syncs: bool,
    pub dry_run: bool,
    pub objects_pending: i32,
    pub objects_seen: i64,
    pub objects_new: i64,
    pub objects_changed: i64,
    pub objects_unchanged: i64,
    pub objects_deleted: i64,
    pub objects_failed: i64,
    pub webhook_url: Option<String>,
    pub webhook_delivered_at: Option<DateTime<Utc>>,
    pub webhook_failure: Option<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::pipeline_version::Entity",
        from = "(Column::WorkspaceId, Column::PipelineId, Column::PipelineVersion)",
        to = "(super::pipeline_version::Column::WorkspaceId, super::pipeline_version::Column::PipelineId, super::pipeline_version::Column::Number)"
    )]
    Definition,
}

impl ActiveModelBehavior for ActiveModel {}
