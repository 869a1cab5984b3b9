//! What mails say.

use nvisy_shared::{domain::mail::MailKind, secret::Secret};

/// A kind of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// With a link that does what was asked for.
    Link(MailKind),
    /// Somebody wants an account under an address that has one.
    Known,
}

impl Letter {
    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::Link(MailKind::SignUp) => "Confirm your account",
            Self::Link(MailKind::PasswordReset) => "Set a new password",
            Self::Link(MailKind::EmailVerification) => "Confirm your e-mail address",
            Self::Link(MailKind::EmailChange) => "Confirm your new e-mail address",
            Self::Known => "You have an account already",
        }
    }

    /// The token stands behind `#`: browsers tell no server about that part.
    pub(super) fn text(self, links: &str, token: Option<&Secret<String>>) -> String {
        let token = token.map_or("", |token| token.expose().as_str());
        let (begin, page, end) = match self {
            Self::Link(MailKind::SignUp) => (
                "Somebody, probably you, asked for an account with this e-mail address. To confirm it, open",
                "sign-up",
                "If it was not you, do nothing: there will be no account.",
            ),
            Self::Link(MailKind::PasswordReset) => (
                "Somebody, probably you, asked for a new password for the account with this e-mail address. To set one, open",
                "password-reset",
                "If it was not you, do nothing: the password stays as it is.",
            ),
            Self::Link(MailKind::EmailVerification) => {
                ("To confirm that this is your e-mail address, open", "email", "If you do not know why, do nothing.")
            }
            Self::Link(MailKind::EmailChange) => (
                "To use this e-mail address for your account from now on, open",
                "email",
                "If you do not know why, do nothing: nothing will change.",
            ),
            Self::Known => {
                return format!(
                    "Somebody, probably you, asked for an account with this e-mail address. There is one already: \
                     log in, or ask for a new password, at\r\n\r\n{links}\r\n\r\nIf it was not you, do nothing.\r\n"
                );
            }
        };
        format!("{begin}\r\n\r\n{links}/{page}#token={token}\r\n\r\nThe link works once, and not for long. {end}\r\n")
    }
}
