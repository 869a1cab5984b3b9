//! `mail.send`: a mail on its way to somebody, or to nobody.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
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
        self, Tx,
        activity::{self, ActorContext, AuditEntry},
        job::Claim,
        mail::Addressed,
    },
};
use serde_json::json;

use crate::{
    context::Context,
    mail::{MailTemplate, SendError},
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
};

/// Between two tries to reach the mail server: half of the time that the mail has waited, within these.
const MIN_RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);
/// Every member may invite any address, so a mailbox gets at most one invite in this time.
const INVITE_INTERVAL: Duration = Duration::from_secs(60);

#[async_trait]
impl Handler for SendMail {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let found = store::mail::find(&cx.db, self.mail).await?.ok_or(JobError::Obsolete)?;
        let Some(template) = template(cx, &found).await? else { return forget(cx, claim, self.mail).await };
        if found.crowded && matches!(template, MailTemplate::Invite(_)) {
            return Err(JobError::Snooze {
                what: "the address was sent an invite less than a minute ago",
                delay: INVITE_INTERVAL,
                source: None,
            });
        }
        let mailer = cx.mailer.as_ref();
        let mailer = mailer.ok_or_else(|| JobError::retry("no mail can be sent")("NVISY_SMTP_URL is not set here"))?;
        let token = token(cx, &template, &found);
        let hash = hash(&template, &token);
        let hash = hash.ok_or_else(|| JobError::retry("a link has no token")("a token of ours has no hash"))?;
        // Before it is sent: who is quick with the link must find it good. A template without a link is marked as well, and
        // kept: the next of its kind knows of it.
        write_in_tx(&cx.db, claim, async |tx| {
            store::mail::set_hash(tx, self.mail, &hash).await?;
            note(cx, tx, &template, &found).await
        })
        .await?;
        match mailer.send(&found.mail.email, &template, &token).await {
            Ok(()) => complete_in_tx(&cx.db, claim, async |_| Ok(())).await,
            Err(error @ SendError::Rejected(_)) => {
                tracing::warn!(mail.id = %self.mail, error = &error as &dyn Error, "a mail cannot be delivered");
                forget(cx, claim, self.mail).await
            }
            // Until the link in it has expired: then it is not found any more.
            Err(error @ SendError::Unreachable(_)) => {
                let waited = (clock::now() - found.mail.created_at).to_std().unwrap_or_default();
                let delay = (waited / 2).clamp(MIN_RETRY_DELAY, MAX_RETRY_DELAY);
                Err(JobError::Snooze { what: "a mail was not sent", delay, source: Some(error.into()) })
            }
        }
    }

    async fn give_up(&self, tx: &Tx, _: &Claim, _: &Failure) -> Result<(), JobError> {
        Ok(store::mail::remove(tx, self.mail).await?)
    }
}

/// Ends the job, and the mail with it.
async fn forget(cx: &Context, claim: &Claim, mail: MailId) -> Result<(), JobError> {
    complete_in_tx(&cx.db, claim, async |tx| Ok(store::mail::remove(tx, mail).await?)).await
}

/// Writes down that the password can be set anew by a link. Not the request that asked: whether somebody has the address is
/// found out here. Once, however often it is tried to send.
async fn note(cx: &Context, tx: &Tx, template: &MailTemplate, found: &Addressed) -> Result<(), JobError> {
    if !matches!(template, MailTemplate::PasswordReset) || found.mail.hash.is_some() {
        return Ok(());
    }
    let Some(owner) = store::account::by_email(tx, &found.mail.email).await? else { return Ok(()) };
    let act = AuditEntry::new(Action::AccountResetAsked, owner.id.0, json!({}));
    Ok(activity::append(tx, &cx.audit_keys, activity::ACCOUNT_CHAIN, &ActorContext::system(), &[act]).await?)
}

/// What opens what the template is about. An invite's code is the one that its maker would have been given.
fn token(cx: &Context, template: &MailTemplate, found: &Addressed) -> Secret<String> {
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

/// What to write to the address, if anything. Whoever asked learns nothing of it.
async fn template(cx: &Context, found: &Addressed) -> Result<Option<MailTemplate>, JobError> {
    let owner = store::account::by_email(&cx.db, &found.mail.email).await?.map(|account| account.id);
    Ok(match found.mail.kind {
        MailKind::EmailChanged => Some(MailTemplate::EmailChanged),
        MailKind::CodesRefused => Some(MailTemplate::CodesRefused),
        // The same template whether or not the address has an account; none for an invite that was taken back meanwhile.
        MailKind::Invite => match found.mail.workspace_id.zip(found.mail.invite_id) {
            Some((workspace, invite)) => {
                store::invite::invitation(&cx.db, workspace, invite).await?.map(MailTemplate::Invite)
            }
            None => None,
        },
        // Nobody's mailbox is filled by asking again and again.
        _ if found.repeated => None,
        MailKind::SignUp if owner.is_some() => Some(MailTemplate::AccountExists),
        MailKind::SignUp => Some(MailTemplate::SignUp),
        MailKind::PasswordReset => owner.is_some().then_some(MailTemplate::PasswordReset),
        MailKind::EmailVerification => {
            (owner.is_some() && owner == found.mail.account_id).then_some(MailTemplate::EmailVerification)
        }
        MailKind::EmailChange => owner.is_none().then_some(MailTemplate::EmailChange),
    })
}
