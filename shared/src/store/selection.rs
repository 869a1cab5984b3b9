//! Which files enter a run: the filter language of search, over the newest version of each file.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Statement};

use super::{
    Conn, Result,
    search::{Parameters, condition},
    sql,
};
use crate::{
    domain::{filter::Filter, run::ItemState},
    entity::file,
    id::{FileId, RunId, VersionId, WorkspaceId},
};

/// Whether a version matches all of these filters.
pub async fn matches(conn: &impl Conn, workspace: WorkspaceId, version: VersionId, filters: &[Filter]) -> Result<bool> {
    if filters.is_empty() {
        return Ok(true);
    }
    let mut parameters = Parameters::default();
    let (workspace, version) = (parameters.bind(workspace), parameters.bind(version));
    let conditions = join(filters, &mut parameters);
    let text = format!(
        "select exists (
             select from file_version v join file f on f.workspace_id = v.workspace_id and f.id = v.file_id
             where v.workspace_id = {workspace} and v.id = {version} and {conditions})"
    );
    let statement: Statement = parameters.into_statement(text);
    Ok(sql::first_value(conn, statement).await?.unwrap_or(false))
}

/// Files that a run names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Named<'a> {
    /// These files.
    pub files: Option<&'a [FileId]>,
    /// Those of a run's items, in this state if given; members of other items are left out, as they enter with them.
    pub items_of: Option<(RunId, Option<ItemState>)>,
    /// Those of this source.
    pub source: Option<&'a str>,
    /// Whether they come newest first; otherwise oldest first.
    pub newest: bool,
}

/// The files behind `after`, by id, that match all of these filters, with their newest versions; of the named ones, if there are
/// any. Files that come from others are left out unless they are named.
pub async fn page(
    conn: &impl Conn,
    workspace: WorkspaceId,
    named: Named<'_>,
    filters: &[Filter],
    after: Option<FileId>,
    limit: i64,
) -> Result<Vec<(FileId, VersionId)>> {
    let mut parameters = Parameters::default();
    let (behind, order) = if named.newest { ("<", "desc") } else { (">", "asc") };
    let mut conditions = vec![format!("f.workspace_id = {}", parameters.bind(workspace))];
    if let Some(files) = named.files {
        conditions.push(format!("f.id = any({})", parameters.bind(files.to_vec())));
    }
    if let Some((run, state)) = named.items_of {
        let run = parameters.bind(run);
        let state = state.map(|state| format!(" and i.state = {}", parameters.bind(state))).unwrap_or_default();
        conditions.push(format!(
            "exists (select from run_item i where i.workspace_id = f.workspace_id and i.run_id = {run}
                 and i.file_id = f.id and i.parent_id is null{state})"
        ));
    }
    if let Some(source) = named.source {
        conditions.push(format!("f.source = {}", parameters.bind(source.to_owned())));
    }
    if named.files.is_none() && named.items_of.is_none() {
        conditions.push("f.parent_id is null".to_owned());
    }
    if let Some(after) = after {
        conditions.push(format!("f.id {behind} {}", parameters.bind(after)));
    }
    if !filters.is_empty() {
        conditions.push(join(filters, &mut parameters));
    }
    let limit = parameters.bind(limit);
    let text = format!(
        "select f.id, v.id from file f join file_version v on v.workspace_id = f.workspace_id and v.id = f.version_id
         where {} order by f.id {order} limit {limit}",
        conditions.join(" and ")
    );
    sql::all_values(conn, parameters.into_statement(text)).await
}

fn join(filters: &[Filter], parameters: &mut Parameters) -> String {
    let conditions: Vec<_> = filters.iter().map(|filter| condition(filter, parameters)).collect();
    conditions.join(" and ")
}

/// The number of these files that the workspace has.
pub async fn count_files(conn: &impl Conn, workspace: WorkspaceId, files: Vec<FileId>) -> Result<u64> {
    let own =
        file::Entity::find().filter(file::Column::WorkspaceId.eq(workspace)).filter(file::Column::Id.is_in(files));
    own.count(conn).await
}
