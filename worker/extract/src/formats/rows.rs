/// A table as text: one line per row, with ` | ` between cells.
#[derive(Default)]
pub(super) struct TableRows {
    rows: Vec<Vec<String>>,
}

impl TableRows {
    /// Starts a row.
    pub(super) fn row(&mut self) {
        self.rows.push(Vec::new());
    }

    /// Adds a cell to the last row, or to a new row if there is none.
    pub(super) fn cell(&mut self, content: &str) {
        let cell = content.split_whitespace().collect::<Vec<_>>().join(" ");
        match self.rows.last_mut() {
            Some(row) => row.push(cell),
            None => self.rows.push(vec![cell]),
        }
    }

    /// The lines, without rows that have only empty cells.
    pub(super) fn text(&self) -> String {
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
}
