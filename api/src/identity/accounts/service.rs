//! The steps of signing up, changing an account, and deleting it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nvisy_shared::{
    domain::{
        activity::{Action, Actor},
        mail::MailKind,
    },
    entity::account::Model,
    secret::Secret,
    store::{
        self, TransactionTrait, Tx,
        account::NewAccount,
        activity::{self, AuditEntry},
        mail::NewMail,
    },
};
use serde::Serialize;

use super::sign_up_policy::SignUpPermit;
use crate::{
    auth::{
        account::SignedIn,
        audit,
        password::{self, check_strength},
    },
    http::client_info::ClientInfo,
    mailer::invalid_link,
    problem::{Code, Problem},
    state::State,
};

/// A request for a new account.
#[derive(Debug)]
pub struct SignUpCommand {
    /// Normalized.
    pub email: String,
    pub password: Secret<String>,
    pub display_name: String,
    pub invite_code: Option<Secret<String>>,
}

/// A permitted sign-up with a hashed password: a transaction must not wait for the slow hash.
#[derive(Debug)]
pub struct PreparedSignUp {
    email: String,
    display_name: String,
    password_hash: Secret<String>,
    password_fingerprint: String,
    permit: SignUpPermit,
}

impl PreparedSignUp {
    pub async fn new(state: &State, client: &ClientInfo, command: SignUpCommand) -> Result<Self, Problem> {
        let SignUpCommand { email, password, display_name, invite_code } = command;
        state.limiter.count_mailbox(client, &email).await?;
        let permit = SignUpPermit::from_code(state, invite_code.as_ref())?;
        check_strength("password", &password, &[&email, &display_name]).await?;
        let password_fingerprint = password::fingerprint(&state.platform.keys, &password);
        let password_hash = state.authenticator.passwords.hash(password).await?;
        Ok(Self { email, display_name, password_hash, password_fingerprint, permit })
    }

    /// The content that distinguishes this sign-up from others.
    pub fn content(&self) -> impl Serialize + '_ {
        (&self.email, &self.display_name, &self.password_fingerprint, self.permit.fingerprint())
    }

    pub fn email(&self) -> &str {
        &self.email
    }

    /// Where mail is configured: queues a link, for every address alike. Only the reader of the mailbox learns whether the
    /// address has an account, or creates one.
    pub async fn send_link(&self, state: &State, tx: &Tx) -> Result<(), Problem> {
        self.permit.check(tx, &self.email).await?;
        let mail = NewMail {
            kind: MailKind::SignUp,
            email: &self.email,
            account: None,
            sign_up: Some((&self.display_name, &self.password_hash)),
            invite: None,
            lifetime: state.mailer.link_lifetime(),
        };
        state.mailer.send(tx, mail).await
    }

    /// Without mail: creates the account at once. Where every address may sign up, the response shows that one is taken.
    pub async fn create(&self, state: &State, tx: &Tx, client: &ClientInfo) -> Result<Model, Problem> {
        self.permit.check(tx, &self.email).await?;
        let account =
            NewAccount { email: &self.email, display_name: &self.display_name, password_hash: &self.password_hash };
        let account = store::account::insert(tx, account).await?.ok_or_else(|| self.permit.address_taken())?;
        let context = client.actor_context(Actor::Account(account.id));
        audit::record(&state.platform, tx, &context, Action::AccountSignedUp, account.id.0).await?;
        Ok(account)
    }
}

/// Verifies the password of a sign-up's link. The sign-up chose the password and the reader of the mailbox has the link:
/// only both together prove that they are the same person.
pub async fn verify_sign_up_password(
    state: &State,
    client: &ClientInfo,
    link_hash: &[u8; 32],
    password: Secret<String>,
) -> Result<(), Problem> {
    let link = store::mail::find_link(&state.platform.db, MailKind::SignUp, link_hash).await?;
    // A link that was used before is left to the idempotency key.
    let Some(link) = link else { return Ok(()) };
    let attempt = state.limiter.attempt(client, &link.email).await?;
    let hash = link.password_hash.map(Secret::new);
    if !state.authenticator.passwords.verify(password, hash).await? {
        return Err(invalid_link());
    }
    attempt.succeeded().await;
    Ok(())
}

/// Uses a sign-up's link up and creates the account, with a verified address.
pub async fn confirm_sign_up(
    state: &State,
    tx: &Tx,
    client: &ClientInfo,
    link_hash: &[u8; 32],
) -> Result<Model, Problem> {
    let mail = store::mail::consume_link(tx, MailKind::SignUp, link_hash).await?.ok_or_else(invalid_link)?;
    let (display_name, password_hash) = mail.display_name.zip(mail.password_hash).ok_or_else(invalid_link)?;
    let password_hash = Secret::new(password_hash);
    let account = NewAccount { email: &mail.email, display_name: &display_name, password_hash: &password_hash };
    let account = store::account::insert(tx, account).await?.ok_or_else(invalid_link)?;
    store::account::verify_email(tx, account.id, &mail.email).await?;
    // Other sign-ups with this address are void.
    store::mail::delete_links(tx, MailKind::SignUp, &mail.email).await?;
    let context = client.actor_context(Actor::Account(account.id));
    audit::record(&state.platform, tx, &context, Action::AccountSignedUp, account.id.0).await?;
    Ok(account)
}

/// Changes the display name; 412 unless the account has one of these revisions.
pub async fn update(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    revisions: Option<Vec<i32>>,
    display_name: Option<&str>,
) -> Result<Model, Problem> {
    let display_name = display_name.map_or(account.display_name.as_str(), str::trim);
    let tx = state.platform.db.begin().await?;
    let changed = store::account::rename(&tx, account.id, revisions, display_name).await?;
    let changed = changed.ok_or_else(|| Problem::new(Code::PreconditionFailed))?;
    audit::record(&state.platform, &tx, &client.actor_context(account.actor()), Action::AccountUpdated, account.id.0)
        .await?;
    tx.commit().await?;
    Ok(changed)
}

pub async fn change_password(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    current: Secret<String>,
    new: Secret<String>,
) -> Result<(), Problem> {
    check_strength("newPassword", &new, &[&account.email, &account.display_name]).await?;
    let lock = state.authenticator.reauthenticate(account, client, current).await?;
    let password_hash = state.authenticator.passwords.hash(new).await?;
    drop(lock);
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    store::account::set_password(&tx, account.id, &password_hash).await?;
    store::session::end_all(&tx, account.id, Some(account.session)).await?;
    let context = client.actor_context(account.actor());
    audit::record(&state.platform, &tx, &context, Action::AccountPasswordChanged, account.id.0).await?;
    tx.commit().await?;
    Ok(())
}

/// Closes the account; returns the time at which it is erased.
pub async fn delete(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
) -> Result<DateTime<Utc>, Problem> {
    state.authenticator.reauthenticate(account, client, password).await?;
    let grace = Duration::from_secs(state.platform.config.auth.erase_seconds);
    let tx = state.platform.db.begin().await?;
    // Workspaces before the account, in the order in which joining locks them: no member comes or goes meanwhile.
    let mut workspaces = Vec::new();
    for workspace in store::succession::workspaces(&tx, account.id).await? {
        if store::workspace::lock(&tx, workspace).await? {
            workspaces.push(workspace);
        }
    }
    account.lock(&tx).await?;
    if store::account::is_last_owner(&tx, account.id).await? {
        return Err(Problem::new(Code::LastOwner));
    }
    let erase_at = store::account::close(&tx, account.id, grace).await?;
    store::session::end_all(&tx, account.id, None).await?;
    let context = client.actor_context(account.actor());
    for workspace in workspaces {
        let withdrawn = store::invite::withdraw_of_closed_account(&tx, workspace, account.id).await?;
        let entries: Vec<AuditEntry> =
            withdrawn.into_iter().map(|invite| invite.audit_entry("account_deleted")).collect();
        activity::append(&tx, &state.platform.audit_keys, workspace, &context, &entries).await?;
    }
    audit::record(&state.platform, &tx, &context, Action::AccountDeleted, account.id.0).await?;
    tx.commit().await?;
    Ok(erase_at)
}
