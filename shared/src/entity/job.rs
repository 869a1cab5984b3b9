//! Table `job`: unfinished jobs.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::job::{JobState, Lane},
    id::{JobId, RunId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    pub workspace_id: WorkspaceId,
    pub kind: String,
    pub version: i32,
    pub lane: Lane,
    pub level: i16,
    pub payload: Json,
    pub run_id: Option<RunId>,
    pub state: JobState,
    pub epoch: i32,
    pub fence: i64,
    pub attempts: i32,
    pub run_at: DateTime<Utc>,
    pub stream_seq: Option<i64>,
    pub queued_at: Option<DateTime<Utc>>,
    pub holder: Option<String>,
    pub heartbeat_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub wait_reason: Option<String>,
    pub traceparent: Option<String>,
    pub created_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
