//! Table `run_item`: file versions in runs.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::{failure::FailureCode, run::ItemState},
    id::{FileId, ItemId, RunId, VersionId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "run_item")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ItemId,
    pub run_id: RunId,
    pub file_id: FileId,
    pub version_id: VersionId,
    pub state: ItemState,
    pub stage: String,
    pub done: i32,
    pub total: Option<i32>,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub failure_node: Option<String>,
    pub failure_attempt: Option<i32>,
    pub entry: i32,
    pub parent_id: Option<ItemId>,
    pub progress: Json,
    pub reused: i32,
    pub recomputed: i32,
    pub tokens: i64,
    pub tokens_saved: i64,
    pub finished_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::run::Entity",
        from = "(Column::WorkspaceId, Column::RunId)",
        to = "(super::run::Column::WorkspaceId, super::run::Column::Id)"
    )]
    Run,
}

impl ActiveModelBehavior for ActiveModel {}
