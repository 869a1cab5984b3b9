//! Budgets of model calls: those of the run, the connection and the workspace.

use nvisy_shared::{
    domain::{
        connection::model::micros,
        failure::{Failure, FailureCode},
    },
    id::{ConnectionId, RunId, WorkspaceId},
    store::{self, model_usage::Spent},
};

use crate::{context::Context, runner::JobError};

/// The run and the connection that a call is charged to.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The run.
    pub run: RunId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: &'a str,
    /// Its budget of a calendar month, in the currency of its prices; `None`: no limit.
    pub monthly_budget: Option<f64>,
}

/// Checks all budgets before a call. Calls in progress at the same time may exceed them.
///
/// # Errors
/// [`FailureCode::BudgetExceeded`] when one is spent.
pub async fn check(cx: &Context, account: Account<'_>) -> Result<(), JobError> {
    let Account { workspace, run, connection, .. } = account;
    let spent = store::model_usage::spent(&cx.db, workspace, run, connection).await?;
    match spent.and_then(|spent| spent_budget(account, spent)) {
        Some(detail) => Err(JobError::Fail(Failure::new(FailureCode::BudgetExceeded, detail))),
        None => Ok(()),
    }
}

/// Which budget is spent; `None`: none.
fn spent_budget(account: Account<'_>, spent: Spent) -> Option<String> {
    let connection_budget = account.monthly_budget.map(micros);
    let budgets = [
        (spent.run_budget, spent.run, "the budget of the run is spent: start another run with a larger one".to_owned()),
        (
            connection_budget,
            spent.connection,
            format!("the budget of the connection `{}` for this month is spent", account.name),
        ),
        (
            spent.workspace_budget,
            spent.workspace,
            "the `monthlyBudget` of the workspace for this month is spent".to_owned(),
        ),
    ];
    let spent = budgets.into_iter().find(|(budget, cost, _)| budget.is_some_and(|budget| *cost >= budget));
    spent.map(|(_, _, detail)| detail)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_budget_is_spent_when_its_cost_reaches_it() {
        let account = |monthly_budget| Account {
            workspace: WorkspaceId(Uuid::nil()),
            run: RunId(Uuid::nil()),
            connection: ConnectionId(Uuid::nil()),
            name: "model",
            monthly_budget,
        };
        let none = Spent { run: 5, run_budget: None, connection: 20, workspace: 40, workspace_budget: None };
        let detail = |monthly_budget, spent| spent_budget(account(monthly_budget), spent).unwrap_or_default();
        assert_eq!(detail(None, none), "");
        assert_eq!(detail(Some(0.000_021), none), "");
        assert!(detail(Some(0.000_020), none).contains("connection `model`"));
        assert!(detail(None, Spent { run_budget: Some(5), ..none }).contains("of the run"));
        assert_eq!(detail(None, Spent { run_budget: Some(6), workspace_budget: Some(41), ..none }), "");
        assert!(detail(None, Spent { workspace_budget: Some(40), ..none }).contains("of the workspace"));
    }
}
