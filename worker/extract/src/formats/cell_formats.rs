//! Which number format each cell of XLS and XLSB has: the library that reads their values says only which of them are dates.

use std::collections::HashMap;

use super::number_format::NumberFormat;

/// The number formats of the cells of a workbook.
#[derive(Default)]
pub(super) struct CellFormats {
    formats: HashMap<u16, NumberFormat>,
    /// The cells of each sheet that have a format, in order: place, and number of the format.
    sheets: Vec<Vec<(u64, u16)>>,
}

/// The cells of a sheet, on their way into [`CellFormats`].
pub(super) struct SheetFormats<'a> {
    formats: &'a mut CellFormats,
    /// The numbers of the formats of the styles of cells.
    styles: &'a [u16],
    cells: Vec<(u64, u16)>,
}

impl CellFormats {
    /// Adds a format that the file contains.
    pub(super) fn add(&mut self, number: u16, code: &str) {
        self.formats.extend(NumberFormat::parse(code).map(|format| (number, format)));
    }

    /// Adds a format that files do not contain, unless this one has another with its number.
    pub(super) fn add_standard(&mut self, number: u16) {
        if let Some(format) = standard(number).and_then(NumberFormat::parse) {
            self.formats.entry(number).or_insert(format);
        }
    }

    /// Starts the next sheet.
    pub(super) fn sheet<'a>(&'a mut self, styles: &'a [u16]) -> SheetFormats<'a> {
        SheetFormats { formats: self, styles, cells: Vec::new() }
    }

    /// The format of a cell; sheets, rows and columns are counted from 0.
    pub(super) fn format(&self, sheet: usize, row: u32, column: u32) -> Option<&NumberFormat> {
        let cells = self.sheets.get(sheet)?;
        let wanted = place(row, column);
        let found = cells.binary_search_by_key(&wanted, |(place, _)| *place).ok()?;
        self.formats.get(&cells[found].1)
    }
}

impl SheetFormats<'_> {
    pub(super) fn add(&mut self, row: u32, column: u32, style: usize) {
        if let Some(number) = self.styles.get(style).filter(|number| self.formats.formats.contains_key(*number)) {
            self.cells.push((place(row, column), *number));
        }
    }

    pub(super) fn end(mut self) {
        self.cells.sort_unstable();
        self.formats.sheets.push(self.cells);
    }
}

/// Row and column in one number.
fn place(row: u32, column: u32) -> u64 {
    (u64::from(row) << 32) | u64::from(column)
}

/// The formats that files do not contain, but for dates in the order of the reader's system.
fn standard(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "0",
        2 => "0.00",
        3 => "#,##0",
        4 => "#,##0.00",
        5 | 6 => "$#,##0_);($#,##0)",
        7 | 8 => "$#,##0.00_);($#,##0.00)",
        9 => "0%",
        10 => "0.00%",
        11 => "0.00E+00",
        15 => "d-mmm-yy",
        16 => "d-mmm",
        17 => "mmm-yy",
        18 => "h:mm AM/PM",
        19 => "h:mm:ss AM/PM",
        20 => "h:mm",
        21 => "h:mm:ss",
        37 | 38 => "#,##0_);(#,##0)",
        39 | 40 => "#,##0.00_);(#,##0.00)",
        41 => "_(* #,##0_);_(* (#,##0);_(* \"-\"_)",
        42 => "_($* #,##0_);_($* (#,##0);_($* \"-\"_)",
        43 => "_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_)",
        44 => "_($* #,##0.00_);_($* (#,##0.00);_($* \"-\"??_)",
        45 => "mm:ss",
        46 => "[h]:mm:ss",
        47 => "mm:ss.0",
        48 => "##0.0E+0",
        _ => return None,
    })
}
