//! Spreadsheets: each sheet is a page with a heading, each block of filled rows a table with the place of its cells.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek};

use calamine::{CellErrorType, Data, ExcelDateTime, Reader, SheetType, SheetVisible, Sheets, Xls, Xlsb, Xlsx};

use super::builder::DocumentBuilder;
use super::cell_formats::CellFormats;
use super::decimal::decimal;
use super::failures::{too_many_pages, too_much_text, unreadable};
use super::number_format::NumberFormat;
use super::xls_formats;
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType};

/// Most columns of a row that are padded with empty cells; rows of wider sheets have only their filled cells.
const MAX_PADDED_COLUMNS: u32 = 256;

/// The filled cells of a row: its number, and each with its column, both from 0.
type Row = (u32, Vec<(u32, String)>);

/// The formats of dates whose order follows the reader's system: such a date is shown as ISO.
const SYSTEM_DATES: [u32; 2] = [14, 22];

/// Reads a workbook of Excel, of any kind, with the formats of its cells if it is one of XLSB.
pub(super) fn read<R: Read + Seek>(
    reader: R,
    media_type: MediaType,
    mut formats: Option<CellFormats>,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    let mut reader = BufReader::new(reader);
    if media_type == MediaType::Xls {
        formats = xls_formats::read(&mut reader);
        reader.rewind().map_err(unreadable)?;
    }
    let mut workbook = match media_type {
        MediaType::Xls => Sheets::Xls(Xls::new(reader).map_err(|error| file_error(error.into()))?),
        MediaType::Xlsb => Sheets::Xlsb(Xlsb::new(reader).map_err(|error| file_error(error.into()))?),
        _ => Sheets::Xlsx(Xlsx::new(reader).map_err(|error| file_error(error.into()))?),
    };
    builder.media_type(media_type);
    builder.if_empty("The workbook has no filled cells.");
    if let Ok(properties) = workbook.workbook_properties() {
        builder.title(properties.title.as_deref().unwrap_or_default());
        builder.property("author", properties.creator.as_deref().unwrap_or_default());
    }
    let sheets = workbook.sheets_metadata().to_vec();
    let count = u32::try_from(sheets.len()).unwrap_or(u32::MAX);
    if count > limits.max_pages {
        builder.skip(too_many_pages())?;
    }
    builder.page_count(count);
    for (sheet, page) in sheets.iter().zip(1..=limits.max_pages) {
        builder.page(page);
        if sheet.visible == SheetVisible::VeryHidden {
            continue;
        }
        let mut rows = Rows::new(limits);
        let format = |row, column| formats.as_ref()?.format(page as usize - 1, row, column);
        let read = read_rows(&mut workbook, &sheet.name, format, &mut rows, builder);
        // Sheets of charts and macros have no table.
        let is_damaged = matches!(&read, Err(error) if error.kind == FileErrorKind::Corrupt);
        if is_damaged && sheet.typ != SheetType::WorkSheet {
            continue;
        }
        rows.add_to(builder, &sheet.name)?;
        match read {
            Err(error) if error.kind == FileErrorKind::Corrupt => builder.skip(error)?,
            read => read?,
        }
    }
    Ok(())
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
fn read_rows<'f, R: Read + Seek>(
    workbook: &mut Sheets<R>,
    sheet: &str,
    format: impl Fn(u32, u32) -> Option<&'f NumberFormat>,
    rows: &mut Rows,
    builder: &DocumentBuilder,
) -> Result<(), FileError> {
    match workbook {
        Sheets::Xlsx(xlsx) => streamed(xlsx, sheet, rows, builder)?,
        other => {
            let range = other.worksheet_range(sheet).map_err(file_error)?;
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, value) in range.used_cells() {
                let (row, column) = (top + row as u32, left + column as u32);
                rows.add(row, column, formatted(value, format(row, column)))?;
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
        rows.add(row, column, formatted(&value, format))?;
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

    pub(super) fn add(&mut self, row: u32, column: u32, value: String) -> Result<(), FileError> {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
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

/// A value as its format shows it.
fn formatted(value: &Data, format: Option<&NumberFormat>) -> String {
    let by_format = format.and_then(|format| match value {
        Data::Int(number) => format.number(*number as f64),
        Data::Float(number) => format.number(*number),
        Data::DateTime(time) => format.time(time),
        _ => None,
    });
    by_format.unwrap_or_else(|| shown(value))
}

/// A value without a format, as a person reads it.
fn shown(value: &Data) -> String {
    match value {
        Data::Int(number) => number.to_string(),
        Data::Float(number) => decimal(*number),
        Data::String(text) => text.clone(),
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::DateTime(time) => date_time(time),
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(CellErrorType::NA) | Data::Empty => String::new(),
        Data::Error(error) => error.to_string(),
    }
}

fn date_time(time: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    if time.is_duration() {
        let seconds = (time.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    }
    let clock = match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    if (0.0..1.0).contains(&time.as_f64()) {
        return clock;
    }
    match time.as_f64().fract() == 0.0 {
        true => format!("{year:04}-{month:02}-{day:02}"),
        false => format!("{year:04}-{month:02}-{day:02} {clock}"),
    }
}

fn file_error(error: calamine::Error) -> FileError {
    use calamine::{Error, XlsError, XlsbError, XlsxError};
    match error {
        Error::Io(error)
        | Error::Xlsx(XlsxError::Io(error))
        | Error::Xls(XlsError::Io(error))
        | Error::Xlsb(XlsbError::Io(error)) => unreadable(error),
        Error::Xlsx(XlsxError::Password) | Error::Xls(XlsError::Password) | Error::Xlsb(XlsbError::Password) => {
            FileError::new(FileErrorKind::Encrypted, "The workbook is protected by a password.")
        }
        _ => FileError::new(FileErrorKind::Corrupt, "The workbook is damaged."),
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
