//! Queuing links by mail, and using them.

use nvisy_shared::{
    domain::{
        activity::{Action, Actor},
        mail::MailKind,
    },
    secret::Secret,
    store::{self, Tx, change::Change, mail::NewMail},
};
use serde_json::json;

use crate::{
    auth::{account::SignedIn, change::account_changes, password::check_strength},
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
    let changes = account_changes(&state.platform, client, Actor::System);
    changes
        .run(async |change| {
            let mail = store::mail::consume_link(change, MailKind::PasswordReset, link_hash).await?;
            let mail = mail.ok_or_else(invalid_link)?;
            let account = store::account::by_email(change.tx(), &mail.email).await?.ok_or_else(invalid_link)?;
            // If the account has changed its address since the lookup, this mailbox no longer controls its password.
            if !store::account::verify_email(change, account.id, &account.email).await? {
                return Err(invalid_link());
            }
            store::account::set_password(change, account.id, &password_hash).await?;
            store::session::end_all(change, account.id, None).await?;
            change.set_actor(Actor::Account(account.id));
            change.audit(Action::AccountPasswordReset, account.id);
            for token in store::api_token::revoke_all(change, account.id).await? {
                change.audit_with(Action::TokenRevoked, token, json!({ "reason": "reset" }));
            }
            Ok(())
        })
        .await
}

/// Queues a link that changes the account's address to this (normalized) one.
pub async fn send_email_change(
    state: &State,
    change: &mut Change,
    account: &SignedIn,
    email: &str,
) -> Result<(), Problem> {
    account.lock(change).await?;
    send_link(state, change, account, MailKind::EmailChange, email).await
}

/// Queues a link that verifies the account's address.
pub async fn send_email_verification(state: &State, change: &mut Change, account: &SignedIn) -> Result<(), Problem> {
    send_link(state, change, account, MailKind::EmailVerification, &account.email).await
}

async fn send_link(
    state: &State,
    change: &mut Change,
    account: &SignedIn,
    kind: MailKind,
    email: &str,
) -> Result<(), Problem> {
    let life = state.mailer.link_lifetime();
    let mail = NewMail { kind, email, account: Some(account.id), sign_up: None, invite: None, lifetime: life };
    state.mailer.send(change, mail).await?;
    change.audit(Action::AccountMailAsked, account.id);
    Ok(())
}

/// Changes or verifies an address with a link.
pub async fn confirm_email(state: &State, client: &ClientInfo, link_hash: &[u8; 32]) -> Result<(), Problem> {
    let changes = account_changes(&state.platform, client, Actor::System);
    changes.run(async |change| use_email_link(change, state, link_hash).await).await
}

async fn use_email_link(change: &mut Change, state: &State, link_hash: &[u8; 32]) -> Result<(), Problem> {
    let email_change = store::mail::consume_link(change, MailKind::EmailChange, link_hash).await?;
    let (mail, action) = match email_change {
        Some(mail) => (mail, Action::AccountEmailChanged),
        None => {
            let verification = store::mail::consume_link(change, MailKind::EmailVerification, link_hash).await?;
            (verification.ok_or_else(invalid_link)?, Action::AccountEmailVerified)
        }
    };
    let account = mail.account_id.ok_or_else(invalid_link)?;
    match mail.kind {
        MailKind::EmailChange => {
            let former = store::account::change_email(change, account, &mail.email).await?.ok_or_else(invalid_link)?;
            // The former mailbox is notified: its reader may not have made the change.
            state.mailer.notify(change, MailKind::EmailChanged, &former).await?;
        }
        _ if !store::account::verify_email(change, account, &mail.email).await? => return Err(invalid_link()),
        _ => {}
    }
    change.set_actor(Actor::Account(account));
    change.audit(action, account);
    Ok(())
}
