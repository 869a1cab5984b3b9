//! Starting, reading and deleting evaluations. A worker runs them: a thousand queries take longer than a request may.

use nvisy_shared::{
    domain::{
        activity::Action,
        evaluation::{MAX_EVALUATIONS, MAX_RUNNING},
        space::SecondSpaceState,
    },
    entity::evaluation::Model,
    id::{EvaluationId, JudgedQueryId, QuerySetId, WorkspaceId},
    job::RunEvaluation,
    platform::Platform,
    queue::outbox,
    store::{
        self, Conn, Tx,
        change::Change,
        collection::CollectionSpace,
        evaluation::{EvaluatedQuery, EvaluationSettings},
        search::{BoostRequest, Language, SearchMode},
    },
};
use serde_json::json;

use super::{
    super::{
        reranking,
        scope::{choose, parse_boosts, parse_filter},
    },
    settings::SearchSettings,
};
use crate::{
    auth::member::{Member, WriteEvaluations},
    http::{client_info::ClientInfo, extract::invalid_field},
    problem::{Code, FieldError, Problem},
};

/// An evaluation to be started.
#[derive(Clone, Debug)]
pub struct RequestedEvaluation {
    pub set: QuerySetId,
    pub settings: SearchSettings,
    pub k: u32,
    pub fit_weights: bool,
}

pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: EvaluationId) -> Result<Model, Problem> {
    store::evaluation::find(conn, workspace, id).await?.ok_or_else(Problem::not_found)
}

/// Starts an evaluation of the queries that the set has by now.
pub async fn start(
    change: &mut Change,
    platform: &Platform,
    member: &Member<WriteEvaluations>,
    requested: &RequestedEvaluation,
) -> Result<Model, Problem> {
    let workspace = member.workspace;
    member.lock(change).await?;
    if !store::query_set::lock(change, workspace, requested.set).await? {
        return Err(Problem::not_found());
    }
    let settings = resolve(change, platform, workspace, requested).await?;
    let id = store::evaluation::insert(change, workspace, requested.set, &settings).await?;
    let (all, running) = store::evaluation::count(change.tx(), workspace).await?;
    for (what, count, most) in [("evaluations", all, MAX_EVALUATIONS), ("running", running, MAX_RUNNING)] {
        if count > most {
            let error = FieldError::new(what, format!("at most {most} are possible"));
            return Err(Problem::new(Code::QuotaExceeded).fields(vec![error]));
        }
    }
    outbox::enqueue(change, workspace, &RunEvaluation { evaluation: id }).await?;
    change.audit_with(Action::EvaluationStarted, id, json!({ "querySet": requested.set }));
    find(change.tx(), workspace, id).await
}

/// The settings with the ids of collections that exist.
async fn resolve(
    tx: &Tx,
    platform: &Platform,
    workspace: WorkspaceId,
    requested: &RequestedEvaluation,
) -> Result<EvaluationSettings, Problem> {
    let SearchSettings {
        mode,
        weights,
        rerank,
        threshold,
        recency,
        boosts,
        synonyms,
        language,
        accents,
        filter,
        collections,
        second_space,
    } = requested.settings.clone();
    let mode = mode.map(SearchMode::from).unwrap_or_default();
    if requested.fit_weights && mode != SearchMode::Hybrid {
        return Err(invalid_field("fitWeights", "needs the mode `hybrid`"));
    }
    parse_filter(filter.as_ref())?;
    let boosts: Vec<BoostRequest> = boosts.unwrap_or_default().into_iter().map(Into::into).collect();
    parse_boosts(&boosts)?;
    let all = store::collection::spaces(tx, workspace).await?;
    let chosen = choose(&all, collections.as_deref())?;
    let second_space = second_space.unwrap_or_default();
    if second_space {
        require_second_spaces(tx, workspace, &chosen).await?;
    }
    let rerank = match rerank {
        Some(rerank) => Some(reranking::resolve(platform, tx, workspace, rerank.into()).await?.0),
        None => None,
    };
    Ok(EvaluationSettings {
        mode,
        weights: weights.map(Into::into),
        rerank,
        threshold: threshold.map(Into::into),
        recency: recency.map(Into::into),
        boosts,
        skip_synonyms: synonyms == Some(false),
        language: language.map(|language| Language::from(language).code().to_owned()),
        accents: accents.map(Into::into).unwrap_or_default(),
        filter,
        collections: chosen.iter().map(|collection| collection.id).collect(),
        second_space,
        k: requested.k,
        fit_weights: requested.fit_weights,
    })
}

/// 409 unless the second space of each collection is complete.
async fn require_second_spaces(tx: &Tx, workspace: WorkspaceId, chosen: &[&CollectionSpace]) -> Result<(), Problem> {
    for collection in chosen {
        let second = store::second_space::find(tx, workspace, collection.id).await?;
        if !second.is_some_and(|second| second.state == SecondSpaceState::Ready) {
            let detail = format!("the collection `{}` has no complete second space", collection.name);
            return Err(Problem::new(Code::SecondSpaceNotReady).detail(detail));
        }
    }
    Ok(())
}

pub async fn queries(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: EvaluationId,
    after: Option<JudgedQueryId>,
    limit: i64,
) -> Result<Vec<EvaluatedQuery>, Problem> {
    find(conn, workspace, id).await?;
    Ok(store::evaluation::queries(conn, workspace, id, after, limit).await?)
}

/// Deletes an evaluation. One that runs ends.
pub async fn delete(
    platform: &Platform,
    member: &Member<WriteEvaluations>,
    client: &ClientInfo,
    id: EvaluationId,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            member.lock(change).await?;
            if !store::evaluation::delete(change, member.workspace, id).await? {
                return Err(Problem::not_found());
            }
            change.audit(Action::EvaluationDeleted, id);
            Ok(())
        })
        .await
}
