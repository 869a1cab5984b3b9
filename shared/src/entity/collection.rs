//! Table `collection`: collections of a workspace.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{CollectionId, SpaceId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "collection")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CollectionId,
    pub name: String,
    pub description: String,
    pub space_id: Option<SpaceId>,
    pub max_chunks: Option<i64>,
    pub history_days: i32,
    pub history_since: Option<DateTime<Utc>>,
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::embedding_space::Entity",
        from = "Column::SpaceId",
        to = "super::embedding_space::Column::Id"
    )]
    Space,
    #[sea_orm(
        belongs_to = "super::collection_usage::Entity",
        from = "(Column::WorkspaceId, Column::Id)",
        to = "(super::collection_usage::Column::WorkspaceId, super::collection_usage::Column::CollectionId)"
    )]
    Usage,
}

impl ActiveModelBehavior for ActiveModel {}
