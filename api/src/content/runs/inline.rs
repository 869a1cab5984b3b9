//! The operation that starts a run with a definition of its own.

use std::collections::HashSet;

use actix_web::web::Data;
use apistos::api_operation;
use garde::Validate;
use nvisy_shared::{
    domain::{connection::model::micros, run::RunTrigger},
    id::{FileId, WorkspaceId},
    pipeline::node::service::check_url,
    runs::{self, Selection},
    store::{Tx, change::Change},
    telemetry::metrics::metrics,
};
use serde_json::Value;

use super::{
    inline_body::InlineRunBody,
    service,
    start::{files, located},
    wire::{Run, StartInlineRun},
};
use crate::{
    auth::member::{Member, WriteFiles, WritePipelines},
    definition::{compile, require_references},
    http::{
        client_info::ClientInfo,
        extract::invalid_field,
        idempotency::{IdempotencyKey, idempotent},
        json_body::decode_bounded,
        status_json::Accepted,
    },
    problem::Problem,
    state::State,
    upload::{FormKind, MultipartUpload, REQUEST, ReceivedForm, UploadLimits, accept, delete_unreferenced},
};

/// The operation that runs use idempotency keys of.
const OPERATION: &str = "startInlineRun";

#[api_operation(
    operation_id = "startInlineRun",
    tag = "runs",
    summary = "Start a run with a definition",
    description = "No stored pipeline is needed. The results are the artifacts of the items, and what the sinks of the definition write; `webhook` names a receiver that is told when the run has ended. An invalid definition is 422, with every problem. A form brings files: they become files of the workspace, within the limits of uploads, and this run alone processes them; an API token needs `files.write` as well."
)]
pub async fn start_inline(
    state: Data<State>,
    member: Member<WritePipelines>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: InlineRunBody,
) -> Result<Accepted<Run>, Problem> {
    match body {
        InlineRunBody::Json(body) => start(&state, &member, key, &client, *body).await,
        InlineRunBody::Form { parts, limit_bytes } => {
            start_with_files(&state, &member, key, &client, (parts, limit_bytes)).await
        }
    }
}

async fn start(
    state: &State,
    member: &Member<WritePipelines>,
    key: IdempotencyKey,
    client: &ClientInfo,
    body: StartInlineRun,
) -> Result<Accepted<Run>, Problem> {
    let workspace = member.workspace;
    let run = InlineRun::new(body)?;
    let request = key.bind(OPERATION, Some(member.account), &(workspace, &run.body));
    let started: Accepted<Run> = idempotent(&member.changes(&state.platform, client), request, async |change| {
        let files = run.check(change, workspace).await?;
        run.start(change, state, workspace, files).await
    })
    .await?;
    Ok(located(started, workspace))
}

/// Starts a run over files that arrive with the request. The bytes come first, then the rows, as of uploads.
async fn start_with_files(
    state: &State,
    member: &Member<WritePipelines>,
    key: IdempotencyKey,
    client: &ClientInfo,
    (parts, limit_bytes): (MultipartUpload, usize),
) -> Result<Accepted<Run>, Problem> {
    let (platform, workspace) = (&state.platform, member.workspace);
    let writer = member.also::<WriteFiles>(&platform.db).await?;
    let is_answered = key.has_response(&platform.db, OPERATION, member.account).await?;
    let limits = UploadLimits::of(platform, workspace, is_answered).await?;
    // Before the body: a request that is repeated while the first one runs is rejected before it has sent everything.
    let lease = key.lease(&platform.db, OPERATION, member.account).await?;
    let (mut form, mut referenced) = (ReceivedForm::default(), HashSet::new());
    let result = async {
        let receiving = parts.receive(&platform.blobs, workspace, FormKind::Request { limit_bytes }, limits, &mut form);
        lease.hold_during(receiving).await?;
        let run = InlineRun::new(request_of(&form)?)?;
        let fingerprint: Vec<_> = form.files.iter().map(|file| file.fingerprint()).collect();
        let request = key.bind(OPERATION, Some(member.account), &(workspace, &run.body, fingerprint));
        idempotent(&member.changes(platform, client), request, async |change| {
            // The files may have taken days.
            let tx = change.tx();
            if !member.access_grant().is_valid(tx).await? || !writer.access_grant().is_valid(tx).await? {
                return Err(Problem::not_found());
            }
            let named = run.check(change, workspace).await?;
            // No stored pipeline processes the files.
            let accepted = accept(change, platform, workspace, Vec::new(), &form.files, &mut referenced).await?;
            let own = accepted.into_iter().map(|(file, _)| file.id);
            let files = named.unwrap_or_default().into_iter().chain(own).collect();
            let started = run.start(change, state, workspace, Some(files)).await;
            // No row refers to the files of a run that is rejected: their bytes are deleted at once.
            started.inspect_err(|_| referenced.clear())
        })
        .await
    }
    .await;
    // Also after a failure, except for referenced bytes: a commit whose response was lost may have taken effect.
    delete_unreferenced(&platform.blobs, workspace, &form.files, &referenced).await;
    lease.release().await;
    let started: Accepted<Run> = result?;
    if started.is_first() {
        metrics().uploaded(form.files.iter().map(|file| file.blob.bytes).sum());
    }
    Ok(located(started, workspace))
}

/// The request in a form.
fn request_of(form: &ReceivedForm) -> Result<StartInlineRun, Problem> {
    let json =
        form.request.as_deref().ok_or_else(|| invalid_field(REQUEST, "must be a part with the JSON of the run"))?;
    let body: StartInlineRun = decode_bounded(json)?;
    body.validate()?;
    Ok(body)
}

/// A run that a request describes, with a definition that compiles.
struct InlineRun {
    body: StartInlineRun,
    definition: Value,
}

impl InlineRun {
    fn new(body: StartInlineRun) -> Result<Self, Problem> {
        let definition = compile(&body.definition)?.definition.to_json();
        service::check_filter(body.filter.as_ref())?;
        if let Some(webhook) = &body.webhook {
            check_url(&webhook.url)
                .map_err(|(message, remedy)| invalid_field("webhook.url", format!("{message}; {remedy}")))?;
        }
        Ok(Self { body, definition })
    }

    /// The files that the request names; everything must exist that the request refers to.
    async fn check(&self, tx: &Tx, workspace: WorkspaceId) -> Result<Option<Vec<FileId>>, Problem> {
        let files = files(tx, workspace, self.body.files.as_deref()).await?;
        require_references(tx, workspace, &self.definition).await?;
        Ok(files)
    }

    async fn start(
        &self,
        change: &mut Change,
        state: &State,
        workspace: WorkspaceId,
        files: Option<Vec<FileId>>,
    ) -> Result<Run, Problem> {
        let body = &self.body;
        let of = service::insert_inline(change, workspace, &self.definition).await?;
        let selection = Selection { files, filter: body.filter.clone(), limit: body.limit, ..Selection::default() };
        let start = runs::StartRun {
            low_priority: body.low_priority,
            budget: body.budget.map(micros),
            webhook_url: body.webhook.as_ref().map(|webhook| webhook.url.clone()),
            ..runs::StartRun::new(RunTrigger::Inline, selection)
        };
        service::start(change, &state.platform, workspace, &of, start).await.map(Run::from)
    }
}
