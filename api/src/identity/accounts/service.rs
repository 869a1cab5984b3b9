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
    store::{self, Tx, account::NewAccount, change::Change, mail::NewMail},
};
use serde::Serialize;

use super::sign_up_policy::SignUpPermit;
use crate::{
    auth::{
        account::SignedIn,
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
    pub async fn create(&self, change: &mut Change) -> Result<Model, Problem> {
        self.permit.check(change, &self.email).await?;
        let account =
            NewAccount { email: &self.email, display_name: &self.display_name, password_hash: &self.password_hash };
        let account = store::account::insert(change, account).await?.ok_or_else(|| self.permit.address_taken())?;
        audit_signed_up(change, &account);
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
pub async fn confirm_sign_up(change: &mut Change, link_hash: &[u8; 32]) -> Result<Model, Problem> {
    let mail = store::mail::consume_link(change, MailKind::SignUp, link_hash).await?.ok_or_else(invalid_link)?;
    let (display_name, password_hash) = mail.display_name.zip(mail.password_hash).ok_or_else(invalid_link)?;
    let password_hash = Secret::new(password_hash);
    let account = NewAccount { email: &mail.email, display_name: &display_name, password_hash: &password_hash };
    let account = store::account::insert(change, account).await?.ok_or_else(invalid_link)?;
    store::account::verify_email(change, account.id, &mail.email).await?;
    // Other sign-ups with this address are void.
    store::mail::delete_links(change, MailKind::SignUp, &mail.email).await?;
    audit_signed_up(change, &account);
    Ok(account)
}

fn audit_signed_up(change: &mut Change, account: &Model) {
    change.set_actor(Actor::Account(account.id));
    change.audit(Action::AccountSignedUp, account.id);
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
    let changes = account.changes(&state.platform, client);
    changes
        .run(async |change| {
            change.audit(Action::AccountUpdated, account.id);
            let changed = store::account::rename(change, account.id, revisions.clone(), display_name).await?;
            changed.ok_or_else(|| Problem::new(Code::PreconditionFailed))
        })
        .await
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
    let changes = account.changes(&state.platform, client);
    changes
        .run(async |change| {
            account.lock(change).await?;
            store::account::set_password(change, account.id, &password_hash).await?;
            store::session::end_all(change, account.id, Some(account.session)).await?;
            change.audit(Action::AccountPasswordChanged, account.id);
            Ok(())
        })
        .await
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
    let changes = account.changes(&state.platform, client);
    changes.run(async |change| close(change, account, grace).await).await
}

async fn close(change: &mut Change, account: &SignedIn, grace: Duration) -> Result<DateTime<Utc>, Problem> {
    // Workspaces before the account, in the order in which joining locks them: no member comes or goes meanwhile.
    let mut workspaces = Vec::new();
    for workspace in store::succession::workspaces(change, account.id).await? {
        if store::workspace::lock(change, workspace).await? {
            workspaces.push(workspace);
        }
    }
    account.lock(change).await?;
    if store::account::is_last_owner(change.tx(), account.id).await? {
        return Err(Problem::new(Code::LastOwner));
    }
    for workspace in workspaces {
        for invite in store::invite::withdraw_of_closed_account(change, workspace, account.id).await? {
            change.audit_in(workspace, invite.audit_entry("account_deleted"));
        }
    }
    store::session::end_all(change, account.id, None).await?;
    change.audit(Action::AccountDeleted, account.id);
    Ok(store::account::close(change, account.id, grace).await?)
}
