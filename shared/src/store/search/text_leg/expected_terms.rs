//! The terms that a search looks up with the statistics, before it knows the languages of the chunks.
//!
//! Which terms a word has depends on these languages, and they change rarely. So the words are analysed in those that an earlier
//! search has found; the statistics tell whether they are still the same. Terms that are missing then are looked up afterwards.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use hashlink::LruCache;
use nvisy_lexical::{
    Language,
    analysis::language_term,
    query::{Conditions, Query},
};

use super::cache::{Term, Version};
use crate::id::{CollectionId, WorkspaceId};

/// Searched collections whose languages are remembered; the least recently used ones make room.
const CACHE_CAPACITY: usize = 4_096;

/// The workspace, and the collections of a search; `None`: all.
type Searched = (WorkspaceId, Option<Vec<CollectionId>>);

static LANGUAGES: LazyLock<Mutex<LruCache<Searched, Vec<Language>>>> =
    LazyLock::new(|| Mutex::new(LruCache::new(CACHE_CAPACITY)));

fn languages() -> MutexGuard<'static, LruCache<Searched, Vec<Language>>> {
    LANGUAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terms of a query in the languages that its collections had. Without an earlier search, there are none.
#[derive(Debug, Default)]
pub(super) struct ExpectedTerms {
    in_languages: Option<(Vec<Language>, Conditions)>,
    /// Each once.
    pub(super) terms: Vec<String>,
}

impl ExpectedTerms {
    /// The terms of a query for the collections.
    pub(super) fn new(
        workspace: WorkspaceId,
        collections: Option<&[CollectionId]>,
        query: &Query,
        given: Option<Language>,
    ) -> Self {
        let searched = (workspace, collections.map(<[CollectionId]>::to_vec));
        let Some(indexed) = languages().get(&searched).cloned() else { return Self::default() };
        let conditions = query.conditions(given, &indexed);
        let terms = terms(&conditions).into_iter().collect();
        Self { in_languages: Some((indexed, conditions)), terms }
    }

    /// The conditions of the query in the languages that the collections have, which are remembered.
    pub(super) fn conditions(
        self,
        workspace: WorkspaceId,
        collections: Option<&[CollectionId]>,
        query: &Query,
        given: Option<Language>,
        indexed: &[Language],
    ) -> Conditions {
        match self.in_languages {
            Some((expected, conditions)) if expected == indexed => conditions,
            _ => {
                let searched = (workspace, collections.map(<[CollectionId]>::to_vec));
                languages().insert(searched, indexed.to_vec());
                query.conditions(given, indexed)
            }
        }
    }
}

/// The terms that a search looks up, without those that prefixes, synonyms and unknown words add.
fn terms(conditions: &Conditions) -> HashSet<String> {
    let phrases = conditions.required.iter().chain(&conditions.excluded);
    let own = conditions.words.iter().flat_map(|word| &word.terms).chain(&conditions.identifiers);
    let languages = conditions.accents.languages_of_texts().iter().map(|language| language_term(*language));
    own.chain(phrases.flat_map(|phrase| phrase.places.iter().flatten())).cloned().chain(languages).collect()
}

/// The rows of terms that were looked up with the statistics.
#[derive(Debug, Default)]
pub(super) struct KnownVersions {
    terms: HashSet<String>,
    versions: HashMap<Term, Vec<Version>>,
}

impl KnownVersions {
    pub(super) fn new(versions: HashMap<Term, Vec<Version>>, terms: Vec<String>) -> Self {
        Self { terms: terms.into_iter().collect(), versions }
    }

    /// Removes from `terms` those that are known, and returns the versions of their rows.
    pub(super) fn of(&self, terms: &mut HashSet<String>) -> HashMap<Term, Vec<Version>> {
        let versions = self.versions.iter().filter(|((_, term), _)| terms.contains(term));
        let versions = versions.map(|(term, versions)| (term.clone(), versions.clone())).collect();
        terms.retain(|term| !self.terms.contains(term));
        versions
    }
}
