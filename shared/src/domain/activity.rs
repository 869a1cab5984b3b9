//! Actors and actions of the activity log.

use std::{fmt, str::FromStr};

use crate::id::{AccountId, TokenId};

/// The actor of an entry.
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
    /// The identifier: `account`, `token` or `system`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Token(..) => "token",
            Self::System => "system",
        }
    }

    /// The account, if the actor is one or its token.
    #[must_use]
    pub const fn account(self) -> Option<AccountId> {
        match self {
            Self::Account(account) | Self::Token(account, _) => Some(account),
            Self::System => None,
        }
    }

    /// The token, if the actor is one.
    #[must_use]
    pub const fn token(self) -> Option<TokenId> {
        match self {
            Self::Token(_, token) => Some(token),
            Self::Account(_) | Self::System => None,
        }
    }
}

/// The key of the detail that names the operator who ran a command. The API does not show it to tenants.
pub const OPERATOR_DETAIL: &str = "operator";

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident $name:literal;)+) => {
        /// The action of an entry. The names are part of the HTTP contract and of every MAC: new ones are added, existing ones
        /// never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)+
        }

        impl Action {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$action,)+];

            /// The name: the kind of object, a dot, the action.
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
    /// An operator added a sign-up permit.
    SignUpPermitCreated "sign_up_permit.created";
    /// An account was created by sign-up.
    AccountSignedUp "account.signed_up";
    /// The display name of an account was changed.
    AccountUpdated "account.updated";
    /// The picture of an account was changed or removed.
    AccountPictured "account.pictured";
    /// The password was changed with the old one.
    AccountPasswordChanged "account.password_changed";
    /// A link to reset the password was requested and mailed.
    AccountResetAsked "account.reset_asked";
    /// The password was reset with a mailed link.
    AccountPasswordReset "account.password_reset";
    /// A link to change or verify the address was requested.
    AccountMailAsked "account.mail_asked";
    /// The address was changed.
    AccountEmailChanged "account.email_changed";
    /// The address was verified.
    AccountEmailVerified "account.email_verified";
    /// The account was deleted; it can be restored until it is erased.
    AccountDeleted "account.deleted";
    /// The deletion was reverted.
    AccountRestored "account.restored";
    /// An operator suspended the account.
    AccountSuspended "account.suspended";
    /// An operator ended the suspension of the account.
    AccountResumed "account.resumed";
    /// The account was erased.
    AccountErased "account.erased";
    /// The enrolment of a second factor was started.
    AccountFactorEnrolled "account.factor_enrolled";
    /// The second factor was confirmed and is required from now on.
    AccountFactorConfirmed "account.factor_confirmed";
    /// The second factor was removed.
    AccountFactorDisabled "account.factor_disabled";
    /// The recovery codes were replaced.
    AccountCodesRenewed "account.codes_renewed";
    /// A signed-in caller gave a wrong password.
    AccountPasswordRefused "account.password_refused";
    /// A signed-in caller gave a wrong second-factor code.
    AccountCodeRefused "account.code_refused";
    /// A login started a session.
    SessionStarted "session.started";
    /// A login was rejected; the object is the nil id if the account does not exist.
    SessionRefused "session.refused";
    /// A refresh token was used twice, and its session was ended.
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
    /// A workspace got a new secret by which requests to services are signed.
    WorkspaceSigningRenewed "workspace.signing_renewed";
    /// An operator set the quota of a workspace.
    WorkspaceQuotaSet "workspace.quota_set";
    /// A workspace was transferred to another owner.
    WorkspaceTransferred "workspace.transferred";
    /// A workspace was deleted; it is no longer accessible.
    WorkspaceDeleted "workspace.deleted";
    /// The content of a deleted workspace was erased.
    WorkspaceErased "workspace.erased";
    /// An account accepted an invite and became a member.
    MemberJoined "member.joined";
    /// The role of a member was changed.
    MemberRoleChanged "member.role_changed";
    /// A member was removed.
    MemberRemoved "member.removed";
    /// A member left the workspace.
    MemberLeft "member.left";
    /// A member tried to grant a role above the member's own, or to change a member or an invite with one.
    MemberRefused "member.refused";
    /// An invite was created.
    InviteCreated "invite.created";
    /// An invite was declined.
    InviteDeclined "invite.declined";
    /// An invite was cancelled.
    InviteCancelled "invite.cancelled";
    /// A file, or a version of one, was uploaded.
    FileUploaded "file.uploaded";
    /// Name, tags or metadata of a file were changed.
    FileUpdated "file.updated";
    /// A file was deleted.
    FileDeleted "file.deleted";
    /// A pipeline was created.
    PipelineCreated "pipeline.created";
    /// Name, state or definition of a pipeline was changed.
    PipelineUpdated "pipeline.updated";
    /// A pipeline was deleted.
    PipelineDeleted "pipeline.deleted";
    /// A collection was created.
    CollectionCreated "collection.created";
    /// Name, description or model of a collection was changed.
    CollectionUpdated "collection.updated";
    /// A collection was deleted.
    CollectionDeleted "collection.deleted";
    /// A chunk was disabled or enabled, or got another text.
    ChunkUpdated "chunk.updated";
    /// A set of judged queries was created.
    QuerySetCreated "query_set.created";
    /// Queries or judgements of a set were imported or changed.
    QuerySetUpdated "query_set.updated";
    /// A set of judged queries was deleted.
    QuerySetDeleted "query_set.deleted";
    /// An evaluation was started.
    EvaluationStarted "evaluation.started";
    /// An evaluation was deleted.
    EvaluationDeleted "evaluation.deleted";
    /// The synonyms of a workspace were replaced.
    SynonymsUpdated "synonyms.updated";
    /// The synonyms of a workspace were deleted.
    SynonymsDeleted "synonyms.deleted";
    /// A snapshot was created.
    SnapshotCreated "snapshot.created";
    /// A snapshot was deleted.
    SnapshotDeleted "snapshot.deleted";
    /// A connection was created.
    ConnectionCreated "connection.created";
    /// Name, settings, credentials or state of a connection were changed.
    ConnectionUpdated "connection.updated";
    /// A check of a connection was requested.
    ConnectionChecked "connection.checked";
    /// The streams or first objects of a connection were asked for.
    ConnectionQueried "connection.queried";
    /// A path and a secret for notifications of a connection were made.
    ConnectionNotificationsRenewed "connection.notifications_renewed";
    /// Notifications of a connection were ended.
    ConnectionNotificationsEnded "connection.notifications_ended";
    /// A connection was deleted.
    ConnectionDeleted "connection.deleted";
    /// A run was started by request: over files that exist, as a fork, as a preview, or with a definition of its own.
    RunStarted "run.started";
    /// A run was cancelled.
    RunCancelled "run.cancelled";
    /// Failed items of a run were put back into the queue.
    RunRetried "run.retried";
    /// Failed items of many runs were put back into the queue.
    ItemsRetried "items.retried";
    /// An operator replaced the keys that sign access tokens.
    InstallationKeysAdopted "installation.keys_adopted";
}

impl Action {
    /// The kind of the object: the part of the name before the dot. A rejected login has no session, so its object is the
    /// account.
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

/// No action has this name.
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
    fn action_names_are_unique_and_parse_back() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(action.name().parse::<Action>().unwrap(), *action);
            assert_eq!(action.name().split('.').count(), 2, "{action}");
        }
        assert!("file.painted".parse::<Action>().is_err());
    }
}
