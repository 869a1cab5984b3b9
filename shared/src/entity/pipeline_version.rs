//! Table `pipeline_version`: pipeline definitions, never updated.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{PipelineId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "pipeline_version")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub pipeline_id: PipelineId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub definition: Json,
    pub created_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
