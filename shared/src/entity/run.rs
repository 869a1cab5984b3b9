//! Table `run`: runs of pipelines.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::run::RunState,
    id::{PipelineId, RunId, WorkspaceId},
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
