//! Table `file_version`: versions of files.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::{failure::FailureCode, file::FileState},
    id::{BlobId, FileId, VersionId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "file_version")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: VersionId,
    pub file_id: FileId,
    pub number: i32,
    pub blob_id: BlobId,
    pub bytes: i64,
    pub sha256: Vec<u8>,
    pub media_type: String,
    pub declared_type: Option<String>,
    pub text_blob_id: Option<BlobId>,
    pub page_count: Option<i32>,
    pub chunk_count: Option<i32>,
    pub state: FileState,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::file::Entity",
        from = "(Column::WorkspaceId, Column::FileId)",
        to = "(super::file::Column::WorkspaceId, super::file::Column::Id)"
    )]
    File,
}

impl ActiveModelBehavior for ActiveModel {}
