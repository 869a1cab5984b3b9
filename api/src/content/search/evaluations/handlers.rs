//! The operations on evaluations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::{EvaluationId, JudgedQueryId},
    store,
};

use super::{
    comparison::{Comparison, compare_evaluations},
    service,
    wire::{ComparisonPath, Evaluation, EvaluationPath, EvaluationsQuery, QueryView, SetPath, StartEvaluation},
};
use crate::{
    auth::member::{Member, ReadEvaluations, WriteEvaluations},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
        idempotency::{IdempotencyKey, idempotent},
        pagination::{Page, PageQuery},
        query::Query,
        status_json::{Accepted, NoContent},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "startEvaluation",
    tag = "evaluations",
    summary = "Start an evaluation",
    description = "A worker searches the queries of the set with these settings, and compares the files that it finds with the judgements."
)]
pub async fn start(
    state: Data<State>,
    member: Member<WriteEvaluations>,
    key: IdempotencyKey,
    client: ClientInfo,
    path: Path<SetPath>,
    body: Json<StartEvaluation>,
) -> Result<Accepted<Evaluation>, Problem> {
    let requested = body.0.of_set(path.0.set);
    let request = key.bind("startEvaluation", Some(member.account), &(member.workspace, path.0.set, &body.0));
    let started: Accepted<Evaluation> =
        idempotent(&member.changes(&state.platform, &client), request, async |change| {
            service::start(change, &state.platform, &member, &requested).await.and_then(Evaluation::try_from)
        })
        .await?;
    Ok(started.with_location(|started| format!("/api/v1/workspaces/{}/evaluations/{}", member.workspace, started.id)))
}

#[api_operation(
    operation_id = "listEvaluations",
    tag = "evaluations",
    summary = "List evaluations",
    description = "Newest first: the metrics of a query set or a collection over time."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadEvaluations>,
    query: Query<EvaluationsQuery>,
) -> Result<Json<Page<Evaluation>>, Problem> {
    let (filter, query) = query.0.into_parts();
    let before = query.after()?.map(EvaluationId);
    let (db, limit) = (&state.platform.db, query.fetch_limit());
    let rows = store::evaluation::list(db, member.workspace, filter, before, limit).await?;
    let evaluations = rows.into_iter().map(Evaluation::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::new(&query, evaluations, |evaluation| evaluation.id)))
}

#[api_operation(
    operation_id = "readEvaluation",
    tag = "evaluations",
    summary = "Read an evaluation",
    description = "With its progress, and in the end its metrics."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadEvaluations>,
    path: Path<EvaluationPath>,
) -> Result<Json<Evaluation>, Problem> {
    let row = service::find(&state.platform.db, member.workspace, EvaluationId(path.0.evaluation)).await?;
    Evaluation::try_from(row).map(Json)
}

#[api_operation(
    operation_id = "listEvaluatedQueries",
    tag = "evaluations",
    summary = "List the queries of an evaluation",
    description = "With the metrics and the first files of each, in the order of the set."
)]
pub async fn list_queries(
    state: Data<State>,
    member: Member<ReadEvaluations>,
    path: Path<EvaluationPath>,
    query: Query<PageQuery>,
) -> Result<Json<Page<QueryView>>, Problem> {
    let query = query.0;
    let (id, after) = (EvaluationId(path.0.evaluation), query.after()?.map(JudgedQueryId));
    let rows = service::queries(&state.platform.db, member.workspace, id, after, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |query| query.query_id.0)))
}

#[api_operation(
    operation_id = "compareEvaluations",
    tag = "evaluations",
    summary = "Compare two evaluations",
    description = "The differences of their metrics, query by query, with a paired test, and the queries that changed most. Both are done, and of the same query set."
)]
pub async fn compare(
    state: Data<State>,
    member: Member<ReadEvaluations>,
    path: Path<ComparisonPath>,
) -> Result<Json<Comparison>, Problem> {
    let (first, second) = (EvaluationId(path.0.evaluation), EvaluationId(path.0.other));
    compare_evaluations(&state.platform.db, member.workspace, first, second).await.map(Json)
}

#[api_operation(
    operation_id = "deleteEvaluation",
    tag = "evaluations",
    summary = "Delete an evaluation",
    description = "One that runs ends."
)]
pub async fn delete(
    state: Data<State>,
    member: Member<WriteEvaluations>,
    client: ClientInfo,
    path: Path<EvaluationPath>,
) -> Result<NoContent, Problem> {
    service::delete(&state.platform, &member, &client, EvaluationId(path.0.evaluation)).await.map(|()| NoContent)
}
