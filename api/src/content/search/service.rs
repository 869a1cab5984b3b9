//! Search: the query is embedded in the spaces of the collections first, then the store finds the hits.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use nvisy_shared::{
    id::{CollectionId, FileId, WorkspaceId},
    platform::Platform,
    store::{
        self,
        collection::CollectionSpace,
        search::{
            Accents, BoostRequest, Expand, FacetField, Hit, Language, Recency, SearchMode, SearchQuery, SearchResult,
            SpaceVector, Threshold, Visibility, Weights, has_words, meaning, search,
        },
    },
};
use serde_json::{Value, json};

use super::{
    as_of::AsOf,
    cursor::Fingerprint,
    embedding::{QueryEmbedding, check_vector},
    reranking::{self, PassageScorer, RerankCommand},
    scope::{QuerySpace, SearchScope, choose, chosen_ids, parse_boosts, parse_filter},
};
use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
    state::State,
};

/// A search of a workspace.
#[derive(Clone, Debug, Default)]
pub struct SearchCommand {
    pub mode: SearchMode,
    /// A question or words; may be empty where there is a vector.
    pub text: String,
    /// The language of the text; `None`: it is detected.
    pub language: Option<Language>,
    /// How the accents of words are compared.
    pub accents: Accents,
    /// A vector of the collections' space, in place of the text's own.
    pub vector: Option<Vec<f32>>,
    pub weights: Weights,
    pub rerank: Option<RerankCommand>,
    pub threshold: Threshold,
    pub recency: Option<Recency>,
    pub boosts: Vec<BoostRequest>,
    /// Whether the synonyms of the workspace are not applied.
    pub skip_synonyms: bool,
    pub pinned: Vec<FileId>,
    pub facets: Vec<FacetField>,
    /// Whether the recall is measured.
    pub verify: bool,
    pub options: SearchOptions,
}

/// What all searches have: the files to search, and the form of the result.
#[derive(Clone, Debug, Default)]
pub struct SearchOptions {
    /// Names or ids; `None`: all.
    pub collections: Option<Vec<String>>,
    pub filter: Option<Value>,
    pub limit: i64,
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// Groups the hits by file, with at most so many of each.
    pub per_file: Option<usize>,
    pub expand: Option<Expand>,
    pub hidden: Vec<FileId>,
    /// The time of which passages are found, or a snapshot's name or id; `None`: now.
    pub as_of: Option<String>,
}

/// The result of a search, and how it came about.
#[derive(Debug)]
pub struct SearchOutcome {
    pub result: SearchResult,
    pub mode: SearchMode,
    pub is_grouped: bool,
    pub next_cursor: Option<String>,
    /// Why a hybrid search was by words only, or why no model has ranked the hits again.
    pub degraded: Option<String>,
    /// The past time of which passages were found.
    pub as_of: Option<DateTime<Utc>>,
    /// The time of embedding the query.
    pub embedding: Duration,
    /// The time of ranking the hits again with a model.
    pub reranking: Duration,
    /// The time of the search itself.
    pub searching: Duration,
}

/// Searches.
pub async fn run(state: &State, workspace: WorkspaceId, command: SearchCommand) -> Result<SearchOutcome, Problem> {
    let mut outcomes = run_all(state, workspace, vec![command]).await?;
    outcomes.pop().unwrap_or_else(|| Err(Problem::internal("a search has no outcome")))
}

/// Runs searches, each with its own outcome. Their queries are embedded together, and models rank their hits at the same time. No
/// database connection is held meanwhile, and one at a time is otherwise: the searches of a request take no connections from
/// other requests.
pub async fn run_all(
    state: &State,
    workspace: WorkspaceId,
    commands: Vec<SearchCommand>,
) -> Result<Vec<Result<SearchOutcome, Problem>>, Problem> {
    let all = store::collection::spaces(&state.platform.db, workspace).await?;
    let mut prepared = Vec::new();
    for command in commands {
        prepared.push(Prepared::new(&state.platform, workspace, &all, command).await);
    }
    let queries: Vec<(&[QuerySpace], String)> = prepared
        .iter()
        .map(|prepared| match prepared {
            Ok(prepared) => (prepared.spaces.as_slice(), meaning(&prepared.query.text)),
            Err(_) => (&[][..], String::new()),
        })
        .collect();
    let embeddings = QueryEmbedding::request(state, workspace, &queries);
    let embedded =
        prepared.into_iter().zip(embeddings).map(async |(prepared, embedding)| prepared?.embed(state, embedding).await);
    let mut found = Vec::new();
    for prepared in join_all(embedded).await {
        found.push(match prepared {
            Ok(prepared) => prepared.find_passages(state, workspace).await,
            Err(problem) => Err(problem),
        });
    }
    let ranked = found.into_iter().map(async |found: Result<Found, Problem>| match found {
        Ok(found) => Ok(found.rank(state, workspace).await),
        Err(problem) => Err(problem),
    });
    let mut outcomes = Vec::new();
    for prepared in join_all(ranked).await {
        outcomes.push(match prepared {
            Ok(prepared) => prepared.run(state, workspace).await,
            Err(problem) => Err(problem),
        });
    }
    Ok(outcomes)
}

impl SearchOptions {
    /// The query with these options.
    pub fn query(
        &self,
        all: &[CollectionSpace],
        chosen: &[&CollectionSpace],
        visibility: Visibility,
    ) -> Result<SearchQuery, Problem> {
        Ok(SearchQuery {
            collections: chosen_ids(all, chosen),
            visibility,
            filter: parse_filter(self.filter.as_ref())?,
            limit: self.limit,
            per_file: self.per_file,
            expand: self.expand,
            hidden: self.hidden.clone(),
            ..SearchQuery::default()
        })
    }

    /// The options that all pages of a search must have in common.
    pub fn defining(&self, visibility: Visibility) -> Value {
        let is_grouped = self.per_file.is_some();
        match visibility.past() {
            None => json!([self.collections, self.filter, is_grouped]),
            Some(time) => json!([self.collections, self.filter, is_grouped, time]),
        }
    }
}

impl SearchOutcome {
    pub fn new(query: &SearchQuery, fingerprint: Fingerprint, result: SearchResult) -> Self {
        let is_grouped = query.per_file.is_some();
        let next_cursor =
            if result.has_more { fingerprint.encode(&query.seen, &result.hits, is_grouped) } else { None };
        Self {
            result,
            mode: query.mode,
            is_grouped,
            next_cursor,
            degraded: None,
            as_of: query.visibility.past(),
            embedding: Duration::ZERO,
            reranking: Duration::ZERO,
            searching: Duration::ZERO,
        }
    }
}

/// A search that is checked; at first, its query has no vectors.
struct Prepared {
    query: SearchQuery,
    fingerprint: Fingerprint,
    /// The spaces in which the query is to be embedded.
    spaces: Vec<QuerySpace>,
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
struct Found {
    prepared: Prepared,
    passages: Vec<Hit>,
    /// The time of finding them.
    took: Duration,
}

impl Prepared {
    async fn new(
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
        let has_meaning = vector.is_some() || has_words(&text);
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
    async fn embed(mut self, state: &State, embedding: QueryEmbedding) -> Result<Self, Problem> {
        if self.spaces.is_empty() {
            return Ok(self);
        }
        let began = Instant::now();
        match embedding.finish(state).await {
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
    async fn find_passages(self, state: &State, workspace: WorkspaceId) -> Result<Found, Problem> {
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

    async fn run(self, state: &State, workspace: WorkspaceId) -> Result<SearchOutcome, Problem> {
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

/// A reason behind others.
fn and_reason(others: Option<String>, reason: String) -> String {
    match others {
        Some(others) => format!("{others}; {reason}"),
        None => reason,
    }
}

impl Found {
    /// Adds the scores of the model. A search whose model does not answer goes on in the order that it has, and says so.
    async fn rank(self, state: &State, workspace: WorkspaceId) -> Prepared {
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
