//! Table `embedding_space`: embedding spaces.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::space::Quantisation,
    id::{ConnectionId, SpaceId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "embedding_space")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SpaceId,
    pub provider: String,
    pub model: String,
    pub dimensions: i32,
    pub query_prefix: String,
    pub passage_prefix: String,
    pub workspace_id: Option<WorkspaceId>,
    pub connection_id: Option<ConnectionId>,
    pub quantisation: Quantisation,
    pub on_request: bool,
    pub created_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
