//! Table `mail`: mail to be sent, and the hashes of the links in it.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::{
    domain::mail::MailKind,
    id::{AccountId, InviteId, MailId, WorkspaceId},
};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "mail")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MailId,
    pub kind: MailKind,
    pub email: String,
    pub account_id: Option<AccountId>,
    pub display_name: Option<String>,
    pub password_hash: Option<String>,
    pub hash: Option<Vec<u8>>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub workspace_id: Option<WorkspaceId>,
    pub invite_id: Option<InviteId>,
    pub sent_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
