//! The order in which the lines of a page are read: columns one after the other, tables row by row.

use super::lines::Line;

/// Deepest nesting of columns within columns.
const MAX_DEPTH: usize = 24;

/// The lines in reading order.
pub(super) fn order(lines: Vec<Line>) -> Vec<Line> {
    let mut ordered = Vec::with_capacity(lines.len());
    cut(lines, 0, &mut ordered);
    ordered
}

fn cut(mut lines: Vec<Line>, depth: usize, ordered: &mut Vec<Line>) {
    if lines.len() > 2 && depth < MAX_DEPTH {
        if let Some(place) = column_gap(&lines) {
            let (left, right): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.right <= place);
            cut(left, depth + 1, ordered);
            cut(right, depth + 1, ordered);
            return;
        }
        if let Some(place) = row_gap(&mut lines) {
            let rest = lines.split_off(place);
            cut(lines, depth + 1, ordered);
            cut(rest, depth + 1, ordered);
            return;
        }
    }
    sort_rows(&mut lines);
    ordered.append(&mut lines);
}

/// A gap from top to bottom between columns of text.
fn column_gap(lines: &[Line]) -> Option<f32> {
    let mut spans: Vec<(f32, f32)> = lines.iter().map(|line| (line.left, line.right)).collect();
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    let size = median(lines.iter().map(|line| line.size));
    let mut reach = spans.first()?.1;
    let mut gaps: Vec<(f32, f32)> = Vec::new();
    for (left, right) in spans {
        if left - reach > 0.6 * size {
            gaps.push((reach, left));
        }
        reach = reach.max(right);
    }
    gaps.into_iter().map(|(from, to)| (from + to) / 2.0).find(|&place| {
        let (left, right): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.right <= place);
        is_column(&left) && is_column(&right)
    })
}

/// Whether lines are the text of a column: several rows, most of them long and as wide as the column.
fn is_column(lines: &[&Line]) -> bool {
    if lines.len() < 3 {
        return false;
    }
    let left = lines.iter().map(|line| line.left).fold(f32::MAX, f32::min);
    let right = lines.iter().map(|line| line.right).fold(f32::MIN, f32::max);
    let fill = median(lines.iter().map(|line| (line.right - line.left) / (right - left).max(1.0)));
    let letters = median(lines.iter().map(|line| line.text.chars().count() as f32));
    let is_wide_script = lines.iter().any(|line| line.text.chars().any(|c| ('\u{2E80}'..='\u{9FFF}').contains(&c)));
    letters >= if is_wide_script { 7.0 } else { 14.0 } && (fill >= 0.5 || letters >= 30.0)
}

/// The place of the widest gap between rows. Sorts the lines from top to bottom.
fn row_gap(lines: &mut [Line]) -> Option<usize> {
    lines.sort_by(|one, other| top(one).total_cmp(&top(other)));
    let mut reach = f32::MIN;
    let mut best: Option<(f32, usize)> = None;
    for (place, line) in lines.iter().enumerate() {
        let gap = top(line) - reach;
        if place > 0 && gap > 0.0 && best.is_none_or(|(widest, _)| gap > widest) {
            best = Some((gap, place));
        }
        reach = reach.max(line.y + 0.25 * line.size);
    }
    best.map(|(_, place)| place)
}

fn top(line: &Line) -> f32 {
    line.y - 0.75 * line.size
}

/// Sorts lines by rows, and the parts of a row from left to right.
fn sort_rows(lines: &mut [Line]) {
    lines.sort_by(|one, other| one.y.total_cmp(&other.y));
    let mut from = 0;
    for place in 1..=lines.len() {
        let is_next = lines
            .get(place)
            .is_none_or(|line| line.y - lines[place - 1].y > 0.4 * line.size.min(lines[place - 1].size));
        if is_next {
            lines[from..place].sort_by(|one, other| one.left.total_cmp(&other.left));
            from = place;
        }
    }
}

pub(super) fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
