//! The statement of a search, put together from its legs.
//!
//! One statement does all: how large the search is decides which branches of it run. A branch that is not needed has a
//! condition that is known before its first row (PostgreSQL: one-time filter), so it costs nothing. `lateral .. offset 0`
//! fixes the way from files to their rows: the plan is kept for all tenants, and what is good for the average one would
//! read the whole table for a small one.
//!
//! Parameters: `$1` workspace, `$2` text, `$3` vector, `$4` limit; those of the filter follow.

use sea_orm::Value;

use super::{
    Limits, MARK_END, MARK_START, Mode, Space,
    condition::{Parameters, condition},
};
use crate::domain::filter::Filter;

/// Weight of a rank in the fusion: the usual constant, which lets the first few ranks differ little.
const FUSION: u32 = 60;
/// Words of a query that are looked for, the rarest first.
const WORDS: u32 = 64;
/// The share of chunks taken to hold a word that is not among the thousand most frequent.
const RARE_SHARE: f64 = 0.005;

/// What the statement is made for.
pub(super) struct Shape<'a> {
    pub(super) space: Space,
    pub(super) mode: Mode,
    pub(super) filter: Option<&'a Filter>,
    /// Most hits.
    pub(super) limit: i64,
    pub(super) limits: Limits,
}

/// The statement and its parameters, of which the first four are given.
pub(super) fn build(shape: &Shape<'_>, first: [Value; 4]) -> (String, Vec<Value>) {
    let mut parameters = Parameters::new(first);
    let mut parts = vec![live(shape, &mut parameters), scope(shape), words(shape.mode), terms(shape)];
    if shape.mode != Mode::Text {
        parts.push(dense(shape));
    }
    if shape.mode != Mode::Vector {
        parts.push(lexical(shape));
    }
    let sql = format!(
        "with {parts},
         best as materialized (select * from ({fused}) fused order by fused desc, chunk_id limit $4)
         select c.id as chunk_id, c.file_id, f.name as file_name, v.media_type, c.version_id, c.page,
             c.start_byte, c.end_byte, c.heading_path, best.fused as score, best.vector_score, best.text_score, best.indexed,
             coalesce(ts_headline('english', c.text, (select every from terms),
                 'HighlightAll=true,StartSel={MARK_START},StopSel={MARK_END}'), c.text) as marked
         from best
         join chunk c on c.workspace_id = $1 and c.id = best.chunk_id
         join file f on f.workspace_id = $1 and f.id = c.file_id
         join file_version v on v.workspace_id = $1 and v.id = c.version_id
         order by best.fused desc, c.id",
        parts = parts.join(",\n"),
        fused = fused(shape.mode),
    );
    (sql, parameters.into_values())
}

/// The files that are looked in, by what is live of them.
fn live(shape: &Shape<'_>, parameters: &mut Parameters) -> String {
    match shape.filter {
        None => "live as not materialized (
             select f.id as file_id, f.live_version_id as version_id from file f where f.workspace_id = $1)"
            .to_owned(),
        Some(filter) => format!(
            "live as materialized (
                 select f.id as file_id, f.live_version_id as version_id, v.chunk_count
                 from file f join file_version v on v.workspace_id = f.workspace_id and v.id = f.live_version_id
                 where f.workspace_id = $1 and {})",
            condition(filter, parameters)
        ),
    }
}

/// How much there is: chunks of the tenant and of the files that are looked in, and up to how many (`most`) comparing
/// one by one is the better way. What the workspace uses is kept count of, so that nothing is counted here.
fn scope(shape: &Shape<'_>) -> String {
    let matching = match shape.filter {
        None => "tenant.n",
        Some(_) => "(select coalesce(sum(chunk_count), 0) from live)",
    };
    format!(
        "scope as materialized (
             select tenant.n as tenant, {matching} as matching, bound.most
             from (select greatest({exact}, {exact_root} * sqrt(greatest(reltuples, 0)))::bigint as most
                   from pg_class where oid = to_regclass('embedding_hnsw_{index}')) bound,
             (select coalesce(max(chunks), 0) as n from workspace_usage where workspace_id = $1) tenant)",
        exact = shape.limits.exact,
        exact_root = shape.limits.exact_root,
        index = shape.space.id.0.simple(),
    )
}

/// The words of the query, each with the share of chunks that hold it by PostgreSQL's own statistics: without a look
/// at the index it is known which words are worth one.
fn words(mode: Mode) -> String {
    let known = if mode == Mode::Vector {
        // The words are only highlighted.
        "select null::text[] as words, null::float4[] as shares"
    } else {
        "select most_common_elems::text::text[] as words, most_common_elem_freqs as shares
         from pg_stats where schemaname = current_schema() and tablename = 'chunk' and attname = 'lexemes'"
    };
    format!(
        "known as materialized ({known}),
         words as materialized (
             select word, array_to_tsvector(array[word])::text::tsquery as term, share,
                 sum(share) over rarest as total, row_number() over rarest as place
             from (select word, coalesce((select shares[array_position(words, word)] from known), {RARE_SHARE}) as share
                   from unnest(tsvector_to_array(to_tsvector('english', $2))) as word) shared
             window rarest as (order by share, word)
             order by share, word limit {WORDS})"
    )
}

/// Words are alternatives: a question in a sentence should not need every one of its words in a chunk. `rare` leaves out
/// the frequent ones where that many chunks would have to be ranked; a chunk that has only those is hardly the best.
fn terms(shape: &Shape<'_>) -> String {
    format!(
        "terms as materialized (
             select string_agg(term::text, ' | ')::tsquery as every,
                 string_agg(term::text, ' | ') filter (where place = 1 or total * tenant <= {budget})::tsquery as rare
             from words, scope)",
        budget = shape.limits.ranked,
    )
}

/// Candidates of a leg.
fn candidates(shape: &Shape<'_>) -> i64 {
    shape.limits.candidates.max(2 * shape.limit)
}

/// The nearest vectors: walked to through the index where there are many, and compared one by one where there are few
/// or the walk came back with too little.
fn dense(shape: &Shape<'_>) -> String {
    let Space { id, dimensions } = shape.space;
    let candidates = candidates(shape);
    // The fewer of the walked vectors match, the less orderly they come: with a filter, walk further. Without one, what
    // is not live is so little that it is dropped afterwards.
    let (wanted, walked, kept) = match shape.filter {
        None => (
            "",
            candidates,
            "where version_id = (select f.live_version_id from file f where f.workspace_id = $1 and f.id = walked.file_id)",
        ),
        Some(_) => ("and (e.version_id in (select version_id from live)) is true", 2 * candidates, ""),
    };
    // Space and dimensions are literals, because the index is partial and of an expression. `is true` hides from the
    // planner what would lead it to another index. `distance + 0` because it would take the walk's word for being sorted.
    format!(
        "asked as materialized (select ($3::vector)::halfvec({dimensions}) as vector),
         walked as materialized (
             select e.chunk_id, e.file_id, e.version_id,
                 e.vector::halfvec({dimensions}) <=> (select vector from asked) as distance
             from embedding e
             where e.space_id = '{id}' and (e.workspace_id = $1) is true {wanted}
                 and (select matching > most from scope)
             order by e.vector::halfvec({dimensions}) <=> (select vector from asked) limit {walked}),
         near as materialized (select chunk_id, distance from walked {kept}),
         compared as (
             select e.chunk_id, e.vector <=> (select vector from asked) as distance
             from live cross join lateral (
                 select chunk_id, vector from embedding
                 where workspace_id = $1 and space_id = '{id}' and version_id = live.version_id offset 0) e
             where (select count(*) from near) < $4
             order by distance, e.chunk_id limit {candidates}),
         dense as materialized (
             select chunk_id, 1 - distance as score, indexed, row_number() over (order by distance, chunk_id) as place
             from (
                 select chunk_id, distance + 0 as distance, true as indexed from near where (select count(*) from near) >= $4
                 union all
                 select chunk_id, distance + 0 as distance, false as indexed from compared) either
             order by place limit {candidates})"
    )
}

/// The chunks with the best words. The index finds them by their rare words; if that is too little, by any. In a few
/// files it is quicker to look at every chunk.
fn lexical(shape: &Shape<'_>) -> String {
    let candidates = candidates(shape);
    let leg = |chunks: &str, condition: &str| {
        format!(
            "select c.id as chunk_id, ({SCORE}) as score from live {chunks} where {condition}
             order by score desc, c.id limit {candidates}"
        )
    };
    let by_index =
        "join chunk c on c.workspace_id = $1 and c.version_id = live.version_id and c.file_id = live.file_id";
    let by_file = "cross join lateral (
        select id, lexemes from chunk where workspace_id = $1 and version_id = live.version_id offset 0) c";
    let few = match shape.filter {
        None => "false".to_owned(),
        Some(_) => format!("(select matching <= {} from scope)", shape.limits.ranked),
    };
    let in_few_files = leg(by_file, &format!("c.lexemes @@ (select every from terms) and {few}"));
    let by_rare_words = leg(by_index, &format!("c.lexemes @@ (select rare from terms) and not {few}"));
    let by_any_word = leg(
        by_index,
        &format!(
            "c.lexemes @@ (select every from terms) and (select rare <> every from terms) and not {few}
                 and (select count(*) from by_rare_words) < $4"
        ),
    );
    format!(
        "in_few_files as materialized ({in_few_files}),
         by_rare_words as materialized ({by_rare_words}),
         by_any_word as materialized ({by_any_word}),
         lexical as materialized (
             select chunk_id, score, row_number() over (order by score desc, chunk_id) as place
             from (
                 select * from in_few_files
                 union all select * from by_rare_words where not exists (select from by_any_word)
                 union all select * from by_any_word) either
             order by place limit {candidates})"
    )
}

/// How well a chunk's words match: for each word, how often it is there (saturating) in a chunk of this length, times
/// how much it tells. This is the shape of BM25; `ts_rank` of the whole query would take all words for equally telling.
const SCORE: &str = "select sum(ln(1 + 1 / w.share) * ts_rank('{1,1,1,1}', c.lexemes, w.term, 1))::float8 from words w";

/// The legs, fused by rank. One leg alone keeps its own score.
fn fused(mode: Mode) -> String {
    match mode {
        Mode::Vector => {
            "select chunk_id, score as fused, score as vector_score, null::float8 as text_score, indexed from dense"
                .to_owned()
        }
        Mode::Text => "select chunk_id, score as fused, null::float8 as vector_score, score as text_score,
                 false as indexed from lexical"
            .to_owned(),
        Mode::Hybrid => format!(
            "select chunk_id,
                 (coalesce(1.0 / ({FUSION} + d.place), 0) + coalesce(1.0 / ({FUSION} + l.place), 0))::float8 as fused,
                 d.score as vector_score, l.score as text_score, (select bool_or(indexed) from dense) as indexed
             from dense d full join lexical l using (chunk_id)"
        ),
    }
}
