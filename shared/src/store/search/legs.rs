//! The legs of a search, by words and by vector, and the fusion of a round.

use nvisy_lexical::query::Query;

use super::{
    fusion::{self, Candidate},
    leg_weights::LegWeights,
    model::Thresholds,
    neighbours, phrases,
    query::{Rerank, SearchMode, SearchQuery, SpaceVector},
    text_leg::{Found, Scope},
    vector_leg::{self, Near, VectorLeg},
};
use crate::{
    domain::filter::Filter,
    id::WorkspaceId,
    store::{Result, db::ReadTransaction, sql},
};

/// A round of a search: how much the legs read.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// Limits the round to matching files.
    pub(super) filter: Option<Filter>,
    /// Number of candidates of a leg.
    pub(super) candidates: i64,
    /// Number of candidates of a vector leg that are found for certain if so many match.
    pub(super) certain: i64,
    /// Candidates of earlier rounds, which rank before.
    pub(super) offset: usize,
}

/// The candidates of a round.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Best first.
    pub(super) candidates: Vec<Candidate>,
    /// Whether no more chunks match.
    pub(super) is_exhausted: bool,
}

/// The legs of a search in its transaction.
pub(super) struct Legs<'a> {
    pub(super) conn: &'a ReadTransaction,
    pub(super) workspace: WorkspaceId,
    pub(super) query: &'a SearchQuery,
    pub(super) thresholds: Thresholds,
    pub(super) scope: Scope,
    pub(super) found: Found,
    /// How a hybrid search fuses the legs. Later rounds, whose candidates rank behind, do as the first one.
    pub(super) leg_weights: Option<LegWeights>,
    /// Whether an index was walked.
    pub(super) has_walked: bool,
}

impl<'a> Legs<'a> {
    /// Reads the statistics of the collections, and the postings of the query's words.
    pub(super) async fn open(
        conn: &'a ReadTransaction,
        workspace: WorkspaceId,
        query: &'a SearchQuery,
        thresholds: Thresholds,
    ) -> Result<Self> {
        let parsed = Query::parse(&query.text).with_accents(query.accents);
        let collections = query.collections.as_deref();
        let (visibility, is_by_words) = (query.visibility, query.mode != SearchMode::Vector);
        let scope = Scope::read(conn, workspace, collections, visibility, &parsed, query.language, is_by_words);
        let mut scope = scope.await?;
        let found = match query.mode {
            SearchMode::Vector => scope.find_required(conn).await?,
            SearchMode::Text | SearchMode::Hybrid => {
                if !query.skip_synonyms {
                    scope.add_synonyms(conn, &parsed).await?;
                }
                scope.find(conn).await?
            }
        };
        Ok(Self { conn, workspace, query, thresholds, scope, found, leg_weights: None, has_walked: false })
    }

    /// The candidates of a round, best first.
    pub(super) async fn rank(&mut self, round: &Round) -> Result<Ranked> {
        let query = self.query;
        let mode = query.mode;
        let (text, no_more_text) = match mode {
            SearchMode::Vector => (Vec::new(), true),
            SearchMode::Text | SearchMode::Hybrid => self.by_text(round).await?,
        };
        let (near, no_more_near) = match mode {
            SearchMode::Text => (Vec::new(), true),
            SearchMode::Vector | SearchMode::Hybrid => self.by_vector(round).await?,
        };
        let by_vector = fusion::by_vector(near, round.offset);
        let mut candidates = match mode {
            SearchMode::Text => fusion::by_text(&text, round.offset),
            SearchMode::Vector => by_vector,
            SearchMode::Hybrid => {
                let known = self.leg_weights.filter(|_| round.offset > 0);
                let fused = known.unwrap_or_else(|| LegWeights::new(query.weights, self.found.word_match(&text)));
                self.leg_weights = Some(fused);
                fusion::hybrid(by_vector, &text, round.offset, fused.weights, |document| self.found.is_exact(document))
            }
        };
        if let (Some(Rerank::Neighbours), [vector], false) =
            (&query.rerank, query.vectors.as_slice(), mode == SearchMode::Text)
        {
            candidates = neighbours::rerank(self, round, vector, candidates).await?;
        }
        Ok(Ranked { candidates, is_exhausted: no_more_text && no_more_near })
    }

    /// The best chunks by words, and whether they are all.
    async fn by_text(&mut self, round: &Round) -> Result<(Vec<(i64, f64)>, bool)> {
        self.scope.restrict(self.conn, round.filter.as_ref()).await?;
        let (scope, found) = (&self.scope, &self.found);
        let limit = usize::try_from(round.candidates).unwrap_or_default();
        let conditions = &scope.conditions;
        let reads_texts =
            phrases::must_be_read(conditions, found) || !conditions.accents.is_folded() || found.has_phrases();
        let mut best = if reads_texts {
            phrases::filter(self.conn, self.workspace, found, scope, limit).await?
        } else {
            found.best(scope, limit)
        };
        let mut is_all = best.len() < limit;
        if let Some(least) = self.query.threshold.text {
            let count = best.partition_point(|(_, score)| *score >= least);
            is_all |= count < best.len();
            best.truncate(count);
        }
        Ok((best, is_all))
    }

    /// The nearest chunks in each space, and whether they are all.
    async fn by_vector(&mut self, round: &Round) -> Result<(Vec<Vec<Near>>, bool)> {
        let query = self.query;
        let (mut legs, mut is_all) = (Vec::new(), true);
        for vector in &query.vectors {
            let (mut near, mut is_all_near) = self.near(round, vector).await?;
            if let Some(least) = query.threshold.vector {
                let count = near.partition_point(|near| near.score >= least);
                is_all_near |= count < near.len();
                near.truncate(count);
            }
            is_all &= is_all_near;
            legs.push(near);
        }
        Ok((legs, is_all))
    }

    /// The nearest chunks in a space whose texts meet the conditions of the query, and whether they are all. If the conditions
    /// leave too few, those with the words of phrases are compared, or more of the nearest are read.
    pub(super) async fn near(&mut self, round: &Round, vector: &SpaceVector) -> Result<(Vec<Near>, bool)> {
        let query = self.query;
        // Those that are found by phrases have theirs: a later list of the same search must know the chunk by the same.
        let has_documents = query.mode == SearchMode::Hybrid || !self.scope.conditions.required.is_empty();
        let mut leg = VectorLeg {
            workspace: self.workspace,
            query: vector,
            collections: query.collections_of(vector.space),
            filter: round.filter.as_ref(),
            visibility: query.visibility,
            has_disabled: self.scope.has_disabled,
            has_documents,
            limit: round.certain,
            candidates: round.candidates,
        };
        loop {
            let mut near: Vec<Near> = sql::all(self.conn, vector_leg::statement(&leg, self.thresholds)).await?;
            self.has_walked |= near.iter().any(|near| near.indexed);
            let count = i64::try_from(near.len()).unwrap_or(i64::MAX);
            near.retain(|near| !query.hidden_chunks.contains(&near.chunk_id));
            let conditions = &self.scope.conditions;
            if conditions.required.is_empty() && conditions.excluded.is_empty() {
                return Ok((near, count < leg.limit));
            }
            let is_all = count < leg.candidates;
            let allowed = phrases::filter_near(self.conn, self.workspace, conditions, near).await?;
            let is_enough = i64::try_from(allowed.len()).unwrap_or(i64::MAX) >= round.certain;
            if is_all || is_enough || leg.candidates >= phrases::MAX_READ_CHUNKS {
                return Ok((allowed, is_all || !is_enough));
            }
            // Words of older chunks may not be indexed yet.
            if leg.candidates == round.candidates && !self.scope.is_incomplete {
                self.scope.restrict(self.conn, round.filter.as_ref()).await?;
                let (conn, workspace) = (self.conn, self.workspace);
                let nearest = phrases::nearest(conn, workspace, &self.found, &self.scope, vector, round.candidates);
                if let Some(mut nearest) = nearest.await? {
                    let is_all = i64::try_from(nearest.len()).unwrap_or(i64::MAX) < round.candidates;
                    nearest.retain(|near| !query.hidden_chunks.contains(&near.chunk_id));
                    return Ok((nearest, is_all));
                }
            }
            leg.candidates *= 8;
            leg.limit = leg.candidates;
        }
    }
}
