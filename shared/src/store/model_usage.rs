//! Answers of models, and what they cost. A call is recorded when its answer arrives, whatever becomes of the job.

use std::time::Duration;

use chrono::NaiveDate;
use sea_orm::{FromQueryResult, raw_sql};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, sql};
use crate::id::{ConnectionId, FileId, RunId, WorkspaceId};

/// The answer to a question that was asked before.
pub async fn find_answer(conn: &impl Conn, workspace: WorkspaceId, key: &[u8]) -> Result<Option<Json>> {
    let answer = raw_sql!(Postgres, "select answer from model_answer where workspace_id = {workspace} and key = {key}");
    sql::first_value(conn, answer).await
}

/// Keeps an answer about a file, as long as the file exists.
pub async fn insert_answer(tx: &Tx, workspace: WorkspaceId, file: FileId, key: &[u8], answer: Json) -> Result<()> {
    let kept = raw_sql!(
        Postgres,
        "insert into model_answer (workspace_id, key, file_id, answer)
         select workspace_id, {key}, id, {answer} from file where workspace_id = {workspace} and id = {file} for key share
         on conflict (workspace_id, key) do nothing"
    );
    sql::execute(tx, kept).await?;
    Ok(())
}

/// Deletes answers that are older than `age`, at most `limit`; returns the number.
pub async fn delete_answers(conn: &impl Conn, age: Duration, limit: i64) -> Result<u64> {
    let seconds = age.as_secs_f64();
    let deleted = raw_sql!(
        Postgres,
        "delete from model_answer where (workspace_id, key) in (
             select workspace_id, key from model_answer where created_at < now() - make_interval(secs => {seconds})
             limit {limit})"
    );
    sql::execute(conn, deleted).await
}

/// A call of a model.
#[derive(Clone, Copy, Debug)]
pub struct ModelCall<'a> {
    /// The connection.
    pub connection: ConnectionId,
    /// The model's name at the provider.
    pub model: &'a str,
    /// The run.
    pub run: RunId,
    /// Tokens that the model read.
    pub input_tokens: i64,
    /// Tokens that the model wrote.
    pub output_tokens: i64,
    /// The cost, in millionths.
    pub cost: i64,
}

/// Counts a call.
pub async fn record(conn: &impl Conn, workspace: WorkspaceId, call: ModelCall<'_>) -> Result<()> {
    let ModelCall { connection, model, run, input_tokens, output_tokens, cost } = call;
    let recorded = raw_sql!(
        Postgres,
        "insert into model_usage as usage (workspace_id, month, connection_id, model, run_id, calls, input_tokens, output_tokens, cost)
         values ({workspace}, date_trunc('month', now() at time zone 'UTC')::date, {connection}, {model}, {run}, 1,
             {input_tokens}, {output_tokens}, {cost})
         on conflict (workspace_id, month, connection_id, model, run_id) do update set
             calls = usage.calls + 1, input_tokens = usage.input_tokens + excluded.input_tokens,
             output_tokens = usage.output_tokens + excluded.output_tokens, cost = usage.cost + excluded.cost"
    );
    sql::execute(conn, recorded).await?;
    Ok(())
}

/// The costs so far, and the budgets of run and workspace, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Spent {
    /// The cost of the run so far.
    pub run: i64,
    /// The run's budget; `None`: no limit.
    pub run_budget: Option<i64>,
    /// The cost of the connection in this month.
    pub connection: i64,
    /// The cost of all connections of the workspace in this month.
    pub workspace: i64,
    /// The workspace's budget of a month; `None`: no limit.
    pub workspace_budget: Option<i64>,
}

/// What a run, a connection and a workspace have spent.
pub async fn spent(
    conn: &impl Conn,
    workspace: WorkspaceId,
    run: RunId,
    connection: ConnectionId,
) -> Result<Option<Spent>> {
    let spent = raw_sql!(
        Postgres,
        "select
             (select coalesce(sum(cost), 0)::bigint from model_usage where workspace_id = {workspace} and run_id = {run}) as run,
             (select budget from run where workspace_id = {workspace} and id = {run}) as run_budget,
             coalesce(sum(cost) filter (where connection_id = {connection}), 0)::bigint as connection,
             coalesce(sum(cost), 0)::bigint as workspace,
             (select monthly_budget from workspace where id = {workspace}) as workspace_budget
         from model_usage
         where workspace_id = {workspace} and month = date_trunc('month', now() at time zone 'UTC')::date"
    );
    sql::first(conn, spent).await
}

/// Calls, tokens and cost of a model in a month, of one run or of all.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `model_usage`")]
pub struct UsageRow {
    pub month: NaiveDate,
    pub connection_id: ConnectionId,
    pub model: String,
    pub calls: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cost: i64,
}

/// The usage of a workspace or of a run by month, connection and model, newest month first, at most a thousand rows.
pub async fn list(conn: &impl Conn, workspace: WorkspaceId, run: Option<RunId>) -> Result<Vec<UsageRow>> {
    let usage = raw_sql!(
        Postgres,
        "select month, connection_id, model, sum(calls)::bigint as calls, sum(input_tokens)::bigint as input_tokens,
             sum(output_tokens)::bigint as output_tokens, sum(cost)::bigint as cost
         from model_usage where workspace_id = {workspace} and ({run}::uuid is null or run_id = {run})
         group by month, connection_id, model order by month desc, connection_id, model limit 1000"
    );
    sql::all(conn, usage).await
}
