//! Evaluations: searches of the queries of a set with some settings, and their metrics.

use sea_orm::{EntityTrait, FromQueryResult, raw_sql};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    Conn, Result, Tx,
    search::{
        Accents, BoostRequest, Language, Recency, Rerank, SearchMode, SearchQuery, SpaceVector, Threshold, Weights,
    },
    sql,
};
use crate::{
    domain::{
        evaluation::{Metrics, NDCG_DEPTH},
        failure::Failure,
        filter::Filter,
    },
    entity::evaluation::{Entity, Model},
    id::{CollectionId, EvaluationId, FileId, JudgedQueryId, QuerySetId, WorkspaceId},
};

/// The steps between weights that a fit tries: tenths.
const GRID_STEPS: u8 = 10;

/// How the queries of an evaluation are searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationSettings {
    /// The ranking.
    pub mode: SearchMode,
    /// How much each leg counts.
    pub weights: Option<Weights>,
    /// The second ranking.
    pub rerank: Option<Rerank>,
    /// The least scores of hits.
    pub threshold: Option<Threshold>,
    /// The preference for new files.
    pub recency: Option<Recency>,
    /// The preferences for files that match filters.
    #[serde(default)]
    pub boosts: Vec<BoostRequest>,
    /// Whether the synonyms of the workspace are not applied.
    #[serde(default)]
    pub skip_synonyms: bool,
    /// The language of the queries, as an ISO 639-1 code; `None`: it is detected, or that of the chunks.
    #[serde(default)]
    pub language: Option<String>,
    /// How the accents of words are compared.
    #[serde(default)]
    pub accents: Accents,
    /// The filter of files, as the client gave it.
    pub filter: Option<Json>,
    /// The collections to search.
    pub collections: Vec<CollectionId>,
    /// Whether the second spaces of the collections are searched.
    pub second_space: bool,
    /// Hits of which recall and precision are.
    pub k: u32,
    /// Whether the weights are to be found.
    pub fit_weights: bool,
}

impl EvaluationSettings {
    /// The weights that are tried, and the place of equal ones among them.
    #[must_use]
    pub fn grid(&self) -> (Vec<Weights>, usize) {
        if !self.fit_weights {
            return (vec![self.weights.unwrap_or_default()], 0);
        }
        let tenth = |tenths: u8| f64::from(tenths) / f64::from(GRID_STEPS);
        let weights = |text: u8| Weights { text: tenth(text), vector: tenth(GRID_STEPS - text) };
        ((1..GRID_STEPS).map(weights).collect(), usize::from(GRID_STEPS / 2 - 1))
    }

    /// The search of a query in all collections, without boosts: files, each with its best passage.
    #[must_use]
    pub fn query(
        &self,
        text: &str,
        vectors: Vec<SpaceVector>,
        filter: Option<Filter>,
        weights: Weights,
    ) -> SearchQuery {
        let limit = i64::from(self.k).max(NDCG_DEPTH as i64);
        SearchQuery {
            mode: self.mode,
            text: text.to_owned(),
            vectors,
            filter,
            limit,
            per_file: Some(1),
            // Without given ones, each query has weights of its own.
            weights: (self.fit_weights || self.weights.is_some()).then_some(weights),
            rerank: self.rerank.clone(),
            threshold: self.threshold.unwrap_or_default(),
            recency: self.recency,
            skip_synonyms: self.skip_synonyms,
            language: self.language.as_deref().and_then(Language::from_code),
            accents: self.accents,
            ..SearchQuery::default()
        }
    }
}

/// The metrics of all queries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Means over the measured queries; `None`: there are none.
    pub mean: Option<Metrics>,
    /// Queries with a relevant file.
    pub measured: usize,
    /// The other ones.
    pub skipped: usize,
    /// Judgements of files that the workspace does not have.
    pub unresolved: i64,
}

/// Weights that were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fit {
    /// The best weights.
    pub weights: Weights,
    /// Mean nDCG@10 with them.
    pub ndcg10: f64,
    /// Mean nDCG@10 of queries with the weights that are best for others.
    pub cross_validated: f64,
    /// Mean nDCG@10 with equal weights.
    pub equal_weights: f64,
    /// Mean nDCG@10 with each of the weights.
    pub grid: Vec<GridPoint>,
}

/// Weights, and how good they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the metric")]
pub struct GridPoint {
    pub weights: Weights,
    pub ndcg10: f64,
}

/// The result of a query with some weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryResult {
    /// The metrics.
    pub metrics: Metrics,
    /// The first ten files.
    pub hits: Vec<RankedFile>,
}

/// A file that was found, with its best passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedFile {
    /// The file.
    pub file: FileId,
    /// First byte of the passage in the file's text.
    pub start: i64,
    /// One past the last byte.
    pub end: i64,
    /// `None`: the passage is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<i16>,
}

/// Adds an evaluation of a locked set.
pub async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    set: QuerySetId,
    settings: &EvaluationSettings,
) -> Result<EvaluationId> {
    let (id, collections, json) = (EvaluationId::new(), settings.collections.clone(), json!(settings));
    let inserted = raw_sql!(
        Postgres,
        "insert into evaluation (workspace_id, id, query_set_id, set_revision, settings, collections, queries)
         select {workspace}, {id}, s.id, s.revision, {json}::jsonb, {collections}::uuid[], s.queries
         from query_set s where s.workspace_id = {workspace} and s.id = {set}"
    );
    sql::execute(tx, inserted).await?;
    Ok(id)
}

/// The numbers of all evaluations of a workspace, and of those that run.
pub async fn count(conn: &impl Conn, workspace: WorkspaceId) -> Result<(i64, i64)> {
    let counts = raw_sql!(
        Postgres,
        "select count(*), count(*) filter (where state = 'running') from evaluation where workspace_id = {workspace}"
    );
    Ok(sql::first_value(conn, counts).await?.unwrap_or_default())
}

/// An evaluation.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: EvaluationId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).one(conn).await
}

/// The evaluations of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvaluationFilter {
    /// Of this set.
    pub set: Option<QuerySetId>,
    /// Of this collection, alone or with others.
    pub collection: Option<CollectionId>,
}

/// Evaluations before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    filter: EvaluationFilter,
    before: Option<EvaluationId>,
    limit: i64,
) -> Result<Vec<Model>> {
    let EvaluationFilter { set, collection } = filter;
    let found = raw_sql!(
        Postgres,
        "select * from evaluation
         where workspace_id = {workspace} and ({set}::uuid is null or query_set_id = {set})
             and ({collection}::uuid is null or {collection} = any(collections))
             and ({before}::uuid is null or id < {before})
         order by id desc limit {limit}"
    );
    sql::all(conn, found).await
}

/// Deletes an evaluation; its job ends with it. `false`: there is none.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, id: EvaluationId) -> Result<bool> {
    Ok(Entity::delete_by_id((workspace, id)).exec(tx).await?.rows_affected == 1)
}

/// A query to be searched.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `judged_query`")]
pub struct NextQuery {
    pub id: JudgedQueryId,
    pub external_id: Option<String>,
    pub text: String,
}

/// The next queries of an evaluation, at most `limit`: those that the set had when it was started.
pub async fn next_queries(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: EvaluationId,
    limit: i64,
) -> Result<Vec<NextQuery>> {
    let next = raw_sql!(
        Postgres,
        "select q.id, q.external_id, q.text from evaluation e
         join judged_query q on q.workspace_id = e.workspace_id and q.query_set_id = e.query_set_id
             and q.id > e.after_query_id and q.created_at <= e.created_at
         where e.workspace_id = {workspace} and e.id = {id}
         order by q.id limit {limit}"
    );
    sql::all(conn, next).await
}

/// A query that was searched.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "columns of `evaluated_query`")]
pub struct SearchedQuery {
    pub query_id: JudgedQueryId,
    pub external_id: Option<String>,
    pub text: String,
    /// For each of the weights; empty: no file is relevant.
    pub results: Vec<QueryResult>,
    pub unresolved: usize,
}

/// Adds the results of queries, of which the last is `last`. `false`: the evaluation was deleted or goes on elsewhere.
pub async fn advance(
    tx: &Tx,
    workspace: WorkspaceId,
    evaluation: &Model,
    last: JudgedQueryId,
    searched: &[SearchedQuery],
) -> Result<bool> {
    let (id, after) = (evaluation.id, evaluation.after_query_id);
    let (rows, count) = (json!(searched), i32::try_from(searched.len()).unwrap_or(i32::MAX));
    let advanced = raw_sql!(
        Postgres,
        "update evaluation set after_query_id = {last}, done = done + {count}
         where workspace_id = {workspace} and id = {id} and state = 'running' and after_query_id = {after}"
    );
    if sql::execute(tx, advanced).await? == 0 {
        return Ok(false);
    }
    let results = raw_sql!(
        Postgres,
        "insert into evaluated_query (workspace_id, evaluation_id, query_id, external_id, text, results, unresolved)
         select {workspace}, {id}, r.query_id, r.external_id, r.text, r.results, r.unresolved
         from jsonb_to_recordset({rows}::jsonb) as r (
             query_id uuid, external_id text, text text, results jsonb, unresolved integer)"
    );
    sql::execute(tx, results).await?;
    Ok(true)
}

#[derive(FromQueryResult)]
struct MeasuredRow {
    metrics: Json,
    unresolved: i32,
}

/// The metrics of each query for each of the weights, in the order of the queries, and its unresolved judgements.
pub async fn measured(conn: &impl Conn, workspace: WorkspaceId, id: EvaluationId) -> Result<Vec<(Vec<Metrics>, i64)>> {
    let measured = raw_sql!(
        Postgres,
        "select jsonb_path_query_array(results, '$[*].metrics') as metrics, unresolved from evaluated_query
         where workspace_id = {workspace} and evaluation_id = {id} order by query_id"
    );
    let rows: Vec<MeasuredRow> = sql::all(conn, measured).await?;
    rows.into_iter().map(|row| Ok((read(row.metrics)?, i64::from(row.unresolved)))).collect()
}

fn read<T: serde::de::DeserializeOwned>(json: Json) -> Result<T> {
    serde_json::from_value(json).map_err(|error| super::Error::Json(error.to_string()))
}

/// Ends an evaluation with its metrics; `choice` is the place of the weights that they are of.
pub async fn finish(
    tx: &Tx,
    workspace: WorkspaceId,
    id: EvaluationId,
    choice: usize,
    summary: &Summary,
    fit: Option<&Fit>,
) -> Result<bool> {
    let choice = i32::try_from(choice).unwrap_or_default();
    let (metrics, fit) = (json!(summary), fit.map(|fit| json!(fit)));
    let finished = raw_sql!(
        Postgres,
        "update evaluation set state = 'done', choice = {choice}, metrics = {metrics}::jsonb, fit = {fit}::jsonb,
             ended_at = now()
         where workspace_id = {workspace} and id = {id} and state = 'running'"
    );
    Ok(sql::execute(tx, finished).await? == 1)
}

/// Ends an evaluation without metrics.
pub async fn fail(tx: &Tx, workspace: WorkspaceId, id: EvaluationId, failure: &Failure) -> Result<()> {
    let (code, detail) = (failure.code.as_str(), failure.detail.as_str());
    let failed = raw_sql!(
        Postgres,
        "update evaluation set state = 'failed', failure_code = {code}, failure_detail = {detail}, ended_at = now()
         where workspace_id = {workspace} and id = {id} and state = 'running'"
    );
    sql::execute(tx, failed).await?;
    Ok(())
}

/// A query of an evaluation, with its result.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "columns of `evaluated_query`")]
pub struct EvaluatedQuery {
    pub query_id: JudgedQueryId,
    pub external_id: Option<String>,
    pub text: String,
    /// With the chosen weights; `None`: no file is relevant.
    pub result: Option<QueryResult>,
    pub unresolved: i32,
}

#[derive(FromQueryResult)]
struct EvaluatedRow {
    query_id: JudgedQueryId,
    external_id: Option<String>,
    text: String,
    result: Option<Json>,
    unresolved: i32,
}

/// The queries of an evaluation after `after`, in their order, at most `limit`.
pub async fn queries(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: EvaluationId,
    after: Option<JudgedQueryId>,
    limit: i64,
) -> Result<Vec<EvaluatedQuery>> {
    let after = after.unwrap_or(JudgedQueryId(uuid::Uuid::nil()));
    let queries = raw_sql!(
        Postgres,
        "select q.query_id, q.external_id, q.text, q.results -> e.choice as result, q.unresolved
         from evaluation e
         join evaluated_query q on q.workspace_id = e.workspace_id and q.evaluation_id = e.id
         where e.workspace_id = {workspace} and e.id = {id} and q.query_id > {after}
         order by q.query_id limit {limit}"
    );
    let rows: Vec<EvaluatedRow> = sql::all(conn, queries).await?;
    let query = |row: EvaluatedRow| {
        let result = row.result.map(read).transpose()?;
        let EvaluatedRow { query_id, external_id, text, unresolved, .. } = row;
        Ok(EvaluatedQuery { query_id, external_id, text, result, unresolved })
    };
    rows.into_iter().map(query).collect()
}
