//! Table `activity`: entries of the activity log.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::{AccountId, ActivityId, TokenId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "activity")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub id: ActivityId,
    pub created_at: DateTime<Utc>,
    pub actor: String,
    pub account_id: Option<AccountId>,
    pub token_id: Option<TokenId>,
    pub action: String,
    pub object_kind: String,
    pub object_id: Uuid,
    pub request_id: Option<String>,
    pub address: Option<String>,
    pub details: String,
    pub mac: Vec<u8>,
    pub address_sealed: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
