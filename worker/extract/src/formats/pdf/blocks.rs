//! Lines in reading order to paragraphs, headings, items and tables.

use std::collections::HashMap;

use super::columns::median;
use super::hyphens::{Joint, Words};
use super::lines::Line;
use super::outline::key;
use crate::ElementKind;
use crate::formats::rows::TableRows;
use crate::ocr::LineBox;

/// A piece of a page, with the places of its recognised lines.
pub(super) enum Block {
    Text(ElementKind, String, Vec<LineBox>),
    Table(String, Vec<LineBox>),
}

/// The sizes of the file's fonts: that of most text, and the larger ones, which are those of headings.
pub(super) struct Sizes {
    body: f32,
    headings: Vec<f32>,
    /// The level of bold headings of the size of the text; `None`: much of the text is bold.
    bold_level: Option<u8>,
    /// The titles of the file's outline, with their levels: they are headings of any size.
    pub(super) titles: HashMap<String, u8>,
}

impl Sizes {
    pub(super) fn new<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut letters: HashMap<i32, usize> = HashMap::new();
        let mut bold = 0;
        for line in lines {
            bold += if line.is_bold { line.text.len() } else { 0 };
            *letters.entry((line.size * 2.0).round() as i32).or_default() += line.text.len();
        }
        let body = letters.iter().max_by_key(|(size, count)| (**count, **size)).map_or(10, |(size, _)| *size);
        let all: usize = letters.values().sum();
        let mut headings: Vec<i32> = letters
            .iter()
            .filter(|(size, count)| **size as f32 >= body as f32 * 1.12 && **count * 5 <= all.max(1))
            .map(|(size, _)| *size)
            .collect();
        headings.sort_unstable_by(|one, other| other.cmp(one));
        let bold_level = (bold * 5 <= all).then(|| (headings.len() + 1).min(6) as u8);
        Self {
            body: body as f32 / 2.0,
            bold_level,
            headings: headings.into_iter().map(|size| size as f32 / 2.0).collect(),
            titles: HashMap::new(),
        }
    }

    /// Sizes in a picture, which are too uncertain to tell headings.
    pub(super) fn of_picture(lines: &[Line]) -> Self {
        Self {
            body: median(lines.iter().map(|line| line.size)),
            headings: Vec::new(),
            bold_level: None,
            titles: HashMap::new(),
        }
    }

    /// The level of lines that are a heading because they are bold.
    fn level_of_bold(&self, lines: &[Line]) -> Option<u8> {
        let is_bold = lines.iter().all(|line| line.is_bold && line.size > self.body * 0.95);
        let is_sentence = lines.last().is_some_and(|line| line.text.ends_with(['.', ',', ';', ':']));
        self.bold_level.filter(|_| is_bold && !is_sentence && lines.len() <= 2)
    }

    /// The level of a heading of this size.
    fn level(&self, size: f32) -> Option<u8> {
        let size = (size * 2.0).round() / 2.0;
        let place = self.headings.iter().position(|heading| *heading == size)?;
        (size > self.body).then(|| (place + 1).min(6) as u8)
    }
}

/// The blocks of lines in reading order.
pub(super) fn blocks(lines: Vec<Line>, sizes: &Sizes, words: &Words) -> Vec<Block> {
    let mut blocks = Vec::new();
    let rows = rows(lines);
    let mut place = 0;
    let mut text = Text { sizes, words, lines: Vec::new() };
    while place < rows.len() {
        if let Some((table, end)) = table(&rows[place..]) {
            text.flush(&mut blocks);
            blocks.push(table);
            place += end;
            continue;
        }
        let row = joined(&rows[place]);
        text.add(row, &mut blocks);
        place += 1;
    }
    text.flush(&mut blocks);
    blocks
}

/// The parts of lines that stand side by side.
fn rows(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut rows: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            Some(row)
                if row.last().is_some_and(|last| {
                    (last.y - line.y).abs() < 0.4 * last.size.min(line.size)
                        && line.left >= last.right - 0.5 * line.size
                }) =>
            {
                row.push(line);
            }
            _ => rows.push(vec![line]),
        }
    }
    rows
}

fn joined(row: &[Line]) -> Line {
    let mut joined = row[0].clone();
    for line in &row[1..] {
        joined.text.push(' ');
        add_boxes(&mut joined.boxes, line, joined.text.len());
        joined.text.push_str(&line.text);
        joined.right = joined.right.max(line.right);
        joined.size = joined.size.max(line.size);
        joined.is_bold &= line.is_bold;
    }
    joined
}

/// Adds the boxes of a line whose text begins at a place. A hyphen before it may be gone, with which the line above ended.
fn add_boxes(boxes: &mut Vec<LineBox>, line: &Line, at: usize) {
    if let Some(last) = boxes.last_mut() {
        last.bytes.end = last.bytes.end.min(at);
    }
    boxes.extend(line.boxes.iter().map(|found| {
        let bytes = found.bytes.start + at..found.bytes.end + at;
        LineBox { bytes, ..found.clone() }
    }));
}

/// A table at the beginning of rows, and the number of its rows: rows of several parts that leave gaps between columns.
fn table(rows: &[Vec<Line>]) -> Option<(Block, usize)> {
    let mut gaps: Vec<(f32, f32)> = Vec::new();
    let mut end = 0;
    for (place, row) in rows.iter().enumerate() {
        if row.len() < 2 || row.iter().any(|line| line.text.chars().count() > 200) {
            break;
        }
        if let Some(above) = place.checked_sub(1).map(|place| &rows[place][0])
            && row[0].y - above.y > 3.5 * row[0].size.max(above.size)
        {
            break;
        }
        let row_gaps: Vec<(f32, f32)> = row.windows(2).map(|pair| (pair[0].right, pair[1].left)).collect();
        let next = match gaps.is_empty() {
            true => row_gaps,
            // The gaps that both have; a row with an empty cell has a wider one.
            false => {
                let open = |gap: &(f32, f32)| {
                    let mut parts = vec![*gap];
                    for line in row {
                        parts = parts
                            .into_iter()
                            .flat_map(|(from, to)| [(from, to.min(line.left)), (from.max(line.right), to)])
                            .filter(|(from, to)| to - from > 0.3 * line.size)
                            .collect();
                    }
                    parts
                };
                gaps.iter().flat_map(open).collect()
            }
        };
        if next.is_empty() {
            break;
        }
        gaps = next;
        end = place + 1;
    }
    let columns = gaps.len() + 1;
    if end < 2 || (end == 2 && columns < 3) {
        return None;
    }
    let mut table = TableRows::default();
    let mut placed: Vec<&Line> = Vec::new();
    for row in &rows[..end] {
        table.row();
        for column in 0..columns {
            let from = column.checked_sub(1).map_or(f32::MIN, |place| (gaps[place].0 + gaps[place].1) / 2.0);
            let to = gaps.get(column).map_or(f32::MAX, |gap| (gap.0 + gap.1) / 2.0);
            let parts = row.iter().filter(|line| (from..to).contains(&((line.left + line.right) / 2.0)));
            let parts: Vec<&Line> = parts.collect();
            table.cell(&parts.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" "));
            placed.extend(parts);
        }
    }
    let text = table.text();
    let boxes = table_boxes(&text, &placed);
    Some((Block::Table(text, boxes), end))
}

/// The places of recognised lines in the text of a table, in which all lines stand in this order, with single blanks.
fn table_boxes(text: &str, lines: &[&Line]) -> Vec<LineBox> {
    let mut boxes = Vec::new();
    if lines.iter().all(|line| line.boxes.is_empty()) {
        return boxes;
    }
    let mut from = 0;
    for line in lines {
        let words = line.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some(start) = text[from..].find(&words).map(|place| from + place) else { continue };
        from = start + words.len();
        boxes.extend(line.boxes.iter().map(|found| LineBox { bytes: start..from, ..found.clone() }));
    }
    boxes
}

struct Text<'a> {
    sizes: &'a Sizes,
    words: &'a Words,
    lines: Vec<Line>,
}

impl Text<'_> {
    fn add(&mut self, line: Line, blocks: &mut Vec<Block>) {
        if self.lines.last().is_some_and(|last| self.is_new(last, &line)) {
            self.flush(blocks);
        }
        self.lines.push(line);
    }

    /// Whether a paragraph begins with a line.
    fn is_new(&self, last: &Line, line: &Line) -> bool {
        let size = last.size.max(line.size);
        let spacing = line.y - last.y;
        let usual = match self.lines.len() {
            1 => 1.45 * size,
            _ => {
                let spacings = self.lines.windows(2).map(|pair| pair[1].y - pair[0].y);
                1.25 * median(spacings).max(0.8 * size)
            }
        };
        let left = self.lines.iter().map(|line| line.left).fold(f32::MAX, f32::min);
        let right = self.lines.iter().map(|line| line.right).fold(f32::MIN, f32::max);
        let is_indented = line.left - left > 0.8 * size
            && self.lines.len() > 1
            && self.lines.iter().skip(1).all(|line| line.left - left < 0.5 * size);
        let ends_short = right - last.right > 0.15 * (right - left)
            && last.text.ends_with(['.', '!', '?', ':', '”', '"'])
            && self.lines.len() > 1;
        (last.size - line.size).abs() > 0.12 * size
            || spacing > usual.max(1.2 * size)
            || spacing < -0.5 * size && line.left < last.right
            || is_item(&line.text)
            || self.is_bold_heading(last, line, spacing)
            || self.is_title(line)
            || (self.lines.len() == 1 && self.is_title(last))
            || is_indented
            || ends_short
    }

    /// Whether a line follows a bold heading, or is one with some space above it.
    fn is_bold_heading(&self, last: &Line, line: &Line, spacing: f32) -> bool {
        match (last.is_bold, line.is_bold) {
            (true, false) => self.sizes.level_of_bold(&self.lines).is_some(),
            (false, true) => {
                self.sizes.level_of_bold(std::slice::from_ref(line)).is_some() && spacing > 1.35 * line.size
            }
            _ => false,
        }
    }

    /// Whether a line is a title of the outline.
    fn is_title(&self, line: &Line) -> bool {
        !self.sizes.titles.is_empty() && line.text.len() <= 200 && self.sizes.titles.contains_key(&key(&line.text))
    }

    fn flush(&mut self, blocks: &mut Vec<Block>) {
        let lines = std::mem::take(&mut self.lines);
        let Some(first) = lines.first() else { return };
        let size = median(lines.iter().map(|line| line.size));
        let is_item = is_item(&first.text);
        let (mut text, mut boxes) = (String::new(), Vec::new());
        for line in &lines {
            let part = line.text.trim();
            self.append(&mut text, part);
            add_boxes(&mut boxes, line, text.len() - part.len());
        }
        let is_short = lines.len() <= 3 && text.chars().count() <= 200 && text.chars().any(char::is_alphabetic);
        // Entries of a table of contents have the titles, too, and the numbers of pages behind them.
        let title = (is_short && !self.sizes.titles.is_empty()).then(|| self.sizes.titles.get(&key(&text))).flatten();
        let level = title.copied().or(self.sizes.level(size)).or_else(|| self.sizes.level_of_bold(&lines));
        let kind = match level.filter(|_| is_short) {
            Some(level) => ElementKind::Heading { level },
            None if is_item => ElementKind::ListItem,
            None => ElementKind::Paragraph,
        };
        blocks.push(Block::Text(kind, text, boxes));
    }

    /// Adds a line to a text. A word that is cut at the end of the line is put together.
    fn append(&self, text: &mut String, line: &str) {
        if text.is_empty() {
            text.push_str(line);
            return;
        }
        let tail = line.split_whitespace().next().unwrap_or_default();
        let head = text.split_whitespace().next_back().unwrap_or_default();
        match self.words.joint(head, tail) {
            Joint::Apart => {}
            Joint::Hyphenated => return text.push_str(line),
            Joint::Whole => {
                text.pop();
                return text.push_str(line);
            }
        }
        // Scripts without blanks between words have none at line ends either.
        let is_wide = |c: Option<char>| {
            c.is_some_and(|c| {
                matches!(c, '\u{2E80}'..='\u{D7A3}' | '\u{FF00}'..='\u{FFEF}')
                    && !('\u{AC00}'..='\u{D7A3}').contains(&c)
            })
        };
        if !(is_wide(text.chars().next_back()) && is_wide(line.chars().next())) {
            text.push(' ');
        }
        text.push_str(line);
    }
}

/// Whether a line begins an item of a list.
fn is_item(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with(['•', '◦', '▪', '■', '●', '○', '‣', '⁃', '–', '➢', '✓', '☐', '☒']) {
        return text.chars().nth(1).is_some_and(|c| c.is_whitespace() || c.is_alphanumeric());
    }
    if text.starts_with("- ") || text.starts_with("* ") {
        return true;
    }
    let Some((marker, rest)) = text.split_once(' ') else { return false };
    let Some(mark) = marker.strip_suffix(['.', ')']) else { return false };
    let mark = mark.trim_start_matches('(');
    let is_number = !mark.is_empty() && mark.len() <= 3 && mark.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = mark.len() == 1 && mark.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_number || is_letter) && !rest.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocr::Area;

    /// A recognised line; its box has its place among the lines.
    fn line(text: &str, left: f32, y: f32) -> Line {
        let area = Area { left, top: y, ..Area::default() };
        let boxes = vec![LineBox { bytes: 0..text.len(), area, confidence: 0.9 }];
        let (text, right) = (text.to_owned(), left + 5.0 * text.len() as f32);
        Line { text, left, right, y, size: 10.0, is_artifact: false, is_upright: true, is_bold: false, boxes }
    }

    /// A part of a text that stands in a box, and the left and upper sides of that.
    type Placed = (String, f32, f32);

    /// The texts of blocks, each with the parts that stand in its boxes.
    fn placed(lines: Vec<Line>) -> Vec<(String, Vec<Placed>)> {
        let (sizes, words) = (Sizes::of_picture(&lines), Words::new(lines.iter()));
        let texts = blocks(lines, &sizes, &words).into_iter().map(|block| {
            let (Block::Table(text, boxes) | Block::Text(_, text, boxes)) = block;
            let parts = boxes.into_iter().map(|found| {
                let Area { left, top, .. } = found.area;
                (text[found.bytes].to_owned(), left, top)
            });
            let parts = parts.collect();
            (text, parts)
        });
        texts.collect()
    }

    #[test]
    fn lines_of_a_paragraph_keep_their_boxes_in_its_text() {
        let part = |text: &str, left, top| (text.to_owned(), left, top);
        let lines = vec![
            line("The Grüße of the har-", 10.0, 20.0),
            line("bour crane are", 10.0, 32.0),
            line("lifted at night", 10.0, 44.0),
        ];
        let text = "The Grüße of the harbour crane are lifted at night".to_owned();
        let parts = vec![
            part("The Grüße of the har", 10.0, 20.0),
            part("bour crane are", 10.0, 32.0),
            part("lifted at night", 10.0, 44.0),
        ];
        assert_eq!(placed(lines), [(text, parts)]);
    }

    #[test]
    fn cells_of_a_table_keep_their_boxes_in_its_text() {
        let cells = [["Crane", "Tonnes", "Port"], ["One", "40", "Bremen"], ["Two", "40", "Oslo"]];
        let lines = cells
            .iter()
            .zip([20.0_f32, 32.0, 44.0])
            .flat_map(|(row, y)| row.iter().zip([10.0_f32, 100.0, 200.0]).map(move |(cell, left)| line(cell, left, y)));
        let found = placed(lines.collect());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "Crane | Tonnes | Port\nOne | 40 | Bremen\nTwo | 40 | Oslo");
        let expected = cells.iter().zip([20.0_f32, 32.0, 44.0]).flat_map(|(row, y)| {
            row.iter().zip([10.0_f32, 100.0, 200.0]).map(move |(cell, left)| ((*cell).to_owned(), left, y))
        });
        assert_eq!(found[0].1, expected.collect::<Vec<_>>());
    }
}
