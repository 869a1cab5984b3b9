//! Questions to connections that workers answer: their streams, their first objects.

use std::time::Duration;

use sea_orm::{FromQueryResult, raw_sql};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, sql};
use crate::id::{ConnectionId, ConnectionQueryId, WorkspaceId};

/// A question, and its answer.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `connection_query`")]
pub struct ConnectionQuery {
    pub connection_id: ConnectionId,
    pub query: Json,
    pub answer: Option<Json>,
    pub failure: Option<String>,
}

/// Adds a question.
pub async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    id: ConnectionQueryId,
    connection: ConnectionId,
    question: &Json,
) -> Result<()> {
    let question = question.clone();
    let inserted = raw_sql!(
        Postgres,
        "insert into connection_query (workspace_id, id, connection_id, query)
         values ({workspace}, {id}, {connection}, {question})"
    );
    sql::execute(tx, inserted).await?;
    Ok(())
}

/// A question.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionQueryId) -> Result<Option<ConnectionQuery>> {
    let found = raw_sql!(
        Postgres,
        "select connection_id, query, answer, failure from connection_query where workspace_id = {workspace} and id = {id}"
    );
    sql::first(conn, found).await
}

/// Records the answer, or why there is none.
pub async fn answer(
    tx: &Tx,
    workspace: WorkspaceId,
    id: ConnectionQueryId,
    answer: std::result::Result<&Json, &str>,
) -> Result<()> {
    let (answer, failure) = (answer.ok().cloned(), answer.err());
    let answered = raw_sql!(
        Postgres,
        "update connection_query set answer = {answer}, failure = {failure} where workspace_id = {workspace} and id = {id}"
    );
    sql::execute(tx, answered).await?;
    Ok(())
}

/// Deletes questions that are older than `age`. Returns their number.
pub async fn delete_old(conn: &impl Conn, age: Duration) -> Result<u64> {
    let seconds = age.as_secs_f64();
    let old =
        raw_sql!(Postgres, "delete from connection_query where created_at < now() - make_interval(secs => {seconds})");
    sql::execute(conn, old).await
}
