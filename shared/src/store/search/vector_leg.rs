//! The search by vector in one space.
//!
//! One statement contains all access paths, and row counts decide which branches run. A branch that is not needed has a
//! condition that PostgreSQL evaluates before the first row (one-time filter), so it costs nothing. `lateral .. offset 0`
//! fixes the join order from files to their rows, and from the nearest vectors to their chunks: with many tenants, the planner expects
//! so few chunks of one that it would read all of them. The text of the statement depends on few properties of the search, so that
//! PostgreSQL plans it once per connection and not for each search.

use pgvector::Vector;
use sea_orm::{FromQueryResult, Statement};

use super::{
    condition::condition, disabled::is_enabled, model::Thresholds, parameters::Parameters, query::SpaceVector,
    visibility::Visibility,
};
use crate::{
    domain::{filter::Filter, space::Quantisation},
    id::{ChunkId, CollectionId, WorkspaceId},
};

/// A search by vector.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct VectorLeg<'a> {
    /// The tenant.
    pub(in crate::store) workspace: WorkspaceId,
    /// The query in the space.
    pub(in crate::store) query: &'a SpaceVector,
    /// The collections to search; `None`: all.
    pub(in crate::store) collections: Option<&'a [CollectionId]>,
    /// Limits the search to matching files.
    pub(in crate::store) filter: Option<&'a Filter>,
    /// The time of which passages are found.
    pub(in crate::store) visibility: Visibility,
    /// Whether the workspace has disabled chunks. Without any, the statement does not read them.
    pub(in crate::store) has_disabled: bool,
    /// Whether the documents of the chunks are read, by which those of a search by words are the same. Each costs a look-up.
    pub(in crate::store) has_documents: bool,
    /// Maximum number of hits of the search.
    pub(in crate::store) limit: i64,
    /// Number of chunks to return.
    pub(in crate::store) candidates: i64,
}

impl VectorLeg<'_> {
    /// Whether the statement selects the targets to search before it reads vectors: those of matching files, or of a past time.
    fn selects_targets(&self) -> bool {
        self.filter.is_some() || self.visibility != Visibility::Live
    }
}

/// A chunk that is near.
#[derive(Clone, Debug, FromQueryResult)]
pub(in crate::store) struct Near {
    pub(in crate::store) chunk_id: ChunkId,
    /// Its number in postings; `None`: it has none yet, or it was not read.
    pub(in crate::store) document: Option<i64>,
    /// The cosine similarity.
    pub(in crate::store) score: f64,
    /// Whether a walk of the index found it.
    pub(in crate::store) indexed: bool,
}

/// The ids of the collections to search, of the part [`collections`]. The cast makes it an array instead of rows.
const COLLECTIONS: &str = "(select ids from collections)::uuid[]";

/// The statement: the nearest vectors, from a walk of the index if there are many to search, and from an exact scan if there are
/// few or the walk found too few. `max_exact` is the number up to which an exact scan is faster.
pub(in crate::store) fn statement(leg: &VectorLeg<'_>, thresholds: Thresholds) -> Statement {
    let mut parameters = Parameters::default();
    let VectorLeg { query, candidates, .. } = leg;
    let (space, dimensions) = (query.space, query.vector.len());
    let workspace = parameters.bind(leg.workspace);
    let limit = parameters.bind(leg.limit);
    let vector = parameters.bind(Vector::from(query.vector.clone()));
    let parts =
        [collections(leg, &workspace, &mut parameters), live(leg, &workspace, &mut parameters), scope(leg, &workspace)];
    // The fewer of the visited vectors match, the less accurate the order of the walk: if it searches a part, it visits more.
    // Otherwise almost all vectors are live, so the others are dropped afterwards.
    let is_live = |row: &str| {
        format!(
            "(select t.live and t.collection_id = any({COLLECTIONS}) from target t
              where t.workspace_id = {workspace} and t.id = {row}.target_id)"
        )
    };
    let enabled =
        if leg.has_disabled { format!("and {}", is_enabled("e.chunk_id", &workspace)) } else { String::new() };
    let (matching, walk_limit, live) = match (leg.selects_targets(), leg.collections) {
        (false, None) => (String::new(), *candidates, format!("where {}", is_live("first"))),
        (false, Some(_)) => (format!("and {} is true", is_live("e")), 2 * candidates, String::new()),
        (true, _) => {
            ("and (e.target_id in (select target_id from live)) is true".to_owned(), 2 * candidates, String::new())
        }
    };
    // Of everything, the nearest vectors are taken first, and those that are not live are dropped: this reads no target of the
    // others. A scan of the live ones follows only if too few are left.
    let all_limit = candidates + candidates / 4;
    let (all, is_exhausted) = if !leg.selects_targets() && leg.collections.is_none() {
        (
            format!(
                "union all
                 (select e.chunk_id, e.target_id, e.vector <=> (select vector from query) as distance, false as indexed
                  from embedding e
                  where e.workspace_id = {workspace} and e.space_id = '{space}' {enabled}
                      and (select matching <= max_exact from scope, query)
                  order by distance, e.chunk_id limit {all_limit})"
            ),
            format!("(select count(*) < {all_limit} and not coalesce(bool_or(indexed), true) from first)"),
        )
    } else {
        (String::new(), "false".to_owned())
    };
    let found = if leg.has_documents {
        format!(
            "select c.id as chunk_id, c.document, 1 - best.distance as score, best.indexed
             from best cross join lateral (
                 select id, document from chunk where workspace_id = {workspace} and id = best.chunk_id offset 0) c
             order by best.distance, c.id"
        )
    } else {
        "select chunk_id, null::bigint as document, 1 - distance as score, indexed from best order by distance, chunk_id"
            .to_owned()
    };
    let Walk { bits, order, limit: walk_limit } = Walk::new(query, &vector, walk_limit);
    // Space and dimensions are literals, because the index is partial and on an expression. `case` and `is true` hide conditions
    // from the planner: with those it would choose another index or, with many tenants, expect so few rows of one that it read the
    // whole table. It takes `is not unknown` for true of almost all rows. `distance + 0` forces a sort: the planner takes the walk for
    // sorted, but its order is relaxed.
    let text = format!(
        "with {parts},
         query as materialized (
             select ({vector}::vector)::halfvec({dimensions}) as vector,{bits}
                 (select greatest({exact}, {per_root} * sqrt(greatest(reltuples, 0)))::bigint
                  from pg_class where oid = to_regclass('embedding_hnsw_{index}')) as max_exact),
         first as materialized (
             (select e.chunk_id, e.target_id, e.vector::halfvec({dimensions}) <=> (select vector from query) as distance,
                  true as indexed
              from embedding e
              where e.space_id = '{space}' and (case e.workspace_id when {workspace} then true end) is not unknown {matching} {enabled}
                  and (select matching > max_exact from scope, query)
              order by {order} limit {walk_limit})
             {all}),
         near as materialized (select chunk_id, distance, indexed from first {live}),
         scan as (
             select e.chunk_id, e.vector <=> (select vector from query) as distance
             from live cross join lateral (
                 select e.chunk_id, e.vector from embedding e
                 where e.workspace_id = {workspace} and e.space_id = '{space}' and e.target_id = live.target_id {enabled}
                 offset 0) e
             where (select count(*) from near) < {limit} and not {is_exhausted}
             order by distance, e.chunk_id limit {candidates}),
         best as materialized (
             select chunk_id, distance, indexed from (
                 select chunk_id, distance + 0 as distance, indexed from near
                 where (select count(*) from near) >= {limit} or {is_exhausted}
                 union all
                 select chunk_id, distance + 0 as distance, false as indexed from scan) nearest
             order by distance, chunk_id limit {candidates})
         {found}",
        parts = parts.join(",\n"),
        exact = thresholds.exact_vectors,
        per_root = thresholds.exact_vectors_per_root,
        index = space.0.simple(),
    );
    parameters.into_statement(text)
}

/// The parts of the statement that depend on the index of the space.
struct Walk {
    /// The column of the query that the index compares, if it is not the vector.
    bits: String,
    /// The distance by which the index is walked.
    order: String,
    /// Number of chunks that are read.
    limit: i64,
}

/// Chunks that a walk of a binary index reads for each one that is wanted. They are ranked by their exact distances afterwards.
const BINARY_CANDIDATES: i64 = 4;
/// The fewest chunks that a walk of a binary index reads.
const MIN_BINARY_CANDIDATES: i64 = 200;

impl Walk {
    /// A walk for `limit` chunks; `vector` is the parameter of the query's.
    fn new(query: &SpaceVector, vector: &str, limit: i64) -> Self {
        let dimensions = query.vector.len();
        match query.quantisation {
            Quantisation::Half => Self {
                bits: String::new(),
                order: format!("e.vector::halfvec({dimensions}) <=> (select vector from query)"),
                limit,
            },
            Quantisation::Binary => Self {
                bits: format!(
                    "\n                 binary_quantize(({vector}::vector)::halfvec({dimensions}))::bit({dimensions}) as bits,"
                ),
                order: format!("binary_quantize(e.vector)::bit({dimensions}) <~> (select bits from query)"),
                limit: (BINARY_CANDIDATES * limit).max(MIN_BINARY_CANDIDATES),
            },
        }
    }
}

/// The statement that counts the chunks to search.
pub(in crate::store) fn count_statement(leg: &VectorLeg<'_>) -> Statement {
    let mut parameters = Parameters::default();
    let workspace = parameters.bind(leg.workspace);
    let parts =
        [collections(leg, &workspace, &mut parameters), live(leg, &workspace, &mut parameters), scope(leg, &workspace)];
    parameters.into_statement(format!("with {} select matching::bigint from scope", parts.join(",\n")))
}

/// The collections to search that are not deleted.
fn collections(leg: &VectorLeg<'_>, workspace: &str, parameters: &mut Parameters) -> String {
    let among = match leg.collections {
        None => String::new(),
        Some(ids) => format!(" and id = any({})", parameters.bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())),
    };
    format!(
        "collections as materialized (
             select array(select id from collection where workspace_id = {workspace} and deleted_at is null{among}) as ids)"
    )
}

/// The targets to search.
fn live(leg: &VectorLeg<'_>, workspace: &str, parameters: &mut Parameters) -> String {
    let visible = leg.visibility.condition(parameters);
    let visible = format!("t.workspace_id = {workspace} and {visible} and t.collection_id = any({COLLECTIONS})");
    match leg.filter {
        None if leg.selects_targets() => {
            format!("live as materialized (select t.id as target_id, t.chunk_count from target t where {visible})")
        }
        None => format!("live as not materialized (select t.id as target_id from target t where {visible})"),
        Some(filter) => format!(
            "live as materialized (
                 select t.id as target_id, t.chunk_count
                 from target t
                 join file f on f.workspace_id = t.workspace_id and f.id = t.file_id
                 join file_version v on v.workspace_id = t.workspace_id and v.id = t.version_id
                 where {visible} and {})",
            condition(filter, parameters)
        ),
    }
}

/// The number of chunks to search. `workspace_usage` and `collection_usage` have it, so that the statement counts no rows
/// unless it selects targets.
fn scope(leg: &VectorLeg<'_>, workspace: &str) -> String {
    let matching = match (leg.selects_targets(), leg.collections) {
        (true, _) => "(select coalesce(sum(chunk_count), 0) from live)".to_owned(),
        (false, Some(_)) => format!(
            "(select coalesce(sum(chunks), 0) from collection_usage
              where workspace_id = {workspace} and collection_id = any({COLLECTIONS}))"
        ),
        (false, None) => {
            format!("(select coalesce(max(chunks), 0) from workspace_usage where workspace_id = {workspace})")
        }
    };
    format!("scope as materialized (select {matching} as matching)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, id::SpaceId, store::search::model::THRESHOLDS};

    fn text(query: &SpaceVector) -> String {
        text_of(query, Visibility::Live)
    }

    fn text_of(query: &SpaceVector, visibility: Visibility) -> String {
        statement(&leg(query, visibility), THRESHOLDS).sql
    }

    fn leg(query: &SpaceVector, visibility: Visibility) -> VectorLeg<'_> {
        VectorLeg {
            workspace: WorkspaceId::new(),
            query,
            collections: None,
            filter: None,
            visibility,
            has_disabled: false,
            has_documents: false,
            limit: 10,
            candidates: 50,
        }
    }

    #[test]
    fn statement_reads_disabled_chunks_only_where_there_are_any() {
        let query = SpaceVector { space: SpaceId::new(), quantisation: Quantisation::Half, vector: vec![0.5; 8] };
        let without = leg(&query, Visibility::Live);
        let with = VectorLeg { has_disabled: true, ..without };
        let places = |leg: &VectorLeg<'_>| statement(leg, THRESHOLDS).sql.matches("and disabled").count();
        // The walk, the scan of everything, and that of the live targets.
        assert_eq!((places(&without), places(&with)), (0, 3));
    }

    #[test]
    fn statement_reads_chunks_only_for_their_documents() {
        let query = SpaceVector { space: SpaceId::new(), quantisation: Quantisation::Half, vector: vec![0.5; 8] };
        let without = leg(&query, Visibility::Live);
        let with = VectorLeg { has_documents: true, ..without };
        let reads = |leg: &VectorLeg<'_>| statement(leg, THRESHOLDS).sql.contains("from chunk");
        assert_eq!((reads(&without), reads(&with)), (false, true));
    }

    #[test]
    fn search_of_a_past_time_selects_the_targets_first() {
        let query = SpaceVector { space: SpaceId::new(), quantisation: Quantisation::Half, vector: vec![0.5; 8] };
        let (now, past) = (text(&query), text_of(&query, Visibility::At(clock::now())));
        assert!(now.contains("and t.live and") && !now.contains("published_at"), "{now}");
        assert!(
            past.contains("e.target_id in (select target_id from live)") && !past.contains("and t.live and"),
            "{past}"
        );
        assert!(past.contains("sum(chunk_count), 0) from live"), "{past}");
    }

    #[test]
    fn statements_of_a_space_have_one_text() {
        let space = SpaceId::new();
        for quantisation in [Quantisation::Half, Quantisation::Binary] {
            let query = |number| SpaceVector { space, quantisation, vector: vec![number; 8] };
            assert_eq!(text(&query(0.1)), text(&query(0.2)));
        }
    }

    #[test]
    fn binary_walk_reads_more_candidates_and_ranks_them_by_the_vectors() {
        let space = SpaceId::new();
        let [half, binary] = [Quantisation::Half, Quantisation::Binary]
            .map(|quantisation| text(&SpaceVector { space, quantisation, vector: vec![0.5; 8] }));
        assert!(half.contains("order by e.vector::halfvec(8) <=> (select vector from query) limit 50)"), "{half}");
        assert!(!half.contains("bit"), "{half}");
        assert!(binary.contains("order by binary_quantize(e.vector)::bit(8) <~> (select bits from query) limit 200)"));
        assert!(binary.contains("e.vector::halfvec(8) <=> (select vector from query) as distance"), "{binary}");
    }
}
