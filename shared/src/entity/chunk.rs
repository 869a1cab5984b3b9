//! Table `chunk`: chunks of texts.

use sea_orm::entity::prelude::*;

use crate::id::{ChunkId, FileId, TargetId, VersionId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "chunk")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ChunkId,
    pub target_id: TargetId,
    pub file_id: FileId,
    pub version_id: VersionId,
    pub ordinal: i32,
    pub text: String,
    pub start_byte: i64,
    pub end_byte: i64,
    pub page: Option<i32>,
    pub heading_path: Vec<String>,
    pub tokens: i32,
    pub document: Option<i64>,
    pub prefix: Option<String>,
    pub disabled: bool,
    pub original_text: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
