//! Synonyms of a workspace: sets of words and phrases that its searches find as well.
//!
//! Searches find the sets of a query by its terms, so that they read few rows however many sets there are, and see a change at
//! once on every replica.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};
use serde_json::{Value as Json, json};

use super::{Conn, Result, Tx, sql};
use crate::{domain::synonym::SynonymSet, id::WorkspaceId};

/// The synonyms of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synonyms {
    /// The sets, in the order in which they were given.
    pub sets: Vec<SynonymSet>,
    /// Raised by every change; 0 before the first one.
    pub revision: i32,
    /// The time of the last change.
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(FromQueryResult)]
struct Row {
    revision: i32,
    updated_at: DateTime<Utc>,
    sources: Option<Vec<String>>,
    targets: Option<Vec<String>>,
}

/// The synonyms of a workspace, which has none before the first change.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId) -> Result<Synonyms> {
    let found = raw_sql!(
        Postgres,
        "select h.revision, h.updated_at, s.sources, s.targets
         from synonyms h left join synonym_set s on s.workspace_id = h.workspace_id
         where h.workspace_id = {workspace} order by s.place"
    );
    let rows: Vec<Row> = sql::all(conn, found).await?;
    let mut synonyms = Synonyms::default();
    for Row { revision, updated_at, sources, targets } in rows {
        synonyms.revision = revision;
        synonyms.updated_at = Some(updated_at);
        synonyms.sets.extend(sources.map(|from| SynonymSet { from, to: targets }));
    }
    Ok(synonyms)
}

/// The sets that have one of these terms among their [`SynonymSet::keys`], in their order.
pub(in crate::store) async fn matching(
    conn: &impl Conn,
    workspace: WorkspaceId,
    terms: Vec<String>,
) -> Result<Vec<SynonymSet>> {
    // One look-up for each term, whatever the planner believes about their number.
    let matching = raw_sql!(
        Postgres,
        "select s.sources, s.targets
         from (
             select distinct found.place
             from unnest({terms}::text[]) as wanted (term) cross join lateral (
                 select place from synonym_term
                 where workspace_id = {workspace} and term = wanted.term offset 0) found) found
         cross join lateral (
             select place, sources, targets from synonym_set
             where workspace_id = {workspace} and place = found.place offset 0) s
         order by s.place"
    );
    let rows = sql::all_values::<(Vec<String>, Option<Vec<String>>)>(conn, matching).await?;
    Ok(rows.into_iter().map(|(from, to)| SynonymSet { from, to }).collect())
}

/// Stores sets in place of the present ones, with the [`SynonymSet::keys`] of each. The workspace is locked.
pub async fn replace(tx: &Tx, workspace: WorkspaceId, sets: &[SynonymSet], keys: &[Vec<String>]) -> Result<()> {
    let revised = raw_sql!(
        Postgres,
        "insert into synonyms (workspace_id, revision) values ({workspace}, 1)
         on conflict (workspace_id) do update set revision = synonyms.revision + 1, updated_at = now()"
    );
    sql::execute(tx, revised).await?;
    let terms = raw_sql!(Postgres, "delete from synonym_term where workspace_id = {workspace}");
    sql::execute(tx, terms).await?;
    let deleted = raw_sql!(Postgres, "delete from synonym_set where workspace_id = {workspace}");
    sql::execute(tx, deleted).await?;
    if sets.is_empty() {
        return Ok(());
    }
    let row = |(place, set): (usize, &SynonymSet)| json!({ "place": place, "sources": set.from, "targets": set.to });
    let rows: Json = sets.iter().enumerate().map(row).collect();
    let inserted = raw_sql!(
        Postgres,
        "insert into synonym_set (workspace_id, place, sources, targets)
         select {workspace}, r.place, r.sources, r.targets
         from jsonb_to_recordset({rows}::jsonb) as r (place integer, sources text[], targets text[])"
    );
    sql::execute(tx, inserted).await?;
    let (mut places, mut terms) = (Vec::<i32>::new(), Vec::<String>::new());
    for (place, keys) in (0..).zip(keys) {
        places.extend(std::iter::repeat_n(place, keys.len()));
        terms.extend_from_slice(keys);
    }
    let keys = raw_sql!(
        Postgres,
        "insert into synonym_term (workspace_id, term, place)
         select {workspace}, k.term, k.place
         from unnest({terms}::text[], {places}::integer[]) as k (term, place)"
    );
    sql::execute(tx, keys).await?;
    Ok(())
}
