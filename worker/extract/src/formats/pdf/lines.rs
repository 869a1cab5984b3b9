//! Glyphs to lines: letters to words by the gaps between them, in the order in which they are read.

use unicode_normalization::UnicodeNormalization;

use super::{glyphs::Glyph, marks};
use crate::ocr::LineBox;

/// A gap from which on words are apart, in sizes of the font.
const WORD_GAP: f32 = 0.14;
/// A gap from which on texts are apart, as columns and cells are.
const COLUMN_GAP: f32 = 1.1;

/// A line of text, or the part of it that belongs to one column.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) left: f32,
    pub(super) right: f32,
    /// The base line, growing downwards.
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) is_artifact: bool,
    /// Whether it has the direction of most text of the page.
    pub(super) is_upright: bool,
    /// Whether all its letters are bold.
    pub(super) is_bold: bool,
    /// The places of its recognised parts, in its text.
    pub(super) boxes: Vec<LineBox>,
}

/// The lines of a page. Those in other directions than most come last.
pub(super) fn lines(glyphs: Vec<Glyph>, width: f32, height: f32) -> Vec<Line> {
    let mut groups: Vec<(i16, Vec<Glyph>)> = Vec::new();
    for glyph in glyphs {
        match groups.iter().position(|(angle, _)| *angle == glyph.angle) {
            Some(place) => groups[place].1.push(glyph),
            // Text on a circle has as many directions as letters.
            None if groups.len() >= 64 => {}
            None => groups.push((glyph.angle, vec![glyph])),
        }
    }
    // Most text is straight; of two equals the upright one is the page's.
    groups.sort_by_key(|(angle, group)| (angle % 90 != 0, std::cmp::Reverse(group.len()), *angle));
    let mut lines = Vec::new();
    for (place, (angle, group)) in groups.into_iter().enumerate() {
        let found = direction_lines(group);
        // Lines across the page count from its edge, as those of other directions do.
        let shift = match angle {
            90 => (0.0, width),
            180 => (width, height),
            270 => (height, 0.0),
            _ => (0.0, 0.0),
        };
        lines.extend(found.into_iter().map(|line| Line {
            left: line.left + shift.0,
            right: line.right + shift.0,
            y: line.y + shift.1,
            is_upright: place == 0,
            ..line
        }));
    }
    lines
}

/// The lines of glyphs that all have one direction.
fn direction_lines(mut glyphs: Vec<Glyph>) -> Vec<Line> {
    glyphs.retain(|glyph| !glyph.text.is_empty());
    // Rows: glyphs whose base lines are near. Sorted by base line, so that each row is a stretch.
    let mut order: Vec<usize> = (0..glyphs.len()).collect();
    order.sort_by(|&one, &other| glyphs[one].base.total_cmp(&glyphs[other].base));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut last: Option<(f32, f32)> = None;
    for place in order {
        let glyph = &glyphs[place];
        match last {
            Some((base, size)) if glyph.base - base <= 0.25 * row_size(size, glyph.size) => {
                if let Some(row) = rows.last_mut() {
                    row.push(place);
                }
                // The larger letters have the base line of the row.
                let lowest = if glyph.size > size { glyph.base } else { glyph.base - 0.1 * glyph.size };
                last = Some((base.max(lowest), size.max(glyph.size)));
            }
            _ => {
                rows.push(vec![place]);
                last = Some((glyph.base, glyph.size));
            }
        }
    }
    for row in &mut rows {
        row.sort_by(|&one, &other| glyphs[one].start.total_cmp(&glyphs[other].start));
    }
    marks::insert(&glyphs, &mut rows);
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        row_lines(&glyphs, &row, &mut lines);
    }
    raised(lines)
}

/// The size by which two glyphs of one row may be apart: the larger one where both may belong to a word, as the raised letter
/// of a logo does.
fn row_size(one: f32, other: f32) -> f32 {
    let (small, large) = (one.min(other), one.max(other));
    if small >= 0.6 * large { large } else { small }.max(1.0)
}

/// Adds the parts of a row between wide gaps.
fn row_lines(glyphs: &[Glyph], row: &[usize], lines: &mut Vec<Line>) {
    // Glyphs drawn twice, as poor man's bold, are read once.
    let mut kept: Vec<&Glyph> = Vec::with_capacity(row.len());
    for &place in row {
        let glyph = &glyphs[place];
        let is_double = kept.iter().rev().take(4).any(|before| {
            before.text == glyph.text
                && (glyph.start - before.start).abs() < 0.3 * (glyph.end - glyph.start).max(0.1 * glyph.size)
                && (glyph.base - before.base).abs() < 0.2 * glyph.size
        });
        if !is_double {
            kept.push(glyph);
        }
    }
    let mut part: Vec<&Glyph> = Vec::new();
    for glyph in kept {
        if let Some(before) = part.last() {
            let size = before.size.max(glyph.size);
            let gap = glyph.start - before.end;
            // Within a run gaps are wide only between letters set apart.
            let limit = if before.run == glyph.run { 2.5 } else { COLUMN_GAP };
            let is_blank = before.text.trim().is_empty() && glyph.text.trim().is_empty();
            if gap > limit * size || (gap > 0.5 * size && is_blank) || before.is_artifact != glyph.is_artifact {
                lines.extend(line(&part));
                part.clear();
            }
        }
        part.push(glyph);
    }
    lines.extend(line(&part));
}

/// The line of neighbouring glyphs.
fn line(glyphs: &[&Glyph]) -> Option<Line> {
    let first = glyphs.iter().position(|glyph| !glyph.text.trim().is_empty())?;
    let last = glyphs.iter().rposition(|glyph| !glyph.text.trim().is_empty())?;
    let glyphs = &glyphs[first..=last];
    let mut sizes: Vec<f32> = glyphs.iter().map(|glyph| glyph.size).collect();
    sizes.sort_by(f32::total_cmp);
    let size = sizes[sizes.len() / 2];
    let word_gap = word_gap(glyphs);
    let pitch = pitch(glyphs);
    let mut pieces: Vec<String> = Vec::with_capacity(glyphs.len());
    let mut before: Option<&Glyph> = None;
    let mut is_blank = false;
    for glyph in glyphs {
        if glyph.text.chars().all(char::is_whitespace) {
            is_blank = true;
            continue;
        }
        if let Some(before) = before {
            let gap = glyph.start - before.end;
            // A blank between letters set apart is as wide as they are.
            let is_apart = match (pitch, word_gap > WORD_GAP * 1.01) {
                (Some(pitch), _) => is_blank || glyph.start - before.start > 1.5 * pitch,
                (None, true) => gap > word_gap * size,
                (None, false) => is_blank || gap > word_gap * glyph.size.min(before.size),
            };
            if is_apart {
                pieces.push(" ".to_owned());
            }
        }
        pieces.push(glyph.text.replace(char::is_whitespace, " "));
        before = Some(glyph);
        is_blank = false;
    }
    let mut bases: Vec<f32> = glyphs.iter().filter(|glyph| glyph.size >= 0.8 * size).map(|glyph| glyph.base).collect();
    bases.sort_by(f32::total_cmp);
    Some(Line {
        text: logical(pieces),
        left: glyphs.iter().map(|glyph| glyph.start).fold(f32::MAX, f32::min),
        right: glyphs.iter().map(|glyph| glyph.end).fold(f32::MIN, f32::max),
        y: bases.get(bases.len() / 2).copied().unwrap_or(glyphs[0].base),
        size,
        is_artifact: glyphs.iter().all(|glyph| glyph.is_artifact),
        is_upright: true,
        is_bold: glyphs.iter().all(|glyph| glyph.is_bold || glyph.text.trim().is_empty()),
        boxes: Vec::new(),
    })
}

/// Neighbouring letters and digits. Dots that lead to a number are apart for another reason.
fn letters<'a>(glyphs: &'a [&Glyph]) -> impl Iterator<Item = (&'a Glyph, &'a Glyph)> {
    let is_letter = |glyph: &Glyph| glyph.text.chars().all(char::is_alphanumeric);
    let pairs = glyphs.windows(2).filter(move |pair| is_letter(pair[0]) && is_letter(pair[1]));
    pairs.map(|pair| (pair[0], pair[1]))
}

/// The distance of letters that all have the same one, wherever they end.
fn pitch(glyphs: &[&Glyph]) -> Option<f32> {
    let distances: Vec<f32> = letters(glyphs).map(|(one, next)| next.start - one.start).collect();
    if distances.len() < 4 {
        return None;
    }
    let mut sorted = distances.clone();
    sorted.sort_by(f32::total_cmp);
    let middle = sorted[sorted.len() / 2];
    let even = distances.iter().filter(|distance| (*distance - middle).abs() < 0.03 * middle).count();
    (middle > 0.0 && even * 20 >= distances.len() * 17).then_some(middle)
}

/// The gap from which on words are apart, in sizes of the font: more where letters are set apart.
fn word_gap(glyphs: &[&Glyph]) -> f32 {
    let mut gaps: Vec<f32> = letters(glyphs).map(|(one, next)| (next.start - one.end) / next.size.max(0.1)).collect();
    if gaps.len() < 4 {
        return WORD_GAP;
    }
    gaps.sort_by(f32::total_cmp);
    let middle = gaps[gaps.len() / 2];
    if middle <= WORD_GAP * 0.8 {
        return WORD_GAP;
    }
    // Letters are set apart evenly; gaps between words have no such rule.
    let low = gaps[gaps.len() / 5];
    if middle - low > 0.1 { WORD_GAP } else { middle + 0.14 }
}

/// Texts of glyphs from left to right, in the order in which they are read.
fn logical(pieces: Vec<String>) -> String {
    let is_right_to_left = |piece: &str| {
        piece.chars().any(|c| {
            matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}')
                && !is_arabic_digit(c)
        })
    };
    let turned = pieces.iter().filter(|piece| is_right_to_left(piece)).count();
    if turned == 0 {
        return pieces.concat();
    }
    let is_neutral = |piece: &str| piece.chars().all(|c| !c.is_alphanumeric()) && !is_right_to_left(piece);
    let latin = pieces.iter().filter(|piece| !is_right_to_left(piece) && !is_neutral(piece)).count();
    let lines_order = turned >= latin;
    // Runs of one direction; signs between two runs of one direction belong to them.
    let mut runs: Vec<(bool, Vec<String>)> = Vec::new();
    let mut neutral: Vec<String> = Vec::new();
    for piece in pieces {
        if is_neutral(&piece) {
            neutral.push(piece);
            continue;
        }
        let is_turned = is_right_to_left(&piece);
        match runs.last_mut() {
            Some((last, run)) if *last == is_turned => {
                run.append(&mut neutral);
                run.push(piece);
            }
            _ => {
                if !neutral.is_empty() {
                    runs.push((lines_order, std::mem::take(&mut neutral)));
                }
                runs.push((is_turned, vec![piece]));
            }
        }
    }
    if !neutral.is_empty() {
        runs.push((lines_order, neutral));
    }
    for (is_turned, run) in &mut runs {
        if *is_turned {
            run.reverse();
            for piece in run.iter_mut() {
                if let Some(mirrored) = mirrored(piece) {
                    *piece = mirrored;
                }
            }
        }
    }
    if lines_order {
        runs.reverse();
    }
    let text: String = runs.into_iter().flat_map(|(_, run)| run).collect();
    // Shapes of letters within words are the letters themselves.
    text.chars()
        .flat_map(|c| match c {
            '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' => c.to_string().nfkc().collect::<Vec<_>>(),
            c => vec![c],
        })
        .collect()
}

fn is_arabic_digit(c: char) -> bool {
    matches!(c, '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}')
}

fn mirrored(piece: &str) -> Option<String> {
    Some(
        match piece {
            "(" => ")",
            ")" => "(",
            "[" => "]",
            "]" => "[",
            "«" => "»",
            "»" => "«",
            _ => return None,
        }
        .to_owned(),
    )
}

/// Joins raised and lowered letters, which have rows of their own, with the line that they stand in.
fn raised(lines: Vec<Line>) -> Vec<Line> {
    let mut joined: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        // Lines come from top to bottom: the larger neighbour is just above or comes next.
        let host = joined.iter_mut().rev().take(8).find(|host| {
            let (small, large) = if host.size < line.size { (&**host, &line) } else { (&line, &**host) };
            small.size < 0.8 * large.size
                && (small.y - large.y).abs() < 0.6 * large.size
                && small.text.chars().count() <= 12
                && host.is_artifact == line.is_artifact
                && ((small.left - large.right).abs() < 0.3 * large.size
                    || (large.left - small.right).abs() < 0.3 * large.size)
        });
        match host {
            Some(host) => {
                let first_is_host = host.left <= line.left;
                let (first, second) = if first_is_host { (&*host, &line) } else { (&line, &*host) };
                // The mark of a note, and the note.
                let is_label = first.size < second.size && first.text.chars().all(|c| c.is_ascii_digit() || c == '*');
                let text = format!("{}{}{}", first.text, if is_label { " " } else { "" }, second.text);
                let large = if host.size >= line.size { (host.y, host.size) } else { (line.y, line.size) };
                host.text = text;
                host.left = host.left.min(line.left);
                host.right = host.right.max(line.right);
                (host.y, host.size) = large;
            }
            None => joined.push(line),
        }
    }
    joined
}
