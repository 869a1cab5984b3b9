//! The text around hits, from the chunks of their targets.
//!
//! It consists of chunks, not of the stored text of the version: behind `redact`, only chunks may be shown. Chunks that overlap or
//! touch become one passage; white space between others is in no chunk, so they stay apart.

use std::collections::{HashMap, HashSet};

use sea_orm::{FromQueryResult, raw_sql};

use super::{
    hits::ChunkPlace,
    model::{Context, Hit, Passage},
    query::Expand,
};
use crate::{
    id::{TargetId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// Bytes of the text around a hit, its own chunk included.
const MAX_BYTES: usize = 16 * 1024;
/// Chunks that are read before and after a hit to find its section.
const MAX_SECTION_CHUNKS: i32 = 64;

#[derive(Clone, Debug, FromQueryResult)]
struct Row {
    target_id: TargetId,
    ordinal: i32,
    start_byte: i64,
    end_byte: i64,
    heading_path: Vec<String>,
    text: String,
    disabled: bool,
    /// Whether it is another text than that of the range.
    is_edited: bool,
}

/// Adds the text around each hit. A chunk that a better hit has shown is left out, and so are disabled ones.
pub(super) async fn add(
    conn: &impl Conn,
    workspace: WorkspaceId,
    expand: Expand,
    hits: &mut [(Hit, ChunkPlace)],
) -> Result<()> {
    let reach = match expand {
        Expand::Neighbours(count) => i32::from(count),
        Expand::Section => MAX_SECTION_CHUNKS,
    };
    let targets: Vec<TargetId> = hits.iter().map(|(_, place)| place.target).collect();
    let first: Vec<i32> = hits.iter().map(|(_, place)| place.ordinal - reach).collect();
    let last: Vec<i32> = hits.iter().map(|(_, place)| place.ordinal.saturating_add(reach)).collect();
    let rows = raw_sql!(
        Postgres,
        "select distinct on (c.target_id, c.ordinal) c.target_id, c.ordinal, c.start_byte, c.end_byte, c.heading_path, c.text, c.disabled, c.original_text is not null as is_edited
         from unnest({targets}::uuid[], {first}::integer[], {last}::integer[]) as around (target, first, last)
         cross join lateral (
             select target_id, ordinal, start_byte, end_byte, heading_path, text, disabled, original_text from chunk
             where workspace_id = {workspace} and target_id = around.target
                 and ordinal between around.first and around.last offset 0) c
         order by c.target_id, c.ordinal"
    );
    let mut by_target: HashMap<TargetId, Vec<Row>> = HashMap::new();
    for row in sql::all::<Row>(conn, rows).await? {
        by_target.entry(row.target_id).or_default().push(row);
    }
    let mut shown = HashSet::new();
    for (hit, place) in hits {
        let rows = by_target.get(&place.target).map(Vec::as_slice).unwrap_or_default();
        hit.context = Some(around(rows, place, expand, &mut shown));
    }
    Ok(())
}

/// The context of a hit: chunks from the hit outwards, as long as they belong to it and the limit allows.
fn around(rows: &[Row], place: &ChunkPlace, expand: Expand, shown: &mut HashSet<(TargetId, i32)>) -> Context {
    let Ok(own) = rows.binary_search_by_key(&place.ordinal, |row| row.ordinal) else { return Context::default() };
    let belongs = |row: &Row| match expand {
        Expand::Neighbours(count) => row.ordinal.abs_diff(place.ordinal) <= u32::from(count),
        Expand::Section => row.heading_path.starts_with(&rows[own].heading_path),
    };
    let (mut first, mut last) = (own, own);
    let mut bytes = rows[own].text.len();
    let mut is_truncated = false;
    let mut take = |row: Option<&Row>, neighbour: i32| -> bool {
        let Some(row) = row.filter(|row| row.ordinal == neighbour && belongs(row)) else { return false };
        let length = if row.disabled { 0 } else { row.text.len() };
        let fits = bytes + length <= MAX_BYTES;
        is_truncated |= !fits;
        bytes += if fits { length } else { 0 };
        fits
    };
    let (mut may_precede, mut may_follow) = (true, true);
    while may_precede || may_follow {
        may_follow = may_follow && take(rows.get(last + 1), rows[last].ordinal + 1);
        last += usize::from(may_follow);
        let before = first.checked_sub(1).and_then(|before| rows.get(before));
        may_precede = may_precede && take(before, rows[first].ordinal - 1);
        first -= usize::from(may_precede);
    }
    // A section may go on where its chunks were not read.
    is_truncated |= expand == Expand::Section
        && rows[first..=last]
            .iter()
            .any(|row| row.ordinal.abs_diff(place.ordinal) >= MAX_SECTION_CHUNKS.unsigned_abs());
    let mut passages: Vec<Passage> = Vec::new();
    let mut is_last_edited = false;
    let enabled = rows[first..=last].iter().filter(|row| !row.disabled);
    for row in enabled.filter(|row| shown.insert((row.target_id, row.ordinal))) {
        append(&mut passages, row, is_last_edited);
        is_last_edited = row.is_edited;
    }
    Context { passages, is_truncated }
}

/// Adds a chunk: to the last passage, if it overlaps or touches that.
fn append(passages: &mut Vec<Passage>, row: &Row, is_last_edited: bool) {
    let is_exact = |start: i64, end: i64, text: &str| usize::try_from(end - start) == Ok(text.len());
    if let Some(last) = passages.last_mut()
        && last.start_byte <= row.start_byte
        && row.start_byte <= last.end_byte
        // Redacted and edited texts are not those of their ranges, and cannot be joined.
        && !is_last_edited
        && !row.is_edited
        && is_exact(last.start_byte, last.end_byte, &last.text)
        && is_exact(row.start_byte, row.end_byte, &row.text)
    {
        let overlap = usize::try_from(last.end_byte - row.start_byte).unwrap_or_default();
        if let Some(rest) = row.text.get(overlap..) {
            last.text.push_str(rest);
            last.end_byte = row.end_byte;
        }
        return;
    }
    passages.push(Passage { start_byte: row.start_byte, end_byte: row.end_byte, text: row.text.clone() });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "One two three. Four five six. Seven eight nine. Ten eleven twelve.";

    /// Chunks of these ranges of the source, with the headings of each.
    fn rows(target: TargetId, ranges: &[(usize, usize, &[&str])]) -> Vec<Row> {
        let row = |(ordinal, (start, end, headings)): (i32, &(usize, usize, &[&str]))| Row {
            target_id: target,
            ordinal,
            start_byte: *start as i64,
            end_byte: *end as i64,
            heading_path: headings.iter().map(|heading| (*heading).to_owned()).collect(),
            text: SOURCE[*start..*end].to_owned(),
            disabled: false,
            is_edited: false,
        };
        (0..).zip(ranges).map(row).collect()
    }

    fn ranges(context: &Context) -> Vec<(i64, i64)> {
        for passage in &context.passages {
            assert_eq!(passage.text, SOURCE[passage.start_byte as usize..passage.end_byte as usize]);
        }
        context.passages.iter().map(|passage| (passage.start_byte, passage.end_byte)).collect()
    }

    #[test]
    fn overlapping_chunks_become_one_passage_and_others_stay_apart() {
        let target = TargetId::new();
        let rows = rows(target, &[(0, 20, &[]), (15, 29, &[]), (30, 47, &[]), (48, 66, &[])]);
        let place = ChunkPlace { target, ordinal: 1 };
        let mut shown = HashSet::new();
        let context = around(&rows, &place, Expand::Neighbours(1), &mut shown);
        assert_eq!((ranges(&context), context.is_truncated), (vec![(0, 29), (30, 47)], false));
        // The next hit gets the rest.
        let place = ChunkPlace { target, ordinal: 2 };
        assert_eq!(ranges(&around(&rows, &place, Expand::Neighbours(1), &mut shown)), [(48, 66)]);
    }

    #[test]
    fn section_has_the_chunks_under_its_headings() {
        let target = TargetId::new();
        let rows = rows(target, &[(0, 14, &["A"]), (15, 29, &["B"]), (30, 47, &["B", "C"]), (48, 66, &["D"])]);
        let place = ChunkPlace { target, ordinal: 1 };
        assert_eq!(ranges(&around(&rows, &place, Expand::Section, &mut HashSet::new())), [(15, 29), (30, 47)]);
        let place = ChunkPlace { target, ordinal: 2 };
        assert_eq!(ranges(&around(&rows, &place, Expand::Section, &mut HashSet::new())), [(30, 47)]);
    }

    #[test]
    fn disabled_chunk_leaves_a_gap_in_the_context() {
        let target = TargetId::new();
        let mut rows = rows(target, &[(0, 14, &[]), (15, 29, &[]), (30, 47, &[])]);
        rows[1].disabled = true;
        let place = ChunkPlace { target, ordinal: 0 };
        let context = around(&rows, &place, Expand::Neighbours(2), &mut HashSet::new());
        assert_eq!((ranges(&context), context.is_truncated), (vec![(0, 14), (30, 47)], false));
    }

    #[test]
    fn edited_chunk_is_not_joined_although_its_text_is_as_long_as_its_range() {
        let target = TargetId::new();
        let mut rows = rows(target, &[(0, 14, &[]), (10, 29, &[]), (25, 47, &[])]);
        rows[1].is_edited = true;
        let place = ChunkPlace { target, ordinal: 1 };
        let context = around(&rows, &place, Expand::Neighbours(1), &mut HashSet::new());
        assert_eq!(ranges(&context), [(0, 14), (10, 29), (25, 47)]);
    }

    #[test]
    fn redacted_chunks_are_not_joined_and_long_ones_are_left_out() {
        let target = TargetId::new();
        let mut rows = rows(target, &[(0, 20, &[]), (15, 29, &[]), (30, 47, &[])]);
        rows[1].text = "[NAME] five six.".to_owned();
        rows[2].text = "x".repeat(MAX_BYTES);
        let place = ChunkPlace { target, ordinal: 0 };
        let context = around(&rows, &place, Expand::Neighbours(2), &mut HashSet::new());
        let texts: Vec<&str> = context.passages.iter().map(|passage| passage.text.as_str()).collect();
        assert_eq!((texts, context.is_truncated), (vec![&SOURCE[..20], "[NAME] five six."], true));
    }
}
