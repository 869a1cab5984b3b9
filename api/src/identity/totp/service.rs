//! The steps of enrolling, confirming and disabling the second factor.

use nvisy_shared::{
    domain::activity::Action,
    secret::Secret,
    store::{self, change::Change},
};

use crate::{
    auth::{
        account::SignedIn,
        second_factor::{self, AppSecret},
    },
    http::client_info::ClientInfo,
    problem::{Code, Problem},
    state::State,
};

pub async fn enrol(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
) -> Result<AppSecret, Problem> {
    state.authenticator.reauthenticate(account, client, password).await?;
    let secret = second_factor::generate(&account.email)?;
    let changes = account.changes(&state.platform, client);
    let enrolled = changes.run(async |change| {
        account.lock(change).await?;
        if !state.authenticator.second_factor.enrol(change, account.id, &secret).await? {
            return Err(Problem::new(Code::SecondFactorActive));
        }
        change.audit(Action::AccountFactorEnrolled, account.id);
        Ok(())
    });
    enrolled.await?;
    Ok(secret)
}

/// Confirms an enrolment; returns the recovery codes. Other sessions began without a code, and end.
pub async fn confirm(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    code: &str,
) -> Result<Vec<String>, Problem> {
    let factor = &state.authenticator.second_factor;
    let changes = account.changes(&state.platform, client);
    let confirmed = changes.run(async |change| {
        account.lock(change).await?;
        let checked = factor.confirm(change, account.id, code).await?;
        let checked = checked.ok_or_else(|| Problem::new(Code::NoEnrolment))?;
        if let Err(problem) = checked.into_result() {
            return Ok(Err(audit_refused_code(change, account, problem)));
        }
        let recovery_codes = factor.renew_recovery_codes(change, account.id).await?;
        store::session::end_all(change, account.id, Some(account.session)).await?;
        change.audit(Action::AccountFactorConfirmed, account.id);
        Ok::<_, Problem>(Ok(recovery_codes))
    });
    confirmed.await?
}

/// Replaces the recovery codes.
pub async fn renew_recovery_codes(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
    code: &str,
) -> Result<Vec<String>, Problem> {
    state.authenticator.reauthenticate(account, client, password).await?;
    let changes = account.changes(&state.platform, client);
    let renewed = changes.run(async |change| {
        if let Err(problem) = check_active(change, state, account, code).await? {
            return Ok(Err(problem));
        }
        change.audit(Action::AccountCodesRenewed, account.id);
        state.authenticator.second_factor.renew_recovery_codes(change, account.id).await.map(Ok)
    });
    renewed.await?
}

pub async fn disable(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
    code: &str,
) -> Result<(), Problem> {
    state.authenticator.reauthenticate(account, client, password).await?;
    let changes = account.changes(&state.platform, client);
    let disabled = changes.run(async |change| {
        if let Err(problem) = check_active(change, state, account, code).await? {
            return Ok(Err(problem));
        }
        change.audit(Action::AccountFactorDisabled, account.id);
        store::totp::delete(change, account.id).await?;
        Ok::<_, Problem>(Ok(()))
    });
    disabled.await?
}

/// Locks the account and checks a code of its second factor. The inner problem is that of a wrong code, which is counted: it
/// does not undo the change.
async fn check_active(
    change: &mut Change,
    state: &State,
    account: &SignedIn,
    code: &str,
) -> Result<Result<(), Problem>, Problem> {
    account.lock(change).await?;
    if !store::totp::status(change.tx(), account.id).await?.active {
        return Err(Problem::new(Code::NoSecondFactor));
    }
    let checked = state.authenticator.second_factor.check(change, account.id, Some(code)).await?;
    Ok(checked.into_result().map_err(|problem| audit_refused_code(change, account, problem)))
}

fn audit_refused_code(change: &mut Change, account: &SignedIn, problem: Problem) -> Problem {
    change.audit(Action::AccountCodeRefused, account.id);
    problem
}
