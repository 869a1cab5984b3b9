//! `connection.check`: checks a connection step by step. Credentials are opened here, and nowhere in the API.

use std::time::Duration;

use nvisy_shared::{
    domain::{
        connection::{
            CheckStep, ConnectionKind, ProviderSpec as _, embedding::OpenAiEmbeddings, model::ModelProvider,
            provider as known,
        },
        event::EventType,
        failure::Failure,
    },
    entity::connection::Model,
    id::WorkspaceId,
    job::CheckConnection,
    outbound::OutboundFailure,
    store::{self, change::Change, job::Claim},
};
use serde_json::json;

use crate::{
    connectors::{OpenConnection, Redact, table, target::step},
    context::Context,
    pipeline::{
        connections::{self, ModelConnection},
        embedding_connection, reranking,
    },
    providers::{ModelFailure, Question, Turn},
    runner::{Handler, JobError, complete_in_tx},
};

/// Longest wait for the answer of a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
/// The answer is this short, but models that think need more.
const MAX_ANSWER_TOKENS: u32 = 1024;

impl Handler for CheckConnection {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let row = store::connection::find(&cx.db, workspace, self.connection).await?.ok_or(JobError::Obsolete)?;
        if row.check_id != Some(self.check) {
            return Err(JobError::Obsolete);
        }
        let provider = row.provider.clone();
        let steps = if provider == OpenAiEmbeddings::NAME {
            embedding_connection::check(cx, workspace, row).await
        } else if known(&provider).is_some_and(|known| known.kind == ConnectionKind::Reranking) {
            reranking::check(cx, workspace, row).await
        } else if ModelProvider::parse(&provider).is_some() {
            match connections::open(cx, workspace, row) {
                Ok(connection) => check(cx, &connection, &provider).await,
                Err(error) => vec![step("address", Err(error.to_string()))],
            }
        } else {
            check_system(cx, workspace, row).await
        };
        finish(cx, claim, self, &steps).await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let steps = [step("address", Err(failure.detail.clone()))];
        store::connection::finish_check(change, claim.workspace_id, self.connection, self.check, &steps).await?;
        change.emit(EventType::ConnectionChecked, self.connection, json!({ "state": "failed" }));
        Ok(())
    }
}

/// Stores the steps, unless a newer check was requested.
async fn finish(cx: &Context, claim: &Claim, job: &CheckConnection, steps: &[CheckStep]) -> Result<(), JobError> {
    complete_in_tx(cx, claim, || {
        async move |change: &mut Change| {
            store::connection::finish_check(change, claim.workspace_id, job.connection, job.check, steps).await?;
            let state = if steps.iter().any(CheckStep::is_fatal) { "failed" } else { "ok" };
            change.emit(EventType::ConnectionChecked, job.connection, json!({ "state": state }));
            Ok(())
        }
    })
    .await
}

/// The steps of a system that is no model.
async fn check_system(cx: &Context, workspace: WorkspaceId, row: Model) -> Vec<CheckStep> {
    let opened = match OpenConnection::open(cx, workspace, row) {
        Err(error) => return vec![step("address", Err(error.to_string()))],
        Ok(connection) => connection,
    };
    let steps = tokio::time::timeout(CHECK_TIMEOUT, table::check(cx, &opened)).await;
    let mut steps = steps.unwrap_or_else(|_| vec![step("list", Err("the system does not respond in time".to_owned()))]);
    for step in &mut steps {
        step.detail = opened.redact(&step.detail);
    }
    steps
}

/// The steps up to the first that fails.
async fn check(cx: &Context, connection: &ModelConnection, provider: &str) -> Vec<CheckStep> {
    let url = ModelProvider::parse(provider).and_then(|provider| connection.client.settings().base_url(provider));
    let address = match url {
        None => Err("the connection has no address".to_owned()),
        Some(url) => match cx.outbound.check(&url) {
            Ok(()) => Ok(format!("{} may be called", url.host_str().unwrap_or_default())),
            Err(failure @ OutboundFailure::Blocked(_)) => Err(failure.to_string()),
            Err(failure) => Err(format!("the address cannot be checked: {failure}")),
        },
    };
    let mut steps = vec![step("address", address)];
    if !steps[0].ok {
        return steps;
    }
    let schema = json!({
        "type": "object", "properties": { "ok": { "type": "boolean" } }, "required": ["ok"], "additionalProperties": false,
    });
    let question = Question {
        system: "Answer with one JSON object and nothing else.".to_owned(),
        turns: vec![Turn::user("Return the JSON object {\"ok\": true}.")],
        image: None,
        schema: Some(schema),
        max_tokens: MAX_ANSWER_TOKENS.min(connection.client.settings().max_output_tokens),
    };
    let asked = tokio::time::timeout(CHECK_TIMEOUT, connection.client.ask(&question)).await;
    let asked = asked.unwrap_or_else(|_| Err(ModelFailure::Unavailable("no answer in time".to_owned())));
    let answer = match asked {
        Ok(answer) => answer,
        Err(failure) => {
            steps.push(step("answer", Err(failure.to_string())));
            return steps;
        }
    };
    let tokens = format!("{} tokens read, {} written", answer.input_tokens, answer.output_tokens);
    steps.push(step("answer", Ok(format!("the model answers ({tokens})"))));
    let is_json = answer.text.contains('{') && answer.text.contains("ok");
    let json =
        if is_json { Ok("the model answers with JSON".to_owned()) } else { Err("the answer is not JSON".to_owned()) };
    steps.push(step("json", json));
    steps
}
