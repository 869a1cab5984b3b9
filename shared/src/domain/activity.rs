//! What the activity log tells: who did what to what.

use std::{fmt, str::FromStr};

use crate::id::{AccountId, TokenId};

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person.
    Account(AccountId),
    /// An API token of that person.
    Token(AccountId, TokenId),
    /// Nvisy itself.
    System,
}

impl Actor {
    /// Its word: `account`, `token` or `system`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Token(..) => "token",
            Self::System => "system",
        }
    }

    /// The account behind it.
    #[must_use]
    pub const fn account(self) -> Option<AccountId> {
        match self {
            Self::Account(account) | Self::Token(account, _) => Some(account),
            Self::System => None,
        }
    }

    /// The token, if it was one.
    #[must_use]
    pub const fn token(self) -> Option<TokenId> {
        match self {
            Self::Token(_, token) => Some(token),
            Self::Account(_) | Self::System => None,
        }
    }
}

/// The detail that names who did something by hand, with a command. For operators alone: tenants are not shown it.
pub const OPERATOR: &str = "operator";

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident $name:literal;)+) => {
        /// What was done. The names are part of the HTTP contract and of every stored seal: added, never changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)+
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$action,)+];

            /// Its name: what it was done to, a dot, what was done.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }
        }
    };
}

actions! {
    /// An operator lets somebody sign up.
    AdmissionCreated "admission.created";
    /// Somebody signed up.
    AccountSignedUp "account.signed_up";
    /// The display name of an account was changed.
    AccountUpdated "account.updated";
    /// The picture of an account was changed or removed.
    AccountPictured "account.pictured";
    /// The password was changed by who knew the old one.
    AccountPasswordChanged "account.password_changed";
    /// Somebody asked for a link that sets the password anew, and it was mailed.
    AccountResetAsked "account.reset_asked";
    /// The password was set anew by who reads the mailbox.
    AccountPasswordReset "account.password_reset";
    /// A link was asked for that changes or verifies the address.
    AccountMailAsked "account.mail_asked";
    /// The address was changed.
    AccountEmailChanged "account.email_changed";
    /// The address was verified.
    AccountEmailVerified "account.email_verified";
    /// The account was deleted; it can be taken back for a while.
    AccountDeleted "account.deleted";
    /// The deletion was taken back.
    AccountRestored "account.restored";
    /// An operator has suspended the account.
    AccountSuspended "account.suspended";
    /// An operator lets the account go on.
    AccountResumed "account.resumed";
    /// The account was erased.
    AccountErased "account.erased";
    /// A second factor was begun.
    AccountFactorEnrolled "account.factor_enrolled";
    /// A second factor is asked for from now on.
    AccountFactorConfirmed "account.factor_confirmed";
    /// The second factor was removed.
    AccountFactorDisabled "account.factor_disabled";
    /// The recovery codes were replaced.
    AccountCodesRenewed "account.codes_renewed";
    /// Somebody who is logged in gave a password that is not the account's.
    AccountPasswordRefused "account.password_refused";
    /// Somebody who is logged in gave a code that is none of the second factor's, or none yet.
    AccountCodeRefused "account.code_refused";
    /// Somebody logged in.
    SessionStarted "session.started";
    /// Somebody tried to log in, and was refused; the account is the nil id where there is none.
    SessionRefused "session.refused";
    /// A refresh token was used twice: its session was ended.
    SessionStolen "session.stolen";
    /// A session was ended.
    SessionEnded "session.ended";
    /// All sessions of an account were ended.
    SessionAllEnded "session.all_ended";
    /// An API token was created.
    TokenCreated "token.created";
    /// An API token was revoked.
    TokenRevoked "token.revoked";
    /// A workspace was created.
    WorkspaceCreated "workspace.created";
    /// Name, slug or settings of a workspace were changed.
    WorkspaceUpdated "workspace.updated";
    /// An operator has set how much a workspace may use.
    WorkspaceQuotaSet "workspace.quota_set";
    /// A workspace was handed over to another owner.
    WorkspaceTransferred "workspace.transferred";
    /// A workspace was deleted: nobody reaches it any more.
    WorkspaceDeleted "workspace.deleted";
    /// All that a deleted workspace held was erased.
    WorkspaceErased "workspace.erased";
    /// Somebody accepted an invite and belongs to the workspace now.
    MemberJoined "member.joined";
    /// A member has another role.
    MemberRoleChanged "member.role_changed";
    /// A member was removed.
    MemberRemoved "member.removed";
    /// A member left.
    MemberLeft "member.left";
    /// A member wanted to give a role above their own, and was refused.
    MemberRefused "member.refused";
    /// Somebody was invited.
    InviteCreated "invite.created";
    /// An invite was declined.
    InviteDeclined "invite.declined";
    /// An invite was taken back.
    InviteCancelled "invite.cancelled";
    /// A file was uploaded.
    FileUploaded "file.uploaded";
    /// A file was deleted.
    FileDeleted "file.deleted";
    /// An operator has replaced the keys that sign access tokens.
    InstallationKeysAdopted "installation.keys_adopted";
}

impl Action {
    /// What kind of thing it was done to: the part of its name before the dot, but of a session that did not come to be
    /// the account.
    #[must_use]
    pub fn object_kind(self) -> &'static str {
        match self {
            Self::SessionRefused => "account",
            other => other.name().split('.').next().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no action of that name.
#[derive(Debug, thiserror::Error)]
#[error("no action has this name")]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        Self::ALL.iter().copied().find(|action| action.name() == name).ok_or(UnknownAction)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_has_its_own_name_that_leads_back_to_it() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(action.name().parse::<Action>().unwrap(), *action);
            assert_eq!(action.name().split('.').count(), 2, "{action}");
        }
        assert!("file.painted".parse::<Action>().is_err());
    }
}
