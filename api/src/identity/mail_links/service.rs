//! Queuing links by mail, and using them.

use nvisy_shared::{
    domain::{
        activity::{Action, Actor},
        mail::MailKind,
    },
    secret::Secret,
    store::{self, TransactionTrait, Tx, activity::AuditEntry, mail::NewMail},
};
use serde_json::json;

use crate::{
    auth::{account::SignedIn, audit, password::check_strength},
    http::client_info::ClientInfo,
    mailer::invalid_link,
    problem::Problem,
    state::State,
};

/// Queues a link that resets the password of the (normalized) address, if an account has it.
pub async fn send_password_reset(state: &State, tx: &Tx, email: &str) -> Result<(), Problem> {
    let (kind, life) = (MailKind::PasswordReset, state.mailer.link_lifetime());
    state.mailer.send(tx, NewMail { kind, email, account: None, sign_up: None, invite: None, lifetime: life }).await
}

/// Sets a new password with a link. The account may have been taken over: all sessions and API tokens end.
pub async fn reset_password(
    state: &State,
    client: &ClientInfo,
    link_hash: &[u8; 32],
    new_password: Secret<String>,
) -> Result<(), Problem> {
    // Before the slow hash, so that a guessed token costs little; consuming the link below decides.
    let link = store::mail::find_link(&state.platform.db, MailKind::PasswordReset, link_hash).await?;
    let link = link.ok_or_else(invalid_link)?;
    check_strength("newPassword", &new_password, &[&link.email]).await?;
    let password_hash = state.authenticator.passwords.hash(new_password).await?;
    let tx = state.platform.db.begin().await?;
    let mail = store::mail::consume_link(&tx, MailKind::PasswordReset, link_hash).await?.ok_or_else(invalid_link)?;
    let account = store::account::by_email(&tx, &mail.email).await?.ok_or_else(invalid_link)?;
    // If the account has changed its address since the lookup, this mailbox no longer controls its password.
    if !store::account::verify_email(&tx, account.id, &account.email).await? {
        return Err(invalid_link());
    }
    store::account::set_password(&tx, account.id, &password_hash).await?;
    store::session::end_all(&tx, account.id, None).await?;
    let tokens = store::api_token::revoke_all(&tx, account.id).await?;
    let reset = AuditEntry::new(Action::AccountPasswordReset, account.id.0, json!({}));
    let revoked = |token| AuditEntry::new(Action::TokenRevoked, token, json!({ "reason": "reset" }));
    let revoked = tokens.into_iter().map(|token| revoked(token.0));
    let entries: Vec<AuditEntry> = [reset].into_iter().chain(revoked).collect();
    audit::record_all(&state.platform, &tx, &client.actor_context(Actor::Account(account.id)), &entries).await?;
    tx.commit().await?;
    Ok(())
}

/// Queues a link that changes the account's address to this (normalized) one.
pub async fn send_email_change(
    state: &State,
    tx: &Tx,
    account: &SignedIn,
    client: &ClientInfo,
    email: &str,
) -> Result<(), Problem> {
    account.lock(tx).await?;
    send_link(state, tx, account, client, MailKind::EmailChange, email).await
}

/// Queues a link that verifies the account's address.
pub async fn send_email_verification(
    state: &State,
    tx: &Tx,
    account: &SignedIn,
    client: &ClientInfo,
) -> Result<(), Problem> {
    send_link(state, tx, account, client, MailKind::EmailVerification, &account.email).await
}

async fn send_link(
    state: &State,
    tx: &Tx,
    account: &SignedIn,
    client: &ClientInfo,
    kind: MailKind,
    email: &str,
) -> Result<(), Problem> {
    let life = state.mailer.link_lifetime();
    let mail = NewMail { kind, email, account: Some(account.id), sign_up: None, invite: None, lifetime: life };
    state.mailer.send(tx, mail).await?;
    audit::record(&state.platform, tx, &client.actor_context(account.actor()), Action::AccountMailAsked, account.id.0)
        .await
}

/// Changes or verifies an address with a link.
pub async fn confirm_email(state: &State, client: &ClientInfo, link_hash: &[u8; 32]) -> Result<(), Problem> {
    let tx = state.platform.db.begin().await?;
    let change = store::mail::consume_link(&tx, MailKind::EmailChange, link_hash).await?;
    let (mail, action) = match change {
        Some(mail) => (mail, Action::AccountEmailChanged),
        None => {
            let verification = store::mail::consume_link(&tx, MailKind::EmailVerification, link_hash).await?;
            (verification.ok_or_else(invalid_link)?, Action::AccountEmailVerified)
        }
    };
    let account = mail.account_id.ok_or_else(invalid_link)?;
    match mail.kind {
        MailKind::EmailChange => {
            let former = store::account::change_email(&tx, account, &mail.email).await?.ok_or_else(invalid_link)?;
            // The former mailbox is notified: its reader may not have made the change.
            state.mailer.notify(&tx, MailKind::EmailChanged, &former).await?;
        }
        _ if !store::account::verify_email(&tx, account, &mail.email).await? => return Err(invalid_link()),
        _ => {}
    }
    audit::record(&state.platform, &tx, &client.actor_context(Actor::Account(account)), action, account.0).await?;
    tx.commit().await?;
    Ok(())
}
