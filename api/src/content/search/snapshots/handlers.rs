//! The operations on snapshots.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{id::SnapshotId, store};

use super::{
    service::{self, RequestedSnapshot},
    wire::{CreateSnapshot, Snapshot, SnapshotPath},
};
use crate::{
    auth::member::{Member, ReadCollections, WriteCollections},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Created, NoContent},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "createSnapshot",
    tag = "search",
    summary = "Create a snapshot",
    description = "Names a time. The passages of all collections at that time stay searchable with `asOf` until the snapshot is deleted."
)]
pub async fn create(
    state: Data<State>,
    member: Member<WriteCollections>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreateSnapshot>,
) -> Result<Created<Snapshot>, Problem> {
    let requested = RequestedSnapshot::from(body.0);
    let request = key.bind("createSnapshot", Some(member.account), &(member.workspace, &requested));
    let created: Created<Snapshot> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        service::create(change, &member, &requested).await.map(Snapshot::from)
    })
    .await?;
    Ok(created.with_location(|snapshot| format!("/api/v1/workspaces/{}/snapshots/{}", member.workspace, snapshot.id)))
}

#[api_operation(
    operation_id = "listSnapshots",
    tag = "search",
    summary = "List snapshots",
    description = "Newest first."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadCollections>,
    query: Query<PageQuery>,
) -> Result<Json<Page<Snapshot>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(SnapshotId);
    let rows = store::snapshot::list(&state.platform.db, member.workspace, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |snapshot| snapshot.id.0)))
}

#[api_operation(
    operation_id = "readSnapshot",
    tag = "search",
    summary = "Read a snapshot",
    description = "By its id or name."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadCollections>,
    path: Path<SnapshotPath>,
) -> Result<Json<Snapshot>, Problem> {
    let snapshot = service::find(&state.platform.db, member.workspace, &path.0.key()?).await?;
    Ok(Json(snapshot.into()))
}

#[api_operation(
    operation_id = "deleteSnapshot",
    tag = "search",
    summary = "Delete a snapshot",
    description = "Passages that only it has kept are deleted soon after."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteCollections>,
    client: ClientInfo,
    path: Path<SnapshotPath>,
) -> Result<NoContent, Problem> {
    let key = path.0.key()?;
    service::delete(&state.platform, &member, &client, &key).await.map(|()| NoContent)
}
