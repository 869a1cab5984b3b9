//! The terms of an index that words of a query stand for: those that begin with them, those that contain them, and their parts.

use std::collections::{HashMap, HashSet};

use sea_orm::raw_sql;
use uuid::Uuid;

use crate::{
    id::WorkspaceId,
    store::{Conn, Result, sql},
};

/// Maximum number of words of a query, of those that no chunk has, for which others are searched.
pub(in crate::store) const MAX_UNKNOWN_WORDS: usize = 4;
/// The fewest characters of a word that is searched inside others.
pub(in crate::store) const MIN_INNER_CHARACTERS: usize = 5;
/// Maximum number of terms for one word.
const MAX_TERMS: usize = 128;
/// Maximum number of terms for a character of a script without spaces, which the index has in pairs with those that follow it.
const MAX_CHARACTER_TERMS: usize = 2_048;
/// Rows of a collection that are read at most to find the most frequent terms that begin with a prefix.
const MAX_PREFIX_ROWS: i64 = 50_000;
/// Rows of the index that are read at most to find terms that contain a word.
const MAX_SCANNED_ROWS: i64 = 200_000;
/// The fewest characters of a part of a word.
const MIN_PART_CHARACTERS: usize = 4;
/// Letters that join the parts of a compound.
const LINKS: [&str; 6] = ["s", "es", "n", "en", "er", "e"];

/// The terms for each word.
pub(in crate::store) type Terms = HashMap<String, Vec<String>>;

/// The terms that begin with prefixes.
#[derive(Debug, Default)]
pub(in crate::store) struct Expansion {
    /// The most frequent ones of each prefix.
    pub(in crate::store) terms: Terms,
    /// The prefixes that other terms begin with, too.
    pub(in crate::store) open: HashSet<String>,
}

/// The most frequent terms that begin with prefixes.
pub(in crate::store) async fn starting_with(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    mut prefixes: Vec<String>,
) -> Result<Expansion> {
    prefixes.sort_unstable();
    prefixes.dedup();
    let collections = collections.to_vec();
    // No term has this character.
    let ends: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}\u{10ffff}")).collect();
    // One more tells that there are others.
    let limits = prefixes.iter().map(|prefix| i64::try_from(max_terms(prefix) + 1).unwrap_or(i64::MAX));
    let limits: Vec<i64> = limits.collect();
    let found = raw_sql!(
        Postgres,
        "select prefix.first, found.term, found.rows
         from unnest({prefixes}::text[], {ends}::text[], {limits}::bigint[]) as prefix (first, last, most)
         cross join lateral (
             select known.term, sum(known.documents) as frequency, (sum(count(*)) over ())::bigint as rows
             from unnest({collections}::uuid[]) as searched (id) cross join lateral (
                 select term, documents from posting
                 where workspace_id = {workspace} and collection_id = searched.id
                     and term >= prefix.first and term < prefix.last
                 order by term limit {MAX_PREFIX_ROWS}) known
             group by known.term
             order by frequency desc, known.term limit prefix.most) found
         order by prefix.first, found.frequency desc, found.term"
    );
    let mut expansion = Expansion::default();
    for (prefix, term, rows) in sql::all_values::<(String, String, i64)>(conn, found).await? {
        let of_prefix = expansion.terms.entry(prefix.clone()).or_default();
        let is_full = of_prefix.len() >= max_terms(&prefix);
        if !is_full {
            of_prefix.push(term);
        }
        if is_full || rows >= MAX_PREFIX_ROWS {
            expansion.open.insert(prefix);
        }
    }
    Ok(expansion)
}

fn max_terms(prefix: &str) -> usize {
    if prefix.chars().nth(1).is_some() { MAX_TERMS } else { MAX_CHARACTER_TERMS }
}

/// The terms that contain words, as compounds do.
pub(in crate::store) async fn containing(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    words: Vec<String>,
) -> Result<Terms> {
    let collections = collections.to_vec();
    let terms = raw_sql!(
        Postgres,
        "select distinct word.part, known.term
         from (
             select term from posting
             where workspace_id = {workspace} and collection_id = any({collections}::uuid[])
             limit {MAX_SCANNED_ROWS}) known
         join unnest({words}::text[]) as word (part) on position(word.part in known.term) > 0
         order by word.part, known.term"
    );
    sql::all_values(conn, terms).await.map(by_word)
}

/// The two known terms of which each word consists.
pub(in crate::store) async fn split(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    words: Vec<String>,
) -> Result<Terms> {
    let pairs: Vec<(&String, Vec<(&str, &str)>)> = words.iter().map(|word| (word, pairs(word))).collect();
    let parts: HashSet<&str> = pairs.iter().flat_map(|(_, pairs)| pairs).flat_map(|(a, b)| [*a, *b]).collect();
    if parts.is_empty() {
        return Ok(Terms::new());
    }
    let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    let collections = collections.to_vec();
    let known = raw_sql!(
        Postgres,
        "select distinct part.term
         from unnest({parts}::text[]) as part (term) cross join unnest({collections}::uuid[]) as searched (id)
         cross join lateral (
             select from posting
             where workspace_id = {workspace} and collection_id = searched.id and term = part.term limit 1) found"
    );
    let known: HashSet<String> = sql::all_values::<String>(conn, known).await?.into_iter().collect();
    let mut found = Terms::new();
    for (word, pairs) in pairs {
        let pairs = pairs.into_iter().filter(|(first, second)| known.contains(*first) && known.contains(*second));
        // Of several splits, that with parts of similar length.
        if let Some((first, second)) = pairs.max_by_key(|(first, second)| first.len().min(second.len())) {
            found.insert(word.clone(), vec![first.to_owned(), second.to_owned()]);
        }
    }
    Ok(found)
}

/// The ways to cut a word in two, without the letters that join them.
fn pairs(word: &str) -> Vec<(&str, &str)> {
    let cuts: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
    let mut pairs = Vec::new();
    if cuts.len() < 2 * MIN_PART_CHARACTERS {
        return pairs;
    }
    for at in &cuts[MIN_PART_CHARACTERS..=cuts.len() - MIN_PART_CHARACTERS] {
        let (first, second) = word.split_at(*at);
        pairs.push((first, second));
        let shorter = LINKS.iter().filter_map(|link| first.strip_suffix(link));
        pairs.extend(shorter.filter(|first| first.len() >= MIN_PART_CHARACTERS).map(|first| (first, second)));
    }
    pairs
}

fn by_word(rows: Vec<(String, String)>) -> Terms {
    let mut terms = Terms::new();
    for (word, term) in rows {
        let of_word = terms.entry(word).or_default();
        if of_word.len() < MAX_TERMS {
            of_word.push(term);
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_with_and_without_joining_letters() {
        let cut = pairs("zorgverzekering");
        assert!(cut.contains(&("zorg", "verzekering")));
        assert!(pairs("arbeitsamt").is_empty() || pairs("arbeitsamt").contains(&("arbeit", "samt")));
        assert!(pairs("arbeitsplatz").contains(&("arbeit", "platz")));
        assert_eq!(pairs("kurz"), []);
    }
}
