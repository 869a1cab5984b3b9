//! Asking for mail, and using the links in it.

use std::time::Duration;

use nvisy_shared::{
    crypt::token::{self, TokenKind},
    domain::{
        account::normalise_email,
        activity::{Action, Actor},
        mail::MailKind,
    },
    id::WorkspaceId,
    job::SendMail,
    queue::outbox,
    secret::Secret,
    store::{self, TransactionTrait, Tx, account::NewAccount, activity::AuditEntry, mail::NewMail},
};
use serde_json::json;

use super::wire::{ChangeEmail, ConfirmSignUp, Mailed, ResetPassword};
use crate::{
    auth::{account::SignedIn, audit, password::check_strength},
    http::{
        client_info::Origin,
        idempotency::{IdempotencyKey, idempotent},
        rate_limit,
        status_json::{Accept, Created, Deleted},
    },
    identity::accounts::{service::told_apart, wire::Account},
    problem::{Code, Problem},
    state::State,
};

/// How long a notice is worth sending.
const NOTICE: Duration = Duration::from_secs(24 * 3600);

/// Fails where no mail can be sent.
pub fn wanted(state: &State) -> Result<(), Problem> {
    let there = state.platform.config.smtp.server().is_some();
    if there { Ok(()) } else { Err(Problem::new(Code::MailNotConfigured)) }
}

/// How long links are good.
pub fn life(state: &State) -> Duration {
    Duration::from_secs(state.platform.config.smtp.link_seconds)
}

/// Has a mail sent when the transaction commits.
pub async fn send(tx: &Tx, mail: NewMail<'_>) -> Result<(), Problem> {
    let mail = store::mail::insert(tx, mail).await?;
    outbox::enqueue(tx, WorkspaceId::SYSTEM, &SendMail { mail }).await?;
    Ok(())
}

/// Has somebody told what has happened to their account, where mail can be sent.
pub async fn notify(state: &State, tx: &Tx, kind: MailKind, email: &str) -> Result<(), Problem> {
    if wanted(state).is_err() {
        return Ok(());
    }
    // Not the account's own: what it has asked for may become void, what it is told may not.
    send(tx, NewMail { kind, email, account: None, sign_up: None, invite: None, life: NOTICE }).await
}

pub async fn confirm_sign_up(
    state: &State,
    key: IdempotencyKey,
    origin: &Origin,
    body: ConfirmSignUp,
) -> Result<Created<Account>, Problem> {
    let hash = hash(&body.token)?;
    // A random token's hash tells nothing, unlike a password's; the mail has it, too.
    let once = key.once("confirmSignUp", None, &(hash, told_apart(state, &body.password)));
    // Whoever asked has chosen the password, whoever reads the mailbox has the link: only both together are one person.
    if let Some(link) = store::mail::find_link(&state.platform.db, MailKind::SignUp, &hash).await? {
        let attempt = rate_limit::attempt(state, origin, &link.email).await?;
        if !state.passwords.verify(body.password, link.password_hash.map(Secret::new)).await? {
            return Err(refused());
        }
        attempt.succeeded().await;
    }
    idempotent(&state.platform.db, once, async |tx| {
        let mail = store::mail::take(tx, MailKind::SignUp, &hash).await?.ok_or_else(refused)?;
        let (display_name, password_hash) = mail.display_name.zip(mail.password_hash).ok_or_else(refused)?;
        let password_hash = Secret::new(password_hash);
        let account = NewAccount { email: &mail.email, display_name: &display_name, password_hash: &password_hash };
        let account = store::account::insert(tx, account).await?.ok_or_else(refused)?;
        store::account::verify_email(tx, account.id, &mail.email).await?;
        // What others asked for under this address is void.
        store::mail::take_all(tx, MailKind::SignUp, &mail.email).await?;
        let by = origin.by(Actor::Account(account.id));
        audit::note(state, tx, &by, Action::AccountSignedUp, account.id.0).await?;
        Ok(Account { email_verified: true, ..account.into() })
    })
    .await
}

pub async fn forgotten(
    state: &State,
    key: IdempotencyKey,
    origin: &Origin,
    email: &str,
) -> Result<Accept<Mailed>, Problem> {
    wanted(state)?;
    let email = normalise_email(email);
    rate_limit::mailbox(state, origin, &email).await?;
    let once = key.once("forgotPassword", None, &email);
    idempotent(&state.platform.db, once, async |tx| {
        let mail = NewMail {
            kind: MailKind::PasswordReset,
            email: &email,
            account: None,
            sign_up: None,
            invite: None,
            life: life(state),
        };
        send(tx, mail).await?;
        Ok(Mailed { email: email.clone() })
    })
    .await
}

pub async fn reset(state: &State, origin: &Origin, body: ResetPassword) -> Result<Deleted, Problem> {
    let hash = hash(&body.token)?;
    // Before the slow hash, so that guessing at tokens is cheap for us; it counts once it is taken.
    let link = store::mail::find_link(&state.platform.db, MailKind::PasswordReset, &hash).await?;
    let link = link.ok_or_else(refused)?;
    check_strength("newPassword", &body.new_password, &[&link.email]).await?;
    let password_hash = state.passwords.hash(body.new_password).await?;
    let tx = state.platform.db.begin().await?;
    let mail = store::mail::take(&tx, MailKind::PasswordReset, &hash).await?.ok_or_else(refused)?;
    let account = store::account::by_email(&tx, &mail.email).await?.ok_or_else(refused)?;
    // The account may have changed its address since it was looked up: then its password is not this mailbox's any more.
    if !store::account::verify_email(&tx, account.id, &account.email).await? {
        return Err(refused());
    }
    store::account::set_password(&tx, account.id, &password_hash).await?;
    // Whoever needs this may have lost the account to somebody: nothing that opened it does any more.
    store::session::end_all(&tx, account.id, None).await?;
    let tokens = store::api_token::revoke_all(&tx, account.id).await?;
    let reset = AuditEntry::new(Action::AccountPasswordReset, account.id.0, json!({}));
    let revoked =
        tokens.into_iter().map(|token| AuditEntry::new(Action::TokenRevoked, token.0, json!({ "reason": "reset" })));
    let acts: Vec<AuditEntry> = [reset].into_iter().chain(revoked).collect();
    audit::write(state, &tx, &origin.by(Actor::Account(account.id)), &acts).await?;
    tx.commit().await?;
    Ok(Deleted)
}

pub async fn change_email(
    state: &State,
    account: &SignedIn,
    key: IdempotencyKey,
    origin: &Origin,
    body: ChangeEmail,
) -> Result<Accept<Mailed>, Problem> {
    wanted(state)?;
    let email = normalise_email(&body.email);
    rate_limit::mailbox(state, origin, &email).await?;
    account.reauthenticate(state, origin, body.password).await?;
    let once = key.once("changeEmail", Some(account.id), &email);
    idempotent(&state.platform.db, once, async |tx| {
        account.lock(tx).await?;
        ask(state, tx, account, origin, MailKind::EmailChange, &email).await
    })
    .await
}

pub async fn verify_email(
    state: &State,
    account: &SignedIn,
    key: IdempotencyKey,
    origin: &Origin,
) -> Result<Accept<Mailed>, Problem> {
    wanted(state)?;
    rate_limit::mailbox(state, origin, &account.email).await?;
    let once = key.once("verifyEmail", Some(account.id), &account.email);
    idempotent(&state.platform.db, once, async |tx| {
        ask(state, tx, account, origin, MailKind::EmailVerification, &account.email).await
    })
    .await
}

/// Has a link sent to an address that the account has or wants.
async fn ask(
    state: &State,
    tx: &Tx,
    account: &SignedIn,
    origin: &Origin,
    kind: MailKind,
    email: &str,
) -> Result<Mailed, Problem> {
    send(tx, NewMail { kind, email, account: Some(account.id), sign_up: None, invite: None, life: life(state) })
        .await?;
    audit::note(state, tx, &origin.by(account.actor()), Action::AccountMailAsked, account.id.0).await?;
    Ok(Mailed { email: email.to_owned() })
}

pub async fn confirm_email(state: &State, origin: &Origin, token: &Secret<String>) -> Result<Deleted, Problem> {
    let hash = hash(token)?;
    let tx = state.platform.db.begin().await?;
    let changes = store::mail::take(&tx, MailKind::EmailChange, &hash).await?;
    let (mail, action) = match changes {
        Some(mail) => (mail, Action::AccountEmailChanged),
        None => {
            let verifies = store::mail::take(&tx, MailKind::EmailVerification, &hash).await?;
            (verifies.ok_or_else(refused)?, Action::AccountEmailVerified)
        }
    };
    let account = mail.account_id.ok_or_else(refused)?;
    match mail.kind {
        MailKind::EmailChange => {
            let former = store::account::change_email(&tx, account, &mail.email).await?.ok_or_else(refused)?;
            // Whoever reads the former mailbox learns of it, for it may not have been they.
            notify(state, &tx, MailKind::EmailChanged, &former).await?;
        }
        _ if !store::account::verify_email(&tx, account, &mail.email).await? => return Err(refused()),
        _ => {}
    }
    audit::note(state, &tx, &origin.by(Actor::Account(account)), action, account.0).await?;
    tx.commit().await?;
    Ok(Deleted)
}

fn hash(token: &Secret<String>) -> Result<[u8; 32], Problem> {
    token::hash(TokenKind::Mail, token.expose()).ok_or_else(refused)
}

fn refused() -> Problem {
    Problem::new(Code::LinkRefused)
}
