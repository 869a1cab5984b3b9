//! The operations on query sets.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::{JudgedQueryId, QuerySetId},
    store,
};

use super::{
    import, service,
    wire::{CreateQuerySet, ImportQueries, JudgeHit, JudgedQuery, QuerySet, QuerySetPath},
};
use crate::{
    auth::member::{Member, ReadEvaluations, WriteEvaluations},
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
    operation_id = "createQuerySet",
    tag = "evaluations",
    summary = "Create a query set",
    description = "Queries and judgements are imported, or added by judging hits."
)]
pub async fn create(
    state: Data<State>,
    member: Member<WriteEvaluations>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<CreateQuerySet>,
) -> Result<Created<QuerySet>, Problem> {
    let request = key.bind("createQuerySet", Some(member.account), &(member.workspace, &body.0));
    let created: Created<QuerySet> = idempotent(&member.changes(&state.platform, &client), request, async |change| {
        service::create(change, &member, &body.0.name).await.map(QuerySet::from)
    })
    .await?;
    Ok(created.with_location(|set| format!("/api/v1/workspaces/{}/query-sets/{}", member.workspace, set.id)))
}

#[api_operation(
    operation_id = "listQuerySets",
    tag = "evaluations",
    summary = "List query sets",
    description = "Newest first."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadEvaluations>,
    query: Query<PageQuery>,
) -> Result<Json<Page<QuerySet>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(QuerySetId);
    let rows = store::query_set::list(&state.platform.db, member.workspace, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |set| set.id.0)))
}

#[api_operation(
    operation_id = "readQuerySet",
    tag = "evaluations",
    summary = "Read a query set",
    description = "With the numbers of its queries and judgements."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadEvaluations>,
    path: Path<QuerySetPath>,
) -> Result<Json<QuerySet>, Problem> {
    let set = service::find(&state.platform.db, member.workspace, QuerySetId(path.0.set)).await?;
    Ok(Json(set.into()))
}

#[api_operation(
    operation_id = "deleteQuerySet",
    tag = "evaluations",
    summary = "Delete a query set",
    description = "With its queries, judgements and evaluations."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteEvaluations>,
    client: ClientInfo,
    path: Path<QuerySetPath>,
) -> Result<NoContent, Problem> {
    service::delete(&state.platform, &member, &client, QuerySetId(path.0.set)).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "importQueries",
    tag = "evaluations",
    summary = "Import queries and judgements",
    description = "Adds them to the set, in place of queries with the same id and of judgements of the same files. If a line is bad, nothing is imported, and the problem has the numbers of the first bad lines."
)]
pub async fn import_queries(
    state: Data<State>,
    member: Member<WriteEvaluations>,
    client: ClientInfo,
    path: Path<QuerySetPath>,
    body: Json<ImportQueries>,
) -> Result<Json<QuerySet>, Problem> {
    let import = import::read(body.0.texts())?;
    let set = service::import(&state.platform, &member, &client, QuerySetId(path.0.set), &import).await?;
    Ok(Json(set.into()))
}

#[api_operation(
    operation_id = "listQueries",
    tag = "evaluations",
    summary = "List the queries of a set",
    description = "With their judgements, in the order of their import."
)]
pub async fn list_queries(
    state: Data<State>,
    member: Member<ReadEvaluations>,
    path: Path<QuerySetPath>,
    query: Query<PageQuery>,
) -> Result<Json<Page<JudgedQuery>>, Problem> {
    let query = query.0;
    let (set, after) = (QuerySetId(path.0.set), query.after()?.map(JudgedQueryId));
    let rows = service::queries(&state.platform.db, member.workspace, set, after, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |(query, _)| query.id.0)))
}

#[api_operation(
    operation_id = "judgeHit",
    tag = "evaluations",
    summary = "Judge a hit",
    description = "Records how relevant a file, or a passage of it, is for a query, in place of an earlier judgement of the same."
)]
pub async fn judge(
    state: Data<State>,
    member: Member<WriteEvaluations>,
    client: ClientInfo,
    path: Path<QuerySetPath>,
    body: Json<JudgeHit>,
) -> Result<Json<JudgedQuery>, Problem> {
    let (set, hit) = (QuerySetId(path.0.set), body.0.into());
    let query = service::judge(&state.platform, &member, &client, set, &hit).await?;
    Ok(Json(query.into()))
}
