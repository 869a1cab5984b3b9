//! `mail.send`: a mail on its way to somebody, or to nobody.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use nvisy_shared::{
    clock,
    crypt::opaque::{self, Kind},
    domain::{failure::Failure, mail::MailKind},
    id::MailId,
    job::SendMail,
    store::{self, Tx, job::Claim, mail::Addressed},
};

use crate::{
    context::Context,
    mail::{Letter, SendError},
    runner::{Handler, JobError, begin, settle},
};

/// Between two tries to reach the mail server: half of the time that the mail has waited, within these.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

#[async_trait]
impl Handler for SendMail {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let found = store::mail::find(&cx.db, self.mail).await?.ok_or(JobError::Gone)?;
        let Some(letter) = letter(&found) else { return forget(cx, claim, self.mail).await };
        let mailer = cx.mailer.as_ref();
        let mailer = mailer.ok_or_else(|| JobError::retry("no mail can be sent")("NVISY_SMTP_URL is not set here"))?;
        let token = match letter {
            Letter::Link(_) => Some(opaque::generate(Kind::Mail)),
            Letter::Known => None,
        };
        if let Some(token) = &token {
            let hash = opaque::hash(Kind::Mail, token.expose());
            let hash = hash.ok_or_else(|| JobError::retry("a link has no token")("a token of ours has no hash"))?;
            // Before it is sent: who is quick with the link must find it good.
            begin(&cx.db, claim, async |tx| Ok(store::mail::set_hash(tx, self.mail, &hash).await?)).await?;
        }
        match mailer.send(&found.mail.email, letter, token.as_ref()).await {
            Ok(()) if token.is_some() => settle(&cx.db, claim, async |_| Ok(())).await,
            Ok(()) => forget(cx, claim, self.mail).await,
            Err(error @ SendError::Refused(_)) => {
                tracing::warn!(mail.id = %self.mail, error = &error as &dyn Error, "a mail cannot be delivered");
                forget(cx, claim, self.mail).await
            }
            // Until the link in it has expired: then it is not found any more.
            Err(error @ SendError::Unreachable(_)) => {
                let waited = (clock::now() - found.mail.created_at).to_std().unwrap_or_default();
                let delay = (waited / 2).clamp(SHORTEST_WAIT, LONGEST_WAIT);
                Err(JobError::Away { what: "a mail was not sent", delay, source: error.into() })
            }
        }
    }

    async fn give_up(&self, tx: &Tx, _: &Claim, _: &Failure) -> Result<(), JobError> {
        Ok(store::mail::remove(tx, self.mail).await?)
    }
}

/// Ends the job, and the mail with it.
async fn forget(cx: &Context, claim: &Claim, mail: MailId) -> Result<(), JobError> {
    settle(&cx.db, claim, async |tx| Ok(store::mail::remove(tx, mail).await?)).await
}

/// What to write to the address, if anything. Whoever asked learns nothing of it.
fn letter(found: &Addressed) -> Option<Letter> {
    let kind = found.mail.kind;
    let link = Some(Letter::Link(kind));
    match kind {
        MailKind::SignUp if found.owner.is_some() => Some(Letter::Known),
        MailKind::SignUp => link,
        // Nobody's mailbox is filled by asking again and again.
        MailKind::PasswordReset => link.filter(|_| found.owner.is_some() && !found.repeated),
        MailKind::EmailVerification => link.filter(|_| found.owner.is_some() && found.owner == found.mail.account_id),
        MailKind::EmailChange => link.filter(|_| found.owner.is_none()),
    }
}
