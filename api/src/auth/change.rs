//! The scopes of changes: who makes them, and where they are recorded.

use nvisy_shared::{
    domain::activity::Actor,
    platform::Platform,
    store::{
        activity::{ACCOUNT_CHAIN, AuditEntry},
        change::ChangeScope,
    },
};

use super::{account::CurrentAccount, member::Member};
use crate::{
    http::client_info::ClientInfo,
    problem::{Code, Problem},
};

/// The scope of changes of accounts and of their sessions, tokens and factors.
pub fn account_changes<'a>(platform: &'a Platform, client: &ClientInfo, actor: Actor) -> ChangeScope<'a> {
    ChangeScope::new(&platform.db, &platform.audit_keys, ACCOUNT_CHAIN, client.actor_context(actor))
}

impl CurrentAccount {
    /// The scope of the caller's changes of their own account.
    pub fn changes<'a>(&self, platform: &'a Platform, client: &ClientInfo) -> ChangeScope<'a> {
        account_changes(platform, client, self.actor())
    }
}

impl<P> Member<P> {
    /// The scope of the caller's changes in the workspace.
    pub fn changes<'a>(&self, platform: &'a Platform, client: &ClientInfo) -> ChangeScope<'a> {
        ChangeScope::new(&platform.db, &platform.audit_keys, self.workspace, client.actor_context(self.actor()))
    }

    /// If the result is 403, records in a change of its own that a member attempted more than their role allows.
    pub async fn record_denied<T>(
        &self,
        platform: &Platform,
        client: &ClientInfo,
        attempt: AuditEntry,
        result: Result<T, Problem>,
    ) -> Result<T, Problem> {
        if result.as_ref().is_err_and(|problem| problem.is(Code::Forbidden)) {
            let changes = self.changes(platform, client);
            changes
                .run(async |change| {
                    change.audit_entry(attempt.clone());
                    Ok::<_, Problem>(())
                })
                .await?;
        }
        result
    }
}
