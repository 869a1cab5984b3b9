//! The file operations.

use std::collections::HashSet;

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    domain::{activity::Action, event::EventType},
    id::FileId,
    store::{self, file::FileView},
    telemetry::metrics::metrics,
};
use serde_json::json;

use super::{
    download::{Download, TextDownload},
    multipart::{MultipartUpload, UploadLimits},
    service,
    wire::{AcceptedFiles, File, FilePath},
};
use crate::{
    auth::member::{Member, ReadFiles, WriteFiles},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Accepted, NoContent},
    },
    problem::{Code, Problem},
    quota,
    state::State,
};

/// The operation of which uploads use idempotency keys.
const OPERATION: &str = "uploadFiles";

#[api_operation(
    operation_id = "uploadFiles",
    tag = "files",
    summary = "Upload files",
    description = "Each part named `file` becomes a file and is indexed in the background. After a 202, each file becomes `ready`, or `failed` with a reason."
)]
pub async fn upload(
    state: Data<State>,
    member: Member<WriteFiles>,
    key: IdempotencyKey,
    client: ClientInfo,
    upload: MultipartUpload,
) -> Result<Accepted<AcceptedFiles>, Problem> {
    let platform = &state.platform;
    let http = &platform.config.http;
    let free_bytes = match key.has_response(&platform.db, OPERATION, member.account).await? {
        // The first request has stored the bytes; the ones of this request are discarded.
        true => None,
        false => Some(quota::free_bytes(platform, member.workspace).await?),
    };
    let limits = UploadLimits { files: http.upload_files, file_bytes: http.upload_bytes, free_bytes };
    // Before the body: a request that is repeated while the first one runs is rejected before it has sent everything.
    let lease = key.lease(&platform.db, OPERATION, member.account).await?;
    let (mut received, mut referenced) = (Vec::new(), HashSet::new());
    let result = async {
        lease.hold_during(upload.receive(&platform.blobs, member.workspace, limits, &mut received)).await?;
        let fingerprint: Vec<_> = received.iter().map(|part| part.fingerprint()).collect();
        let request = key.bind(OPERATION, Some(member.account), &(member.workspace, fingerprint));
        idempotent(&member.changes(platform, &client), request, async |change| {
            // The upload may have taken days.
            if !member.access_grant().is_valid(change.tx()).await? {
                return Err(Problem::not_found());
            }
            let files = service::accept(change, platform, member.workspace, &received, &mut referenced).await?;
            Ok(AcceptedFiles { items: files.into_iter().map(File::from).collect() })
        })
        .await
    }
    .await;
    // Also after a failure, except for referenced bytes: a commit whose response was lost may have taken effect.
    service::delete_unreferenced(&platform.blobs, member.workspace, &received, &referenced).await;
    lease.release().await;
    let accepted: Accepted<AcceptedFiles> = result?;
    if accepted.is_first() {
        metrics().uploaded(received.iter().map(|part| part.blob.bytes).sum());
    }
    Ok(accepted.with_location(|accepted| match accepted.items.as_slice() {
        [only] => format!("/api/v1/workspaces/{}/files/{}", member.workspace, only.id),
        _ => format!("/api/v1/workspaces/{}/files", member.workspace),
    }))
}

#[api_operation(operation_id = "listFiles", tag = "files", summary = "List files", description = "Newest first.")]
pub async fn list(
    state: Data<State>,
    member: Member<ReadFiles>,
    query: Query<PageQuery>,
) -> Result<Json<Page<File>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(FileId);
    let rows = store::file::list(&state.platform.db, member.workspace, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |file| file.id.0)))
}

#[api_operation(
    operation_id = "readFile",
    tag = "files",
    summary = "Read a file",
    description = "Includes the state of the indexing: stage and progress, or the reason of a failure."
)]
pub async fn read(state: Data<State>, member: Member<ReadFiles>, path: Path<FilePath>) -> Result<Json<File>, Problem> {
    find(&state, &member, path.0).await.map(|file| Json(file.into()))
}

#[api_operation(
    operation_id = "readFileContent",
    tag = "files",
    summary = "Download a file",
    description = "The content as uploaded."
)]
pub async fn content(state: Data<State>, member: Member<ReadFiles>, path: Path<FilePath>) -> Result<Download, Problem> {
    let file = find(&state, &member, path.0).await?;
    let content = Download::open(&state.platform.blobs, member.workspace, file.blob_id).await?;
    Ok(content.named(&file.name, &file.media_type).sized(file.bytes).tagged(&file.sha256))
}

#[api_operation(
    operation_id = "readFileText",
    tag = "files",
    summary = "Read a file's text",
    description = "The extracted text, in UTF-8. The `start` and `end` of search hits are byte offsets in it. For a UTF-8 text file, it equals the content."
)]
pub async fn text(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<FilePath>,
) -> Result<TextDownload, Problem> {
    let file = find(&state, &member, path.0).await?;
    let blob = file.text_blob_id.ok_or_else(|| Problem::new(Code::NotExtracted))?;
    let text = Download::open(&state.platform.blobs, member.workspace, blob).await?;
    Ok(TextDownload::new(text, &file.name, blob))
}

#[api_operation(
    operation_id = "deleteFile",
    tag = "files",
    summary = "Delete a file",
    description = "Search does not find the file any more when the response arrives."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteFiles>,
    client: ClientInfo,
    path: Path<FilePath>,
) -> Result<NoContent, Problem> {
    let file = path.0.file;
    let changes = member.changes(&state.platform, &client);
    changes
        .run(async |change| {
            if !store::file::delete(change, member.workspace, FileId(file)).await? {
                return Err(Problem::not_found());
            }
            change.audit(Action::FileDeleted, file);
            change.emit(EventType::FileDeleted, file, json!({}));
            Ok(NoContent)
        })
        .await
}

async fn find(state: &State, member: &Member<ReadFiles>, path: FilePath) -> Result<FileView, Problem> {
    let file = store::file::find(&state.platform.db, member.workspace, FileId(path.file)).await?;
    file.ok_or_else(Problem::not_found)
}
