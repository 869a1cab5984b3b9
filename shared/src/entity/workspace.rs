//! Table `workspace`: workspaces, the tenants.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::WorkspaceId;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WorkspaceId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub slug: String,
    pub revision: i32,
    pub retention_days: Option<i32>,
    pub limit_files: Option<i64>,
    pub limit_bytes: Option<i64>,
    pub limit_chunks: Option<i64>,
    pub limit_runs: Option<i64>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub limit_collections: Option<i64>,
    pub monthly_budget: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
