//! Types of mail.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// The type of a mail, which determines what its link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum MailKind {
    /// Confirms the sign-up with this address.
    SignUp,
    /// Resets the password of the account with this address.
    PasswordReset,
    /// Verifies the account's address.
    EmailVerification,
    /// Changes the account's address to this one.
    EmailChange,
    /// Invites the recipient to a workspace.
    Invite,
    /// Tells the old address that the account's address was changed. Without a link.
    EmailChanged,
    /// Warns of wrong second-factor codes after a correct password. Without a link.
    CodesRefused,
}
