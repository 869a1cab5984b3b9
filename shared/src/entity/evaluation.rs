//! Table `evaluation`: searches of the queries of a set, and their metrics.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::{evaluation::EvaluationState, failure::FailureCode},
    id::{EvaluationId, JudgedQueryId, QuerySetId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "evaluation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EvaluationId,
    pub query_set_id: QuerySetId,
    pub set_revision: i32,
    pub settings: Json,
    pub collections: Vec<Uuid>,
    pub state: EvaluationState,
    pub queries: i32,
    pub done: i32,
    pub after_query_id: JudgedQueryId,
    pub choice: i32,
    pub metrics: Option<Json>,
    pub fit: Option<Json>,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
