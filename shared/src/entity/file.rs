//! Table `file`: files.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{AccountId, FileId, VersionId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "file")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FileId,
    pub source: String,
    pub external_id: Option<String>,
    pub parent_id: Option<FileId>,
    pub name: String,
    pub tags: Vec<String>,
    pub metadata: Json,
    pub version_id: VersionId,
    pub live_version_id: Option<VersionId>,
    pub created_by: Option<AccountId>,
    pub acl: Option<Json>,
    pub source_deleted_at: Option<DateTime<Utc>>,
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::file_version::Entity",
        from = "(Column::WorkspaceId, Column::VersionId)",
        to = "(super::file_version::Column::WorkspaceId, super::file_version::Column::Id)"
    )]
    Version,
}

impl ActiveModelBehavior for ActiveModel {}
