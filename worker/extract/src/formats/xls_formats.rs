//! The number formats of cells of XLS files.

use std::io::{Read, Seek};

use cfb::CompoundFile;
use encoding_rs::{UTF_16LE, WINDOWS_1252};

use super::cell_formats::{CellFormats, SheetFormats};
use super::doc::{number16, number32, stream};

/// Records of the workbook.
const START: u16 = 0x0809;
const END: u16 = 0x000A;
const SHEET: u16 = 0x0085;
const FORMAT: u16 = 0x041E;
const CELL_STYLE: u16 = 0x00E0;
/// Records of cells with a number: one, a short one, a result, and several short ones.
const NUMBER: u16 = 0x0203;
const SHORT: u16 = 0x027E;
const RESULT: u16 = 0x0006;
const SHORTS: u16 = 0x00BD;
/// The format of Excel 97.
const EXCEL_97: u16 = 0x0600;

/// Reads the formats; `None`: the container is damaged, or has no workbook.
pub(super) fn read<R: Read + Seek>(reader: R) -> Option<CellFormats> {
    let mut container = CompoundFile::open(reader).ok()?;
    let name = ["/Workbook", "/Book"].into_iter().find(|name| container.exists(name))?;
    let stream = stream(&mut container, name).ok()?;
    let mut formats = CellFormats::default();
    let (mut sheets, mut styles) = (Vec::new(), Vec::new());
    let mut is_wide = true;
    for (kind, record) in (Records { bytes: &stream }) {
        match kind {
            START => is_wide = number16(record, 0) == Some(EXCEL_97),
            SHEET => sheets.push(number32(record, 0)? as usize),
            FORMAT => {
                if let Some(number) = number16(record, 0)
                    && let Some(code) = format_code(record, is_wide)
                {
                    formats.add(number, &code);
                }
            }
            CELL_STYLE => styles.push(number16(record, 2).unwrap_or(0)),
            END => break,
            _ => {}
        }
    }
    styles.iter().for_each(|number| formats.add_standard(*number));
    for start in sheets {
        add_sheet(stream.get(start..).unwrap_or_default(), formats.sheet(&styles));
    }
    Some(formats)
}

/// Adds the cells of a sheet whose records begin the bytes.
fn add_sheet(bytes: &[u8], mut formats: SheetFormats<'_>) {
    let mut add = |row: Option<u16>, column: Option<u16>, style: Option<u16>| {
        if let (Some(row), Some(column), Some(style)) = (row, column, style) {
            formats.add(row.into(), column.into(), style.into());
        }
    };
    // Charts within a sheet have cells of their own.
    let mut depth = 0_usize;
    for (kind, record) in (Records { bytes }) {
        let at = |place| number16(record, place);
        match kind {
            START => depth += 1,
            END if depth <= 1 => break,
            END => depth -= 1,
            NUMBER | SHORT | RESULT if depth == 1 => add(at(0), at(2), at(4)),
            SHORTS if depth == 1 => {
                let count = record.len().saturating_sub(6) / 6;
                for n in 0..count {
                    let column = at(2).and_then(|first| first.checked_add(u16::try_from(n).ok()?));
                    add(at(0), column, at(4 + n * 6));
                }
            }
            _ => {}
        }
    }
    formats.end();
}

/// The records of a stream: kind and bytes.
struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = (number16(self.bytes, 0)?, usize::from(number16(self.bytes, 2)?));
        let record = self.bytes.get(4..4 + length)?;
        self.bytes = &self.bytes[4 + length..];
        Some((kind, record))
    }
}

/// The code of a record of a format; before Excel 97 without UTF-16.
fn format_code(record: &[u8], is_wide: bool) -> Option<String> {
    if !is_wide {
        let length = usize::from(*record.get(2)?);
        return Some(WINDOWS_1252.decode_without_bom_handling(record.get(3..3 + length)?).0.into_owned());
    }
    let (length, flags) = (usize::from(number16(record, 2)?), *record.get(4)?);
    let code = match flags & 1 {
        // The upper bytes are left out: this is Latin-1.
        0 => record.get(5..5 + length)?.iter().map(|byte| char::from(*byte)).collect(),
        _ => UTF_16LE.decode_without_bom_handling(record.get(5..5 + length * 2)?).0.into_owned(),
    };
    Some(code)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn record(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
        let data = parts.concat();
        let length = u16::try_from(data.len()).expect("short");
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), &data].concat()
    }

    fn numbers(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn cells_have_the_formats_of_their_styles() {
        let code = b"0.0\" km\"";
        let length = numbers(&[u16::try_from(code.len()).expect("short")]);
        let globals = |start: u32| {
            [
                record(START, &[&numbers(&[EXCEL_97, 5])]),
                record(FORMAT, &[&numbers(&[164]), &length, &[0], code]),
                record(CELL_STYLE, &[&numbers(&[0, 0])]),
                record(CELL_STYLE, &[&numbers(&[0, 9])]),
                record(CELL_STYLE, &[&numbers(&[0, 164])]),
                record(SHEET, &[&start.to_le_bytes(), &[0; 4]]),
                record(END, &[]),
            ]
            .concat()
        };
        let start = u32::try_from(globals(0).len()).expect("short");
        let sheet = [
            record(START, &[&numbers(&[EXCEL_97, 16])]),
            record(NUMBER, &[&numbers(&[0, 0, 0]), &1.0_f64.to_le_bytes()]),
            record(NUMBER, &[&numbers(&[0, 1, 1]), &0.5_f64.to_le_bytes()]),
            record(START, &[&numbers(&[EXCEL_97, 32])]),
            record(NUMBER, &[&numbers(&[7, 7, 1]), &0.5_f64.to_le_bytes()]),
            record(END, &[]),
            record(SHORTS, &[&numbers(&[3, 4, 2, 0, 0, 1, 0, 0, 5])]),
            record(END, &[]),
        ]
        .concat();
        let mut container = CompoundFile::create(Cursor::new(Vec::new())).expect("in memory");
        let mut stream = container.create_stream("/Workbook").expect("in memory");
        stream.write_all(&[globals(start), sheet].concat()).expect("in memory");
        stream.flush().expect("in memory");
        drop(stream);
        container.flush().expect("in memory");
        let formats = read(container.into_inner()).expect("a workbook");
        let shown = |row, column| formats.format(0, row, column).and_then(|format| format.number(0.5));
        assert_eq!(shown(0, 0), None);
        assert_eq!(shown(0, 1).as_deref(), Some("50%"));
        assert_eq!(shown(3, 4).as_deref(), Some("0.5 km"));
        assert_eq!(shown(3, 5).as_deref(), Some("50%"));
        assert_eq!(shown(7, 7), None, "a cell of a chart");
        assert!(formats.format(1, 0, 1).is_none(), "a sheet that is not there");
    }
}
