//! Table `evaluated_query`: the results of an evaluation by query.

use sea_orm::entity::prelude::*;

use crate::id::{EvaluationId, JudgedQueryId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "evaluated_query")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub evaluation_id: EvaluationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub query_id: JudgedQueryId,
    pub external_id: Option<String>,
    pub text: String,
    pub results: Json,
    pub unresolved: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
