//! Spreadsheets: each sheet is a page with a heading, each block of filled rows a table with the place of its cells.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek};

use calamine::{Data, Reader, SheetType, SheetVisible, Sheets, Xls, Xlsx};

use super::builder::DocumentBuilder;
use super::cell_values::formatted;
use super::failures::{too_many_pages, too_much_text, unreadable};
use super::number_format::{NumberFormat, SYSTEM_DATES};
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType};

/// Most columns of a row that are padded with empty cells; rows of wider sheets have only their filled cells.
const MAX_PADDED_COLUMNS: u32 = 256;

/// The filled cells of a row: its number, and each with its column, both from 0.
type Row = (u32, Vec<(u32, String)>);

/// A sheet of a workbook.
pub(super) struct Sheet {
    pub(super) name: String,
    /// Whether only programs see it.
    pub(super) is_very_hidden: bool,
}

/// Reads an XLSX workbook, or an XLS one in a container that is damaged, without the formats of its cells.
pub(super) fn read<R: Read + Seek>(
    reader: R,
    media_type: MediaType,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    let reader = BufReader::new(reader);
    let mut workbook = match media_type {
        MediaType::Xls => Sheets::Xls(Xls::new(reader).map_err(|error| file_error(error.into()))?),
        _ => Sheets::Xlsx(Xlsx::new(reader).map_err(|error| file_error(error.into()))?),
    };
    if let Ok(properties) = workbook.workbook_properties() {
        builder.title(properties.title.as_deref().unwrap_or_default());
        builder.property("author", properties.creator.as_deref().unwrap_or_default());
    }
    let sheet = |sheet: &calamine::Sheet| Sheet {
        name: sheet.name.clone(),
        is_very_hidden: sheet.visible == SheetVisible::VeryHidden,
    };
    let found = workbook.sheets_metadata().to_vec();
    let sheets: Vec<_> = found.iter().map(sheet).collect();
    add_sheets(&sheets, media_type, limits, builder, |place, rows, builder| {
        match read_rows(&mut workbook, &sheets[place].name, rows, builder) {
            // Sheets of charts and macros have no table.
            Err(error) if error.kind == FileErrorKind::Corrupt && found[place].typ != SheetType::WorkSheet => Ok(()),
            read => read,
        }
    })
}

/// Adds the sheets of a workbook, whose rows a function reads by the place of the sheet.
pub(super) fn add_sheets(
    sheets: &[Sheet],
    media_type: MediaType,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
    mut read_rows: impl FnMut(usize, &mut Rows, &DocumentBuilder) -> Result<(), FileError>,
) -> Result<(), FileError> {
    builder.media_type(media_type);
    builder.if_empty("The workbook has no filled cells.");
    let count = u32::try_from(sheets.len()).unwrap_or(u32::MAX);
    if count > limits.max_pages {
        builder.skip(too_many_pages())?;
    }
    builder.page_count(count);
    for ((place, sheet), page) in sheets.iter().enumerate().zip(1..=limits.max_pages) {
        builder.page(page);
        if sheet.is_very_hidden {
            continue;
        }
        let mut rows = Rows::new(limits);
        let read = read_rows(place, &mut rows, builder);
        rows.add_to(builder, &sheet.name)?;
        match read {
            Err(error) if error.kind == FileErrorKind::Corrupt => builder.skip(error)?,
            read => read?,
        }
    }
    Ok(())
}

/// The failure of a workbook that is damaged.
pub(super) fn damaged() -> FileError {
    FileError::new(FileErrorKind::Corrupt, "The workbook is damaged.")
}

/// The failure of a workbook with a password.
pub(super) fn encrypted() -> FileError {
    FileError::new(FileErrorKind::Encrypted, "The workbook is protected by a password.")
}

/// Adds rows without an empty one between them.
fn add_block(builder: &mut DocumentBuilder, sheet: &str, block: &[Row]) -> Result<(), FileError> {
    let columns = || block.iter().flat_map(|(_, cells)| cells.iter().map(|(column, _)| *column));
    let (Some(left), Some(right)) = (columns().min(), columns().max()) else { return Ok(()) };
    let (Some((top, _)), Some((bottom, _))) = (block.first(), block.last()) else { return Ok(()) };
    let is_padded = right - left < MAX_PADDED_COLUMNS;
    let mut lines = String::new();
    for (place, (_, cells)) in block.iter().enumerate() {
        if place > 0 {
            lines.push('\n');
        }
        let mut next = left;
        for (column, value) in cells {
            let missing = if is_padded { column - next } else { 0 };
            for _ in 0..missing {
                lines.push_str(" | ");
            }
            if next > left {
                lines.push_str(" | ");
            }
            lines.push_str(value);
            next = column + 1;
        }
    }
    let place = format!("{sheet}!{}:{}", cell_name(left, *top), cell_name(right, *bottom));
    builder.table_at(&lines, Some(place), &[])
}

/// The name of a cell, such as `AB12`.
fn cell_name(column: u32, row: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = u64::from(column) + 1;
    while rest > 0 {
        letters.push(b'A' + ((rest - 1) % 26) as u8);
        rest = (rest - 1) / 26;
    }
    letters.reverse();
    format!("{}{}", String::from_utf8_lossy(&letters), u64::from(row) + 1)
}

/// The filled rows of a sheet. Cells of XLSX come one by one; a sheet with a cell in its last corner has no grid in memory.
fn read_rows<R: Read + Seek>(
    workbook: &mut Sheets<R>,
    sheet: &str,
    rows: &mut Rows,
    builder: &DocumentBuilder,
) -> Result<(), FileError> {
    match workbook {
        Sheets::Xlsx(xlsx) => streamed(xlsx, sheet, rows, builder)?,
        other => {
            let range = other.worksheet_range(sheet).map_err(file_error)?;
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, value) in range.used_cells() {
                rows.add(top + row as u32, left + column as u32, &formatted(value, None))?;
            }
        }
    }
    Ok(())
}

fn streamed<R: Read + Seek>(
    xlsx: &mut Xlsx<R>,
    sheet: &str,
    rows: &mut Rows,
    builder: &DocumentBuilder,
) -> Result<(), FileError> {
    let mut cells = match xlsx.worksheet_cells_reader(sheet) {
        Ok(cells) => cells,
        // Sheets of charts have no cells.
        Err(calamine::XlsxError::NotAWorksheet(_)) => return Ok(()),
        Err(error) => return Err(file_error(error.into())),
    };
    let mut formats: HashMap<usize, Option<NumberFormat>> = HashMap::new();
    while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(|error| file_error(error.into()))? {
        builder.check_time()?;
        let (row, column) = cell.get_position();
        let value = Data::from(cell.get_value().clone());
        let format = match value {
            Data::Float(_) | Data::Int(_) | Data::DateTime(_) => formats
                .entry(style)
                .or_insert_with(|| {
                    let format = cells.styles().get(style)?.number_format.as_ref()?;
                    let is_system_date = format.format_id.is_some_and(|id| SYSTEM_DATES.contains(&id));
                    if is_system_date { None } else { NumberFormat::parse(&format.format_code) }
                })
                .as_ref(),
            _ => None,
        };
        rows.add(row, column, &formatted(&value, format))?;
    }
    Ok(())
}

/// The filled rows of a sheet, on their way into a document.
pub(super) struct Rows {
    rows: Vec<Row>,
    bytes: u64,
    max_bytes: u64,
}

impl Rows {
    pub(super) fn new(limits: &ExtractLimits) -> Self {
        Self { rows: Vec::new(), bytes: 0, max_bytes: limits.max_text_bytes }
    }

    /// Adds the sheet to a document: its name as heading, and its blocks.
    pub(super) fn add_to(&self, builder: &mut DocumentBuilder, sheet: &str) -> Result<(), FileError> {
        if !self.rows.is_empty() {
            builder.push(ElementKind::Heading { level: 1 }, sheet)?;
        }
        for block in self.rows.chunk_by(|(above, _), (below, _)| above + 1 == *below) {
            add_block(builder, sheet, block)?;
        }
        Ok(())
    }

    pub(super) fn add(&mut self, row: u32, column: u32, text: &str) -> Result<(), FileError> {
        let mut value = String::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(word);
        }
        if value.is_empty() {
            return Ok(());
        }
        self.bytes += value.len() as u64 + 3;
        if self.bytes > self.max_bytes {
            return Err(too_much_text());
        }
        match self.rows.last_mut() {
            Some((last, cells)) if *last == row => {
                if cells.last().is_none_or(|(before, _)| *before < column) {
                    cells.push((column, value));
                }
            }
            // Rows out of order are damage; their words are kept.
            Some((last, _)) if *last > row => {
                let next = *last + 1;
                self.rows.push((next, vec![(column, value)]));
            }
            _ => self.rows.push((row, vec![(column, value)])),
        }
        Ok(())
    }
}

fn file_error(error: calamine::Error) -> FileError {
    use calamine::{Error, XlsError, XlsxError};
    match error {
        Error::Io(error) | Error::Xlsx(XlsxError::Io(error)) | Error::Xls(XlsError::Io(error)) => unreadable(error),
        Error::Xlsx(XlsxError::Password) | Error::Xls(XlsError::Password) => encrypted(),
        _ => damaged(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::builder::build;

    #[test]
    fn cells_are_named_by_column_and_row() {
        assert_eq!(cell_name(0, 0), "A1");
        assert_eq!(cell_name(27, 11), "AB12");
        assert_eq!(cell_name(16_383, 1_048_575), "XFD1048576");
    }

    #[test]
    fn blocks_keep_their_columns() {
        let cell = |column, text: &str| (column, text.to_owned());
        let rows = [(2, vec![cell(1, "a"), cell(3, "c")]), (3, vec![cell(2, "b")])];
        let add = |builder: &mut DocumentBuilder| add_block(builder, "S", &rows);
        let document = build(&ExtractLimits::default(), add).expect("has text");
        assert_eq!(document.text, "a |  | c\n | b");
        assert_eq!(document.elements[0].place.as_deref(), Some("S!B3:D4"));
    }
}
