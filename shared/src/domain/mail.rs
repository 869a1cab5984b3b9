//! Mail that Nvisy sends.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// Why a mail is sent; what the link in it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum MailKind {
    /// Somebody wants an account under this address.
    SignUp,
    /// Somebody has forgotten the password of the account with this address.
    PasswordReset,
    /// An account wants to show that its address is its own.
    EmailVerification,
    /// An account wants this address in the place of the one it has.
    EmailChange,
    /// Somebody is asked into a workspace.
    Invite,
    /// The account that had this address has another one now. Without a link.
    EmailChanged,
    /// Somebody with the password of this account tries codes of its second factor. Without a link.
    CodesRefused,
}
