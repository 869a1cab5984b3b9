//! Pipelines and the versions of their definitions.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};
use serde_json::Value as Json;

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    clock,
    entity::{
        pipeline::{ActiveModel, Column, Entity, Model},
        pipeline_version,
    },
    id::{PipelineId, WorkspaceId},
    pipeline::{Definition, builtin, state::PipelineState},
};

/// Adds the pipeline that a workspace is created with. Its definition must compile.
pub async fn insert_builtin(tx: &Tx, workspace: WorkspaceId, definition: &Definition) -> Result<()> {
    let new = NewPipeline { name: builtin::NAME, builtin: true, state: PipelineState::Enabled };
    match insert(tx, workspace, &new, definition.to_json()).await? {
        Some(_) => Ok(()),
        None => Err(Error::RecordNotInserted),
    }
}

/// A pipeline to add.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "columns of `pipeline`")]
pub struct NewPipeline<'a> {
    pub name: &'a str,
    pub builtin: bool,
    pub state: PipelineState,
}

/// Adds a pipeline with the first version of its definition. `None`: the workspace has a pipeline of this name.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, new: &NewPipeline<'_>, definition: Json) -> Result<Option<Model>> {
    let id = PipelineId::new();
    let row = ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        name: Set(new.name.to_owned()),
        builtin: Set(new.builtin),
        state: Set(new.state),
        ..ActiveModel::default()
    };
    let unique_name = OnConflict::columns([Column::WorkspaceId, Column::Name]).do_nothing().to_owned();
    let rows = Entity::insert(row).on_conflict(unique_name).exec_without_returning(tx).await;
    match rows {
        Ok(_) => {}
        Err(Error::RecordNotInserted) => return Ok(None),
        Err(error) => return Err(error),
    }
    let Some(model) = find(tx, workspace, id).await? else { return Ok(None) };
    insert_version(tx, workspace, id, model.version, definition).await?;
    Ok(Some(model))
}

/// A pipeline.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: PipelineId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).one(conn).await
}

/// Like [`find`], and locks the row.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, id: PipelineId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).lock_exclusive().one(tx).await
}

/// Pipelines before `before`, newest first.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<PipelineId>,
    limit: i64,
) -> Result<Vec<Model>> {
    let mut query = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    query.order_by_desc(Column::Id).limit(sql::row_limit(limit)).all(conn).await
}

/// The number of pipelines of a workspace.
pub async fn count(conn: &impl Conn, workspace: WorkspaceId) -> Result<u64> {
    Entity::find().filter(Column::WorkspaceId.eq(workspace)).count(conn).await
}

/// A version of a pipeline's definition.
pub async fn find_version(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: PipelineId,
    number: i32,
) -> Result<Option<pipeline_version::Model>> {
    pipeline_version::Entity::find_by_id((workspace, id, number)).one(conn).await
}

/// The versions of a pipeline before `before`, newest first.
pub async fn list_versions(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: PipelineId,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<pipeline_version::Model>> {
    use pipeline_version::Column;
    let mut query =
        pipeline_version::Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::PipelineId.eq(id));
    if let Some(before) = before {
        query = query.filter(Column::Number.lt(before));
    }
    query.order_by_desc(Column::Number).limit(sql::row_limit(limit)).all(conn).await
}

/// Adds a version, which is never updated.
pub async fn insert_version(
    tx: &Tx,
    workspace: WorkspaceId,
    id: PipelineId,
    number: i32,
    definition: Json,
) -> Result<()> {
    let row = pipeline_version::ActiveModel {
        workspace_id: Set(workspace),
        pipeline_id: Set(id),
        number: Set(number),
        definition: Set(definition),
        ..pipeline_version::ActiveModel::default()
    };
    pipeline_version::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether another pipeline of the workspace has this name.
pub async fn is_name_taken(tx: &Tx, workspace: WorkspaceId, id: PipelineId, name: &str) -> Result<bool> {
    let others = Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::Id.ne(id));
    Ok(others.filter(Column::Name.eq(name)).count(tx).await? > 0)
}

/// Stores name, state and version of a pipeline that this transaction has locked; raises its revision.
pub async fn update(tx: &Tx, model: &Model) -> Result<Model> {
    let row = ActiveModel {
        workspace_id: Set(model.workspace_id),
        id: Set(model.id),
        name: Set(model.name.clone()),
        state: Set(model.state),
        version: Set(model.version),
        revision: Set(model.revision + 1),
        updated_at: Set(clock::now()),
        ..ActiveModel::default()
    };
    Entity::update(row).exec(tx).await
}

/// Deletes a pipeline with its versions and runs. `false`: there is none.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, id: PipelineId) -> Result<bool> {
    Ok(Entity::delete_by_id((workspace, id)).exec(tx).await?.rows_affected == 1)
}
