//! Table `target`: the rows that sinks have written for items.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{CollectionId, FileId, ItemId, PipelineId, TargetId, VersionId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "target")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TargetId,
    pub collection_id: CollectionId,
    pub pipeline_id: Option<PipelineId>,
    pub node: String,
    pub item_id: Option<ItemId>,
    pub file_id: FileId,
    pub version_id: VersionId,
    pub live: bool,
    pub chunk_count: i32,
    pub vector_count: i32,
    pub created_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
    pub superseded_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
