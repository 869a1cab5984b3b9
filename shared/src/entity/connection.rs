//! Table `connection`: connections of a workspace to other systems.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::connection::CheckState,
    id::{CheckId, ConnectionId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "connection")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConnectionId,
    pub provider: String,
    pub name: String,
    pub settings: Json,
    pub credentials: Option<Vec<u8>>,
    pub key_id: Option<i32>,
    pub enabled: bool,
    pub revision: i32,
    pub check_id: Option<CheckId>,
    pub check_state: Option<CheckState>,
    pub check_steps: Json,
    pub checked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
