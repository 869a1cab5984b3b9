//! Table `sign_up_permit`: permits of operators to sign up.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::id::SignUpPermitId;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_up_permit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SignUpPermitId,
    pub email: String,
    pub code_hash: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
