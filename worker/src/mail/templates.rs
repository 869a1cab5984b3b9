//! The subject and text of each kind of mail.

use nvisy_shared::{secret::Secret, store::invite::InviteSummary};

/// A kind of mail.
#[derive(Clone, Debug)]
pub enum MailTemplate {
    /// A sign-up was requested for this address.
    SignUp,
    /// A new password was requested for the account with this address.
    PasswordReset,
    /// An account verifies its address.
    EmailVerification,
    /// An account changes its address to this one.
    EmailChange,
    /// A sign-up was requested for an address that has an account.
    AccountExists,
    /// An invite to a workspace.
    Invite(InviteSummary),
    /// A notice to the former address of an account.
    EmailChanged,
    /// A notice that wrong codes of the second factor were given after the right password.
    CodesRefused,
}

impl MailTemplate {
    /// A fixed text: names of people and workspaces never enter a header.
    pub(super) const fn subject(&self) -> &'static str {
        match self {
            Self::SignUp => "Confirm your account",
            Self::PasswordReset => "Set a new password",
            Self::EmailVerification => "Confirm your e-mail address",
            Self::EmailChange => "Confirm your new e-mail address",
            Self::Invite(_) => "You are invited to a workspace",
            Self::AccountExists => "You have an account already",
            Self::EmailChanged => "Your account has another e-mail address",
            Self::CodesRefused => "Wrong codes for your account",
        }
    }

    /// The token follows `#`, because browsers send that part to no server. Mails without a link do not contain it.
    pub(super) fn text(&self, links: &str, token: &Secret<String>) -> String {
        let token = token.expose();
        let (begin, page, end) = match self {
            Self::SignUp => (
                "An account with this e-mail address was requested, probably by you. To confirm it with the password that you \
                 have chosen, open",
                "sign-up",
                "If it was not you, do nothing: no account will be created.",
            ),
            Self::PasswordReset => (
                "A new password for the account with this e-mail address was requested, probably by you. To set one, open",
                "password-reset",
                "If it was not you, do nothing: the password does not change.",
            ),
            Self::EmailVerification => (
                "To confirm that this is your e-mail address, open",
                "email",
                "If you did not expect this mail, do nothing.",
            ),
            Self::EmailChange => (
                "To use this e-mail address for your account from now on, open",
                "email",
                "If you did not expect this mail, do nothing: nothing will change.",
            ),
            Self::EmailChanged => {
                return format!(
                    "Your account has another e-mail address now and no longer receives mail at this one. If it was not you, \
                     another person knows your password: contact the operator of\r\n\r\n{links}\r\n"
                );
            }
            Self::CodesRefused => {
                return format!(
                    "Several logins in a row had the right password of your account, but wrong codes of its second factor. \
                     Codes are rejected for a while; recovery codes still work. If it was not you, another person knows \
                     your password: change it at\r\n\r\n{links}\r\n"
                );
            }
            Self::AccountExists => {
                return format!(
                    "An account with this e-mail address was requested, probably by you. It exists already: log in, or \
                     request a new password, at\r\n\r\n{links}\r\n\r\nIf it was not you, do nothing.\r\n"
                );
            }
            Self::Invite(invitation) => return invite(invitation, links, token),
        };
        format!("{begin}\r\n\r\n{links}/{page}#token={token}\r\n\r\nThe link works once, for a short time. {end}\r\n")
    }
}

fn invite(invitation: &InviteSummary, links: &str, token: &str) -> String {
    let inviter = invitation.inviter.as_deref().map_or_else(|| "A member".to_owned(), quoted);
    let workspace = quoted(&invitation.workspace);
    let role = invitation.role.name();
    let until = invitation.expires_at.format("%Y-%m-%d %H:%M");
    format!(
        "{inviter} invites you to the workspace {workspace}, with the role {role}. To accept or decline, open\r\n\r\n\
         {links}/invite#token={token}\r\n\r\n\
         The link works once, until {until} UTC, and only for an account with this e-mail address. \
         If you did not expect this mail, do nothing.\r\n"
    )
}

/// A user-chosen name on one line: line ends and characters that change the direction of text are replaced.
fn quoted(name: &str) -> String {
    let plain = |character: char| match character {
        '"' => '\'',
        '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        control if control.is_control() => ' ',
        other => other,
    };
    format!("\"{}\"", name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use nvisy_shared::{clock, domain::role::Role};

    use super::*;

    #[test]
    fn user_chosen_name_cannot_add_lines_or_headers() {
        let invitation = InviteSummary {
            workspace: "Tide\" now\r\nBcc: eve@example.org".to_owned(),
            inviter: Some("Ada\u{202e}\u{2028}To: eve@example.org".to_owned()),
            role: Role::Member,
            expires_at: clock::now(),
        };
        let template = MailTemplate::Invite(invitation);
        assert_eq!(template.subject(), "You are invited to a workspace");
        let text = template.text("https://app.example.org", &Secret::new("t".to_owned()));
        let first = text.lines().next().unwrap();
        assert!(
            first.starts_with("\"Ada  To: eve@example.org\" invites you to the workspace \"Tide' now  Bcc:"),
            "{text}"
        );
        assert!(text.lines().all(|line| !line.starts_with("Bcc") && !line.starts_with("To")), "{text}");
    }
}
