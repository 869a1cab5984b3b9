//! Workbooks of XLSB (MS-XLSB): the parts of an XLSX workbook as records of bytes.

use encoding_rs::UTF_16LE;

use super::archive::{Archive, Relationship};
use super::builder::DocumentBuilder;
use super::cell_formats::CellFormats;
use super::cell_values::{boolean, error, packed_number};
use super::doc::{number16, number32};
use super::markup::first_text;
use super::sheets::{Rows, Sheet, add_sheets, damaged};
use crate::{ExtractLimits, FileError, MediaType};

/// Records of the workbook, of shared texts, and of styles.
const PROPERTIES: u16 = 0x99;
const SHEET: u16 = 0x9C;
const SHEETS_END: u16 = 0x90;
const SHARED_TEXT: u16 = 0x13;
const FORMAT: u16 = 0x2C;
const CELL_STYLE: u16 = 0x2F;
const CELL_STYLES_START: u16 = 0x269;
const CELL_STYLES_END: u16 = 0x26A;
/// Records of sheets: rows, and cells with a value or a result.
const CELLS_END: u16 = 0x92;
const ROW: u16 = 0x00;
const PACKED_NUMBER: u16 = 0x02;
const ERROR: u16 = 0x03;
const BOOLEAN: u16 = 0x04;
const NUMBER: u16 = 0x05;
const TEXT: u16 = 0x06;
const SHARED: u16 = 0x07;
const RESULT_TEXT: u16 = 0x08;
const RESULT_NUMBER: u16 = 0x09;
const RESULT_BOOLEAN: u16 = 0x0A;
const RESULT_ERROR: u16 = 0x0B;
const RICH_TEXT: u16 = 0x3E;

/// The state of a sheet that only programs see.
const VERY_HIDDEN: u32 = 2;

/// Reads the main part of a workbook.
pub(super) fn read(
    archive: &mut Archive,
    main: &str,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    if let Some(properties) = archive.text("docProps/core.xml")? {
        builder.title(&first_text(&properties, "title")?);
        builder.property("author", &first_text(&properties, "creator")?);
    }
    let related = archive.relationships(main)?;
    let mut part = |kind: &str| match related.iter().find(|part| part.kind == kind) {
        Some(part) => archive.bytes(&part.target).map(Option::unwrap_or_default),
        None => Ok(Vec::new()),
    };
    let mut workbook = Workbook { texts: shared_texts(&part("sharedStrings")?), formats: formats(&part("styles")?) };
    let (sheets, parts): (Vec<_>, Vec<_>) =
        workbook.sheets(&archive.bytes(main)?.unwrap_or_default(), &related)?.into_iter().unzip();
    add_sheets(&sheets, MediaType::Xlsb, limits, builder, |place, rows, _| {
        let part: &Relationship = &parts[place];
        if matches!(part.kind.as_str(), "chartsheet" | "dialogsheet") {
            return Ok(());
        }
        workbook.add_cells(&archive.bytes(&part.target)?.unwrap_or_default(), rows)
    })
}

struct Workbook {
    texts: Vec<String>,
    formats: CellFormats,
}

impl Workbook {
    /// The sheets in their order, each with its part.
    fn sheets(&mut self, bytes: &[u8], related: &[Relationship]) -> Result<Vec<(Sheet, Relationship)>, FileError> {
        let mut sheets = Vec::new();
        for (kind, record) in (Records { bytes }) {
            match kind {
                PROPERTIES => self.formats.is_1904 = record.first().is_some_and(|flags| flags & 1 != 0),
                SHEET => {
                    // Its state and number come first.
                    let Some((id, name_at)) = wide_text(record, 8) else { continue };
                    let name = wide_text(record, name_at).ok_or_else(damaged)?.0;
                    let part = related.iter().find(|part| part.id == id).ok_or_else(damaged)?;
                    sheets
                        .push((Sheet { name, is_very_hidden: number32(record, 0) == Some(VERY_HIDDEN) }, part.clone()));
                }
                SHEETS_END => return Ok(sheets),
                _ => {}
            }
        }
        Err(damaged())
    }

    fn add_cells(&self, bytes: &[u8], rows: &mut Rows) -> Result<(), FileError> {
        let mut row = 0;
        for (kind, record) in (Records { bytes }) {
            match kind {
                ROW => row = number32(record, 0).ok_or_else(damaged)?,
                CELLS_END => return Ok(()),
                PACKED_NUMBER | ERROR | BOOLEAN | NUMBER | TEXT | SHARED | RESULT_TEXT | RESULT_NUMBER
                | RESULT_BOOLEAN | RESULT_ERROR | RICH_TEXT => {
                    let column = number32(record, 0).ok_or_else(damaged)?;
                    self.add_cell(kind, record, |text| rows.add(row, column, text)).ok_or_else(damaged)??;
                }
                _ => {}
            }
        }
        Err(damaged())
    }

    /// Adds the text of a cell; `None`: its record is damaged.
    fn add_cell(
        &self,
        kind: u16,
        record: &[u8],
        add: impl FnOnce(&str) -> Result<(), FileError>,
    ) -> Option<Result<(), FileError>> {
        // The upper byte has flags.
        let style = (number32(record, 4)? & 0xFF_FFFF) as usize;
        Some(match kind {
            PACKED_NUMBER => add(&self.formats.shown(style, packed_number(number32(record, 8)?))),
            NUMBER | RESULT_NUMBER => {
                let bytes = record.get(8..16)?.try_into().ok()?;
                add(&self.formats.shown(style, f64::from_le_bytes(bytes)))
            }
            BOOLEAN | RESULT_BOOLEAN => add(boolean(*record.get(8)? != 0)),
            ERROR | RESULT_ERROR => add(error(*record.get(8)?)),
            SHARED => add(self.texts.get(number32(record, 8)? as usize)?),
            // Flags come first.
            RICH_TEXT => add(&wide_text(record, 9)?.0),
            _ => add(&wide_text(record, 8)?.0),
        })
    }
}

fn shared_texts(bytes: &[u8]) -> Vec<String> {
    let texts = (Records { bytes }).filter(|(kind, _)| *kind == SHARED_TEXT);
    // Flags come first.
    texts.map(|(_, record)| wide_text(record, 1).unwrap_or_default().0).collect()
}

fn formats(bytes: &[u8]) -> CellFormats {
    let mut formats = CellFormats::default();
    let mut in_cell_styles = false;
    for (kind, record) in (Records { bytes }) {
        match kind {
            FORMAT => {
                if let (Some(number), Some((code, _))) = (number16(record, 0), wide_text(record, 2)) {
                    formats.add(number, &code);
                }
            }
            CELL_STYLES_START => in_cell_styles = true,
            CELL_STYLES_END => break,
            CELL_STYLE if in_cell_styles => formats.add_style(number16(record, 2).unwrap_or(0)),
            _ => {}
        }
    }
    formats
}

/// A text in UTF-16 behind its number of units, and the place behind it.
fn wide_text(record: &[u8], at: usize) -> Option<(String, usize)> {
    let units = number32(record, at)? as usize;
    let end = units.checked_mul(2)?.checked_add(at + 4)?;
    Some((UTF_16LE.decode_without_bom_handling(record.get(at + 4..end)?).0.into_owned(), end))
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
    use crate::FileErrorKind;
    use crate::formats::builder::build;

    fn record(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
        let data = parts.concat();
        let kind = match kind {
            0..0x80 => vec![kind as u8],
            _ => vec![(kind & 0x7F) as u8 | 0x80, (kind >> 7) as u8],
        };
        [kind, vec![u8::try_from(data.len()).expect("short")], data].concat()
    }

    fn wide(text: &str) -> Vec<u8> {
        let units: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&(units.len() as u32 / 2).to_le_bytes()[..], &units].concat()
    }

    fn workbook() -> Workbook {
        let style = |format: u16| record(CELL_STYLE, &[&[0, 0], &format.to_le_bytes(), &[0; 12]]);
        let styles = [
            record(FORMAT, &[&164_u16.to_le_bytes(), &wide("0.0 \"km\"")]),
            style(9),
            record(CELL_STYLES_START, &[&3_u32.to_le_bytes()]),
            style(0),
            style(9),
            style(164),
            style(14),
            record(CELL_STYLES_END, &[]),
        ]
        .concat();
        let texts = [record(SHARED_TEXT, &[&[0], &wide("first")]), record(SHARED_TEXT, &[&[1], &wide("second"), &[9]])];
        Workbook { texts: shared_texts(&texts.concat()), formats: formats(&styles) }
    }

    #[test]
    fn cells_show_values_as_their_styles_say() {
        let cell = |kind: u16, column: u32, style: u32, value: &[u8]| {
            record(kind, &[&column.to_le_bytes(), &style.to_le_bytes(), value])
        };
        let half = 0.5_f64.to_le_bytes();
        let sheet = [
            record(ROW, &[&70_000_u32.to_le_bytes(), &[0; 13]]),
            cell(NUMBER, 0, 0, &half),
            cell(RESULT_NUMBER, 1, 1, &half),
            cell(NUMBER, 2, 0x0100_0002, &half),
            cell(PACKED_NUMBER, 3, 3, &((45_963_u32 << 2) | 2).to_le_bytes()),
            cell(SHARED, 4, 0, &1_u32.to_le_bytes()),
            record(ROW, &[&70_001_u32.to_le_bytes(), &[0; 13]]),
            cell(TEXT, 0, 0, &wide("own")),
            cell(RESULT_TEXT, 1, 0, &wide("result")),
            cell(RICH_TEXT, 2, 0, &[&[1][..], &wide("rich")].concat()),
            cell(RESULT_BOOLEAN, 3, 0, &[1]),
            cell(ERROR, 4, 0, &[7]),
        ]
        .concat();
        let shown = |sheet: &[u8]| {
            let limits = ExtractLimits::default();
            let mut rows = Rows::new(&limits);
            let read = workbook().add_cells(sheet, &mut rows);
            let document = build(&limits, |builder| rows.add_to(builder, "Sheet")).expect("has text");
            (read, document.text)
        };
        let text = "Sheet\n\n0.5 | 50% | 0.5 km | 2025-11-02 | second\nown | result | rich | TRUE | #DIV/0!";
        assert_eq!(shown(&[&sheet[..], &record(CELLS_END, &[])].concat()), (Ok(()), text.to_owned()));
        let (cut, kept) = shown(&sheet);
        assert_eq!((cut.expect_err("no end").kind, kept.as_str()), (FileErrorKind::Corrupt, text));
    }

    #[test]
    fn sheets_have_names_states_and_parts() {
        let sheet = |state: u32, id: &[u8], name: &str| {
            record(SHEET, &[&state.to_le_bytes(), &1_u32.to_le_bytes(), id, &wide(name)])
        };
        let part =
            |id: &str| Relationship { id: id.to_owned(), kind: "worksheet".to_owned(), target: format!("{id}.bin") };
        let bytes = [
            record(PROPERTIES, &[&[1, 0, 0, 0]]),
            sheet(0, &wide("a"), "One"),
            sheet(1, &u32::MAX.to_le_bytes(), "without a part"),
            sheet(2, &wide("b"), "Two"),
        ]
        .concat();
        let mut workbook = workbook();
        let related = [part("b"), part("a")];
        assert!(workbook.sheets(&bytes, &related).is_err(), "cut short");
        let sheets = workbook.sheets(&[&bytes[..], &record(SHEETS_END, &[])].concat(), &related).expect("whole");
        let found: Vec<_> =
            sheets.iter().map(|(sheet, part)| (&*sheet.name, sheet.is_very_hidden, &*part.target)).collect();
        assert_eq!(found, [("One", false, "a.bin"), ("Two", true, "b.bin")]);
        assert!(workbook.formats.is_1904);
    }
}
