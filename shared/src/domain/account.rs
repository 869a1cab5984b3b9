//! Accounts.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// Longest e-mail address, in characters.
pub const EMAIL_MAX: usize = 254;

/// Whether an account may do anything at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// It may.
    Active,
    /// Stopped by an operator; takes effect at the next request.
    Suspended,
}

/// The one spelling under which an address is stored and looked up.
#[must_use]
pub fn normalise_email(raw: &str) -> String {
    raw.trim().to_lowercase()
}
