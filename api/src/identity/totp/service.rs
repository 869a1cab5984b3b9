//! The steps of enrolling, confirming and disabling the second factor.

use nvisy_shared::{
    domain::activity::Action,
    secret::Secret,
    store::{self, TransactionTrait, Tx},
};

use crate::{
    auth::{
        account::SignedIn,
        audit,
        second_factor::{self, Enrolment},
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
) -> Result<Enrolment, Problem> {
    state.authenticator.reauthenticate(account, client, password).await?;
    let enrolment = second_factor::generate(&account.email)?;
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    if !state.authenticator.second_factor.enrol(&tx, account.id, &enrolment).await? {
        return Err(Problem::new(Code::SecondFactorActive));
    }
    record(state, &tx, account, client, Action::AccountFactorEnrolled).await?;
    tx.commit().await?;
    Ok(enrolment)
}

/// Confirms an enrolment; returns the recovery codes. Other sessions began without a code, and end.
pub async fn confirm(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    code: &str,
) -> Result<Vec<String>, Problem> {
    let factor = &state.authenticator.second_factor;
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    let checked = factor.confirm(&tx, account.id, code).await?;
    let checked = checked.ok_or_else(|| Problem::new(Code::NoEnrolment))?;
    if let Err(problem) = checked.into_result() {
        return Err(record_wrong_code(state, tx, account, client, problem).await?);
    }
    let recovery_codes = factor.renew_recovery_codes(&tx, account.id).await?;
    store::session::end_all(&tx, account.id, Some(account.session)).await?;
    record(state, &tx, account, client, Action::AccountFactorConfirmed).await?;
    tx.commit().await?;
    Ok(recovery_codes)
}

/// Replaces the recovery codes.
pub async fn renew_recovery_codes(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
    code: &str,
) -> Result<Vec<String>, Problem> {
    let tx = begin_with_both_factors(state, account, client, password, code).await?;
    let recovery_codes = state.authenticator.second_factor.renew_recovery_codes(&tx, account.id).await?;
    record(state, &tx, account, client, Action::AccountCodesRenewed).await?;
    tx.commit().await?;
    Ok(recovery_codes)
}

pub async fn disable(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
    code: &str,
) -> Result<(), Problem> {
    let tx = begin_with_both_factors(state, account, client, password, code).await?;
    store::totp::delete(&tx, account.id).await?;
    record(state, &tx, account, client, Action::AccountFactorDisabled).await?;
    tx.commit().await?;
    Ok(())
}

/// Begins a transaction after verifying password and code, with the account locked.
async fn begin_with_both_factors(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
    code: &str,
) -> Result<Tx, Problem> {
    state.authenticator.reauthenticate(account, client, password).await?;
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    if !store::totp::status(&tx, account.id).await?.active {
        return Err(Problem::new(Code::NoSecondFactor));
    }
    let checked = state.authenticator.second_factor.check(&tx, account.id, Some(code)).await?;
    match checked.into_result() {
        Ok(()) => Ok(tx),
        Err(problem) => Err(record_wrong_code(state, tx, account, client, problem).await?),
    }
}

/// Commits the count of a wrong code with an entry; returns the problem.
async fn record_wrong_code(
    state: &State,
    tx: Tx,
    account: &SignedIn,
    client: &ClientInfo,
    problem: Problem,
) -> Result<Problem, Problem> {
    record(state, &tx, account, client, Action::AccountCodeRefused).await?;
    tx.commit().await?;
    Ok(problem)
}

async fn record(
    state: &State,
    tx: &Tx,
    account: &SignedIn,
    client: &ClientInfo,
    action: Action,
) -> Result<(), Problem> {
    audit::record(&state.platform, tx, &client.actor_context(account.actor()), action, account.id.0).await
}
