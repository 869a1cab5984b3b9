//! How cells of XLS and XLSB show their numbers: by the number formats of their styles.

use std::collections::HashMap;

use calamine::{Data, ExcelDateTime, ExcelDateTimeType};

use super::cell_values::formatted;
use super::number_format::{NumberFormat, NumberKind, SYSTEM_DATES};

/// The number formats of a workbook, and which of them each style of cells has.
#[derive(Default)]
pub(super) struct CellFormats {
    formats: HashMap<u16, NumberFormat>,
    /// The number of the format of each style of cells.
    styles: Vec<u16>,
    /// Whether dates count from 1904.
    pub(super) is_1904: bool,
}

impl CellFormats {
    /// Adds a format that the file contains.
    pub(super) fn add(&mut self, number: u16, code: &str) {
        if !SYSTEM_DATES.contains(&number.into()) {
            self.formats.extend(NumberFormat::parse(code).map(|format| (number, format)));
        }
    }

    /// Adds the next style of cells, behind the formats.
    pub(super) fn add_style(&mut self, number: u16) {
        self.styles.push(number);
        if let Some(format) = standard(number).and_then(NumberFormat::parse) {
            self.formats.entry(number).or_insert(format);
        }
    }

    /// A number as a cell of a style shows it.
    pub(super) fn shown(&self, style: usize, value: f64) -> String {
        let number = self.styles.get(style).copied().unwrap_or(0);
        let format = self.formats.get(&number);
        let kind = format.map_or_else(|| standard_kind(number), NumberFormat::kind);
        let time = |kind| Data::DateTime(ExcelDateTime::new(value, kind, self.is_1904));
        let value = match kind {
            NumberKind::Number => Data::Float(value),
            NumberKind::Time => time(ExcelDateTimeType::DateTime),
            NumberKind::Duration => time(ExcelDateTimeType::TimeDelta),
        };
        formatted(&value, format)
    }
}

/// What the formats show that files do not contain, and whose form follows the reader's system.
fn standard_kind(number: u16) -> NumberKind {
    match number {
        14..=22 | 27..=36 | 45 | 47 | 50..=58 => NumberKind::Time,
        _ => NumberKind::Number,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_show_numbers_by_the_formats_of_their_styles() {
        let mut formats = CellFormats::default();
        formats.add(14, "m/d/yy");
        formats.add(164, "0.0\" km\"");
        [0, 9, 14, 164, 46].into_iter().for_each(|number| formats.add_style(number));
        let shown = |style, value| formats.shown(style, value);
        assert_eq!([shown(0, 0.5), shown(1, 0.5), shown(3, 0.5)], ["0.5", "50%", "0.5 km"]);
        assert_eq!([shown(2, 45_963.0), shown(4, 1.5), shown(9, 7.0)], ["2025-11-02", "36:00:00", "7"]);
        formats.is_1904 = true;
        assert_eq!(formats.shown(2, 44_501.0), "2025-11-02");
    }
}
