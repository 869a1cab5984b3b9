//! The order in which the lines of a page are read: columns one after the other, tables row by row.

use super::lines::Line;

/// Deepest nesting of columns within columns.
const MAX_DEPTH: usize = 24;
/// Fewest rows of a column whose lines have parts.
const MIN_ROWS: usize = 8;
/// Most gaps that are tried between columns whose lines have parts.
const MAX_GAPS: usize = 8;
/// The share of rows side by side from which on two columns are one table.
const TABLE_SHARE: f32 = 0.6;

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
    let middle = |(from, to): &(f32, f32)| (from + to) / 2.0;
    let sides = |place: f32| -> (Vec<&Line>, Vec<&Line>) { lines.iter().partition(|line| line.right <= place) };
    let of_lines = gaps.iter().map(middle).find(|&place| {
        let (left, right) = sides(place);
        is_column(&left) && is_column(&right)
    });
    if of_lines.is_some() {
        return of_lines;
    }
    // The widest gap is that between columns; narrower ones are within them.
    gaps.sort_by(|one, other| (other.1 - other.0).total_cmp(&(one.1 - one.0)));
    gaps.iter().take(MAX_GAPS).map(middle).find(|&place| {
        let (left, right) = sides(place);
        let (left, right) = (rows(left), rows(right));
        is_column_of_rows(&left) && is_column_of_rows(&right) && !is_one_table(&left, &right, size)
    })
}

/// Whether lines are the text of a column: several rows, most of them long and as wide as the column.
fn is_column(lines: &[&Line]) -> bool {
    if lines.len() < 3 {
        return false;
    }
    let size = |line: &&Line| (line.right - line.left, line.text.chars().count());
    is_filled(lines.iter().copied(), lines.iter().map(size))
}

/// Whether rows are those of a column, whose lines have parts: a word and its explanation, an entry and its pages, or words that are
/// set far apart.
fn is_column_of_rows(rows: &[Vec<&Line>]) -> bool {
    let size = |row: &Vec<&Line>| {
        let (left, right) = (row[0].left, row.iter().map(|line| line.right).fold(f32::MIN, f32::max));
        (right - left, row.iter().map(|line| line.text.chars().count()).sum::<usize>())
    };
    rows.len() >= MIN_ROWS && is_filled(rows.iter().flatten().copied(), rows.iter().map(size))
}

/// Whether most rows, of which the widths and numbers of letters are given, are long and as wide as all lines together.
fn is_filled<'a>(
    mut lines: impl Iterator<Item = &'a Line> + Clone,
    rows: impl Iterator<Item = (f32, usize)> + Clone,
) -> bool {
    let left = lines.clone().map(|line| line.left).fold(f32::MAX, f32::min);
    let right = lines.clone().map(|line| line.right).fold(f32::MIN, f32::max);
    let fill = median(rows.clone().map(|(width, _)| width / (right - left).max(1.0)));
    let letters = median(rows.map(|(_, letters)| letters as f32));
    let is_wide_script = lines.any(|line| line.text.chars().any(|c| ('\u{2E80}'..='\u{9FFF}').contains(&c)));
    letters >= if is_wide_script { 7.0 } else { 14.0 } && (fill >= 0.5 || letters >= 30.0)
}

/// Whether the rows at both sides of a gap are those of one table, because they stand side by side.
fn is_one_table(left: &[Vec<&Line>], right: &[Vec<&Line>], size: f32) -> bool {
    let (few, many) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let has_neighbour = |row: &&Vec<&Line>| {
        let near = many.partition_point(|other| other[0].y < row[0].y - 0.15 * size);
        many.get(near).is_some_and(|other| other[0].y <= row[0].y + 0.15 * size)
    };
    few.iter().filter(has_neighbour).count() as f32 >= TABLE_SHARE * few.len() as f32
}

/// The rows of lines from top to bottom, each with its parts from left to right.
pub(super) fn rows<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<Vec<&'a Line>> {
    let mut lines: Vec<&Line> = lines.into_iter().collect();
    lines.sort_by(|one, other| one.y.total_cmp(&other.y));
    let mut rows: Vec<Vec<&Line>> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            Some(row) if row.last().is_some_and(|last| line.y - last.y <= 0.4 * line.size.min(last.size)) => {
                row.push(line);
            }
            _ => rows.push(vec![line]),
        }
    }
    for row in &mut rows {
        row.sort_by(|one, other| one.left.total_cmp(&other.left));
    }
    // Rows are sorted by their first parts, too, for searches.
    rows.sort_by(|one, other| one[0].y.total_cmp(&other[0].y));
    rows
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, left: f32, y: f32) -> Line {
        let right = left + 5.0 * text.chars().count() as f32;
        let text = text.to_owned();
        let (size, boxes) = (10.0, Vec::new());
        Line { text, left, right, y, size, is_artifact: false, is_upright: true, is_bold: false, boxes }
    }

    /// A card of a command and its explanation in each row, from a place on.
    fn card(name: &str, left: f32, spacing: f32) -> Vec<Line> {
        let row = |n: usize| {
            let y = 100.0 + spacing * n as f32;
            [line(&format!("{name} {n}"), left, y), line(&format!("explains {name} {n}"), left + 80.0, y)]
        };
        (0..10).flat_map(row).collect()
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        order(lines).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn columns_of_commands_and_explanations_are_read_one_after_the_other() {
        let read = texts([card("left", 0.0, 12.0), card("right", 300.0, 13.7)].concat());
        assert_eq!(read[..4], ["left 0", "explains left 0", "left 1", "explains left 1"]);
        assert_eq!(read[20..22], ["right 0", "explains right 0"]);
    }

    #[test]
    fn wide_table_is_read_row_by_row() {
        let read = texts([card("left", 0.0, 12.0), card("right", 300.0, 12.0)].concat());
        assert_eq!(read[..5], ["left 0", "explains left 0", "right 0", "explains right 0", "left 1"]);
    }
}
