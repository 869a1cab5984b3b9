//! The search by words: reads the postings of the query's words, of which [`Found`] finds the best chunks.

mod accents;
mod cache;
mod expected_terms;
mod found;
mod past;
mod postings;
mod statistics;
mod synonyms;
mod word_match;

use std::{collections::HashMap, sync::Arc};

use nvisy_lexical::{
    DeadDocuments, Language,
    analysis::{language_of_term, language_term},
    documents::{Documents, Rows, WordDocuments},
    postings::Row,
    query::{Conditions, Phrase, Query, Word},
    rank::Totals,
    synonyms::SynonymGroup,
};
use rustc_hash::FxHashSet;
use uuid::Uuid;

use self::expected_terms::{ExpectedTerms, KnownVersions};
pub(in crate::store) use self::found::Found;
pub use self::word_match::WordMatch;
use super::{condition::condition, expansion, parameters::Parameters, visibility::Visibility};
use crate::{
    domain::filter::Filter,
    id::{CollectionId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// What the searched collections have, and the query in their languages.
#[derive(Debug)]
pub(in crate::store) struct Scope {
    workspace: WorkspaceId,
    visibility: Visibility,
    /// The searched collections.
    pub(in crate::store) collections: Vec<Uuid>,
    totals: Totals,
    /// The languages of the chunks.
    indexed: Vec<Language>,
    /// Those of replaced versions, of disabled chunks of the workspace, and of texts that members have replaced.
    dead: DeadDocuments,
    /// Whether the workspace has disabled chunks, with or without a document.
    pub(in crate::store) has_disabled: bool,
    /// The units of the files that match the filter.
    matching_units: Option<Units>,
    /// Whether chunks have no postings yet.
    pub(in crate::store) is_incomplete: bool,
    /// The conditions of the query.
    pub(in crate::store) conditions: Conditions,
    /// Whether the workspace has sets of synonyms.
    has_synonyms: bool,
    /// The words of the query that have synonyms.
    synonyms: Vec<SynonymGroup>,
    /// The rows of postings that were looked up with the statistics.
    known: KnownVersions,
}

type Units = FxHashSet<i64>;

/// The postings of terms.
type Packed = HashMap<String, Rows>;

/// The rows of terms.
fn rows<'a>(terms: &'a [String], packed: &'a Packed) -> impl Iterator<Item = &'a Arc<Row>> {
    terms.iter().filter_map(|term| packed.get(term)).flatten()
}

/// The chunks with one of the terms.
fn documents(terms: &[String], packed: &Packed) -> Documents {
    Documents::new(rows(terms, packed).cloned())
}

/// The chunks of a word with these terms, each once.
fn word_documents(terms: &[String], packed: &Packed) -> WordDocuments {
    WordDocuments::new(terms.iter().filter_map(|term| packed.get(term)).cloned().collect(), cache::union)
}

impl Scope {
    /// Reads the statistics of collections, all of the workspace or these. A search by words looks its terms up with them.
    pub(in crate::store) async fn read(
        conn: &impl Conn,
        workspace: WorkspaceId,
        collections: Option<&[CollectionId]>,
        visibility: Visibility,
        query: &Query,
        language: Option<Language>,
        is_by_words: bool,
    ) -> Result<Self> {
        let expected = if is_by_words {
            ExpectedTerms::new(workspace, collections, query, language)
        } else {
            ExpectedTerms::default()
        };
        let terms = expected.terms.clone();
        let mut read = statistics::read(conn, workspace, collections, terms.clone()).await?;
        let known = KnownVersions::new(read.take_versions(&terms), terms);
        if let Visibility::At(time) = visibility {
            let past = past::read(conn, workspace, read.collections.clone(), time).await?;
            (read.documents, read.words, read.dead_units) = (past.documents, past.words, past.dead_units);
        }
        let mut indexed: Vec<Language> = read.languages.iter().filter_map(|term| language_of_term(term)).collect();
        indexed.sort_unstable();
        Ok(Self {
            workspace,
            visibility,
            collections: read.collections,
            totals: Totals { documents: read.documents.unsigned_abs(), words: read.words.unsigned_abs() },
            dead: DeadDocuments::new(read.dead_units, read.dead_documents),
            has_disabled: read.has_disabled,
            matching_units: None,
            is_incomplete: read.is_incomplete,
            conditions: expected.conditions(workspace, collections, query, language, &indexed),
            has_synonyms: read.has_synonyms,
            synonyms: Vec::new(),
            indexed,
            known,
        })
    }

    /// Limits the next round to files that match a filter; `None`: to all.
    pub(in crate::store) async fn restrict(&mut self, conn: &impl Conn, filter: Option<&Filter>) -> Result<()> {
        let Some(filter) = filter else {
            self.matching_units = None;
            return Ok(());
        };
        let mut parameters = Parameters::default();
        let (workspace, collections) = (parameters.bind(self.workspace), parameters.bind(self.collections.clone()));
        let visible = self.visibility.condition(&mut parameters);
        let text = format!(
            "select unnest(t.units) as unit
             from target t
             join file f on f.workspace_id = t.workspace_id and f.id = t.file_id
             join file_version v on v.workspace_id = t.workspace_id and v.id = t.version_id
             where t.workspace_id = {workspace} and {visible} and t.collection_id = any({collections}) and {}",
            condition(filter, &mut parameters)
        );
        let units: Vec<(i64,)> = sql::all_values(conn, parameters.into_statement(text)).await?;
        self.matching_units = Some(units.into_iter().map(|(unit,)| unit).collect());
        Ok(())
    }

    /// Reads the postings of the query.
    pub(in crate::store) async fn find(&self, conn: &impl Conn) -> Result<Found> {
        let mut words = self.conditions.words.clone();
        let own = words.len();
        words.extend(self.synonym_words());
        let synonyms = own..words.len();
        let mut patterns: Vec<Phrase> = self.conditions.excluded.clone();
        let has_open_exclusions = self.expand_prefixes(conn, &mut words, &mut patterns).await?;
        let needed = words.iter().flat_map(|word| &word.terms);
        let needed = needed
            .chain(self.conditions.required.iter().chain(&patterns).flat_map(|phrase| phrase.places.iter().flatten()))
            .chain(&self.conditions.identifiers)
            .chain(self.synonym_terms());
        let languages = self.conditions.accents.languages_of_texts().iter();
        let languages: Vec<String> = languages.map(|language| language_term(*language)).collect();
        let mut packed = self.postings(conn, needed.chain(&languages)).await?;
        self.replace_unknown(conn, &mut words, &mut packed).await?;
        let mut found = self.score(&words, synonyms, &patterns, &packed);
        found.accented = documents(&languages, &packed);
        found.has_open_exclusions = has_open_exclusions;
        Ok(found)
    }

    /// The words of a search by vector, which marks them, and the postings of those that each chunk must have.
    pub(in crate::store) async fn find_required(&self, conn: &impl Conn) -> Result<Found> {
        let mut found = Found::of_words(self);
        let needed = self.conditions.required.iter().flat_map(|phrase| phrase.places.iter().flatten());
        found.required = self.required(&self.postings(conn, needed).await?);
        Ok(found)
    }

    /// Adds the terms that begin with prefixes. Returns whether there are more that begin with an excluded one.
    async fn expand_prefixes(&self, conn: &impl Conn, words: &mut [Word], excluded: &mut [Phrase]) -> Result<bool> {
        let of_words = words.iter_mut().filter(|word| word.is_prefix).map(|word| &mut word.terms);
        let of_phrases = excluded.iter_mut().filter(|phrase| phrase.is_prefix).filter_map(|p| p.places.last_mut());
        let mut expanded: Vec<&mut Vec<String>> = of_words.chain(of_phrases).collect();
        if expanded.is_empty() {
            return Ok(false);
        }
        let prefixes = expanded.iter().flat_map(|terms| terms.iter().cloned()).collect();
        let found = expansion::starting_with(conn, self.workspace, &self.collections, prefixes).await?;
        for terms in &mut expanded {
            let more = terms.iter().filter_map(|prefix| found.terms.get(prefix)).flatten();
            let more: Vec<String> = more.cloned().collect();
            terms.extend(more);
        }
        let mut excluded = excluded.iter().filter(|phrase| phrase.is_prefix).flat_map(|phrase| &phrase.places);
        Ok(excluded.any(|terms| terms.iter().any(|term| found.open.contains(term))))
    }

    /// Adds to words that no chunk has those that contain them, or their parts, with their postings.
    async fn replace_unknown(&self, conn: &impl Conn, words: &mut Vec<Word>, packed: &mut Packed) -> Result<()> {
        let (workspace, collections) = (self.workspace, &self.collections);
        // A word that only replaced versions or disabled chunks have is unknown, too.
        let is_known = |word: &Word| documents(&word.terms, packed).has_live(&self.dead);
        let is_unknown = |word: &Word| word.is_plain && !word.is_prefix && !is_known(word);
        // Each with its shortest term.
        let mut unknown: Vec<(usize, String)> = words
            .iter()
            .enumerate()
            .filter(|(_, word)| is_unknown(word))
            .filter_map(|(place, word)| Some((place, word.terms.iter().min_by_key(|term| term.len())?.clone())))
            .filter(|(_, inner)| inner.chars().count() >= expansion::MIN_INNER_CHARACTERS)
            .take(expansion::MAX_UNKNOWN_WORDS)
            .collect();
        let extend = |words: &mut Vec<Word>, unknown: &mut Vec<(usize, String)>, found: &expansion::Terms| {
            unknown.retain(|(place, inner)| {
                let terms = found.get(inner);
                if let Some(terms) = terms {
                    words[*place].terms.extend(terms.iter().cloned());
                    words[*place].spelling.accept_compounds();
                }
                terms.is_none()
            });
        };
        let inners = |unknown: &[(usize, String)]| unknown.iter().map(|(_, inner)| inner.clone()).collect();
        if !unknown.is_empty() {
            let found = expansion::starting_with(conn, workspace, collections, inners(&unknown)).await?;
            let found = self.live(conn, found.terms, packed).await?;
            extend(words, &mut unknown, &found);
        }
        // This reads many terms, so only where the language makes long words.
        if !unknown.is_empty() && self.indexed.iter().any(|language| language.has_compounds()) {
            let found = expansion::containing(conn, workspace, collections, inners(&unknown)).await?;
            let found = self.live(conn, found, packed).await?;
            extend(words, &mut unknown, &found);
        }
        if !unknown.is_empty() {
            let whole = unknown.iter().map(|(place, _)| words[*place].terms[0].clone()).collect();
            let mut parts = expansion::split(conn, workspace, collections, whole).await?;
            parts = self.live(conn, parts, packed).await?;
            for (place, _) in unknown {
                let weight = words[place].weight / 2.0;
                let Some(parts) = parts.get(&words[place].terms[0]).cloned() else { continue };
                let spelling = words[place].spelling.of_parts();
                // They stand for the word, which no chunk has.
                words[place].weight = 0.0;
                words.extend(parts.into_iter().map(|term| Word {
                    terms: vec![term],
                    is_prefix: false,
                    weight,
                    is_plain: true,
                    spelling: spelling.clone(),
                }));
            }
        }
        Ok(())
    }

    /// Those of the terms that a searched chunk has, and words with any of them; reads their postings.
    async fn live(
        &self,
        conn: &impl Conn,
        mut found: expansion::Terms,
        packed: &mut Packed,
    ) -> Result<expansion::Terms> {
        let missing = found.values().flatten().filter(|term| !packed.contains_key(*term));
        packed.extend(self.postings(conn, missing).await?);
        found.retain(|_, terms| {
            terms.retain(|term| documents(std::slice::from_ref(term), packed).has_live(&self.dead));
            !terms.is_empty()
        });
        Ok(found)
    }
}
