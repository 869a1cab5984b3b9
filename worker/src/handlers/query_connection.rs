//! `connection.query`: the streams of a connection, or its first objects, for a person who waits.

use std::time::Duration;

use nvisy_shared::{
    domain::{connection::ConnectionQuery, failure::Failure},
    job::QueryConnection,
    store::{self, change::Change, job::Claim},
};
use serde_json::{Value, json};

use crate::{
    connectors::{CallFailure, ListRequest, OpenConnection, table::open_source},
    context::Context,
    runner::{Handler, JobError, complete_in_tx},
};

/// Longest wait for the system.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

impl Handler for QueryConnection {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let asked = store::connection_query::find(&cx.db, workspace, self.query).await?.ok_or(JobError::Obsolete)?;
        if asked.answer.is_some() || asked.failure.is_some() {
            return Err(JobError::Obsolete);
        }
        let query: ConnectionQuery =
            serde_json::from_value(asked.query).map_err(JobError::retry("the question cannot be read"))?;
        let row = store::connection::find(&cx.db, workspace, asked.connection_id).await?.ok_or(JobError::Obsolete)?;
        let answer = match OpenConnection::open(cx, workspace, row) {
            Err(error) => Err(error.to_string()),
            Ok(connection) => {
                let answered = tokio::time::timeout(QUERY_TIMEOUT, answer(cx, &connection, query)).await;
                let answered = answered.unwrap_or_else(|_| {
                    Err(CallFailure::Unavailable("the system does not respond in time".to_owned()))
                });
                answered.map_err(|failure| failure.redacted(&connection).to_string())
            }
        };
        complete_in_tx(cx, claim, || {
            let answer = &answer;
            async move |change: &mut Change| {
                let answer = answer.as_ref().map_err(String::as_str);
                store::connection_query::answer(change, workspace, self.query, answer).await?;
                Ok(())
            }
        })
        .await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        store::connection_query::answer(change, claim.workspace_id, self.query, Err(&failure.detail)).await?;
        Ok(())
    }
}

async fn answer(cx: &Context, connection: &OpenConnection, query: ConnectionQuery) -> Result<Value, CallFailure> {
    let source = open_source(cx, connection)?;
    match query {
        ConnectionQuery::Discover => Ok(json!(source.discover().await?)),
        ConnectionQuery::Browse { stream, limit } => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let request =
                ListRequest { stream: Value::Object(stream), max_objects: Some(limit), ..ListRequest::default() };
            let mut listing = source.list(request).await?;
            let mut objects = Vec::new();
            loop {
                let page = listing.next().await?;
                objects.extend(page.objects.into_iter().map(|object| {
                    json!({
                        "externalId": object.external_id, "name": object.name, "size": object.bytes,
                        "modifiedAt": object.modified, "mediaType": object.media_type, "acl": object.acl,
                    })
                }));
                if page.checkpoint.is_none() || objects.len() >= limit {
                    objects.truncate(limit);
                    return Ok(json!(objects));
                }
            }
        }
    }
}
