//! The number formats of cells of XLSB files.

use encoding_rs::UTF_16LE;

use super::archive::Archive;
use super::cell_formats::{CellFormats, SheetFormats};
use super::doc::{number16, number32};

/// Records of the workbook, of styles, and of sheets.
const SHEET: u16 = 0x9C;
const FORMAT: u16 = 0x2C;
const CELL_STYLE: u16 = 0x2F;
const CELL_STYLES_START: u16 = 0x269;
const CELL_STYLES_END: u16 = 0x26A;
const ROW: u16 = 0x00;
/// Records of cells with a number: a short one, a long one, a result.
const SHORT: u16 = 0x02;
const NUMBER: u16 = 0x05;
const RESULT: u16 = 0x09;

/// Reads the formats; `None`: a part is missing or damaged. Values are read all the same.
pub(super) fn read(archive: &mut Archive, main: &str) -> Option<CellFormats> {
    let related = archive.relationships(main).ok()?;
    let styles = related.iter().find(|part| part.kind == "styles")?;
    let styles = archive.bytes(&styles.target).ok()??;
    let mut formats = CellFormats::default();
    let styles = add_styles(&styles, &mut formats);
    let workbook = archive.bytes(main).ok()??;
    for (kind, record) in (Records { bytes: &workbook }) {
        if kind != SHEET {
            continue;
        }
        // Its state and number come first.
        let Some(id) = wide_text(record, 8) else { continue };
        let part = related.iter().find(|part| part.id == id)?;
        let sheet = archive.bytes(&part.target).ok()?.unwrap_or_default();
        add_sheet(&sheet, formats.sheet(&styles));
    }
    Some(formats)
}

/// Adds the formats; returns the number of the format of each style of cells.
fn add_styles(bytes: &[u8], formats: &mut CellFormats) -> Vec<u16> {
    let mut styles = Vec::new();
    let mut in_cell_styles = false;
    for (kind, record) in (Records { bytes }) {
        match kind {
            FORMAT => {
                if let (Some(number), Some(code)) = (number16(record, 0), wide_text(record, 2)) {
                    formats.add(number, &code);
                }
            }
            CELL_STYLES_START => in_cell_styles = true,
            CELL_STYLES_END => break,
            CELL_STYLE if in_cell_styles => styles.push(number16(record, 2).unwrap_or(0)),
            _ => {}
        }
    }
    styles.iter().for_each(|number| formats.add_standard(*number));
    styles
}

fn add_sheet(bytes: &[u8], mut formats: SheetFormats<'_>) {
    let mut row = 0;
    for (kind, record) in (Records { bytes }) {
        match kind {
            ROW => row = number32(record, 0).unwrap_or(row),
            SHORT | NUMBER | RESULT => {
                if let (Some(column), Some(style)) = (number32(record, 0), number32(record, 4)) {
                    // The upper byte has flags.
                    formats.add(row, column, (style & 0xFF_FFFF) as usize);
                }
            }
            _ => {}
        }
    }
    formats.end();
}

/// A text in UTF-16 behind its number of units.
fn wide_text(record: &[u8], at: usize) -> Option<String> {
    let units = number32(record, at)? as usize;
    let bytes = record.get(at + 4..units.checked_mul(2)?.checked_add(at + 4)?)?;
    Some(UTF_16LE.decode_without_bom_handling(bytes).0.into_owned())
}

/// The records of a part: kind and bytes. Both numbers before a record have seven bits in a byte.
struct Records<'a> {
    bytes: &'a [u8],
}

impl Records<'_> {
    fn number(&mut self, max_bytes: u32) -> Option<u32> {
        let mut number = 0;
        for n in 0..max_bytes {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u32::from(byte & 0x7F) << (7 * n);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = (self.number(2)?, self.number(4)? as usize);
        let record = self.bytes.get(..length)?;
        self.bytes = &self.bytes[length..];
        Some((u16::try_from(kind).ok()?, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
        let data = parts.concat();
        let kind = match kind {
            0..0x80 => vec![kind as u8],
            _ => vec![(kind & 0x7F) as u8 | 0x80, (kind >> 7) as u8],
        };
        [kind, vec![u8::try_from(data.len()).expect("short")], data].concat()
    }

    #[test]
    fn cells_have_the_formats_of_their_styles() {
        let code: Vec<u8> = "0.0 \"km\"".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = (code.len() as u32 / 2).to_le_bytes();
        let style = |format: u16| record(CELL_STYLE, &[&[0, 0], &format.to_le_bytes(), &[0; 12]]);
        let styles = [
            record(FORMAT, &[&164_u16.to_le_bytes(), &length, &code]),
            style(9),
            record(CELL_STYLES_START, &[&2_u32.to_le_bytes()]),
            style(0),
            style(9),
            style(164),
            record(CELL_STYLES_END, &[]),
        ]
        .concat();
        let cell = |kind: u16, column: u32, style: u32| {
            record(kind, &[&column.to_le_bytes(), &style.to_le_bytes(), &0.5_f64.to_le_bytes()])
        };
        let sheet = [
            record(ROW, &[&70_000_u32.to_le_bytes(), &[0; 13]]),
            cell(NUMBER, 0, 0),
            cell(RESULT, 1, 1),
            cell(SHORT, 300, 0x0100_0002),
        ]
        .concat();
        let mut formats = CellFormats::default();
        let styles = add_styles(&styles, &mut formats);
        assert_eq!(styles, [0, 9, 164]);
        add_sheet(&sheet, formats.sheet(&styles));
        let shown = |column| formats.format(0, 70_000, column).and_then(|format| format.number(0.5));
        assert_eq!([shown(0), shown(1), shown(300)], [None, Some("50%".to_owned()), Some("0.5 km".to_owned())]);
        assert!(formats.format(1, 0, 0).is_none(), "a sheet that is not there");
    }
}
