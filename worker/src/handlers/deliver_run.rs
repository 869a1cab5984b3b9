//! `run.deliver`: tells the receiver that a request named that its run has ended.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use nvisy_shared::{
    clock,
    domain::failure::{Failure, FailureCode},
    entity::{run, run_item},
    job::DeliverRun,
    store::{
        self,
        change::Change,
        job::Claim,
        run_list::{self, ItemFilter},
    },
};
use serde_json::{Value, json};

use crate::{
    context::Context,
    pipeline::calling::{MAX_IGNORED_BYTES, Service, message_id},
    runner::{Handler, JobError, complete_in_tx},
};

/// How long a receiver may be unavailable.
const MAX_AGE: TimeDelta = TimeDelta::days(1);
/// More attempts than [`MAX_AGE`] has room for: their waits are minutes.
const ATTEMPTS: i32 = 2_000;
/// The longest time of a request, in seconds.
const TIMEOUT_SECONDS: u32 = 30;
/// Items that the message names.
const MAX_ITEMS: i64 = 100;

impl Handler for DeliverRun {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let run = store::run::find(&cx.db, workspace, self.run).await?;
        // A run that was opened again has another job when it ends.
        let run = run.filter(|run| run.webhook_delivered_at.is_none()).ok_or(JobError::Obsolete)?;
        let (Some(url), Some(ended)) = (&run.webhook_url, run.finished_at) else { return Err(JobError::Obsolete) };
        let items = run_list::items(&cx.db, workspace, run.id, ItemFilter::default(), None, MAX_ITEMS).await?;
        let body = Bytes::from(message(&run, ended, &items).to_string());
        let service = Service::open(cx, workspace, url, TIMEOUT_SECONDS, MAX_IGNORED_BYTES).await?;
        // The same in each attempt. A run that was opened again ends at another time.
        let id = message_id(&[b"ended", run.id.0.as_bytes(), &ended.timestamp_micros().to_le_bytes()]);
        service.post(&id, body).await.map_err(|error| within_a_day(error, clock::now() - ended))?;
        complete_in_tx(cx, claim, || {
            async |change: &mut Change| Ok(store::run::set_delivered(change, workspace, self.run, ended).await?)
        })
        .await
    }

    fn attempts(&self, _: &Context) -> i32 {
        ATTEMPTS
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        Ok(store::run::set_undeliverable(change, claim.workspace_id, self.run, &failure.detail).await?)
    }
}

/// The error; after a day, the end of the attempts.
fn within_a_day(error: JobError, since_end: TimeDelta) -> JobError {
    match error {
        JobError::Retry { .. } | JobError::Snooze { .. } if since_end > MAX_AGE => {
            let detail = "the receiver was unavailable or busy for a day";
            JobError::Fail(Failure::new(FailureCode::AttemptsExhausted, detail))
        }
        error => error,
    }
}

/// The message, with the addresses of the results below that of the API.
fn message(run: &run::Model, ended: DateTime<Utc>, items: &[run_item::Model]) -> Value {
    let base = format!("/api/v1/workspaces/{}/runs/{}", run.workspace_id, run.id);
    let results: Vec<Value> = items.iter().map(|item| result(&base, item)).collect();
    let mut data = json!({
        "workspaceId": run.workspace_id, "runId": run.id, "pipelineId": run.pipeline_id,
        "trigger": run.trigger, "state": run.state, "createdAt": run.created_at, "finishedAt": ended,
        "items": run.items, "itemsFailed": run.items_failed, "itemsSkipped": run.items_skipped,
        "reused": run.reused, "recomputed": run.recomputed, "tokens": run.tokens, "tokensSaved": run.tokens_saved,
        "links": { "run": base, "items": format!("{base}/items") },
        "results": results,
    });
    if let Some(code) = run.failure_code {
        data["failure"] = json!({ "code": code, "detail": run.failure_detail });
    }
    json!({ "type": "run.ended", "data": data })
}

fn result(base: &str, item: &run_item::Model) -> Value {
    let artifacts = format!("{base}/items/{}/artifacts", item.id);
    let mut result = json!({ "itemId": item.id, "fileId": item.file_id, "state": item.state, "artifacts": artifacts });
    if let Some(code) = item.failure_code {
        result["failure"] = json!({ "node": item.failure_node, "code": code, "detail": item.failure_detail });
    }
    result
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn temporary_errors_end_after_a_day_and_final_ones_stay() {
        let busy: fn() -> JobError = || JobError::Snooze { what: "busy", delay: Duration::ZERO, source: None };
        let broken: fn() -> JobError = || JobError::retry("broken")("503");
        for error in [busy, broken] {
            assert_eq!(within_a_day(error(), TimeDelta::hours(23)).to_string(), error().to_string());
            assert!(matches!(within_a_day(error(), TimeDelta::hours(25)), JobError::Fail(_)));
        }
        let refused = JobError::Fail(Failure::new(FailureCode::AddressRefused, "refused"));
        assert_eq!(within_a_day(refused, TimeDelta::hours(25)).to_string(), "refused");
    }
}
