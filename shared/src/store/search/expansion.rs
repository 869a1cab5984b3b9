//! The terms of an index that a word of a query stands for: those with its prefix, those that contain it, and its parts.

use std::collections::HashSet;

use sea_orm::raw_sql;
use uuid::Uuid;

use crate::{
    id::WorkspaceId,
    store::{Conn, Result, sql},
};

/// Maximum number of words of a query, of those that no chunk has, for which others are searched.
pub(super) const MAX_UNKNOWN_WORDS: usize = 4;
/// Maximum number of terms for one.
const MAX_TERMS: i64 = 128;
/// Rows of the index that are read at most to find terms that contain a word.
const MAX_SCANNED_ROWS: i64 = 200_000;
/// The fewest characters of a word that is searched inside others.
const MIN_INNER_CHARACTERS: usize = 5;
/// The fewest characters of a part of a word.
const MIN_PART_CHARACTERS: usize = 4;
/// Letters that join the parts of a compound.
const LINKS: [&str; 6] = ["s", "es", "n", "en", "er", "e"];

/// The terms that begin with a prefix.
pub(super) async fn starting_with(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    prefix: &str,
) -> Result<Vec<String>> {
    let collections = collections.to_vec();
    // No term has this character.
    let end = format!("{prefix}\u{10ffff}");
    let terms = raw_sql!(
        Postgres,
        "select distinct term from unnest({collections}::uuid[]) as searched (id) cross join lateral (
             select term from posting
             where workspace_id = {workspace} and collection_id = searched.id and term >= {prefix} and term < {end}
             order by term limit 10 * {MAX_TERMS}) found
         order by term limit {MAX_TERMS}"
    );
    sql::all_values::<(String,)>(conn, terms).await.map(first_column)
}

/// The terms that contain a word, which has these terms: compounds.
pub(super) async fn compounds(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    terms: &[String],
) -> Result<Vec<String>> {
    let Some(inner) = terms.iter().min_by_key(|term| term.len()) else { return Ok(Vec::new()) };
    if inner.chars().count() < MIN_INNER_CHARACTERS {
        return Ok(Vec::new());
    }
    let found = starting_with(conn, workspace, collections, inner).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let collections = collections.to_vec();
    // Folded terms have letters and digits, so no wildcard.
    let pattern = format!("%{inner}%");
    let terms = raw_sql!(
        Postgres,
        "select distinct term from (
             select term from posting
             where workspace_id = {workspace} and collection_id = any({collections}::uuid[]) limit {MAX_SCANNED_ROWS}) known
         where term like {pattern} limit {MAX_TERMS}"
    );
    sql::all_values::<(String,)>(conn, terms).await.map(first_column)
}

/// The two known terms of which a word consists.
pub(super) async fn split(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    word: &str,
) -> Result<Vec<String>> {
    let cuts: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
    if cuts.len() < 2 * MIN_PART_CHARACTERS {
        return Ok(Vec::new());
    }
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for at in &cuts[MIN_PART_CHARACTERS..=cuts.len() - MIN_PART_CHARACTERS] {
        let (first, second) = word.split_at(*at);
        pairs.push((first, second));
        let shorter = LINKS.iter().filter_map(|link| first.strip_suffix(link));
        pairs.extend(shorter.filter(|first| first.len() >= MIN_PART_CHARACTERS).map(|first| (first, second)));
    }
    let parts: HashSet<&str> = pairs.iter().flat_map(|(first, second)| [*first, *second]).collect();
    let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    let collections = collections.to_vec();
    let known = raw_sql!(
        Postgres,
        "select distinct term from posting
         where workspace_id = {workspace} and collection_id = any({collections}::uuid[]) and term = any({parts}::text[])"
    );
    let known: HashSet<String> =
        sql::all_values::<(String,)>(conn, known).await?.into_iter().map(|(term,)| term).collect();
    let is_known = |part: &str| known.contains(part);
    // Of several splits, that with parts of similar length.
    let best = pairs.into_iter().filter(|(first, second)| is_known(first) && is_known(second));
    let best = best.max_by_key(|(first, second)| first.len().min(second.len()));
    Ok(best.map_or_else(Vec::new, |(first, second)| vec![first.to_owned(), second.to_owned()]))
}

fn first_column(rows: Vec<(String,)>) -> Vec<String> {
    rows.into_iter().map(|(term,)| term).collect()
}
