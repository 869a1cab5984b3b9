//! Table `judged_query`: the queries of sets.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{JudgedQueryId, QuerySetId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "judged_query")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JudgedQueryId,
    pub query_set_id: QuerySetId,
    pub external_id: Option<String>,
    pub text: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
