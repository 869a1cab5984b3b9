//! The operation that retries failed items of many runs.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{domain::activity::Action, id::PipelineId, job, queue::outbox, store};
use serde_json::json;

use super::wire::{RetriedItems, RetryItems};
use crate::{
    auth::member::{Member, WritePipelines},
    http::{
        client_info::ClientInfo,
        extract::Json,
        idempotency::{IdempotencyKey, idempotent},
        status_json::Accepted,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "retryItems",
    tag = "runs",
    summary = "Retry the failed items of many runs",
    description = "Every uploaded file has a run of its own: this retries the failed items of all of them, as `retryRun` does for one. Only failures that stand are retried, which are those of the newest version of a file, and of the newest item of the pipeline for it. Items of cancelled runs and of syncs are left out. A worker puts the items back into the queue one after another, at most as many as the quota of unfinished runs allows."
)]
pub async fn retry_items(
    state: Data<State>,
    member: Member<WritePipelines>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<RetryItems>,
) -> Result<Accepted<RetriedItems>, Problem> {
    let (workspace, body) = (member.workspace, body.0);
    let request = key.bind("retryItems", Some(member.account), &(workspace, &body));
    idempotent(&member.changes(&state.platform, &client), request, async |change| {
        if let Some(pipeline) = body.pipeline {
            let known = store::pipeline::find(change.tx(), workspace, PipelineId(pipeline)).await?;
            known.ok_or_else(|| Problem::not_found().detail("there is no such pipeline"))?;
        }
        let (of, limit) = (body.failed_items(), body.limit);
        // One more, which tells whether others are left.
        let (counted, until) = store::failed_items::count(change.tx(), workspace, &of, i64::from(limit) + 1).await?;
        let matched = u32::try_from(counted).unwrap_or(u32::MAX);
        let items = matched.min(limit);
        if items > 0 {
            let retry = job::RetryItems { items: of, until, after: None, left: items };
            outbox::enqueue(change, workspace, &retry).await?;
        }
        let mut details = json!({ "items": items });
        if let Some(code) = body.code {
            details["code"] = json!(code);
        }
        if let Some(pipeline) = body.pipeline {
            details["pipelineId"] = json!(pipeline);
        }
        change.audit_with(Action::ItemsRetried, workspace, details);
        Ok(RetriedItems { items, more: matched > limit })
    })
    .await
}
