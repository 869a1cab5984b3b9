//! Numbers of lines in the margin, as contracts, critical editions and listings have them: they are not words of the text.

use super::lines::Line;

/// Fewest numbers of a margin.
const MIN_NUMBERS: usize = 3;

/// Takes the numbers of lines from the lines of a page, from top to bottom.
pub(super) fn take(lines: &mut Vec<Line>) -> Vec<String> {
    let mut taken = Vec::new();
    for is_left in [true, false] {
        let Some(margin) = margin(lines, is_left) else { continue };
        let (numbers, text): (Vec<_>, Vec<_>) = std::mem::take(lines).into_iter().partition(|line| is_in(line, margin));
        *lines = text;
        taken.extend(numbers.into_iter().map(|line| line.text.trim().to_owned()));
    }
    taken
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
        Line { text, left, right, y, size: 10.0, is_artifact: false, is_upright: true, is_bold: false }
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
    fn numbers_of_a_table_and_of_a_list_stay() {
        let mut table = vec![line("Year", 60.0, 0.0), line("2019", 20.0, 10.0), line("2021", 20.0, 20.0)];
        table.extend([line("2022", 20.0, 30.0), line("output", 60.0, 30.0)]);
        assert!(take(&mut table).is_empty(), "their steps differ");
        let mut two = vec![line("text", 60.0, 0.0), line("1", 20.0, 0.0), line("2", 20.0, 10.0)];
        assert!(take(&mut two).is_empty());
    }
}
