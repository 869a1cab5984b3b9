//! The file operations.

use std::collections::HashSet;

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    entity::file_version,
    id::{FileId, VersionId},
    store::{
        self,
        file::{FileQuery, FileView},
    },
    telemetry::metrics::metrics,
};

use super::{
    download::{Download, TextDownload},
    service,
    wire::{AcceptedFile, AcceptedFiles, ChangeFile, File, FilePath, FileVersion, ListQuery, VersionQuery, VersionRow},
};
use crate::{
    auth::member::{Member, ReadFiles, WriteFiles},
    http::{
        client_info::ClientInfo,
        etag::{ExpectedRevisions, Tagged},
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Accepted, NoContent},
    },
    problem::{Code, Problem},
    state::State,
    upload::{FormKind, MultipartUpload, ReceivedForm, UploadLimits, accept, delete_unreferenced},
};

/// The operation of which uploads use idempotency keys.
const OPERATION: &str = "uploadFiles";

#[api_operation(
    operation_id = "uploadFiles",
    tag = "files",
    summary = "Upload files",
    description = "Each part named `file` becomes a file and is indexed in the background. After a 202, each file becomes `ready`, or `failed` with a reason. The fields `externalId`, `tags` and `metadata` before a part describe its file. A part whose `externalId` belongs to a file becomes a new version of it, unless the newest version has the same content; the `outcome` of each file says which."
)]
pub async fn upload(
    state: Data<State>,
    member: Member<WriteFiles>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: MultipartUpload,
) -> Result<Accepted<AcceptedFiles>, Problem> {
    let platform = &state.platform;
    let is_answered = key.has_response(&platform.db, OPERATION, member.account).await?;
    let limits = UploadLimits::of(platform, member.workspace, is_answered).await?;
    // Before the body: a request that is repeated while the first one runs is rejected before it has sent everything.
    let lease = key.lease(&platform.db, OPERATION, member.account).await?;
    let (mut form, mut referenced) = (ReceivedForm::default(), HashSet::new());
    let result = async {
        let receiving = body.receive(&platform.blobs, member.workspace, FormKind::Upload, limits, &mut form);
        lease.hold_during(receiving).await?;
        let fingerprint: Vec<_> = form.files.iter().map(|part| part.fingerprint()).collect();
        let request = key.bind(OPERATION, Some(member.account), &(member.workspace, fingerprint));
        idempotent(&member.changes(platform, &client), request, async |change| {
            // The upload may have taken days.
            if !member.access_grant().is_valid(change.tx()).await? {
                return Err(Problem::not_found());
            }
            let pipelines = store::run::lock_enabled_pipelines(change, member.workspace).await?;
            let files = accept(change, platform, member.workspace, pipelines, &form.files, &mut referenced).await?;
            Ok(AcceptedFiles { items: files.into_iter().map(AcceptedFile::from).collect() })
        })
        .await
    }
    .await;
    // Also after a failure, except for referenced bytes: a commit whose response was lost may have taken effect.
    delete_unreferenced(&platform.blobs, member.workspace, &form.files, &referenced).await;
    lease.release().await;
    let accepted: Accepted<AcceptedFiles> = result?;
    if accepted.is_first() {
        metrics().uploaded(form.files.iter().map(|part| part.blob.bytes).sum());
    }
    Ok(accepted.with_location(|accepted| match accepted.items.as_slice() {
        [only] => format!("/api/v1/workspaces/{}/files/{}", member.workspace, only.file.id),
        _ => format!("/api/v1/workspaces/{}/files", member.workspace),
    }))
}

#[api_operation(
    operation_id = "listFiles",
    tag = "files",
    summary = "List files",
    description = "Newest first; those that match every condition of the query."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadFiles>,
    query: Query<ListQuery>,
) -> Result<Json<Page<File>>, Problem> {
    let conditions = query.0.conditions()?;
    let page = PageQuery::new(query.0.limit, query.0.cursor);
    let conditions = FileQuery { before: page.after()?.map(FileId), ..conditions };
    let rows = store::file::list(&state.platform.db, member.workspace, conditions, page.fetch_limit()).await?;
    Ok(Json(Page::new(&page, rows, |file| file.id.0)))
}

#[api_operation(
    operation_id = "readFile",
    tag = "files",
    summary = "Read a file",
    description = "Includes the state of the indexing: stage and progress, or the reason of a failure. The `ETag` covers name, tags, metadata and newest version, and not the state of the indexing."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<FilePath>,
) -> Result<Tagged<File>, Problem> {
    find(&state, &member, &path.0).await.map(tagged)
}

#[api_operation(
    operation_id = "updateFile",
    tag = "files",
    summary = "Change a file",
    description = "Changes the fields in the body; searches see the change at once. With `If-Match`, only if the file has not changed since the client read it."
)]
pub async fn update(
    state: Data<State>,
    member: Member<WriteFiles>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<FilePath>,
    body: Json<ChangeFile>,
) -> Result<Tagged<File>, Problem> {
    let (file, revisions) = (FileId(path.0.file), expected.revisions());
    let changes = member.changes(&state.platform, &client);
    service::update(&changes, member.workspace, file, revisions.as_deref(), &body.0.into()).await.map(tagged)
}

#[api_operation(
    operation_id = "listFileVersions",
    tag = "files",
    summary = "List the versions of a file",
    description = "Newest first. Search finds the passages of one version: the newest that became `ready`."
)]
pub async fn list_versions(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<FilePath>,
    query: Query<PageQuery>,
) -> Result<Json<Page<FileVersion>>, Problem> {
    let (query, db) = (query.0, &state.platform.db);
    let file = find(&state, &member, &path.0).await?;
    let limit = query.fetch_limit();
    let rows = store::file::list_versions(db, member.workspace, file.id, query.after()?, limit).await?;
    let rows = rows.into_iter().map(|row| VersionRow { live: Some(row.id) == file.live_version_id, row }).collect();
    Ok(Json(Page::new(&query, rows, |version: &VersionRow| version.row.number)))
}

#[api_operation(
    operation_id = "readFileContent",
    tag = "files",
    summary = "Download a file",
    description = "The content as uploaded: of the newest version, or of the one in the query."
)]
pub async fn content(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<FilePath>,
    query: Query<VersionQuery>,
) -> Result<Download, Problem> {
    let (file, version) = find_version(&state, &member, &path.0, &query.0).await?;
    let content = Download::open(&state.platform.blobs, member.workspace, version.blob_id).await?;
    Ok(content.named(&file.name, &version.media_type).sized(version.bytes).tagged(&version.sha256))
}

#[api_operation(
    operation_id = "readFileText",
    tag = "files",
    summary = "Read a file's text",
    description = "The extracted text, in UTF-8: of the newest version, or of the one in the query. The `start` and `end` of search hits are byte offsets in the text of their version. For a UTF-8 text file, it equals the content."
)]
pub async fn text(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<FilePath>,
    query: Query<VersionQuery>,
) -> Result<TextDownload, Problem> {
    let (file, version) = find_version(&state, &member, &path.0, &query.0).await?;
    let blob = version.text_blob_id.ok_or_else(|| Problem::new(Code::NotExtracted))?;
    let text = Download::open(&state.platform.blobs, member.workspace, blob).await?;
    Ok(TextDownload::new(text, &file.name, blob))
}

#[api_operation(
    operation_id = "deleteFile",
    tag = "files",
    summary = "Delete a file",
    description = "With all its versions. Search does not find the file any more when the response arrives. With `If-Match`, only if the file has not changed since the client read it."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteFiles>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<FilePath>,
) -> Result<NoContent, Problem> {
    let (file, revisions) = (FileId(path.0.file), expected.revisions());
    let changes = member.changes(&state.platform, &client);
    service::delete(&changes, member.workspace, file, revisions.as_deref()).await.map(|()| NoContent)
}

async fn find(state: &State, member: &Member<ReadFiles>, path: &FilePath) -> Result<FileView, Problem> {
    let file = store::file::find(&state.platform.db, member.workspace, FileId(path.file)).await?;
    file.ok_or_else(Problem::not_found)
}

async fn find_version(
    state: &State,
    member: &Member<ReadFiles>,
    path: &FilePath,
    query: &VersionQuery,
) -> Result<(FileView, file_version::Model), Problem> {
    let file = find(state, member, path).await?;
    let version = query.version_id.map_or(file.version_id, VersionId);
    let found = store::file::find_version(&state.platform.db, member.workspace, file.id, version).await?;
    Ok((file, found.ok_or_else(Problem::not_found)?))
}

fn tagged(file: FileView) -> Tagged<File> {
    Tagged { revision: file.revision, body: file.into() }
}
