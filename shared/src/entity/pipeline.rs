//! Table `pipeline`: pipelines.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    id::{PipelineId, WorkspaceId},
    pipeline::state::PipelineState,
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "pipeline")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PipelineId,
    pub name: String,
    pub builtin: bool,
    pub inline: bool,
    pub next_run_at: Option<DateTime<Utc>>,
    pub state: PipelineState,
    pub version: i32,
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::pipeline_version::Entity",
        from = "(Column::WorkspaceId, Column::Id, Column::Version)",
        to = "(super::pipeline_version::Column::WorkspaceId, super::pipeline_version::Column::PipelineId, super::pipeline_version::Column::Number)"
    )]
    Version,
}

impl ActiveModelBehavior for ActiveModel {}
