//! Table `run_item`: file versions in runs.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::{failure::FailureCode, file::FileState},
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
    pub state: FileState,
    pub stage: String,
    pub done: i32,
    pub total: Option<i32>,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::workspace::Entity",
        from = "Column::WorkspaceId",
        to = "super::workspace::Column::Id"
    )]
    Workspace,
    #[sea_orm(
        belongs_to = "super::run::Entity",
        from = "(Column::WorkspaceId, Column::RunId)",
        to = "(super::run::Column::WorkspaceId, super::run::Column::Id)"
    )]
    Run,
}

impl ActiveModelBehavior for ActiveModel {}
