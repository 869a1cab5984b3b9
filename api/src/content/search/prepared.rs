//! A search between its steps: checked, with the vectors of its query, with the scores of a model, run.

use std::time::{Duration, Instant};

use nvisy_shared::{
    id::{CollectionId, WorkspaceId},
    platform::Platform,
    store::{
        collection::CollectionSpace,
        search::{
            Hit, Language, Rerank, SearchMode, SearchQuery, SpaceVector, collections_by_space, has_words, meaning,
            search,
        },
    },
};
use serde_json::json;

use super::{
    as_of::AsOf,
    command::{SearchCommand, SearchOutcome},
    cursor::Fingerprint,
    embedding::{QueryEmbedding, check_vector},
    reranking::{self, PassageScorer},
    scope::{QuerySpace, SearchScope, choose, chosen_ids, parse_boosts},
};
use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
    state::State,
};

/// A search that is checked; at first, its query has no vectors.
pub(super) struct Prepared {
    pub(super) query: SearchQuery,
    fingerprint: Fingerprint,
    /// The spaces in which the query is to be embedded.
    pub(super) spaces: Vec<QuerySpace>,
    /// The collections whose spaces can be compared with the query.
    compared: Vec<CollectionId>,
    /// The requested mode.
    mode: SearchMode,
    /// The model that ranks the hits again.
    scorer: Option<PassageScorer>,
    as_of: AsOf,
    degraded: Option<String>,
    embedding: Duration,
    reranking: Duration,
}

/// A search whose passages for the model are found.
pub(super) struct Found {
    prepared: Prepared,
    passages: Vec<Hit>,
    /// The time of finding them.
    took: Duration,
}

impl Prepared {
    pub(super) async fn new(
        platform: &Platform,
        workspace: WorkspaceId,
        all: &[CollectionSpace],
        command: SearchCommand,
    ) -> Result<Self, Problem> {
        let SearchCommand {
            mode,
            text,
            language,
            accents,
            vector,
            weights,
            rerank,
            threshold,
            recency,
            boosts,
            skip_synonyms,
            pinned,
            facets,
            verify,
            options,
        } = command;
        if text.trim().is_empty() && (mode != SearchMode::Vector || vector.is_none()) {
            return Err(invalid_field("query", "must not be empty"));
        }
        let chosen = choose(all, options.collections.as_deref())?;
        let as_of = AsOf::find(&platform.db, workspace, options.as_of.as_deref(), &chosen).await?;
        let mut degraded = match mode {
            SearchMode::Text => None,
            SearchMode::Vector | SearchMode::Hybrid => as_of.missing_vectors(&platform.db, workspace).await?,
        };
        let (rerank, scorer) = match rerank {
            Some(command) => {
                let (rerank, scorer) = reranking::resolve(platform, &platform.db, workspace, command).await?;
                (Some(rerank), scorer)
            }
            None => (None, None),
        };
        if scorer.is_some() && text.trim().is_empty() {
            return Err(invalid_field("query", "must not be empty: the model of `rerank` reads it"));
        }
        let language_code = language.map(Language::code);
        let common = options.defining(as_of.visibility);
        let defining = json!([mode.name(), text, language_code, accents, vector, common, boosts, skip_synonyms]);
        let fingerprint = Fingerprint::of(&defining);
        let seen = fingerprint.decode(options.cursor.as_deref())?;
        let query = options.query(all, &chosen, as_of.visibility)?;
        let boosts = parse_boosts(&boosts)?;
        // Punctuation or excluded words only: its vector would find passages at random, and without one, nothing is found.
        let has_words = has_words(&text);
        let has_meaning = vector.is_some() || has_words;
        if !has_words && (mode == SearchMode::Text || vector.is_none()) {
            degraded = Some(and_reason(degraded, "the query has no word to be found".to_owned()));
        }
        let scope = if mode != SearchMode::Text && has_meaning {
            SearchScope::find(platform, mode, &chosen, vector.is_some()).await?
        } else {
            SearchScope::without_vectors(mode, &chosen)
        };
        if let Some(reason) = scope.degraded {
            degraded = Some(and_reason(degraded, reason));
        }
        let (mut vectors, mut spaces) = (Vec::<SpaceVector>::new(), scope.spaces);
        if let Some(vector) = vector.filter(|_| scope.mode != SearchMode::Text) {
            vectors.push(check_vector(platform, workspace, &spaces, vector).await?);
            spaces.clear();
        }
        let is_compared = |collection: &&&CollectionSpace| !spaces.is_empty() && collection.second_space_id.is_some();
        let compared = chosen.iter().filter(is_compared).map(|collection| collection.id).collect();
        // PostgreSQL cannot store NUL in a text; like other control characters, it separates words.
        let text = text.replace('\0', " ");
        let query = SearchQuery {
            mode: scope.mode,
            collections: chosen_ids(all, &scope.collections),
            collections_by_space: collections_by_space(scope.collections.iter().map(|found| (*found, found.space_id))),
            text,
            language,
            accents,
            vectors,
            weights,
            rerank,
            threshold,
            recency,
            boosts,
            skip_synonyms,
            pinned,
            facets,
            verify,
            seen,
            ..query
        };
        let (embedding, reranking) = (Duration::ZERO, Duration::ZERO);
        Ok(Self { query, fingerprint, spaces, compared, mode, scorer, as_of, degraded, embedding, reranking })
    }

    /// Adds the vectors of the query. A hybrid search whose model does not answer goes on by words, and says so.
    pub(super) async fn embed(mut self, embedding: QueryEmbedding) -> Result<Self, Problem> {
        if self.spaces.is_empty() {
            return Ok(self);
        }
        let began = Instant::now();
        match embedding.finish().await {
            Ok(vectors) => self.query.vectors = vectors,
            Err(problem) if self.query.mode == SearchMode::Hybrid && problem.is(Code::Unavailable) => {
                tracing::warn!(error = &problem as &dyn std::error::Error, "a hybrid search is by words only");
                let reason = problem.reason().unwrap_or("the query's vector cannot be computed");
                self.degrade(reason.to_owned());
                self.query.mode = SearchMode::Text;
            }
            Err(problem) => return Err(problem),
        }
        self.embedding = began.elapsed();
        Ok(self)
    }

    /// Finds the passages that the model scores.
    pub(super) async fn find_passages(self, state: &State, workspace: WorkspaceId) -> Result<Found, Problem> {
        let began = Instant::now();
        // A query without a meaning, such as one of excluded words only, cannot be compared with passages.
        let is_ranked = self.scorer.is_some() && !meaning(&self.query.text).is_empty();
        let passages = match self.query.for_model().filter(|_| is_ranked) {
            Some(query) => search(&state.platform.db, workspace, &query).await?.hits,
            None => Vec::new(),
        };
        Ok(Found { prepared: self, passages, took: began.elapsed() })
    }

    /// Adds a reason why the search is less than was asked for.
    fn degrade(&mut self, reason: String) {
        self.degraded = Some(and_reason(self.degraded.take(), reason));
    }

    pub(super) async fn run(mut self, state: &State, workspace: WorkspaceId) -> Result<SearchOutcome, Problem> {
        if let Some(reason) = without_neighbours(&self.query) {
            self.degrade(format!("the hits are not reranked: {reason}"));
        }
        let Self { query, fingerprint, compared, mode, as_of, degraded, embedding, reranking, .. } = self;
        let began = Instant::now();
        let result = search(&state.platform.db, workspace, &query).await?;
        as_of.require_kept(&state.platform.db, workspace).await?;
        let searching = began.elapsed();
        for collection in compared {
            state.query_samples.add(workspace, collection, &query.text);
        }
        state.recall.sample(&state.platform, &state.lifecycle, workspace, &query);
        let outcome = SearchOutcome::new(&query, fingerprint, result);
        Ok(SearchOutcome { mode, degraded, embedding, reranking, searching, ..outcome })
    }
}

/// Why the hits cannot be ranked by their neighbours, as the search asks for.
fn without_neighbours(query: &SearchQuery) -> Option<&'static str> {
    match (&query.rerank, query.mode, query.vectors.len()) {
        (Some(Rerank::Neighbours), SearchMode::Text, _) => Some("`neighbours` compares vectors"),
        (Some(Rerank::Neighbours), _, 2..) => Some("`neighbours` needs `collections` that have the same model"),
        _ => None,
    }
}

/// A reason behind others.
fn and_reason(others: Option<String>, reason: String) -> String {
    match others {
        Some(others) => format!("{others}; {reason}"),
        None => reason,
    }
}

impl Found {
    /// Adds the scores of the model. A search whose model does not answer goes on in the order that it has, and says so.
    pub(super) async fn rank(self, state: &State, workspace: WorkspaceId) -> Prepared {
        let Self { mut prepared, passages, took } = self;
        let Some(scorer) = prepared.scorer.take() else { return prepared };
        let began = Instant::now();
        match scorer.score(state, workspace, &meaning(&prepared.query.text), &passages).await {
            Ok(scores) => prepared.query.model_scores = scores,
            Err(reason) => {
                let reason = format!("the hits are not reranked: {reason}");
                prepared.degrade(reason);
            }
        }
        prepared.reranking = took + began.elapsed();
        prepared
    }
}
