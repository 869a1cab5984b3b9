//! Table `judgement`: how relevant files are for queries.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{FileId, JudgedQueryId, JudgementId, QuerySetId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "judgement")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JudgementId,
    pub query_set_id: QuerySetId,
    pub query_id: JudgedQueryId,
    pub file_id: Option<FileId>,
    pub external_id: Option<String>,
    pub start_byte: Option<i64>,
    pub end_byte: Option<i64>,
    pub grade: i16,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
