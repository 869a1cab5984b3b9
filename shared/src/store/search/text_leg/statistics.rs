//! The statistics of the searched collections, and which rows of postings they have for the terms that a search expects to need.

use std::collections::HashMap;

use nvisy_lexical::analysis::LANGUAGE_TERMS_END;
use sea_orm::{FromQueryResult, raw_sql};
use uuid::Uuid;

use super::cache::{Term, Version};
use crate::{
    id::{CollectionId, WorkspaceId},
    store::{Conn, Result, sql},
};

#[derive(Debug, Default, FromQueryResult)]
pub(super) struct Statistics {
    /// The searched collections that are not deleted.
    pub(super) collections: Vec<Uuid>,
    pub(super) documents: i64,
    pub(super) words: i64,
    pub(super) dead_units: Vec<i64>,
    pub(super) dead_documents: Vec<i64>,
    pub(super) has_disabled: bool,
    /// The terms of the languages of their chunks.
    pub(super) languages: Vec<String>,
    pub(super) is_incomplete: bool,
    pub(super) has_synonyms: bool,
    /// For each row of postings: collection, place among the terms from 1, and version.
    row_collections: Vec<Uuid>,
    row_places: Vec<i64>,
    row_units: Vec<i64>,
    row_writers: Vec<i64>,
}

impl Statistics {
    /// Takes the versions of the rows of the terms, which are those of the statement.
    pub(super) fn take_versions(&mut self, terms: &[String]) -> HashMap<Term, Vec<Version>> {
        let of_terms = self.row_collections.drain(..).zip(self.row_places.drain(..));
        let of_rows = self.row_units.drain(..).zip(self.row_writers.drain(..));
        let mut versions: HashMap<Term, Vec<Version>> = HashMap::with_capacity(terms.len());
        for ((collection, place), version) in of_terms.zip(of_rows) {
            if let Some(term) = usize::try_from(place - 1).ok().and_then(|place| terms.get(place)) {
                versions.entry((collection, term.clone())).or_default().push(version);
            }
        }
        versions
    }
}

/// Reads the statistics of collections, all of the workspace or these, and the versions of the rows of terms. One look-up for each
/// term, whatever the planner believes about their number, and one more than a collection has languages: each finds the next one.
/// Postings are stored outside of their rows, and are not read here.
pub(super) async fn read(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: Option<&[CollectionId]>,
    terms: Vec<String>,
) -> Result<Statistics> {
    let is_all = collections.is_none();
    let among: Vec<CollectionId> = collections.unwrap_or_default().to_vec();
    let end = LANGUAGE_TERMS_END;
    let statistics = raw_sql!(
        Postgres,
        "with recursive searched as materialized (
             select id from collection
             where workspace_id = {workspace} and deleted_at is null and ({is_all} or id = any({among}))),
         languages (collection_id, term) as (
             select searched.id, (
                 select term from posting
                 where workspace_id = {workspace} and collection_id = searched.id and term < {end} order by term limit 1)
             from searched
             union all
             select l.collection_id, (
                 select term from posting
                 where workspace_id = {workspace} and collection_id = l.collection_id and term > l.term and term < {end}
                 order by term limit 1)
             from languages l where l.term is not null),
         found as materialized (
             select searched.id as collection_id, wanted.place, stored.unit, stored.writer
             from searched cross join unnest({terms}::text[]) with ordinality as wanted (term, place)
             cross join lateral (
                 select unit, xmin::text::bigint as writer from posting
                 where workspace_id = {workspace} and collection_id = searched.id and term = wanted.term offset 0) stored)
         select array(select id from searched) as collections,
             coalesce(sum(u.chunks), 0)::bigint as documents, coalesce(sum(u.words), 0)::bigint as words,
             array(
                 select unnest(t.units) from searched cross join lateral (
                     select units from target
                     where workspace_id = {workspace} and collection_id = searched.id and not live offset 0) t
                 union all
                 select unnest(d.units) from searched cross join lateral (
                     select units from posting_tombstone
                     where workspace_id = {workspace} and collection_id = searched.id offset 0) d) as dead_units,
             array(
                 select document from chunk where workspace_id = {workspace} and disabled and document is not null
                 union all
                 select source_document from chunk
                 where workspace_id = {workspace} and source_document is not null
                 union all
                 select dead_document from chunk
                 where workspace_id = {workspace} and dead_document is not null) as dead_documents,
             exists (select from chunk where workspace_id = {workspace} and disabled) as has_disabled,
             array(select distinct term from languages where term is not null) as languages,
             exists (
                 select from searched cross join lateral (
                     select from target
                     where workspace_id = {workspace} and collection_id = searched.id and not has_postings
                     offset 0) t) as is_incomplete,
             exists (select from synonym_term where workspace_id = {workspace}) as has_synonyms,
             array(select collection_id from found) as row_collections, array(select place from found) as row_places,
             array(select unit from found) as row_units, array(select writer from found) as row_writers
         from searched
         join collection_usage u on u.workspace_id = {workspace} and u.collection_id = searched.id"
    );
    Ok(sql::first(conn, statistics).await?.unwrap_or_default())
}
