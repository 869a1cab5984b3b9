//! Builds the SQL statement of a search from its legs.
//!
//! One statement contains all access paths, and row counts decide which branches run. A branch that is not needed has a
//! condition that PostgreSQL evaluates before the first row (one-time filter), so it costs nothing. `lateral .. offset 0`
//! fixes the join order from files to their rows: PostgreSQL caches one plan for all tenants, and the plan for an average
//! tenant would read the whole table for a small one.

use pgvector::Vector;
use sea_orm::Statement;

use super::{
    MARK_END, MARK_START, SearchMode, SearchQuery, SpaceVector, Thresholds, condition::condition,
    parameters::Parameters,
};
use crate::id::WorkspaceId;

/// The constant k of reciprocal rank fusion; 60 is the usual value and keeps the first few ranks close.
const FUSION_K: u32 = 60;
/// Maximum number of words of a query that are searched, the rarest first.
const MAX_WORDS: u32 = 64;
/// Assumed share of chunks that contain a word for which PostgreSQL has no statistics.
const RARE_WORD_SHARE: f64 = 0.005;

/// A search, and the placeholders of its values.
struct Shape<'a> {
    query: &'a SearchQuery,
    thresholds: Thresholds,
    workspace: String,
    text: String,
    /// Maximum number of hits.
    limit: String,
}

/// The ids of the collections to search, of the part [`collections`]. The cast makes it an array instead of rows.
const COLLECTIONS: &str = "(select ids from collections)::uuid[]";

impl Shape<'_> {
    /// Whether the search reads only a part of the workspace.
    const fn is_restricted(&self) -> bool {
        self.query.filter.is_some() || self.query.collections.is_some()
    }
}

/// The statement of a search.
pub(super) fn build(workspace: WorkspaceId, query: &SearchQuery, thresholds: Thresholds) -> Statement {
    let mut parameters = Parameters::default();
    let workspace = parameters.bind(workspace);
    let shape = Shape {
        query,
        thresholds,
        text: parameters.bind(query.text.as_str()),
        limit: parameters.bind(query.limit),
        workspace,
    };
    let mut parts = vec![
        collections(&shape, &mut parameters),
        live(&shape, &mut parameters),
        scope(&shape),
        words(&shape),
        terms(&shape),
    ];
    if query.mode != SearchMode::Text {
        for (leg, vector) in query.vectors.iter().enumerate() {
            parts.push(vector_leg(&shape, leg, vector, &mut parameters));
        }
        parts.push(by_vector(query.vectors.len()));
    }
    if query.mode != SearchMode::Vector {
        parts.push(text_leg(&shape));
    }
    let text = format!(
        "with {parts},
         best as materialized (select * from ({fused}) fused order by fused desc, chunk_id limit {limit})
         select c.id as chunk_id, c.file_id, f.name as file_name, v.media_type, c.version_id, c.page,
             c.start_byte, c.end_byte, c.heading_path, k.id as collection_id, k.name as collection_name,
             best.fused as score, best.vector_score, best.text_score, best.indexed,
             coalesce(ts_headline('english', c.text, (select all_terms from terms),
                 'HighlightAll=true,StartSel={MARK_START},StopSel={MARK_END}'), c.text) as marked_text
         from best
         join chunk c on c.workspace_id = {workspace} and c.id = best.chunk_id
         join file f on f.workspace_id = {workspace} and f.id = c.file_id
         join file_version v on v.workspace_id = {workspace} and v.id = c.version_id
         join target t on t.workspace_id = {workspace} and t.id = c.target_id
         join collection k on k.workspace_id = {workspace} and k.id = t.collection_id
         order by best.fused desc, c.id",
        parts = parts.join(",\n"),
        fused = fused(query),
        limit = shape.limit,
        workspace = shape.workspace,
    );
    parameters.into_statement(text)
}

/// The collections to search that are not deleted.
fn collections(shape: &Shape<'_>, parameters: &mut Parameters) -> String {
    let among = match &shape.query.collections {
        None => String::new(),
        Some(ids) => format!(" and id = any({})", parameters.bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())),
    };
    format!(
        "collections as materialized (
             select array(select id from collection where workspace_id = {} and deleted_at is null{among}) as ids)",
        shape.workspace
    )
}

/// The targets to search.
fn live(shape: &Shape<'_>, parameters: &mut Parameters) -> String {
    let visible = format!("t.workspace_id = {} and t.live and t.collection_id = any({COLLECTIONS})", shape.workspace);
    match &shape.query.filter {
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

/// Row counts: chunks of the tenant, and chunks to search. `workspace_usage` and `collection_usage` have them, so that the
/// statement counts no rows without a filter.
fn scope(shape: &Shape<'_>) -> String {
    let Shape { workspace, query, .. } = shape;
    let matching = match (&query.filter, &query.collections) {
        (Some(_), _) => "(select coalesce(sum(chunk_count), 0) from live)".to_owned(),
        (None, Some(_)) => format!(
            "(select coalesce(sum(chunks), 0) from collection_usage
              where workspace_id = {workspace} and collection_id = any({COLLECTIONS}))"
        ),
        (None, None) => "tenant.n".to_owned(),
    };
    format!(
        "scope as materialized (
             select tenant.n as tenant, {matching} as matching
             from (select coalesce(max(chunks), 0) as n from workspace_usage where workspace_id = {workspace}) tenant)"
    )
}

/// The words of the query, each with the share of chunks that contain it by PostgreSQL's statistics, which tell without an
/// index scan how selective a word is.
fn words(shape: &Shape<'_>) -> String {
    let statistics = if shape.query.mode == SearchMode::Vector {
        // The words are highlighted, not searched.
        "select null::text[] as words, null::float4[] as shares"
    } else {
        "select most_common_elems::text::text[] as words, most_common_elem_freqs as shares
         from pg_stats where schemaname = current_schema() and tablename = 'chunk' and attname = 'lexemes'"
    };
    format!(
        "statistics as materialized ({statistics}),
         words as materialized (
             select word, array_to_tsvector(array[word])::text::tsquery as term, share,
                 sum(share) over rarest as total, row_number() over rarest as position
             from (select word, coalesce((select shares[array_position(words, word)] from statistics), {RARE_WORD_SHARE}) as share
                   from unnest(tsvector_to_array(to_tsvector('english', {text}))) as word) shared
             window rarest as (order by share, word)
             order by share, word limit {MAX_WORDS})",
        text = shape.text,
    )
}

/// A chunk matches if it contains any of the words: a chunk rarely contains every word of a question. `rare_terms` leaves
/// out frequent words if they would make too many chunks to rank; a chunk with only those is unlikely to be the best.
fn terms(shape: &Shape<'_>) -> String {
    format!(
        "terms as materialized (
             select string_agg(term::text, ' | ')::tsquery as all_terms,
                 string_agg(term::text, ' | ') filter (where position = 1 or total * tenant <= {max_ranked})::tsquery as rare_terms
             from words, scope)",
        max_ranked = shape.thresholds.ranked_chunks,
    )
}

/// The number of candidates of a leg.
fn candidates(shape: &Shape<'_>) -> i64 {
    shape.thresholds.min_candidates.max(2 * shape.query.limit)
}

/// The vectors of a space that are nearest: from a walk of the index if there are many to search, and from an exact scan if
/// there are few or the walk found too few. `max_exact` is the number up to which an exact scan is faster.
fn vector_leg(shape: &Shape<'_>, leg: usize, of: &SpaceVector, parameters: &mut Parameters) -> String {
    let Shape { workspace, limit, query, thresholds, .. } = shape;
    let (id, dimensions) = (of.space, of.vector.len());
    let vector = parameters.bind(Vector::from(of.vector.clone()));
    let candidates = candidates(shape);
    // The fewer of the visited vectors match, the less accurate the order of the walk: if it searches a part, it visits more.
    // Otherwise almost all vectors are live, so the others are dropped afterwards.
    let is_live = |row: &str| {
        format!(
            "(select t.live and t.collection_id = any({COLLECTIONS}) from target t
              where t.workspace_id = {workspace} and t.id = {row}.target_id)"
        )
    };
    let (matching, walk_limit, live) = match (&query.filter, &query.collections) {
        (None, None) => (String::new(), candidates, format!("where {}", is_live("walk"))),
        (None, Some(_)) => (format!("and {} is true", is_live("e")), 2 * candidates, String::new()),
        (Some(_), _) => {
            ("and (e.target_id in (select target_id from live)) is true".to_owned(), 2 * candidates, String::new())
        }
    };
    // Space and dimensions are literals, because the index is partial and on an expression. `is true` hides conditions from
    // the planner that would make it choose another index. `distance + 0` forces a sort: the planner takes the walk for
    // sorted, but its order is relaxed.
    format!(
        "query_{leg} as materialized (
             select ({vector}::vector)::halfvec({dimensions}) as vector,
                 (select greatest({exact}, {per_root} * sqrt(greatest(reltuples, 0)))::bigint
                  from pg_class where oid = to_regclass('embedding_hnsw_{index}')) as max_exact),
         walk_{leg} as materialized (
             select e.chunk_id, e.target_id, e.vector::halfvec({dimensions}) <=> (select vector from query_{leg}) as distance
             from embedding e
             where e.space_id = '{id}' and (e.workspace_id = {workspace}) is true {matching}
                 and (select matching > max_exact from scope, query_{leg})
             order by e.vector::halfvec({dimensions}) <=> (select vector from query_{leg}) limit {walk_limit}),
         near_{leg} as materialized (select chunk_id, distance from walk_{leg} walk {live}),
         scan_{leg} as (
             select e.chunk_id, e.vector <=> (select vector from query_{leg}) as distance
             from live cross join lateral (
                 select chunk_id, vector from embedding
                 where workspace_id = {workspace} and space_id = '{id}' and target_id = live.target_id offset 0) e
             where (select count(*) from near_{leg}) < {limit}
             order by distance, e.chunk_id limit {candidates}),
         by_vector_{leg} as materialized (
             select chunk_id, 1 - distance as score, indexed, row_number() over (order by distance, chunk_id) as position
             from (
                 select chunk_id, distance + 0 as distance, true as indexed from near_{leg}
                 where (select count(*) from near_{leg}) >= {limit}
                 union all
                 select chunk_id, distance + 0 as distance, false as indexed from scan_{leg}) nearest
             order by position limit {candidates})",
        exact = thresholds.exact_vectors,
        per_root = thresholds.exact_vectors_per_root,
        index = id.0.simple(),
    )
}

/// The nearest vectors of all spaces. A chunk with vectors in several has its better rank.
fn by_vector(legs: usize) -> String {
    const COLUMNS: &str = "chunk_id, score, indexed, position";
    match legs {
        0 => "by_vector as (
                  select null::uuid as chunk_id, null::float8 as score, false as indexed, 0::bigint as position where false)"
            .to_owned(),
        1 => format!("by_vector as not materialized (select {COLUMNS} from by_vector_0)"),
        _ => {
            let all: Vec<_> = (0..legs).map(|leg| format!("select {COLUMNS} from by_vector_{leg}")).collect();
            format!(
                "by_vector as materialized (
                     select distinct on (chunk_id) {COLUMNS} from ({}) legs order by chunk_id, position)",
                all.join(" union all ")
            )
        }
    }
}

/// The chunks with the best matching words: from the index by rare words or, if those find too few, by any word. In few
/// files a scan of every chunk is faster.
fn text_leg(shape: &Shape<'_>) -> String {
    let candidates = candidates(shape);
    let Shape { workspace, limit, .. } = shape;
    let leg = |chunks: &str, condition: &str| {
        format!(
            "select c.id as chunk_id, ({SCORE}) as score from live {chunks} where {condition}
             order by score desc, c.id limit {candidates}"
        )
    };
    let by_index = format!("join chunk c on c.workspace_id = {workspace} and c.target_id = live.target_id");
    let by_file = format!(
        "cross join lateral (
             select id, lexemes from chunk where workspace_id = {workspace} and target_id = live.target_id offset 0) c"
    );
    let few_files = if shape.is_restricted() {
        format!("(select matching <= {} from scope)", shape.thresholds.ranked_chunks)
    } else {
        "false".to_owned()
    };
    let in_few_files = leg(&by_file, &format!("c.lexemes @@ (select all_terms from terms) and {few_files}"));
    let by_rare_words = leg(&by_index, &format!("c.lexemes @@ (select rare_terms from terms) and not {few_files}"));
    let by_any_word = leg(
        &by_index,
        &format!(
            "c.lexemes @@ (select all_terms from terms) and (select rare_terms <> all_terms from terms) and not {few_files}
                 and (select count(*) from by_rare_words) < {limit}"
        ),
    );
    format!(
        "in_few_files as materialized ({in_few_files}),
         by_rare_words as materialized ({by_rare_words}),
         by_any_word as materialized ({by_any_word}),
         by_text as materialized (
             select chunk_id, score, row_number() over (order by score desc, chunk_id) as position
             from (
                 select * from in_few_files
                 union all select * from by_rare_words where not exists (select from by_any_word)
                 union all select * from by_any_word) best_words
             order by position limit {candidates})"
    )
}

/// The score of a chunk's words, after BM25: for each word its frequency in the chunk (saturating, normalised by length),
/// times its rarity. `ts_rank` of the whole query would weight all words equally.
const SCORE: &str = "select sum(ln(1 + 1 / w.share) * ts_rank('{1,1,1,1}', c.lexemes, w.term, 1))::float8 from words w";

/// Fuses the legs by rank; a single leg keeps its score. Scores of different spaces do not compare.
fn fused(query: &SearchQuery) -> String {
    match query.mode {
        SearchMode::Vector if query.vectors.len() > 1 => format!(
            "select chunk_id, (1.0 / ({FUSION_K} + position))::float8 as fused, score as vector_score,
                 null::float8 as text_score, indexed from by_vector"
        ),
        SearchMode::Vector => {
            "select chunk_id, score as fused, score as vector_score, null::float8 as text_score, indexed from by_vector"
                .to_owned()
        }
        SearchMode::Text => "select chunk_id, score as fused, null::float8 as vector_score, score as text_score,
                 false as indexed from by_text"
            .to_owned(),
        SearchMode::Hybrid => format!(
            "select chunk_id,
                 (coalesce(1.0 / ({FUSION_K} + v.position), 0) + coalesce(1.0 / ({FUSION_K} + t.position), 0))::float8 as fused,
                 v.score as vector_score, t.score as text_score, (select bool_or(indexed) from by_vector) as indexed
             from by_vector v full join by_text t using (chunk_id)"
        ),
    }
}
