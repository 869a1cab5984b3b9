//! `mail.send`: sends a mail, or finds that its address gets none.

use std::{error::Error, time::Duration};

use nvisy_shared::{
    clock,
    crypt::{
        invite_code,
        token::{self, TokenKind},
    },
    domain::{activity::Action, failure::Failure, mail::MailKind},
    id::MailId,
    job::SendMail,
    secret::Secret,
    store::{
        self,
        activity::{ACCOUNT_CHAIN, AuditEntry},
        change::Change,
        job::Claim,
        mail::PendingMail,
    },
};
use serde_json::json;

use crate::{
    context::Context,
    mail::{MailTemplate, SendError},
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
};

/// Bounds of the wait between two attempts to reach the mail server, which is half of the time that the mail has waited.
const MIN_RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);
/// Every member may invite any address, so a mailbox gets at most one invite in this time.
const INVITE_INTERVAL: Duration = Duration::from_secs(60);

impl Handler for SendMail {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let found = store::mail::find(&cx.db, self.mail).await?.ok_or(JobError::Obsolete)?;
        let Some(template) = template(cx, &found).await? else { return discard(cx, claim, self.mail).await };
        if found.rate_limited && matches!(template, MailTemplate::Invite(_)) {
            return Err(JobError::Snooze {
                what: "the address was sent an invite less than a minute ago",
                delay: INVITE_INTERVAL,
                source: None,
            });
        }
        let mailer = cx.mailer.as_ref();
        let mailer = mailer
            .ok_or_else(|| JobError::retry("no mail can be sent")("NVISY_SMTP_URL is not set for this worker"))?;
        let token = token(cx, &template, &found);
        let hash = hash(&template, &token);
        let hash = hash.ok_or_else(|| JobError::retry("a link has no token")("a generated token has no hash"))?;
        // Stored before the mail is sent, so that the link is valid as soon as it arrives. A mail without a link gets a hash as well
        // and is kept, because the limits on repeated mails count it.
        write_in_tx(cx, claim, || {
            async |change| {
                store::mail::set_link_hash(change, self.mail, &hash).await?;
                audit_password_reset(change, &template, &found).await
            }
        })
        .await?;
        match mailer.send(&found.mail.email, &template, &token).await {
            Ok(()) => complete_in_tx(cx, claim, || async |_| Ok(())).await,
            Err(error @ SendError::Rejected(_)) => {
                tracing::warn!(mail.id = %self.mail, error = &error as &dyn Error, "a mail cannot be delivered");
                discard(cx, claim, self.mail).await
            }
            // Retried until the link in the mail expires, after which the mail is no longer found.
            Err(error @ SendError::Unreachable(_)) => {
                let waited = (clock::now() - found.mail.created_at).to_std().unwrap_or_default();
                let delay = (waited / 2).clamp(MIN_RETRY_DELAY, MAX_RETRY_DELAY);
                Err(JobError::Snooze { what: "a mail was not sent", delay, source: Some(error.into()) })
            }
        }
    }

    async fn give_up(&self, change: &mut Change, _: &Claim, _: &Failure) -> Result<(), JobError> {
        Ok(store::mail::delete(change, self.mail).await?)
    }
}

/// Completes the job and removes the mail.
async fn discard(cx: &Context, claim: &Claim, mail: MailId) -> Result<(), JobError> {
    complete_in_tx(cx, claim, || async |change| Ok(store::mail::delete(change, mail).await?)).await
}

/// Records in the activity log that a link resets the password. The request cannot record it, because only this job finds out
/// whether an account has the address. Records once, however often the mail is retried.
async fn audit_password_reset(
    change: &mut Change,
    template: &MailTemplate,
    found: &PendingMail,
) -> Result<(), JobError> {
    if !matches!(template, MailTemplate::PasswordReset) || found.mail.hash.is_some() {
        return Ok(());
    }
    if let Some(owner) = store::account::by_email(change.tx(), &found.mail.email).await? {
        change.audit_in(ACCOUNT_CHAIN, AuditEntry::new(Action::AccountResetAsked, owner.id, json!({})));
    }
    Ok(())
}

/// The token of the link. For an invite it is the code that the API would also return to the inviter.
fn token(cx: &Context, template: &MailTemplate, found: &PendingMail) -> Secret<String> {
    match (template, found.mail.workspace_id.zip(found.mail.invite_id)) {
        (MailTemplate::Invite(_), Some((workspace, id))) => cx.invite_codes.invite(workspace, id),
        _ => token::generate(TokenKind::Mail),
    }
}

fn hash(template: &MailTemplate, token: &Secret<String>) -> Option<[u8; 32]> {
    match template {
        MailTemplate::Invite(_) => invite_code::hash(token),
        _ => token::hash(TokenKind::Mail, token.expose()),
    }
}

/// The template for the address, if it gets a mail. The response to the request does not depend on it.
async fn template(cx: &Context, found: &PendingMail) -> Result<Option<MailTemplate>, JobError> {
    let owner = store::account::by_email(&cx.db, &found.mail.email).await?.map(|account| account.id);
    Ok(match found.mail.kind {
        MailKind::EmailChanged => Some(MailTemplate::EmailChanged),
        MailKind::CodesRefused => Some(MailTemplate::CodesRefused),
        // The same mail whether or not the address has an account; none for an invite that was withdrawn meanwhile.
        MailKind::Invite => match found.mail.workspace_id.zip(found.mail.invite_id) {
            Some((workspace, invite)) => {
                store::invite::find_summary(&cx.db, workspace, invite).await?.map(MailTemplate::Invite)
            }
            None => None,
        },
        // Repeated requests cannot flood a mailbox.
        _ if found.duplicate => None,
        MailKind::SignUp if owner.is_some() => Some(MailTemplate::AccountExists),
        MailKind::SignUp => Some(MailTemplate::SignUp),
        MailKind::PasswordReset => owner.is_some().then_some(MailTemplate::PasswordReset),
        MailKind::EmailVerification => {
            (owner.is_some() && owner == found.mail.account_id).then_some(MailTemplate::EmailVerification)
        }
        MailKind::EmailChange => owner.is_none().then_some(MailTemplate::EmailChange),
    })
}
