//! Reads the postings of terms, but not those that an earlier search has read.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use nvisy_lexical::postings::Row;
use sea_orm::raw_sql;
use uuid::Uuid;

use super::{
    Packed, Scope,
    cache::{self, Term, Version, Versions},
};
use crate::store::{Conn, Result, sql};

impl Scope {
    /// The rows of terms in the searched collections.
    pub(super) async fn postings(&self, conn: &impl Conn, terms: impl Iterator<Item = &String>) -> Result<Packed> {
        let mut terms: HashSet<String> = terms.cloned().collect();
        let known = self.known.of(&mut terms);
        let others = self.versions(conn, terms.into_iter().collect()).await?;
        let (wanted, versions): (Vec<Term>, Vec<Vec<Version>>) = known.into_iter().chain(others).unzip();
        let known = cache::known(self.workspace, &wanted);
        let mut found: Vec<Versions> = Vec::with_capacity(wanted.len());
        let mut missing: Vec<(usize, Version)> = Vec::new();
        for (place, (versions, known)) in versions.into_iter().zip(&known).enumerate() {
            let row = |version: &Version| Some((*version, Arc::clone(known.get(version)?)));
            found.push(versions.iter().filter_map(row).collect());
            missing.extend(versions.into_iter().filter(|version| !known.contains_key(version)).map(|new| (place, new)));
        }
        for (place, version, row) in self.read_rows(conn, &wanted, missing).await? {
            found[place].insert(version, row);
        }
        let mut packed = Packed::new();
        let mut changed: Vec<(Term, Versions)> = Vec::new();
        for ((term, versions), known) in wanted.into_iter().zip(found).zip(known) {
            packed.entry(term.1.clone()).or_default().extend(versions.values().cloned());
            if versions.len() != known.len() || versions.keys().any(|version| !known.contains_key(version)) {
                changed.push((term, versions));
            }
        }
        cache::keep(self.workspace, changed);
        Ok(packed)
    }

    /// The versions of the rows of terms that there are in the snapshot of the search.
    async fn versions(&self, conn: &impl Conn, terms: Vec<String>) -> Result<HashMap<Term, Vec<Version>>> {
        let mut versions: HashMap<Term, Vec<Version>> = HashMap::new();
        if terms.is_empty() || self.collections.is_empty() {
            return Ok(versions);
        }
        let (workspace, collections) = (self.workspace, self.collections.clone());
        // One look-up for each term, whatever the planner believes about their number. Postings are stored outside of their rows,
        // and are not read here.
        let stored = raw_sql!(
            Postgres,
            "select searched.id, wanted.term, found.unit, found.writer
             from unnest({collections}::uuid[]) as searched (id) cross join unnest({terms}::text[]) as wanted (term)
             cross join lateral (
                 select unit, xmin::text::bigint as writer from posting
                 where workspace_id = {workspace} and collection_id = searched.id and term = wanted.term offset 0) found"
        );
        for (collection, term, unit, writer) in sql::all_values::<(Uuid, String, i64, i64)>(conn, stored).await? {
            versions.entry((collection, term)).or_default().push((unit, writer));
        }
        Ok(versions)
    }

    /// Reads rows of the snapshot, each of a version of one of the wanted terms.
    async fn read_rows(
        &self,
        conn: &impl Conn,
        wanted: &[Term],
        missing: Vec<(usize, Version)>,
    ) -> Result<Vec<(usize, Version, Arc<Row>)>> {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let workspace = self.workspace;
        let (collections, terms): (Vec<Uuid>, Vec<String>) =
            missing.iter().map(|(place, _)| wanted[*place].clone()).unzip();
        let units: Vec<i64> = missing.iter().map(|(_, (unit, _))| *unit).collect();
        let rows = raw_sql!(
            Postgres,
            "select wanted.place, found.postings
             from unnest({collections}::uuid[], {terms}::text[], {units}::bigint[]) with ordinality
                 as wanted (collection_id, term, unit, place)
             cross join lateral (
                 select postings from posting
                 where workspace_id = {workspace} and collection_id = wanted.collection_id and term = wanted.term
                     and unit = wanted.unit offset 0) found"
        );
        let rows = sql::all_values::<(i64, Vec<u8>)>(conn, rows).await?.into_iter().filter_map(|(number, postings)| {
            let (place, version) = *missing.get(usize::try_from(number - 1).ok()?)?;
            Some((place, version, Arc::new(Row::new(postings))))
        });
        Ok(rows.collect())
    }
}
