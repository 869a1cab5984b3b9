//! The statement of a search, put together from its legs.
//!
//! Parameters: `$1` workspace, `$2` text, `$3` vector, `$4` candidates of a leg, `$5` limit.

use super::{MARK_END, MARK_START, Mode, Plan, Space};

/// Weight of a rank in the fusion: the usual constant, which lets the first few ranks differ little.
const FUSION: u32 = 60;

/// Words are alternatives: a question in a sentence should not need every one of its words in a chunk.
const WORDS: &str = "words as materialized (
    select replace(plainto_tsquery('english', $2)::text, ' & ', ' | ')::tsquery as terms)";

/// The statement for a mode; `plan` says how the dense leg is done.
pub(super) fn build(space: Space, mode: Mode, plan: Plan) -> String {
    let dense = dense(space, plan);
    let lexical = lexical();
    let (legs, fused) = match mode {
        Mode::Vector => (
            dense,
            "select chunk_id, score as fused, score as vector_score, null::float8 as text_score from dense".to_owned(),
        ),
        Mode::Text => (
            lexical,
            "select chunk_id, score as fused, null::float8 as vector_score, score as text_score from lexical"
                .to_owned(),
        ),
        Mode::Hybrid => (format!("{dense}, {lexical}"), fusion()),
    };
    format!(
        "with {WORDS}, {legs}, best as (
             select * from ({fused}) fused order by fused desc, chunk_id limit $5)
         select c.id as chunk_id, c.file_id, f.name as file_name, v.media_type, c.version_id, c.page,
             c.start_byte, c.end_byte, c.heading_path, best.fused as score, best.vector_score, best.text_score,
             ts_headline('english', c.text, words.terms, 'HighlightAll=true,StartSel={MARK_START},StopSel={MARK_END}') as marked
         from best
         cross join words
         join chunk c on c.workspace_id = $1 and c.id = best.chunk_id
         join file f on f.workspace_id = $1 and f.id = c.file_id
         join file_version v on v.workspace_id = $1 and v.id = c.version_id
         order by best.fused desc, c.id"
    )
}

/// The nearest vectors. Space and dimensions are literals: the index is partial, and an expression.
fn dense(space: Space, plan: Plan) -> String {
    let (id, dimensions) = (space.id, space.dimensions);
    let distance = format!("(e.vector::halfvec({dimensions})) <=> ($3::vector)::halfvec({dimensions})");
    let live =
        "join file f on f.workspace_id = e.workspace_id and f.id = e.file_id and f.live_version_id = e.version_id";
    if plan == Plan::Index {
        format!(
            "dense as materialized (
                 select e.chunk_id, 1 - ({distance}) as score
                 from embedding e {live}
                 where e.space_id = '{id}' and e.workspace_id = $1
                 order by {distance} limit $4)"
        )
    } else {
        // Materialised first, so that no index on distance can be chosen.
        format!(
            "mine as materialized (
                 select e.chunk_id, {distance} as distance
                 from embedding e {live}
                 where e.space_id = '{id}' and e.workspace_id = $1),
             dense as materialized (
                 select chunk_id, 1 - distance as score from mine order by distance, chunk_id limit $4)"
        )
    }
}

fn lexical() -> String {
    "lexical as materialized (
         select c.id as chunk_id, ts_rank_cd(c.lexemes, words.terms, 1)::float8 as score
         from words cross join chunk c
         join file f on f.workspace_id = c.workspace_id and f.id = c.file_id and f.live_version_id = c.version_id
         where c.workspace_id = $1 and c.lexemes @@ words.terms
         order by score desc, chunk_id limit $4)"
        .to_owned()
}

/// Reciprocal rank fusion.
fn fusion() -> String {
    format!(
        "select chunk_id,
             (coalesce(1.0 / ({FUSION} + d.place), 0) + coalesce(1.0 / ({FUSION} + l.place), 0))::float8 as fused,
             d.score as vector_score, l.score as text_score
         from (select *, row_number() over (order by score desc, chunk_id) as place from dense) d
         full join (select *, row_number() over (order by score desc, chunk_id) as place from lexical) l using (chunk_id)"
    )
}
