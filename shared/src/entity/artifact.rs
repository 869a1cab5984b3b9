//! Table `artifact`: outputs of nodes, by their content keys.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    id::{ArtifactId, FileId, VersionId, WorkspaceId},
    pipeline::port::Flow,
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "artifact")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ArtifactId,
    pub file_id: FileId,
    pub version_id: VersionId,
    pub key: Vec<u8>,
    pub node_type: String,
    pub flow: Flow,
    pub elements: i32,
    pub complete: bool,
    pub effects: Json,
    pub created_at: DateTime<Utc>,
    pub used_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
