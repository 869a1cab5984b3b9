//! Table `second_space`: the second embedding spaces of collections.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::{failure::FailureCode, space::SecondSpaceState},
    id::{CollectionId, SpaceId, TargetId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "second_space")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub collection_id: CollectionId,
    pub space_id: SpaceId,
    pub state: SecondSpaceState,
    pub epoch: i32,
    pub exchange_requested: bool,
    pub after_target_id: TargetId,
    pub after_ordinal: i32,
    pub chunks: i64,
    pub done: i64,
    pub rejected: i64,
    pub tokens: i64,
    pub tokens_saved: i64,
    pub failure_code: Option<FailureCode>,
    pub failure_detail: Option<String>,
    pub began_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
