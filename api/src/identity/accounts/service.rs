//! The steps of signing up, changing an account, and leaving.

use std::time::Duration;

use nvisy_shared::{
    crypt::KeyPurpose,
    domain::{
        account::normalise_email,
        activity::{Action, Actor},
        mail::MailKind,
    },
    secret::Secret,
    store::{
        self, TransactionTrait,
        account::NewAccount,
        activity::{self, AuditEntry},
        mail::NewMail,
    },
};
use uuid::Uuid;

use super::{
    sign_up_policy::Admission,
    wire::{Account, ChangePassword, Confirmation, Deletion, SignUp, SignedUp, UpdateAccount},
};
use crate::{
    auth::{account::SignedIn, audit, password::check_strength},
    http::{
        client_info::Origin,
        etag::{Expected, Tagged},
        idempotency::{IdempotencyKey, idempotent},
        rate_limit,
        status_json::{Accept, Created, Deleted},
    },
    identity::mail_links::{self, wire::Mailed},
    problem::{Code, Problem},
    state::State,
};

/// Without mail the account is made at once, and where everybody may sign up a taken address has to be told. With mail the
/// answer is the same for every address: only whoever reads the mailbox learns whether there is an account, or makes one.
pub async fn sign_up(state: &State, key: IdempotencyKey, origin: Origin, body: SignUp) -> Result<SignedUp, Problem> {
    let email = normalise_email(&body.email);
    rate_limit::mailbox(state, &origin, &email).await?;
    let admission = Admission::presented(state, body.invite_code.as_ref())?;
    let display_name = body.display_name.trim();
    check_strength("password", &body.password, &[&email, display_name]).await?;
    let password = told_apart(state, &body.password);
    // Before the transaction: nothing may wait for a slow hash while it holds a connection.
    let password_hash = state.passwords.hash(body.password).await?;
    let once = key.once("signUp", None, &(&email, display_name, password, admission.meaning()));
    if mail_links::service::wanted(state).is_ok() {
        let accepted = idempotent(&state.platform.db, once, async |tx| {
            admission.check(tx, &email).await?;
            let mail = NewMail {
                kind: MailKind::SignUp,
                email: &email,
                account: None,
                sign_up: Some((display_name, &password_hash)),
                invite: None,
                life: mail_links::service::life(state),
            };
            mail_links::service::send(tx, mail).await?;
            Ok(Mailed { email: email.clone() })
        });
        return accepted.await.map(SignedUp::Mailed);
    }
    let created: Created<Account> = idempotent(&state.platform.db, once, async |tx| {
        admission.check(tx, &email).await?;
        let account = NewAccount { email: &email, display_name, password_hash: &password_hash };
        let account = store::account::insert(tx, account).await?;
        let account = account.ok_or_else(|| admission.taken())?;
        let by = origin.by(Actor::Account(account.id));
        audit::note(state, tx, &by, Action::AccountSignedUp, account.id.0).await?;
        Ok(account.into())
    })
    .await?;
    Ok(SignedUp::Created(created.at(|_| "/api/v1/account".to_owned())))
}

/// What makes a repeated sign-up with another password another request. A fast hash, but under a key that the database
/// does not have: it cannot be guessed at with the database alone.
pub fn told_apart(state: &State, password: &Secret<String>) -> String {
    let key = state.platform.keys.derive_for(Uuid::nil(), KeyPurpose::RequestFingerprint);
    hex::encode(key.mac(password.expose().as_bytes()))
}

pub async fn update(
    state: &State,
    account: &SignedIn,
    expected: Expected,
    origin: &Origin,
    body: UpdateAccount,
) -> Result<Tagged<Account>, Problem> {
    let display_name = body.display_name.as_deref().map_or(account.display_name.as_str(), str::trim);
    let tx = state.platform.db.begin().await?;
    let changed = store::account::rename(&tx, account.id, expected.revisions(), display_name).await?;
    let changed = changed.ok_or_else(|| Problem::new(Code::PreconditionFailed))?;
    audit::note(state, &tx, &origin.by(account.actor()), Action::AccountUpdated, account.id.0).await?;
    tx.commit().await?;
    Ok(Tagged { revision: changed.revision, body: changed.into() })
}

pub async fn change_password(
    state: &State,
    account: &SignedIn,
    origin: &Origin,
    body: ChangePassword,
) -> Result<Deleted, Problem> {
    check_strength("newPassword", &body.new_password, &[&account.email, &account.display_name]).await?;
    let alone = account.reauthenticate(state, origin, body.current_password).await?;
    let password_hash = state.passwords.hash(body.new_password).await?;
    drop(alone);
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    store::account::set_password(&tx, account.id, &password_hash).await?;
    store::session::end_all(&tx, account.id, Some(account.session)).await?;
    audit::note(state, &tx, &origin.by(account.actor()), Action::AccountPasswordChanged, account.id.0).await?;
    tx.commit().await?;
    Ok(Deleted)
}

pub async fn delete(
    state: &State,
    account: &SignedIn,
    origin: &Origin,
    body: Confirmation,
) -> Result<Accept<Deletion>, Problem> {
    account.reauthenticate(state, origin, body.password).await?;
    let grace = Duration::from_secs(state.platform.config.auth.erase_seconds);
    let tx = state.platform.db.begin().await?;
    // Workspaces before the account, as whoever joins one locks them: nobody comes or goes while this is decided.
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
    let by = origin.by(account.actor());
    for workspace in workspaces {
        let withdrawn = store::invite::withdraw_closed(&tx, workspace, account.id).await?;
        let acts: Vec<AuditEntry> = withdrawn.into_iter().map(|invite| invite.audit_entry("account_deleted")).collect();
        activity::append(&tx, &state.platform.audit_keys, workspace, &by, &acts).await?;
    }
    audit::note(state, &tx, &by, Action::AccountDeleted, account.id.0).await?;
    tx.commit().await?;
    Ok(Accept::new(Deletion { erase_at }))
}
