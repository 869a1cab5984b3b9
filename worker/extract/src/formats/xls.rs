//! Workbooks of before 2007 (MS-XLS) from Excel 5 on: the records of a stream.

use std::borrow::Cow;
use std::io::{Read, Seek};

use cfb::CompoundFile;
use encoding_rs::Encoding;

use super::builder::DocumentBuilder;
use super::cell_formats::CellFormats;
use super::cell_values::{boolean, error, packed_number};
use super::doc::{number16, number32, stream};
use super::rtf_encodings;
use super::sheets::{Rows, Sheet, add_sheets, damaged, encrypted};
use super::summary;
use super::xls_texts::{Texts, bytes_or_wide};
use crate::{ExtractLimits, FileError, MediaType};

/// Records of the workbook.
const START: u16 = 0x0809;
const END: u16 = 0x000A;
const CONTINUED: u16 = 0x003C;
const PASSWORD: u16 = 0x002F;
const CODE_PAGE: u16 = 0x0042;
const DATES_FROM_1904: u16 = 0x0022;
const FORMAT: u16 = 0x041E;
const CELL_STYLE: u16 = 0x00E0;
const SHEET: u16 = 0x0085;
const SHARED_TEXTS: u16 = 0x00FC;
/// Records of cells: row, column, style and value.
const NUMBER: u16 = 0x0203;
const PACKED_NUMBER: u16 = 0x027E;
const PACKED_NUMBERS: u16 = 0x00BD;
const TEXT: u16 = 0x0204;
const RICH_TEXT: u16 = 0x00D6;
const SHARED_TEXT: u16 = 0x00FD;
const BOOLEAN_OR_ERROR: u16 = 0x0205;
const RESULT: u16 = 0x0006;
/// What the cells behind are in a sheet that is a chart.
const CHART_LIST: u16 = 0x1065;
const CATEGORIES: u16 = 2;
/// The text of the result before.
const RESULT_TEXT: u16 = 0x0207;

/// The format before Excel 97.
const EXCEL_5: u16 = 0x0500;
/// The code page of Western Europe, which most writers name, or none.
const WESTERN: u16 = 1252;
/// The state of a sheet that only programs see.
const VERY_HIDDEN: u8 = 2;

/// Whether a container has a workbook.
pub(super) fn stream_name<F: Read + Seek>(container: &CompoundFile<F>) -> Option<&'static str> {
    ["/Workbook", "/Book"].into_iter().find(|name| container.exists(name))
}

/// Reads a workbook.
pub(super) fn read<F: Read + Seek>(
    container: &mut CompoundFile<F>,
    name: &str,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    summary::add(container, builder);
    let bytes = stream(container, name)?;
    let workbook = Workbook::new(&bytes)?;
    add_sheets(&workbook.sheets, MediaType::Xls, limits, builder, |place, rows, _| workbook.add_cells(place, rows))
}

struct Workbook<'a> {
    bytes: &'a [u8],
    sheets: Vec<Sheet>,
    /// The place of each sheet in the stream.
    places: Vec<usize>,
    texts: Vec<String>,
    formats: CellFormats,
    encoding: &'static Encoding,
    /// Whether texts say if they are in UTF-16, as from Excel 97 on.
    has_wide_texts: bool,
}

/// A filled cell: its row and column, and its text.
type Cell<'a> = (u16, u16, Cow<'a, str>);

impl<'a> Workbook<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, FileError> {
        let mut workbook = Self {
            bytes,
            sheets: Vec::new(),
            places: Vec::new(),
            texts: Vec::new(),
            formats: CellFormats::default(),
            encoding: rtf_encodings::encoding(WESTERN.into()),
            has_wide_texts: true,
        };
        let mut records = Records { bytes };
        while let Some((kind, record)) = records.next() {
            match kind {
                START => workbook.has_wide_texts = number16(record, 0) != Some(EXCEL_5),
                PASSWORD => return Err(encrypted()),
                CODE_PAGE => {
                    let page = number16(record, 0).unwrap_or(WESTERN);
                    workbook.encoding = rtf_encodings::encoding(page.into());
                }
                DATES_FROM_1904 => workbook.formats.is_1904 = number16(record, 0) == Some(1),
                FORMAT => workbook.add_format(record),
                CELL_STYLE => workbook.formats.add_style(number16(record, 2).unwrap_or(0)),
                SHEET => workbook.add_sheet(record).ok_or_else(damaged)?,
                SHARED_TEXTS => workbook.texts = records.texts(record).shared().ok_or_else(damaged)?,
                END => return Ok(workbook),
                _ => {}
            }
        }
        if bytes.is_empty() || !records.bytes.is_empty() { Err(damaged()) } else { Ok(workbook) }
    }

    fn add_format(&mut self, record: &[u8]) {
        let Some(number) = number16(record, 0) else { return };
        let code = match self.has_wide_texts {
            true => Texts::new(record.get(2..).unwrap_or_default(), Vec::new()).text(),
            false => self.short_text(record, 2),
        };
        if let Some(code) = code {
            self.formats.add(number, &code);
        }
    }

    fn add_sheet(&mut self, record: &[u8]) -> Option<()> {
        let name = match self.has_wide_texts {
            true => {
                let units = usize::from(*record.get(6)?);
                let is_wide = record.get(7)? & 1 != 0;
                bytes_or_wide(record.get(8..)?, units, is_wide).0
            }
            false => self.short_text(record, 6)?,
        };
        self.places.push(number32(record, 0)? as usize);
        self.sheets.push(Sheet { name: name.replace('\0', ""), is_very_hidden: record.get(4)? & 3 == VERY_HIDDEN });
        Some(())
    }

    /// A text behind its number of bytes, as before Excel 97.
    fn short_text(&self, record: &[u8], at: usize) -> Option<String> {
        let length = usize::from(*record.get(at)?);
        let bytes = record.get(at + 1..(at + 1).checked_add(length)?)?;
        Some(self.encoding.decode_without_bom_handling(bytes).0.into_owned())
    }

    /// Adds the cells of a sheet row by row: some writers write them in the order in which they were set.
    fn add_cells(&self, place: usize, rows: &mut Rows) -> Result<(), FileError> {
        let (mut cells, read) = self.cells(self.places[place]);
        if !cells.is_sorted_by_key(|(row, column, _)| (*row, *column)) {
            cells.sort_by_key(|(row, column, _)| (*row, *column));
        }
        for (row, column, text) in cells {
            rows.add(row.into(), column.into(), &text)?;
        }
        read.ok_or_else(damaged)
    }

    /// The cells of a sheet, up to the damage if there is one.
    fn cells(&self, start: usize) -> (Vec<Cell<'_>>, Option<()>) {
        let mut cells = Vec::new();
        let mut records = Records { bytes: self.bytes.get(start..).unwrap_or_default() };
        // Charts within a sheet have cells of their own.
        let mut depth = 0_usize;
        let mut result = (0, 0);
        let mut chart_list = None;
        while let Some((kind, record)) = records.next() {
            match kind {
                START => depth += 1,
                END if depth <= 1 => return (cells, Some(())),
                END => depth -= 1,
                _ if depth != 1 => {}
                CHART_LIST => chart_list = number16(record, 0),
                RESULT_TEXT => {
                    let text = self.text(record, 0, &mut records);
                    cells.extend(text.map(|text| (result.0, result.1, Cow::Owned(text))));
                }
                TEXT | RICH_TEXT | NUMBER | PACKED_NUMBER | PACKED_NUMBERS | SHARED_TEXT | BOOLEAN_OR_ERROR
                | RESULT => {
                    let (Some(row), Some(column)) = (number16(record, 0), number16(record, 2)) else {
                        return (cells, None);
                    };
                    // Categories and values of a series have the same place.
                    let column = match chart_list {
                        Some(CATEGORIES) => column.saturating_mul(2),
                        Some(_) => column.saturating_mul(2).saturating_add(1),
                        None => column,
                    };
                    result = (row, column);
                    if kind == PACKED_NUMBERS {
                        let values = record[4..].chunks_exact(6).map(|value| self.packed(value, 0).unwrap_or_default());
                        cells
                            .extend((column..=u16::MAX).zip(values).map(|(column, value)| (row, column, value.into())));
                    } else if let Some(text) = self.value(kind, record, &mut records) {
                        cells.push((row, column, text));
                    }
                }
                _ => {}
            }
        }
        // Some writers leave out the end.
        (cells, records.bytes.is_empty().then_some(()))
    }

    /// The text of a cell; `None`: its text follows, or the record is too short.
    fn value<'r>(&self, kind: u16, record: &'r [u8], records: &mut Records<'r>) -> Option<Cow<'_, str>> {
        Some(match kind {
            SHARED_TEXT => self.texts.get(number32(record, 6)? as usize)?.into(),
            NUMBER => self.number(record)?.into(),
            PACKED_NUMBER => self.packed(record, 4)?.into(),
            BOOLEAN_OR_ERROR => boolean_or_error(*record.get(7)?, *record.get(6)?).into(),
            RESULT if record.get(12..14)? == [0xFF, 0xFF] => match record[6] {
                1 => boolean_or_error(0, record[8]).into(),
                2 => boolean_or_error(1, record[8]).into(),
                _ => return None,
            },
            RESULT => self.number(record)?.into(),
            _ => self.text(record, 6, records)?.into(),
        })
    }

    /// The number behind row, column and style.
    fn number(&self, record: &[u8]) -> Option<String> {
        let value = f64::from_le_bytes(record.get(6..14)?.try_into().ok()?);
        Some(self.formats.shown(number16(record, 4)?.into(), value))
    }

    /// A style and a packed number.
    fn packed(&self, record: &[u8], at: usize) -> Option<String> {
        Some(self.formats.shown(number16(record, at)?.into(), packed_number(number32(record, at + 2)?)))
    }

    /// A text behind its length, which may go on in further records.
    fn text<'r>(&self, record: &'r [u8], at: usize, records: &mut Records<'r>) -> Option<String> {
        if self.has_wide_texts {
            return records.texts(record.get(at..)?).text();
        }
        let length = usize::from(number16(record, at)?);
        let bytes = record.get(at + 2..)?;
        Some(self.encoding.decode_without_bom_handling(bytes.get(..length).unwrap_or(bytes)).0.into_owned())
    }
}

fn boolean_or_error(is_error: u8, value: u8) -> &'static str {
    if is_error == 0 { boolean(value != 0) } else { error(value) }
}

/// The records of a stream: kind and bytes.
struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// The texts of a record and of those that continue it.
    fn texts(&mut self, record: &'a [u8]) -> Texts<'a> {
        let mut further = Vec::new();
        while number16(self.bytes, 0) == Some(CONTINUED) {
            let Some((_, record)) = self.next() else { break };
            further.push(record);
        }
        Texts::new(record, further)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileErrorKind;
    use crate::formats::builder::build;

    const EXCEL_97: u16 = 0x0600;

    fn record(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
        let data = parts.concat();
        let length = u16::try_from(data.len()).expect("short");
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), &data].concat()
    }

    fn numbers(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// A workbook of one sheet, from its records before and those of the sheet.
    fn workbook(version: u16, globals: &[Vec<u8>], name: &[u8], sheet: &[Vec<u8>]) -> Vec<u8> {
        let head = |start: u32| {
            let start = start.to_le_bytes();
            let globals = globals.concat();
            [
                record(START, &[&numbers(&[version, 5])]),
                globals,
                record(SHEET, &[&start, &[0; 2], name]),
                record(END, &[]),
            ]
            .concat()
        };
        let start = u32::try_from(head(0).len()).expect("short");
        let parts = [record(START, &[&numbers(&[version, 16])]), sheet.concat(), record(END, &[])];
        [head(start), parts.concat()].concat()
    }

    fn text(bytes: &[u8]) -> Result<String, FileError> {
        let limits = ExtractLimits::default();
        let document = build(&limits, |builder| {
            let workbook = Workbook::new(bytes)?;
            add_sheets(&workbook.sheets, MediaType::Xls, &limits, builder, |place, rows, _| {
                workbook.add_cells(place, rows)
            })
        })?;
        assert_eq!(document.warnings, Vec::<String>::new());
        Ok(document.text)
    }

    #[test]
    fn cells_show_values_as_their_styles_say() {
        let half = 0.5_f64.to_le_bytes();
        let cell = |kind: u16, row: u16, column: u16, style: u16, value: &[u8]| {
            record(kind, &[&numbers(&[row, column, style]), value])
        };
        let style = |format: u16| record(CELL_STYLE, &[&numbers(&[0, format])]);
        let globals = [
            style(0),
            style(9),
            style(14),
            // The second text goes on in a further record, in UTF-16; the third has stretches of fonts and readings.
            record(SHARED_TEXTS, &[&[0; 8], &numbers(&[5]), &[0], b"first", &numbers(&[6]), &[0], b"sec"]),
            record(
                CONTINUED,
                &[&[1], &wide("onδ"), &numbers(&[5]), &[8 | 4], &numbers(&[1, 2, 0]), b"th\x93rd", &[0; 4], &[0; 2]],
            ),
        ];
        let sheet = [
            // Out of order.
            cell(TEXT, 2, 0, 0, &[&numbers(&[4])[..], &[1], &wide("last")].concat()),
            cell(NUMBER, 0, 0, 0, &half),
            cell(NUMBER, 0, 1, 1, &half),
            record(START, &[&numbers(&[EXCEL_97, 32])]),
            cell(NUMBER, 7, 7, 1, &half),
            record(END, &[]),
            cell(PACKED_NUMBER, 0, 2, 2, &((45_963_u32 << 2) | 2).to_le_bytes()),
            cell(SHARED_TEXT, 0, 3, 0, &1_u32.to_le_bytes()),
            cell(SHARED_TEXT, 0, 4, 0, &2_u32.to_le_bytes()),
            record(
                PACKED_NUMBERS,
                &[&numbers(&[1, 0]), &numbers(&[0, 30, 0]), &numbers(&[1, 0, 0x3FE0]), &numbers(&[1])],
            ),
            cell(BOOLEAN_OR_ERROR, 1, 2, 0, &[1, 0]),
            cell(BOOLEAN_OR_ERROR, 1, 3, 0, &[7, 1]),
            cell(RESULT, 1, 4, 0, &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]),
            record(RESULT_TEXT, &[&numbers(&[9]), &[0], b"res"]),
            record(CONTINUED, &[&[0], b"ult of"]),
            cell(RESULT, 1, 5, 1, &half),
        ];
        let bytes = workbook(EXCEL_97, &globals, b"\x02\x00S1", &sheet);
        let lines = "S1\n\n0.5 | 50% | 2025-11-02 | secon\u{3b4} | th\u{201c}rd\n7 | 50% | TRUE | #DIV/0! | result of | 50%\nlast";
        assert_eq!(text(&bytes), Ok(lines.to_owned()));
        // The end may be missing, but no part of a record.
        assert_eq!(text(&bytes[..bytes.len() - 4]), Ok(lines.to_owned()));
        assert_eq!(text(&bytes[..40]).expect_err("cut short").kind, FileErrorKind::Corrupt);
    }

    #[test]
    fn values_of_a_chart_stand_beside_their_categories() {
        let list = |kind: u16| record(CHART_LIST, &[&numbers(&[kind])]);
        let value = |row: u16, value: f64| record(NUMBER, &[&numbers(&[row, 0, 0]), &value.to_le_bytes()]);
        let name = |row: u16, name: &[u8]| record(TEXT, &[&numbers(&[row, 0, 0, 3]), &[0], name]);
        let sheet = [list(1), value(0, 5.0), value(1, 7.0), list(2), name(0, b"Jan"), name(1, b"Feb")];
        let bytes = workbook(EXCEL_97, &[], b"\x01\x00C", &sheet);
        assert_eq!(text(&bytes).as_deref(), Ok("C\n\nJan | 5\nFeb | 7"));
    }

    #[test]
    fn texts_before_excel_97_are_in_the_code_page() {
        let label = record(TEXT, &[&numbers(&[0, 0, 0, 2]), b"\xC4\xE0"]);
        let bytes = workbook(EXCEL_5, &[record(CODE_PAGE, &[&numbers(&[1251])])], b"\x01\xDF", &[label]);
        assert_eq!(text(&bytes).as_deref(), Ok("Я\n\nДа"));
    }

    #[test]
    fn workbook_with_a_password_is_encrypted() {
        let bytes = workbook(EXCEL_97, &[record(PASSWORD, &[&numbers(&[1, 1])])], b"\x01\x00S", &[]);
        assert_eq!(text(&bytes).expect_err("a password").kind, FileErrorKind::Encrypted);
    }
}
