//! Raised and lowered letters within a line: exponents, indexes, and the marks of notes.

use super::glyphs::Glyph;

/// Most letters of a mark.
const MAX_LETTERS: usize = 8;
/// How many rows away from its mark a line can be.
const REACH: usize = 3;

/// Moves marks, which have base lines of their own, into the rows of glyphs that they stand in. Each row is sorted from left to
/// right, and remains so.
pub(super) fn insert(glyphs: &[Glyph], rows: &mut [Vec<usize>]) {
    for place in 0..rows.len() {
        for mark in runs(glyphs, &rows[place]) {
            let near = (place.saturating_sub(REACH)..(place + REACH + 1).min(rows.len())).filter(|row| *row != place);
            let Some(host) = near.into_iter().find(|row| stands_in(glyphs, &mark, &rows[*row])) else { continue };
            rows[place].retain(|glyph| !mark.contains(glyph));
            rows[host].extend(&mark);
            rows[host].sort_by(|&one, &other| glyphs[one].start.total_cmp(&glyphs[other].start));
        }
    }
}

/// The short runs of glyphs of a row.
fn runs(glyphs: &[Glyph], row: &[usize]) -> Vec<Vec<usize>> {
    let is_near = |one: &usize, next: &usize| {
        let (one, next) = (&glyphs[*one], &glyphs[*next]);
        next.start - one.end < 0.5 * one.size && (one.size - next.size).abs() < 0.2 * one.size
    };
    let runs = row.chunk_by(is_near).filter(|run| run.len() <= MAX_LETTERS);
    runs.filter(|run| run.iter().any(|glyph| !glyphs[*glyph].text.trim().is_empty())).map(<[usize]>::to_vec).collect()
}

/// Whether a mark stands at a larger letter of a row, and before another one or none.
fn stands_in(glyphs: &[Glyph], mark: &[usize], row: &[usize]) -> bool {
    let (first, last) = (&glyphs[mark[0]], &glyphs[mark[mark.len() - 1]]);
    let next = row.partition_point(|glyph| glyphs[*glyph].start < first.start);
    let Some(before) = next.checked_sub(1).map(|place| &glyphs[row[place]]) else { return false };
    let is_mark = first.size < 0.8 * before.size && (first.base - before.base).abs() < 0.6 * before.size;
    let touches = (-0.25 * before.size..0.3 * before.size).contains(&(first.start - before.end));
    let has_room = row.get(next).is_none_or(|after| glyphs[*after].start > last.end - 0.25 * last.size);
    is_mark && touches && has_room && first.is_artifact == before.is_artifact
}

#[cfg(test)]
mod tests {
    use super::super::lines::lines;
    use super::*;

    /// The glyphs of a text, half as wide as high, from a place on a base line.
    fn glyphs(text: &str, start: f32, base: f32, size: f32) -> Vec<Glyph> {
        let width = size / 2.0;
        let place = |n: usize| start + n as f32 * width;
        let glyph = |(n, letter): (usize, char)| Glyph {
            text: letter.to_string(),
            start: place(n),
            end: place(n + 1),
            base,
            size,
            angle: 0,
            run: 0,
            is_artifact: false,
            is_bold: false,
        };
        text.chars().enumerate().map(glyph).collect()
    }

    fn texts(parts: &[Vec<Glyph>]) -> Vec<String> {
        lines(parts.concat(), 600.0, 800.0).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn marks_of_notes_stay_in_their_line() {
        let parts =
            [glyphs("the tide", 0.0, 100.0, 10.0), glyphs("12", 40.0, 96.4, 7.0), glyphs("rises", 50.0, 100.0, 10.0)];
        assert_eq!(texts(&parts), ["the tide12 rises"]);
        let note = [glyphs("1", 0.0, 696.4, 6.0), glyphs("See below.", 4.0, 700.0, 9.0)];
        assert_eq!(texts(&note), ["1 See below."]);
    }

    #[test]
    fn letters_of_a_logo_are_one_word() {
        let parts = [
            glyphs("L", 0.0, 100.0, 10.0),
            glyphs("A", 2.5, 98.0, 7.0),
            glyphs("T", 5.5, 100.0, 10.0),
            glyphs("E", 9.0, 102.2, 10.0),
            glyphs("X", 13.0, 100.0, 10.0),
        ];
        assert_eq!(texts(&parts), ["LATEX"]);
    }

    #[test]
    fn lines_of_small_print_below_each_other_are_apart() {
        let parts =
            [glyphs("first", 0.0, 100.0, 6.0), glyphs("second", 0.0, 106.0, 6.0), glyphs("Large", 60.0, 104.0, 18.0)];
        assert_eq!(texts(&parts).len(), 3);
    }

    #[test]
    fn dots_before_a_number_do_not_join_the_words_before_them() {
        let dots = (0..12).flat_map(|n| glyphs(".", 60.0 + 7.0 * n as f32, 100.0, 10.0));
        let line = glyphs("Verse", 0.0, 100.0, 10.0).into_iter().chain(glyphs("code", 28.3, 100.0, 10.0)).chain(dots);
        let text = texts(&[line.chain(glyphs("14", 150.0, 100.0, 10.0)).collect()]);
        assert!(text[0].starts_with("Verse code"), "{text:?}");
    }
}
