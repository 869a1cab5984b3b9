//! Table `query_set`: sets of judged queries.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{QuerySetId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "query_set")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: QuerySetId,
    pub name: String,
    pub revision: i32,
    pub queries: i32,
    pub judgements: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
