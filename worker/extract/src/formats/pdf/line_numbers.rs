//! Numbers of lines in the margin, as contracts, critical editions and listings have them: they are not words of the text.

use std::collections::HashSet;

use super::columns::rows;
use super::lines::Line;

/// Fewest numbers of a margin.
const MIN_NUMBERS: usize = 3;
/// The size of numbers of a listing, at most, in sizes of its lines.
const SMALL: f32 = 0.85;
/// Most places where listings of a page have their numbers.
const MAX_PLACES: usize = 16;

/// Takes the numbers of lines from the lines of a page, from top to bottom.
pub(super) fn take(lines: &mut Vec<Line>) -> Vec<String> {
    let small = small(lines);
    let (numbers, text): (Vec<_>, Vec<_>) =
        std::mem::take(lines).into_iter().partition(|line| small.contains(&key(line)));
    *lines = text;
    let mut taken: Vec<String> = numbers.into_iter().map(|line| line.text.trim().to_owned()).collect();
    for is_left in [true, false] {
        let Some(margin) = margin(lines, is_left) else { continue };
        let (numbers, text): (Vec<_>, Vec<_>) = std::mem::take(lines).into_iter().partition(|line| is_in(line, margin));
        *lines = text;
        taken.extend(numbers.into_iter().map(|line| line.text.trim().to_owned()));
    }
    taken
}

/// The small numbers before the lines of listings, wherever these begin: they end at one place, and increase by the same step but
/// for lines without one.
fn small(lines: &[Line]) -> HashSet<(u32, u32)> {
    let mut places: Vec<Vec<&Line>> = Vec::new();
    for row in rows(lines.iter().filter(|line| line.is_upright)) {
        let [first, second, ..] = row[..] else { continue };
        if number(first).is_none() || first.size >= SMALL * second.size {
            continue;
        }
        let is_same = |place: &Vec<&Line>| (place[0].right - first.right).abs() < 0.3 * first.size;
        match places.iter().position(is_same) {
            Some(place) => places[place].push(first),
            None if places.len() >= MAX_PLACES => {}
            None => places.push(vec![first]),
        }
    }
    places.into_iter().filter(|place| is_counted(place)).flatten().map(key).collect()
}

/// Whether numbers increase, most of them by the same step.
fn is_counted(lines: &[&Line]) -> bool {
    let numbers: Vec<u32> = lines.iter().filter_map(|line| number(line)).collect();
    let steps: Option<Vec<u32>> =
        numbers.windows(2).map(|pair| pair[1].checked_sub(pair[0]).filter(|step| *step > 0)).collect();
    let Some(mut steps) = steps.filter(|steps| steps.len() + 1 >= MIN_NUMBERS) else { return false };
    steps.sort_unstable();
    let most = steps.chunk_by(|one, next| one == next).map(<[u32]>::len).max().unwrap_or(0);
    most * 4 >= steps.len() * 3
}

/// The place of a line on its page.
fn key(line: &Line) -> (u32, u32) {
    (line.left.to_bits(), line.y.to_bits())
}

/// The edges of the column of numbers that stands at one side of all text, if its numbers increase by the same step.
fn margin(lines: &[Line], is_left: bool) -> Option<(f32, f32)> {
    let text = lines.iter().filter(|line| line.is_upright && number(line).is_none());
    let edge = match is_left {
        true => text.map(|line| line.left).reduce(f32::min)?,
        false => text.map(|line| line.right).reduce(f32::max)?,
    };
    let is_outside = |line: &&Line| if is_left { line.right < edge } else { line.left > edge };
    let mut outside: Vec<&Line> =
        lines.iter().filter(|line| line.is_upright && number(line).is_some()).filter(is_outside).collect();
    outside.sort_by(|one, other| one.y.total_cmp(&other.y));
    let numbers: Vec<u32> = outside.iter().filter_map(|line| number(line)).collect();
    let step = numbers.get(1)?.checked_sub(numbers[0]).filter(|step| *step > 0)?;
    let is_even = numbers.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(step));
    let left = outside.iter().map(|line| line.left).reduce(f32::min)?;
    let right = outside.iter().map(|line| line.right).reduce(f32::max)?;
    (numbers.len() >= MIN_NUMBERS && is_even).then_some((left, right))
}

fn is_in(line: &Line, (left, right): (f32, f32)) -> bool {
    line.is_upright && number(line).is_some() && line.left >= left && line.right <= right
}

fn number(line: &Line) -> Option<u32> {
    line.text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, left: f32, y: f32) -> Line {
        let right = left + 6.0 * text.len() as f32;
        let text = text.to_owned();
        let (size, boxes) = (10.0, Vec::new());
        Line { text, left, right, y, size, is_artifact: false, is_upright: true, is_bold: false, boxes }
    }

    #[test]
    fn numbers_at_the_side_of_all_text_are_taken() {
        let mut lines =
            vec![line("The parties agree", 60.0, 10.0), line("5", 30.0, 10.0), line("on terms,", 60.0, 22.0)];
        lines.extend([line("10", 24.0, 22.0), line("namely 3", 60.0, 34.0), line("15", 24.0, 34.0)]);
        assert_eq!(take(&mut lines), ["5", "10", "15"]);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn small_numbers_of_a_listing_are_taken_beside_wider_text() {
        let mut lines = vec![line("This text is as wide as the page.", 20.0, 0.0)];
        for n in 0..6_u8 {
            let y = 20.0 + 12.0 * f32::from(n);
            let number = Line { size: 6.0, ..line(&(n + 8 + n / 4).to_string(), 24.0, y) };
            lines.extend([Line { left: 24.0, right: 36.0, ..number }, line("begin", 60.0, y)]);
        }
        let mut table = lines.clone();
        assert_eq!(take(&mut lines), ["8", "9", "10", "11", "13", "14"]);
        assert_eq!(lines.len(), 7);
        table.iter_mut().for_each(|line| line.size = 10.0);
        assert!(take(&mut table).is_empty(), "the numbers of a table are as large as its words");
    }

    #[test]
    fn numbers_of_a_table_and_of_a_list_stay() {
        let mut table = vec![line("Year", 60.0, 0.0), line("2019", 20.0, 10.0), line("2021", 20.0, 20.0)];
        table.extend([line("2022", 20.0, 30.0), line("output", 60.0, 30.0)]);
        assert!(take(&mut table).is_empty(), "their steps differ");
        let mut two = vec![line("text", 60.0, 0.0), line("1", 20.0, 0.0), line("2", 20.0, 10.0)];
        assert!(take(&mut two).is_empty());
    }
}
