//! Selects the hits of a search from the candidates of its rounds: one after the other, or grouped by file.

use std::collections::{HashMap, HashSet};

use super::{
    fusion::{self, Candidate},
    legs::{Legs, Round},
    model_rerank, neighbours, owning_file,
    query::{Rerank, SearchQuery, multiplied},
};
use crate::{
    clock,
    domain::filter::{Field, Filter, Operand},
    id::{FileId, TargetId},
    store::Result,
};

/// Candidates of a leg in the largest round.
const MAX_CANDIDATES: i64 = 4_096;
/// How much more than the round before a round reads.
const GROWTH: i64 = 4;
/// Candidates for each file of a grouped search, in the first round.
const CANDIDATES_PER_FILE: i64 = 8;
/// The fewest candidates of a leg in a search with boosts, which lift hits from farther behind than others.
const BOOSTED_CANDIDATES: i64 = 400;
/// Candidates of a round that reads pinned files.
const PINNED_CANDIDATES: i64 = 256;

/// Whether a passage may be selected twice, because its file is in several targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duplicates {
    /// It may, where the ranking does not read the files of candidates.
    Keep,
    /// Only the best of its chunks is selected.
    Drop,
}

/// The selected hits.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) candidates: Vec<Candidate>,
    /// Whether there are more hits, or files of a grouped search.
    pub(super) has_more: bool,
    pub(super) rounds: usize,
    /// Candidates of the last round.
    pub(super) last_candidates: usize,
}

/// Runs rounds until there are enough hits, or no more chunks match. A flat search reads more until it has enough. A grouped one
/// does so, too; then it leaves out the files that it has, so that each round finds others.
pub(super) async fn select(legs: &mut Legs<'_>, duplicates: Duplicates) -> Result<Selected> {
    let query = legs.query;
    let needs_files = query.needs_files() || duplicates == Duplicates::Drop;
    let mut selection = Selection::new(query);
    let mut rounds = 0;
    if !query.pinned.is_empty() {
        let candidates = rank_pinned(legs, &mut rounds).await?;
        let last_candidates = candidates.len();
        selection.add_pinned(candidates);
        if selection.is_complete() {
            let (candidates, has_more) = selection.finish();
            return Ok(Selected { candidates, has_more, rounds, last_candidates });
        }
    }
    let mut excluded: HashSet<FileId> = query.pinned.iter().chain(&query.hidden).copied().collect();
    let mut round = first_round(query, legs.thresholds.min_candidates, &excluded);
    loop {
        let ranked = legs.rank(&round).await?;
        rounds += 1;
        let mut candidates = ranked.candidates;
        if needs_files {
            candidates = with_files(legs, candidates).await?;
        }
        let last_candidates = candidates.len();
        let files: Vec<FileId> = candidates.iter().filter_map(|found| Some(found.file?.id)).collect();
        selection.add(candidates);
        let may_grow = round.candidates < MAX_CANDIDATES;
        if selection.is_complete() || ranked.is_exhausted || !may_grow && (query.per_file.is_none() || files.is_empty())
        {
            let (candidates, has_more) = selection.finish();
            return Ok(Selected { candidates, has_more, rounds, last_candidates });
        }
        if may_grow {
            selection.restart();
            round.candidates = (round.candidates * GROWTH).min(MAX_CANDIDATES);
            round.certain = round.candidates / 2;
        } else {
            excluded.extend(files);
            round.offset += last_candidates;
            round.filter = without(query.filter.clone(), &excluded);
        }
    }
}

/// The best chunks of the pinned files that match. A round leaves out the files of those before, which may have filled them.
async fn rank_pinned(legs: &mut Legs<'_>, rounds: &mut usize) -> Result<Vec<Candidate>> {
    let query = legs.query;
    let mut missing: HashSet<FileId> =
        query.pinned.iter().filter(|file| !query.hidden.contains(file)).copied().collect();
    let mut found: Vec<Candidate> = Vec::new();
    while !missing.is_empty() {
        let ranked = legs.rank(&pinned_round(query, &missing, found.len())).await?;
        *rounds += 1;
        let candidates = with_files(legs, ranked.candidates).await?;
        let before = missing.len();
        for file in candidates.iter().filter_map(|found| found.file) {
            missing.remove(&file.id);
        }
        found.extend(candidates);
        if ranked.is_exhausted || missing.len() == before {
            break;
        }
    }
    Ok(found)
}

/// Adds the files, and what the age of each, the boosts and the scores of a model change.
async fn with_files(legs: &Legs<'_>, candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
    let query = legs.query;
    // A group of one hit has no passage twice.
    let with_passages = query.per_file != Some(1);
    let found = owning_file::find(legs.conn, legs.workspace, candidates, &query.boosts, with_passages);
    let mut candidates = found.await?;
    if query.recency.is_some() || !query.boosts.is_empty() {
        let now = clock::now();
        for found in &mut candidates {
            let Some(file) = found.file else { continue };
            found.explanation.recency = query.recency.map(|recency| recency.factor(file.created_at, now));
            found.explanation.boost = file.boost;
            let factor = found.explanation.recency.unwrap_or(1.0) * file.boost.unwrap_or(1.0);
            found.score = multiplied(found.score, factor);
        }
        candidates = fusion::sorted(candidates);
    }
    Ok(model_rerank::reorder(query, candidates))
}

fn first_round(query: &SearchQuery, min_candidates: i64, excluded: &HashSet<FileId>) -> Round {
    let depth = query.limit + i64::try_from(query.seen.len()).unwrap_or(i64::MAX);
    let mut wanted = match query.per_file {
        Some(_) => (CANDIDATES_PER_FILE * depth).min(MAX_CANDIDATES),
        None => 2 * depth,
    };
    if !query.boosts.is_empty() {
        wanted = wanted.max(BOOSTED_CANDIDATES);
    }
    let mut candidates = min_candidates;
    match &query.rerank {
        Some(Rerank::Neighbours) => candidates = neighbours::MIN_CANDIDATES,
        // At least what the search for the model reads, so that what the model has scored is found again.
        Some(Rerank::Model(rerank)) => wanted = wanted.max(2 * i64::from(rerank.candidates)),
        None => {}
    }
    // A power of two of the least number, so that the statements of most limits are the same.
    while candidates < wanted {
        candidates *= 2;
    }
    let certain = match query.per_file {
        Some(_) => candidates / 2,
        None if query.boosts.is_empty() => depth + 1,
        None => (candidates / 2).max(depth + 1),
    };
    Round { filter: without(query.filter.clone(), excluded), candidates, certain, offset: 0 }
}

fn pinned_round(query: &SearchQuery, files: &HashSet<FileId>, offset: usize) -> Round {
    let is_pinned = one_of(files.iter());
    let filter = match query.filter.clone() {
        Some(filter) => Filter::And(vec![filter, is_pinned]),
        None => is_pinned,
    };
    Round { filter: Some(filter), candidates: PINNED_CANDIDATES, certain: PINNED_CANDIDATES / 2, offset }
}

fn one_of<'a>(files: impl Iterator<Item = &'a FileId>) -> Filter {
    Filter::OneOf(Field::Id, files.map(|file| Operand::Id(file.0)).collect())
}

/// The filter without these files.
fn without(filter: Option<Filter>, excluded: &HashSet<FileId>) -> Option<Filter> {
    if excluded.is_empty() {
        return filter;
    }
    let others = Filter::Not(Box::new(one_of(excluded.iter())));
    Some(match filter {
        Some(filter) => Filter::And(vec![filter, others]),
        None => others,
    })
}

/// The hits so far.
struct Selection<'a> {
    query: &'a SearchQuery,
    /// The hits of each pinned file that matches, and that no earlier page has shown.
    pinned: Vec<Vec<Candidate>>,
    /// Of a flat search: a group for each hit.
    groups: Vec<Vec<Candidate>>,
    by_file: HashMap<FileId, usize>,
    /// The targets of the passages.
    passages: HashMap<i64, TargetId>,
}

impl<'a> Selection<'a> {
    fn new(query: &'a SearchQuery) -> Self {
        Self { query, pinned: Vec::new(), groups: Vec::new(), by_file: HashMap::new(), passages: HashMap::new() }
    }

    /// Whether no better candidate of another target has the passage. Those of one target are different elements of its pipeline.
    fn is_new(&mut self, found: &Candidate) -> bool {
        let Some((passage, target)) = found.file.and_then(|file| Some((file.passage?, file.target))) else {
            return true;
        };
        *self.passages.entry(passage).or_insert(target) == target
    }

    /// Adds the best chunks of pinned files.
    fn add_pinned(&mut self, candidates: Vec<Candidate>) {
        let mut by_file: HashMap<FileId, Vec<Candidate>> = HashMap::new();
        for mut found in candidates {
            let Some(file) = found.file else { continue };
            found.explanation.is_pinned = true;
            by_file.entry(file.id).or_default().push(found);
        }
        let query = self.query;
        for file in &query.pinned {
            // A repeated id has none left.
            let Some(mut hits) = by_file.remove(file) else { continue };
            hits.retain(|found| self.is_new(found));
            let is_seen = match query.per_file {
                Some(_) => query.seen.has_file(*file),
                None => hits.iter().any(|found| self.is_seen(found)),
            };
            if !is_seen && !hits.is_empty() {
                hits.truncate(query.per_file.unwrap_or(1));
                self.pinned.push(hits);
            }
        }
    }

    /// Adds the candidates of a round.
    fn add(&mut self, candidates: Vec<Candidate>) {
        for found in candidates {
            if !self.is_new(&found) {
                continue;
            }
            match (self.query.per_file, found.file) {
                (Some(per_file), Some(owner)) => self.add_to_file(found, owner.id, per_file),
                _ if self.is_complete() => return,
                _ if self.is_seen(&found) => {}
                _ => self.groups.push(vec![found]),
            }
        }
    }

    fn add_to_file(&mut self, found: Candidate, file: FileId, per_file: usize) {
        match self.by_file.get(&file) {
            Some(place) if self.groups[*place].len() < per_file => self.groups[*place].push(found),
            Some(_) => {}
            None if self.is_complete() || self.query.seen.has_file(file) => {}
            None => {
                self.by_file.insert(file, self.groups.len());
                self.groups.push(vec![found]);
            }
        }
    }

    /// Whether an earlier page has shown the passage.
    fn is_seen(&self, found: &Candidate) -> bool {
        found.file.and_then(|file| file.passage).is_some_and(|passage| self.query.seen.has_passage(passage))
    }

    /// Whether it has one more than the limit, which tells that there are more.
    fn is_complete(&self) -> bool {
        self.pinned.len() + self.groups.len() > self.query.limit()
    }

    /// Forgets what a round has found, because a larger one finds it again.
    fn restart(&mut self) {
        self.groups.clear();
        self.by_file.clear();
        self.passages.clear();
    }

    /// The hits, and whether there are more.
    fn finish(self) -> (Vec<Candidate>, bool) {
        let (has_more, limit) = (self.is_complete(), self.query.limit());
        let hits = self.pinned.into_iter().chain(self.groups).take(limit).flatten();
        (hits.collect(), has_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::ChunkId,
        store::search::{fusion::OwningFile, query::Seen},
    };

    fn candidate(file: FileId, score: f64) -> Candidate {
        passage(file, TargetId::new(), crate::id::new().as_u64_pair().1.cast_signed(), score)
    }

    fn passage(file: FileId, target: TargetId, passage: i64, score: f64) -> Candidate {
        let file = OwningFile { id: file, target, passage: Some(passage), created_at: clock::now(), boost: None };
        Candidate { chunk: Some(ChunkId::new()), file: Some(file), score, ..Candidate::default() }
    }

    fn scores(found: &[Candidate]) -> Vec<f64> {
        found.iter().map(|found| found.score).collect()
    }

    #[test]
    fn factor_above_one_raises_negative_scores_too() {
        assert_eq!((multiplied(0.5, 2.0), multiplied(0.5, 0.5)), (1.0, 0.25));
        assert_eq!((multiplied(-0.5, 2.0), multiplied(-0.5, 0.5)), (-0.25, -1.0));
    }

    #[test]
    fn groups_have_the_best_hits_of_each_file_in_the_order_of_their_first() {
        let (a, b, c) = (FileId::new(), FileId::new(), FileId::new());
        let query = SearchQuery { limit: 2, per_file: Some(2), ..SearchQuery::default() };
        let mut selection = Selection::new(&query);
        let found = [(a, 9.0), (a, 8.0), (b, 7.0), (a, 6.0), (c, 5.0), (b, 4.0)];
        selection.add(found.map(|(file, score)| candidate(file, score)).into());
        assert!(selection.is_complete());
        let (hits, has_more) = selection.finish();
        assert_eq!((scores(&hits), has_more), (vec![9.0, 8.0, 7.0, 4.0], true));
    }

    #[test]
    fn seen_hits_and_files_are_left_out() {
        let (file, other) = (candidate(FileId::new(), 2.0), candidate(FileId::new(), 1.0));
        for per_file in [None, Some(1)] {
            let owner = file.file.unwrap();
            let mark =
                if per_file.is_some() { Seen::file_mark(owner.id) } else { Seen::passage_mark(owner.passage.unwrap()) };
            let seen = Seen::new(HashSet::from([mark]));
            let query = SearchQuery { limit: 2, per_file, seen, ..SearchQuery::default() };
            let mut selection = Selection::new(&query);
            selection.add(vec![file.clone(), other.clone()]);
            let (hits, has_more) = selection.finish();
            assert_eq!((scores(&hits), has_more), (vec![1.0], false));
        }
    }

    #[test]
    fn passage_of_several_targets_is_selected_once_and_does_not_count_twice() {
        let (file, [one, other]) = (FileId::new(), [TargetId::new(), TargetId::new()]);
        let found = vec![
            passage(file, one, 1, 9.0),
            passage(file, other, 1, 8.0),
            passage(file, one, 1, 7.0),
            passage(file, other, 2, 6.0),
            passage(file, one, 2, 5.0),
        ];
        for per_file in [None, Some(3)] {
            let query = SearchQuery { limit: 3, per_file, ..SearchQuery::default() };
            let mut selection = Selection::new(&query);
            selection.add(found.clone());
            let (hits, has_more) = selection.finish();
            assert_eq!((scores(&hits), has_more), (vec![9.0, 7.0, 6.0], false), "{per_file:?}");
        }
        let query = SearchQuery { limit: 1, per_file: Some(3), pinned: vec![file], ..SearchQuery::default() };
        let mut selection = Selection::new(&query);
        selection.add_pinned(found);
        assert_eq!(scores(&selection.finish().0), [9.0, 7.0, 6.0]);
    }

    #[test]
    fn pinned_files_come_first_in_their_order_and_count() {
        let (a, b) = (FileId::new(), FileId::new());
        let query = SearchQuery { limit: 3, pinned: vec![b, FileId::new(), a], ..SearchQuery::default() };
        let mut selection = Selection::new(&query);
        selection.add_pinned(vec![candidate(a, 3.0), candidate(a, 2.5), candidate(b, 1.0)]);
        selection.add((0..4).map(|n| candidate(FileId::new(), 20.0 - f64::from(n))).collect());
        let (hits, has_more) = selection.finish();
        assert_eq!((scores(&hits), has_more), (vec![1.0, 3.0, 20.0], true));
        assert!(hits[1].explanation.is_pinned && !hits[2].explanation.is_pinned);
    }

    #[test]
    fn pinned_files_that_match_fill_pages_before_others() {
        let files: Vec<FileId> = (0..5).map(|_| FileId::new()).collect();
        let found: Vec<Candidate> = files[1..].iter().map(|file| candidate(*file, 1.0)).collect();
        for per_file in [None, Some(1)] {
            let pinned = [&files[..], &files[4..]].concat();
            let mut query = SearchQuery { limit: 2, per_file, pinned, ..SearchQuery::default() };
            let mut shown: Vec<FileId> = Vec::new();
            let mut marks = HashSet::new();
            for expected in [(2, true), (2, false), (0, false)] {
                query.seen = Seen::new(marks.clone());
                let mut selection = Selection::new(&query);
                selection.add_pinned(found.clone());
                let (hits, has_more) = selection.finish();
                assert_eq!((hits.len(), has_more), expected);
                for hit in hits {
                    let file = hit.file.unwrap();
                    let of_passage = || Seen::passage_mark(file.passage.unwrap());
                    marks.insert(if per_file.is_some() { Seen::file_mark(file.id) } else { of_passage() });
                    shown.push(file.id);
                }
            }
            assert_eq!(shown, files[1..]);
        }
    }
}
