//! Table `collection_usage`: the content of collections that search reads, counted by triggers.

use sea_orm::entity::prelude::*;

use crate::id::{CollectionId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "collection_usage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub collection_id: CollectionId,
    pub files: i64,
    pub chunks: i64,
    pub vectors: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
