//! Query sets: queries of a workspace, and how relevant files are for them.

use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    raw_sql,
};
use serde::Serialize;
use serde_json::json;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::evaluation::FileJudgement,
    entity::{
        judged_query,
        query_set::{Column, Entity, Model},
    },
    id::{FileId, JudgedQueryId, QuerySetId, WorkspaceId},
};

/// Judgements of a query that a list of queries shows.
const SHOWN_JUDGEMENTS: i64 = 100;

/// Adds a set. `None`: the workspace has one of this name.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, name: &str) -> Result<Option<QuerySetId>> {
    let id = QuerySetId::new();
    let inserted = raw_sql!(
        Postgres,
        "insert into query_set (workspace_id, id, name) values ({workspace}, {id}, {name})
         on conflict (workspace_id, name) do nothing"
    );
    Ok((sql::execute(tx, inserted).await? == 1).then_some(id))
}

/// The number of sets.
pub async fn count(conn: &impl Conn, workspace: WorkspaceId) -> Result<u64> {
    Entity::find().filter(Column::WorkspaceId.eq(workspace)).count(conn).await
}

/// A set.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: QuerySetId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).one(conn).await
}

/// Sets before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<QuerySetId>,
    limit: i64,
) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    sql::newest(select, Column::Id, before, limit).all(conn).await
}

/// Locks a set until the transaction ends. `false`: there is none.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, id: QuerySetId) -> Result<bool> {
    let locked =
        raw_sql!(Postgres, "select id from query_set where workspace_id = {workspace} and id = {id} for no key update");
    Ok(sql::first_value::<QuerySetId>(tx, locked).await?.is_some())
}

/// Deletes a set with its queries and evaluations. `false`: there is none.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, id: QuerySetId) -> Result<bool> {
    Ok(Entity::delete_by_id((workspace, id)).exec(tx).await?.rows_affected == 1)
}

/// Queries of a set after `after`, in the order of their import, at most `limit`.
pub async fn queries(
    conn: &impl Conn,
    workspace: WorkspaceId,
    set: QuerySetId,
    after: Option<JudgedQueryId>,
    limit: i64,
) -> Result<Vec<judged_query::Model>> {
    judged_query::Entity::find()
        .filter(judged_query::Column::WorkspaceId.eq(workspace))
        .filter(judged_query::Column::QuerySetId.eq(set))
        .apply_if(after, |select, after| select.filter(judged_query::Column::Id.gt(after)))
        .order_by_asc(judged_query::Column::Id)
        .limit(sql::row_limit(limit))
        .all(conn)
        .await
}

/// A query.
pub async fn query(conn: &impl Conn, workspace: WorkspaceId, id: JudgedQueryId) -> Result<Option<judged_query::Model>> {
    judged_query::Entity::find_by_id((workspace, id)).one(conn).await
}

/// A judgement as it was given.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `judgement`")]
pub struct Judgement {
    pub query_id: JudgedQueryId,
    pub file_id: Option<FileId>,
    pub external_id: Option<String>,
    pub start_byte: Option<i64>,
    pub end_byte: Option<i64>,
    pub grade: i16,
    /// All judgements of the query, of which at most a hundred are read.
    pub total: i64,
}

/// The first judgements of each of these queries, the highest grades first.
pub async fn judgements(
    conn: &impl Conn,
    workspace: WorkspaceId,
    queries: Vec<JudgedQueryId>,
) -> Result<Vec<Judgement>> {
    let limit = SHOWN_JUDGEMENTS;
    let judgements = raw_sql!(
        Postgres,
        "select j.query_id, j.file_id, j.external_id, j.start_byte, j.end_byte, j.grade, j.total
         from unnest({queries}::uuid[]) as q (id)
         cross join lateral (
             select *, count(*) over () as total from judgement
             where workspace_id = {workspace} and query_id = q.id
             order by grade desc, id limit {limit}) j"
    );
    sql::all(conn, judgements).await
}

/// A judgement with the file that it is about by now.
#[derive(Debug, FromQueryResult)]
struct Resolved {
    query_id: JudgedQueryId,
    file_id: Option<FileId>,
    start_byte: Option<i64>,
    end_byte: Option<i64>,
    grade: i16,
}

/// The judgements of these queries. `None` in place of a file that the workspace does not have.
pub async fn resolved(
    conn: &impl Conn,
    workspace: WorkspaceId,
    queries: Vec<JudgedQueryId>,
) -> Result<Vec<(JudgedQueryId, Option<FileJudgement>)>> {
    let judgements = raw_sql!(
        Postgres,
        "select j.query_id, coalesce(j.file_id, f.id) as file_id, j.start_byte, j.end_byte, j.grade
         from judgement j
         left join file f on f.workspace_id = j.workspace_id and f.external_id = j.external_id
         where j.workspace_id = {workspace} and j.query_id = any({queries})"
    );
    let rows: Vec<Resolved> = sql::all(conn, judgements).await?;
    let judgement = |row: Resolved| {
        let range = row.start_byte.zip(row.end_byte);
        let judgement = row.file_id.map(|file| FileJudgement { file, range, grade: row.grade });
        (row.query_id, judgement)
    };
    Ok(rows.into_iter().map(judgement).collect())
}

/// A query to be added, or to get another text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "columns of `judged_query`")]
pub struct NewQuery {
    pub id: JudgedQueryId,
    pub external_id: Option<String>,
    pub text: String,
}

/// Adds queries to a locked set, or changes their texts.
pub async fn put_queries(tx: &Tx, workspace: WorkspaceId, set: QuerySetId, queries: &[NewQuery]) -> Result<()> {
    let rows = json!(queries);
    let put = raw_sql!(
        Postgres,
        "insert into judged_query (workspace_id, id, query_set_id, external_id, text)
         select {workspace}, r.id, {set}, r.external_id, r.text
         from jsonb_to_recordset({rows}::jsonb) as r (id uuid, external_id text, text text)
         on conflict (workspace_id, id) do update set text = excluded.text"
    );
    sql::execute(tx, put).await?;
    Ok(())
}

/// The file of a judgement: by its id, or by its external id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct JudgedFile {
    /// The file.
    pub file_id: Option<FileId>,
    /// The external id of a file that need not exist.
    pub external_id: Option<String>,
    /// A byte range of the file's text.
    pub start_byte: Option<i64>,
    /// One past its last byte.
    pub end_byte: Option<i64>,
}

/// A judgement to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewJudgement {
    /// The query.
    pub query_id: JudgedQueryId,
    /// The file, which the query has once in these judgements.
    #[serde(flatten)]
    pub judged: JudgedFile,
    /// 0 to 3.
    pub grade: i16,
}

/// Stores judgements of queries of a locked set, in place of earlier ones of the same files.
pub async fn put_judgements(
    tx: &Tx,
    workspace: WorkspaceId,
    set: QuerySetId,
    judgements: &[NewJudgement],
) -> Result<()> {
    let rows = json!(judgements);
    let put = raw_sql!(
        Postgres,
        "insert into judgement
             (workspace_id, query_set_id, query_id, file_id, external_id, start_byte, end_byte, grade)
         select {workspace}, {set}, r.query_id, r.file_id, r.external_id, r.start_byte, r.end_byte, r.grade
         from jsonb_to_recordset({rows}::jsonb) as r (
             query_id uuid, file_id uuid, external_id text, start_byte bigint, end_byte bigint, grade smallint)
         on conflict (workspace_id, query_id, file_id, external_id, start_byte, end_byte)
             do update set grade = excluded.grade, updated_at = now()"
    );
    sql::execute(tx, put).await?;
    Ok(())
}

/// Withdraws a judgement of a locked set. `false`: there is none.
pub async fn withdraw(tx: &Tx, workspace: WorkspaceId, query_id: JudgedQueryId, judged: &JudgedFile) -> Result<bool> {
    let JudgedFile { file_id: file, external_id, start_byte: start, end_byte: end } = judged.clone();
    let withdrawn = raw_sql!(
        Postgres,
        "delete from judgement
         where workspace_id = {workspace} and query_id = {query_id} and file_id is not distinct from {file}::uuid
             and external_id is not distinct from {external_id}::text
             and start_byte is not distinct from {start}::bigint and end_byte is not distinct from {end}::bigint"
    );
    Ok(sql::execute(tx, withdrawn).await? == 1)
}

/// Those of these files that the workspace has. They stay until the transaction ends.
pub async fn existing_files(tx: &Tx, workspace: WorkspaceId, files: Vec<FileId>) -> Result<Vec<FileId>> {
    let existing = raw_sql!(
        Postgres,
        "select id from file where workspace_id = {workspace} and id = any({files}) order by id for key share"
    );
    sql::all_values(tx, existing).await
}

/// Counts the queries and judgements of a locked set anew, and raises its revision.
pub async fn revise(tx: &Tx, workspace: WorkspaceId, id: QuerySetId) -> Result<()> {
    let revised = raw_sql!(
        Postgres,
        "update query_set set revision = revision + 1, updated_at = now(),
             queries = (select count(*) from judged_query where workspace_id = {workspace} and query_set_id = {id}),
             judgements = (select count(*) from judgement where workspace_id = {workspace} and query_set_id = {id})
         where workspace_id = {workspace} and id = {id}"
    );
    sql::execute(tx, revised).await?;
    Ok(())
}
