//! A table as text: one line per row, with ` | ` between cells, every value in its column.

/// Longest value that is repeated in all columns and rows that its cell spans; a longer one stands in the first only.
const MAX_REPEATED_CHARS: usize = 80;
/// Most columns and rows that the cells of a table span; what a file says beyond that is a mistake or an attack.
const MAX_SPAN: usize = 256;

/// The cells of a table.
#[derive(Default)]
pub(super) struct TableRows {
    rows: Vec<Vec<String>>,
    /// Cells of rows above that reach into the next ones, by column: the rows left, and the value.
    spans: Vec<(usize, String)>,
}

impl TableRows {
    /// Starts a row.
    pub(super) fn row(&mut self) {
        self.fill_spans();
        self.rows.push(Vec::new());
    }

    /// Adds a cell to the last row, or to a new row if there is none.
    pub(super) fn cell(&mut self, content: &str) {
        self.spanning_cell(content, 1, 1);
    }

    /// Adds a cell of several columns and rows.
    pub(super) fn spanning_cell(&mut self, content: &str, columns: usize, rows: usize) {
        if self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        let cell = content.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_short = cell.chars().nth(MAX_REPEATED_CHARS).is_none();
        let repeated = if is_short { cell.clone() } else { String::new() };
        for column in 0..columns.clamp(1, MAX_SPAN) {
            self.fill_spans();
            let value = if column == 0 { cell.clone() } else { repeated.clone() };
            let Some(row) = self.rows.last_mut() else { return };
            let place = row.len();
            row.push(value);
            if rows > 1 && place < MAX_SPAN {
                if self.spans.len() <= place {
                    self.spans.resize(place + 1, (0, String::new()));
                }
                self.spans[place] = (rows.min(u16::MAX.into()) - 1, repeated.clone());
            }
        }
    }

    /// Adds empty cells.
    pub(super) fn skip(&mut self, columns: usize) {
        for _ in 0..columns.min(MAX_SPAN) {
            self.cell("");
        }
    }

    /// Adds a cell that continues the one above.
    pub(super) fn continued(&mut self, columns: usize) {
        for _ in 0..columns.clamp(1, MAX_SPAN) {
            let place = self.rows.last().map_or(0, Vec::len);
            let above = self.rows.iter().rev().nth(1).and_then(|row| row.get(place)).cloned().unwrap_or_default();
            let is_short = above.chars().nth(MAX_REPEATED_CHARS).is_none();
            self.cell(if is_short { &above } else { "" });
        }
    }

    /// Fills the columns that cells of rows above reach into, from the end of the last row.
    fn fill_spans(&mut self) {
        let Some(row) = self.rows.last_mut() else { return };
        while let Some((left, value)) = self.spans.get_mut(row.len()).filter(|(left, _)| *left > 0) {
            *left -= 1;
            row.push(value.clone());
        }
    }

    /// The lines, without rows that have only empty cells.
    pub(super) fn text(&mut self) -> String {
        self.fill_spans();
        let filled = self.rows.iter().filter(|row| row.iter().any(|cell| !cell.is_empty()));
        filled.map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_becomes_a_line() {
        let mut rows = TableRows::default();
        rows.cell("caption");
        rows.row();
        rows.cell(" a\n b ");
        rows.cell("");
        rows.row();
        rows.cell("");
        rows.row();
        rows.cell("c");
        assert_eq!(rows.text(), "caption\na b | \nc");
    }

    #[test]
    fn values_stay_in_their_columns() {
        let mut rows = TableRows::default();
        rows.row();
        rows.spanning_cell("a", 1, 3);
        rows.spanning_cell("b", 2, 1);
        rows.row();
        rows.cell("c");
        rows.spanning_cell("d", 1, 2);
        rows.row();
        rows.cell("e");
        rows.row();
        rows.skip(1);
        rows.cell("f");
        rows.row();
        rows.continued(2);
        rows.cell("g");
        assert_eq!(rows.text(), "a | b | b\na | c | d\na | e | d\n | f\n | f | g");
    }

    #[test]
    fn spans_are_bounded() {
        let mut rows = TableRows::default();
        rows.spanning_cell("x", usize::MAX, usize::MAX);
        for _ in 0..3 {
            rows.row();
        }
        assert!(rows.text().len() < 8 * MAX_SPAN * 4);
    }
}
