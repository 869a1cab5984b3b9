/// A table as lines of text: a row a line, cells set apart by ` | `.
#[derive(Default)]
pub(super) struct Rows {
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// Begins a row.
    pub(super) fn row(&mut self) {
        self.rows.push(Vec::new());
    }

    /// Adds a cell to the last row; a table that begins without a row gets one.
    pub(super) fn cell(&mut self, content: &str) {
        let cell = content.split_whitespace().collect::<Vec<_>>().join(" ");
        match self.rows.last_mut() {
            Some(row) => row.push(cell),
            None => self.rows.push(vec![cell]),
        }
    }

    /// The lines; rows of nothing but empty cells are left out.
    pub(super) fn text(&self) -> String {
        let filled = self.rows.iter().filter(|row| row.iter().any(|cell| !cell.is_empty()));
        filled.map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line() {
        let mut rows = Rows::default();
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
