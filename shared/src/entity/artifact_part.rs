//! Table `artifact_part`: the elements of artifacts.

use sea_orm::entity::prelude::*;

use crate::id::{ArtifactId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "artifact_part")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub artifact_id: ArtifactId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub first: i64,
    pub elements: i32,
    pub data: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
