//! `evaluation.run`: searches the queries of an evaluation, batch by batch, and computes its metrics at the end. The searches are
//! those of the API: the same function of the store, with the vectors of the same models.

use std::collections::HashMap;

use nvisy_embed::InputType;
use nvisy_shared::{
    domain::{
        evaluation::{
            EvaluationState, FileJudgement, Metrics, NDCG_DEPTH, choose_setting, grade_of, grades_by_file, mean,
            measure,
        },
        failure::{Failure, FailureCode},
        filter::Filter,
    },
    id::{CollectionId, JudgedQueryId, SpaceId, WorkspaceId},
    job::RunEvaluation,
    queue::outbox,
    store::{
        self,
        change::Change,
        evaluation::{EvaluationSettings, Fit, GridPoint, NextQuery, QueryResult, RankedFile, SearchedQuery, Summary},
        job::Claim,
        search::{
            Boost, BoostRequest, Hit, Rerank, SearchMode, SearchQuery, SpaceVector, Weights, collections_by_space,
            has_words, meaning, search,
        },
    },
};

use crate::{
    context::Context,
    pipeline::{
        embedding_connection::Caller,
        model_ranking::{PassageScores, RankingModel},
        spaces,
    },
    runner::{Handler, JobError, complete_in_tx},
};

/// Searches of one job: it ends before other work of the lane waits long.
const BATCH_SEARCHES: usize = 32;

/// The judgements of a query, and how many of them are of files that do not exist.
type Judged = (Vec<FileJudgement>, usize);

impl Handler for RunEvaluation {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let evaluation = store::evaluation::find(&cx.db, workspace, self.evaluation).await?;
        let evaluation =
            evaluation.filter(|evaluation| evaluation.state == EvaluationState::Running).ok_or(JobError::Obsolete)?;
        let settings: EvaluationSettings = serde_json::from_value(evaluation.settings.clone())
            .map_err(JobError::retry("the settings of an evaluation cannot be read"))?;
        let (grid, default) = settings.grid();
        let limit = i64::try_from(BATCH_SEARCHES.div_ceil(grid.len())).unwrap_or(1);
        let queries = store::evaluation::next_queries(&cx.db, workspace, self.evaluation, limit).await?;
        let Some(last) = queries.last().map(|query| query.id) else {
            let measured = store::evaluation::measured(&cx.db, workspace, self.evaluation).await?;
            let (choice, summary, fit) = summarise(&measured, &grid, default, settings.fit_weights);
            return complete_in_tx(cx, claim, || {
                let (summary, fit) = (&summary, fit.as_ref());
                async move |change: &mut Change| {
                    store::evaluation::finish(change, workspace, self.evaluation, choice, summary, fit).await?;
                    Ok(())
                }
            })
            .await;
        };
        let searcher = Searcher { cx, workspace, settings, grid };
        let searched = searcher.search_all(claim, queries).await?;
        complete_in_tx(cx, claim, || {
            let (searched, evaluation) = (searched.as_slice(), &evaluation);
            async move |change: &mut Change| {
                if !store::evaluation::advance(change, workspace, evaluation, last, searched).await? {
                    return Err(JobError::Obsolete);
                }
                outbox::enqueue(change, workspace, self).await?;
                Ok(())
            }
        })
        .await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        store::evaluation::fail(change, claim.workspace_id, self.evaluation, failure).await?;
        Ok(())
    }
}

/// Searches the queries of an evaluation.
struct Searcher<'a> {
    cx: &'a Context,
    workspace: WorkspaceId,
    settings: EvaluationSettings,
    /// The weights to search with.
    grid: Vec<Weights>,
}

impl Searcher<'_> {
    async fn search_all(&self, claim: &Claim, queries: Vec<NextQuery>) -> Result<Vec<SearchedQuery>, JobError> {
        let filter = self.settings.filter.as_ref().map(Filter::parse).transpose();
        let filter = filter.map_err(|error| JobError::retry("the filter of an evaluation is invalid")(error.path))?;
        let boosts: Result<Vec<Boost>, _> = self.settings.boosts.iter().map(BoostRequest::parse).collect();
        let boosts = boosts.map_err(|error| JobError::retry("a boost of an evaluation is invalid")(error.path))?;
        let Scope { collections, by_space, spaces } = self.scope().await?;
        let mut vectors = self.vectors(claim, spaces, &queries).await?;
        let mut judged = self.judgements(&queries).await?;
        let model = match &self.settings.rerank {
            Some(Rerank::Model(rerank)) => Some(RankingModel::open(self.cx, self.workspace, rerank).await?),
            Some(Rerank::Neighbours) | None => None,
        };
        let mut searched = Vec::new();
        for query in queries {
            let vectors = vectors.remove(&query.id).unwrap_or_default();
            let (judgements, unresolved) = judged.remove(&query.id).unwrap_or_default();
            let mut results = Vec::new();
            // Without a relevant file there is nothing to find.
            if judgements.iter().any(|judgement| judgement.grade > 0) {
                let mut passage_scores = PassageScores::new();
                for weights in &self.grid {
                    let mut search_query = SearchQuery {
                        collections: collections.clone(),
                        collections_by_space: by_space.clone(),
                        boosts: boosts.clone(),
                        ..self.settings.query(&query.text, vectors.clone(), filter.clone(), *weights)
                    };
                    if let Some(model) = &model {
                        search_query = model.rank(self.cx, claim, search_query, &mut passage_scores).await?;
                    }
                    let hits = search(&self.cx.db, self.workspace, &search_query).await?.hits;
                    results.extend(self.result(&hits, &judgements));
                }
            }
            let NextQuery { id, external_id, text } = query;
            searched.push(SearchedQuery { query_id: id, external_id, text, results, unresolved });
        }
        Ok(searched)
    }

    fn result(&self, hits: &[Hit], judgements: &[FileJudgement]) -> Option<QueryResult> {
        let ranked: Vec<RankedFile> = hits
            .iter()
            .map(|hit| RankedFile {
                file: hit.file_id,
                start: hit.start_byte,
                end: hit.end_byte,
                grade: grade_of(judgements, hit.file_id, hit.start_byte, hit.end_byte),
            })
            .collect();
        let grades: Vec<Option<i16>> = ranked.iter().map(|file| file.grade).collect();
        let k = usize::try_from(self.settings.k).unwrap_or(usize::MAX);
        let metrics = measure(&grades, &grades_by_file(judgements), k)?;
        Some(QueryResult { metrics, hits: ranked.into_iter().take(NDCG_DEPTH).collect() })
    }

    async fn judgements(&self, queries: &[NextQuery]) -> Result<HashMap<JudgedQueryId, Judged>, JobError> {
        let ids = queries.iter().map(|query| query.id).collect();
        let mut judged: HashMap<JudgedQueryId, Judged> = HashMap::new();
        for (query, judgement) in store::query_set::resolved(&self.cx.db, self.workspace, ids).await? {
            let (judgements, unresolved) = judged.entry(query).or_default();
            match judgement {
                Some(judgement) => judgements.push(judgement),
                None => *unresolved += 1,
            }
        }
        Ok(judged)
    }

    /// The vectors of the queries in the spaces of the collections, all of a space in one call of its model.
    async fn vectors(
        &self,
        claim: &Claim,
        spaces: Vec<SpaceId>,
        queries: &[NextQuery],
    ) -> Result<HashMap<JudgedQueryId, Vec<SpaceVector>>, JobError> {
        let mut vectors: HashMap<JudgedQueryId, Vec<SpaceVector>> = HashMap::new();
        // The vector of a query without words would find passages at random.
        let queries: Vec<&NextQuery> = queries.iter().filter(|query| has_words(&query.text)).collect();
        if self.settings.mode == SearchMode::Text || queries.is_empty() {
            return Ok(vectors);
        }
        for space in spaces {
            let caller = Caller::outside_runs(claim.clone());
            let open = spaces::open(self.cx, self.workspace, space, caller).await?;
            let texts = queries.iter().map(|query| meaning(&query.text)).collect();
            for (query, vector) in queries.iter().zip(open.embed_as(InputType::Query, texts).await?) {
                let vector = vector.map_err(|reason| {
                    let detail = format!("the embedding provider rejected a query: {reason}");
                    JobError::Fail(Failure::new(FailureCode::ProviderRejected, detail))
                })?;
                vectors.entry(query.id).or_default().push(SpaceVector {
                    space,
                    quantisation: open.served.quantisation,
                    vector,
                });
            }
        }
        Ok(vectors)
    }

    async fn scope(&self) -> Result<Scope, JobError> {
        let all = store::collection::spaces(&self.cx.db, self.workspace).await?;
        let chosen = &self.settings.collections;
        let mut searched = Vec::new();
        for id in chosen {
            let collection = all.iter().find(|collection| collection.id == *id);
            let collection = collection.ok_or_else(|| gone("a collection of the evaluation was deleted"))?;
            let space = if self.settings.second_space {
                Some(collection.second_space_id.ok_or_else(|| gone("a second space of the evaluation was deleted"))?)
            } else {
                collection.space_id
            };
            searched.push((collection, space));
        }
        let mut spaces: Vec<SpaceId> = searched.iter().filter_map(|(_, space)| *space).collect();
        spaces.sort_unstable();
        spaces.dedup();
        let collections = (chosen.len() < all.len()).then(|| chosen.clone());
        Ok(Scope { collections, by_space: collections_by_space(searched), spaces })
    }
}

/// What an evaluation searches.
struct Scope {
    /// The collections; `None`: all of the workspace.
    collections: Option<Vec<CollectionId>>,
    /// Those of a space.
    by_space: HashMap<SpaceId, Vec<CollectionId>>,
    /// The spaces of the collections. Those without vectors have none.
    spaces: Vec<SpaceId>,
}

fn gone(detail: &'static str) -> JobError {
    JobError::Fail(Failure::new(FailureCode::CollectionNotFound, detail))
}

/// The means over all queries, and the weights that they choose by their place. `default` is the place of equal weights.
fn summarise(
    measured: &[(Vec<Metrics>, i64)],
    grid: &[Weights],
    default: usize,
    is_fit: bool,
) -> (usize, Summary, Option<Fit>) {
    let scores: Vec<Vec<f64>> = measured
        .iter()
        .filter(|(metrics, _)| !metrics.is_empty())
        .map(|(metrics, _)| metrics.iter().map(|metrics| metrics.ndcg10).collect())
        .collect();
    let mean_of = |place: usize| {
        let metrics: Vec<Metrics> = measured.iter().filter_map(|(metrics, _)| metrics.get(place).copied()).collect();
        mean(&metrics)
    };
    let ndcg10 = |place: usize| mean_of(place).map_or(0.0, |mean| mean.ndcg10);
    let fitted = if is_fit { choose_setting(&scores, default) } else { None };
    let choice = fitted.map_or(default, |fitted| fitted.best);
    let summary = Summary {
        mean: mean_of(choice),
        measured: scores.len(),
        skipped: measured.len() - scores.len(),
        unresolved: measured.iter().map(|(_, unresolved)| unresolved).sum(),
    };
    let fit = fitted.map(|fitted| Fit {
        weights: grid[fitted.best],
        ndcg10: fitted.score,
        cross_validated: fitted.cross_validated,
        equal_weights: ndcg10(default),
        grid: grid
            .iter()
            .enumerate()
            .map(|(place, weights)| GridPoint { weights: *weights, ndcg10: ndcg10(place) })
            .collect(),
    });
    (choice, summary, fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(ndcg10: f64) -> Metrics {
        Metrics { ndcg10, ..Metrics::default() }
    }

    #[test]
    fn queries_without_a_relevant_file_do_not_count_in_means() {
        let measured = [(vec![metrics(1.0)], 0), (Vec::new(), 2), (vec![metrics(0.5)], 1)];
        let (choice, summary, fit) = summarise(&measured, &[Weights::default()], 0, false);
        assert_eq!((choice, summary.measured, summary.skipped, summary.unresolved), (0, 2, 1, 3));
        assert_eq!(summary.mean.map(|mean| mean.ndcg10), Some(0.75));
        assert!(fit.is_none());
        assert_eq!(summarise(&[], &[Weights::default()], 0, false).1.mean, None);
    }

    #[test]
    fn fit_has_the_best_weights_and_those_of_the_whole_grid() {
        let grid = [0.2, 0.5, 0.8].map(|text| Weights { text, vector: 1.0 - text });
        let measured = [0.1, 0.3].map(|least| (vec![metrics(least), metrics(0.4), metrics(0.9)], 0));
        let (choice, summary, fit) = summarise(&measured, &grid, 1, true);
        let fit = fit.unwrap();
        assert_eq!((choice, fit.weights, fit.grid.len()), (2, grid[2], 3));
        assert!((fit.equal_weights - 0.4).abs() < 1e-9 && (fit.cross_validated - 0.9).abs() < 1e-9);
        assert!((fit.grid[0].ndcg10 - 0.2).abs() < 1e-9);
        assert_eq!(summary.mean.map(|mean| mean.ndcg10), Some(0.9));
    }
}
