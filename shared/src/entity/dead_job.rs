//! Table `dead_job`: jobs that failed for good.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::job::Lane,
    id::{JobId, RunId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    pub workspace_id: WorkspaceId,
    pub kind: String,
    pub version: i32,
    pub lane: Lane,
    pub payload: Json,
    pub run_id: Option<RunId>,
    pub attempts: i32,
    pub reason: String,
    pub error: String,
    pub created_at: DateTime<Utc>,
    pub died_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
