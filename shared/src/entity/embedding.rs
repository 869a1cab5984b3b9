//! Table `embedding`: vectors of chunks.

use sea_orm::entity::prelude::*;

use crate::id::{ChunkId, SpaceId, TargetId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "embedding")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub space_id: SpaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub target_id: TargetId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub chunk_id: ChunkId,
    pub input_hash: Uuid,
    #[sea_orm(column_type = r#"custom("halfvec")"#, select_as = "vector", save_as = "halfvec")]
    pub vector: PgVector,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
