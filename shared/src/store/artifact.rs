//! Artifacts: durable outputs of nodes, addressed by their content keys.
//!
//! An artifact belongs to a file version and is deleted with it. The same key in another version of the workspace is found as
//! well; its parts are copied then, so that each version's deletion takes its own.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, raw_sql,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use serde_json::Value as Json;

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    entity::{artifact as artifact_row, artifact_part},
    id::{ArtifactId, FileId, VersionId, WorkspaceId},
    pipeline::{content_key::ContentKey, port::Flow},
};

/// An output that was found by its key.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `artifact`")]
pub struct FoundArtifact {
    pub id: ArtifactId,
    pub version_id: VersionId,
    pub elements: i32,
    pub effects: Json,
}

/// An artifact to be added.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `artifact`")]
pub struct NewArtifact {
    pub key: ContentKey,
    pub node_type: &'static str,
    pub flow: Flow,
    pub effects: Json,
    pub parts: Vec<Part>,
    /// Whether these are all of its parts; otherwise other units add theirs, and [`complete`] ends it.
    pub complete: bool,
}

/// Elements of an artifact, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Part {
    /// The place of the first element; of an artifact that is not complete, it only tells the order.
    pub first: i64,
    /// The number of elements.
    pub elements: i32,
    /// A JSON array.
    pub data: Vec<u8>,
}

/// The complete artifact with a key, of this version if it has one.
pub async fn find(
    conn: &impl Conn,
    workspace: WorkspaceId,
    version: VersionId,
    key: ContentKey,
) -> Result<Option<FoundArtifact>> {
    let key = key.0.to_vec();
    let found = raw_sql!(
        Postgres,
        "select id, version_id, elements, effects from artifact
         where workspace_id = {workspace} and key = {key} and complete
         order by version_id <> {version}, id limit 1"
    );
    sql::first(conn, found).await
}

/// Adds an artifact with its parts, or parts to one that exists; returns its id, and the number of elements: of those that were added, or
/// of all in an artifact that was complete before and stays as it is.
pub async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    (file, version): (FileId, VersionId),
    new: NewArtifact,
) -> Result<(ArtifactId, i32)> {
    let id = ArtifactId::new();
    let (key, elements) = (new.key.0.to_vec(), new.parts.iter().map(|part| part.elements).sum::<i32>());
    let (node_type, flow, effects, complete) = (new.node_type, new.flow.name(), new.effects, new.complete);
    let inserted = raw_sql!(
        Postgres,
        "insert into artifact (workspace_id, id, file_id, version_id, key, node_type, flow, elements, effects, complete)
         values ({workspace}, {id}, {file}, {version}, {key}, {node_type}, {flow}, {elements}, {effects}, {complete})
         on conflict (workspace_id, version_id, key) do update set used_at = now()
         returning id, complete and id <> {id}, elements"
    );
    let inserted = sql::first_value::<(ArtifactId, bool, i32)>(tx, inserted).await?;
    let Some((id, is_known, stored)) = inserted else { return Ok((id, elements)) };
    if is_known {
        return Ok((id, stored));
    }
    for part in new.parts {
        // A repeated item finds the parts of its attempt before: they are the same.
        let known = OnConflict::columns([
            artifact_part::Column::WorkspaceId,
            artifact_part::Column::ArtifactId,
            artifact_part::Column::First,
        ])
        .do_nothing()
        .to_owned();
        let row = artifact_part::ActiveModel {
            workspace_id: Set(workspace),
            artifact_id: Set(id),
            first: Set(part.first),
            elements: Set(part.elements),
            data: Set(part.data),
        };
        match artifact_part::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await {
            Ok(_) | Err(Error::RecordNotInserted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((id, elements))
}

/// Records that all parts are there, and gives their elements places without gaps; returns the number of elements.
pub async fn complete(tx: &Tx, workspace: WorkspaceId, artifact: ArtifactId) -> Result<i32> {
    // Out of the way first: a place must be free when a part gets it.
    let moved = raw_sql!(
        Postgres,
        "update artifact_part set first = first + (1::bigint << 62)
         where workspace_id = {workspace} and artifact_id = {artifact}
             and not (select complete from artifact where workspace_id = {workspace} and id = {artifact})"
    );
    if sql::execute(tx, moved).await? > 0 {
        let numbered = raw_sql!(
            Postgres,
            "update artifact_part part set first = numbered.place
             from (
                 select first, sum(elements) over (order by first) - elements as place from artifact_part
                 where workspace_id = {workspace} and artifact_id = {artifact}) numbered
             where part.workspace_id = {workspace} and part.artifact_id = {artifact} and part.first = numbered.first"
        );
        sql::execute(tx, numbered).await?;
    }
    let completed = raw_sql!(
        Postgres,
        "update artifact set complete = true, elements = (
             select coalesce(sum(elements), 0) from artifact_part part
             where part.workspace_id = artifact.workspace_id and part.artifact_id = artifact.id)
         where workspace_id = {workspace} and id = {artifact}
         returning elements"
    );
    Ok(sql::first_value(tx, completed).await?.unwrap_or_default())
}

/// Gives a version an artifact of another one: a copy of its own. Returns its id; `None`: the artifact was deleted meanwhile, with the
/// file that it belonged to.
pub async fn adopt(
    tx: &Tx,
    workspace: WorkspaceId,
    (file, version): (FileId, VersionId),
    found: &FoundArtifact,
) -> Result<Option<ArtifactId>> {
    let source = found.id;
    if found.version_id == version {
        let used = raw_sql!(
            Postgres,
            "update artifact set used_at = now() where workspace_id = {workspace} and id = {source} returning id"
        );
        return sql::first_value(tx, used).await;
    }
    let id = ArtifactId::new();
    // One statement sees the artifact with its parts, or neither.
    let copy = raw_sql!(
        Postgres,
        "with own as (
             insert into artifact
                 (workspace_id, id, file_id, version_id, key, node_type, flow, elements, effects, complete)
             select workspace_id, {id}, {file}, {version}, key, node_type, flow, elements, effects, complete
             from artifact where workspace_id = {workspace} and id = {source}
             on conflict (workspace_id, version_id, key) do update set used_at = now()
             returning id),
         copied as (
             insert into artifact_part (workspace_id, artifact_id, first, elements, data)
             select part.workspace_id, own.id, part.first, part.elements, part.data
             from artifact_part part join own on own.id = {id}
             where part.workspace_id = {workspace} and part.artifact_id = {source})
         select id from own"
    );
    sql::first_value(tx, copy).await
}

/// The parts of an artifact that have elements from `first` to before `end`, in order.
pub async fn parts(
    conn: &impl Conn,
    workspace: WorkspaceId,
    artifact: ArtifactId,
    first: i64,
    end: i64,
) -> Result<Vec<Part>> {
    use artifact_part::Column;
    artifact_part::Entity::find()
        .select_only()
        .columns([Column::First, Column::Elements, Column::Data])
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::ArtifactId.eq(artifact))
        .filter(Column::First.lt(end))
        .filter(Expr::col(Column::First).add(Expr::col(Column::Elements)).gt(first))
        .order_by_asc(Column::First)
        .into_model()
        .all(conn)
        .await
}

/// Deletes up to `limit` artifacts that were not used for `age` and belong to no unfinished item.
pub async fn delete_unused(conn: &impl Conn, age: Duration, limit: i64) -> Result<u64> {
    let age_seconds = age.as_secs_f64();
    let deleted = raw_sql!(
        Postgres,
        "delete from artifact where (workspace_id, id) in (
             select workspace_id, id from artifact a
             where used_at < now() - make_interval(secs => {age_seconds})
               and not exists (
                   select from run_item i where i.workspace_id = a.workspace_id and i.version_id = a.version_id
                       and i.state in ('queued', 'running'))
             order by used_at limit {limit} for update skip locked)"
    );
    sql::execute(conn, deleted).await
}

/// The artifacts with these ids that are still kept.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    artifacts: Vec<ArtifactId>,
) -> Result<Vec<artifact_row::Model>> {
    use artifact_row::Column;
    artifact_row::Entity::find()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Id.is_in(artifacts))
        .all(conn)
        .await
}

/// The first part of an artifact whose first element is at `first` or behind; `None`: there are no more.
pub async fn next_part(
    conn: &impl Conn,
    workspace: WorkspaceId,
    artifact: ArtifactId,
    first: i64,
) -> Result<Option<Part>> {
    use artifact_part::Column;
    artifact_part::Entity::find()
        .select_only()
        .columns([Column::First, Column::Elements, Column::Data])
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::ArtifactId.eq(artifact))
        .filter(Column::First.gte(first))
        .order_by_asc(Column::First)
        .into_model()
        .one(conn)
        .await
}

#[cfg(all(test, feature = "testing"))]
mod tests;
