//! OpenDocument spreadsheets: the cells as they are shown, which is their text in the file.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::archive::Archive;
use super::builder::DocumentBuilder;
use super::decimal::decimal;
use super::failures::too_many_pages;
use super::markup::{ElementReader, append_text, attribute, attributes, check_end, number};
use super::odf::{add_properties, check_protection};
use super::sheets::Rows;
use crate::{ExtractLimits, FileError, FileErrorKind, MediaType};

/// Most columns of a sheet.
const MAX_COLUMNS: u32 = 16_384;
/// Most rows of a sheet.
const MAX_ROWS: u32 = 1_048_576;

/// Reads a workbook.
pub(super) fn read(
    archive: &mut Archive,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    check_protection(archive)?;
    builder.media_type(MediaType::Ods);
    builder.if_empty("The workbook has no filled cells.");
    add_properties(archive, builder)?;
    let Some(xml) = archive.text("content.xml")? else {
        return Err(FileError::new(FileErrorKind::Corrupt, "The workbook has no content."));
    };
    let mut walk = Walk::new(limits, builder);
    let read = walk.part(&xml).and_then(|()| check_end(&xml));
    if read.is_err() {
        walk.sheet_end()?;
    }
    let pages = walk.page;
    builder.page_count(pages);
    read
}

struct Walk<'a> {
    limits: &'a ExtractLimits,
    builder: &'a mut DocumentBuilder,
    page: u32,
    /// The name of the open sheet, and its rows.
    sheet: Option<(String, Rows)>,
    /// Tables within cells, whose words belong to the cell.
    inner_tables: usize,
    row: u32,
    /// How many rows the open one stands for, and its filled cells.
    row_count: u32,
    cells: Vec<(u32, String)>,
    column: u32,
    cell: Option<Cell>,
    in_paragraph: usize,
}

/// An open cell.
#[derive(Default)]
struct Cell {
    /// How many columns it stands for.
    count: u32,
    text: String,
    /// Its value, for a cell without a text.
    value: String,
    /// The date, for a text in which it has no year of four digits.
    date: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(limits: &'a ExtractLimits, builder: &'a mut DocumentBuilder) -> Self {
        Self {
            limits,
            builder,
            page: 0,
            sheet: None,
            inner_tables: 0,
            row: 0,
            row_count: 1,
            cells: Vec::new(),
            column: 0,
            cell: None,
            in_paragraph: 0,
        }
    }

    fn add_space(&mut self) {
        if let Some(cell) = &mut self.cell {
            cell.text.push(' ');
        }
    }

    fn row_end(&mut self) -> Result<(), FileError> {
        let next = self.row.saturating_add(self.row_count);
        if let Some((_, rows)) = &mut self.sheet
            && !self.cells.is_empty()
        {
            for row in self.row..next.min(MAX_ROWS) {
                for (column, text) in &self.cells {
                    rows.add(row, *column, text)?;
                }
            }
        }
        self.row = next;
        self.cells.clear();
        Ok(())
    }

    /// Adds the open sheet.
    fn sheet_end(&mut self) -> Result<(), FileError> {
        match self.sheet.take() {
            Some((name, rows)) => rows.add_to(self.builder, &name),
            None => Ok(()),
        }
    }
}

impl ElementReader for Walk<'_> {
    /// Comments, deleted cells, and what only programs read.
    const SKIPPED: &'static [&'static str] = &["annotation", "tracked-changes", "scripts", "font-face-decls", "forms"];

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), FileError> {
        match tag.local_name().as_ref() {
            "table" if self.sheet.is_some() => self.inner_tables += 1,
            "table" => {
                let Some(name) = attribute(tag, "name") else { return Ok(()) };
                if self.page == self.limits.max_pages {
                    return Err(too_many_pages());
                }
                self.page += 1;
                self.builder.page(self.page);
                self.sheet = Some((name, Rows::new(self.limits)));
                self.row = 0;
            }
            _ if self.sheet.is_none() || self.inner_tables > 0 && !is_text(tag.local_name().as_ref()) => {}
            "table-row" => {
                self.builder.check_time()?;
                self.row_count = repeated(tag, "number-rows-repeated");
                self.column = 0;
                self.cells.clear();
            }
            "table-cell" | "covered-table-cell" => self.cell = Some(Cell::new(tag)),
            "p" | "h" => {
                self.in_paragraph += 1;
                self.add_space();
            }
            "s" | "tab" | "line-break" => self.add_space(),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), FileError> {
        match name {
            "table" if self.inner_tables > 0 => self.inner_tables -= 1,
            "table" => self.sheet_end()?,
            "p" | "h" => self.in_paragraph = self.in_paragraph.saturating_sub(1),
            "table-cell" | "covered-table-cell" if self.inner_tables == 0 => {
                let Some(cell) = self.cell.take() else { return Ok(()) };
                let next = self.column.saturating_add(cell.count);
                let shown = cell.shown();
                if !shown.is_empty() {
                    self.cells.extend((self.column..next.min(MAX_COLUMNS)).map(|column| (column, shown.clone())));
                }
                self.column = next;
            }
            "table-row" if self.inner_tables == 0 => self.row_end()?,
            _ => {}
        }
        Ok(())
    }

    fn content(&mut self, event: &Event<'_>) {
        if let Some(cell) = &mut self.cell
            && self.in_paragraph > 0
        {
            append_text(&mut cell.text, event);
        }
    }
}

/// Whether an element is a part of a text.
fn is_text(name: &str) -> bool {
    matches!(name, "p" | "h" | "s" | "tab" | "line-break")
}

fn repeated(tag: &BytesStart<'_>, name: &str) -> u32 {
    number(tag, name).and_then(|count| u32::try_from(count).ok()).unwrap_or(1).max(1)
}

impl Cell {
    fn new(tag: &BytesStart<'_>) -> Self {
        // Sheets have many cells: one pass over the attributes.
        let (mut kind, mut values, mut count) = (None, Vec::new(), 1);
        for attribute in attributes(tag) {
            let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else { continue };
            match attribute.key.local_name().as_ref() {
                "value-type" => _ = kind.get_or_insert(value),
                "number-columns-repeated" => count = value.parse().unwrap_or(1).max(1),
                "date-value" | "time-value" | "boolean-value" | "string-value" | "value" => {
                    values.push((attribute.key, value));
                }
                _ => {}
            }
        }
        let value =
            |name: &str| values.iter().find(|(key, _)| key.local_name().as_ref() == name).map(|(_, value)| value);
        let date = value("date-value").map(|date| date.replace('T', " "));
        let value = match kind.as_deref() {
            Some("date") => date.clone(),
            Some("time") => value("time-value").map(|time| time.to_string()),
            Some("boolean") => value("boolean-value").map(|value| value.to_uppercase()),
            Some("string") => value("string-value").map(|text| text.to_string()),
            _ => value("value").and_then(|value| value.parse().ok()).map(decimal),
        };
        Self { count, text: String::new(), value: value.unwrap_or_default(), date }
    }

    /// The text of the cell. A date with a year of two digits, whose order is unknown, is shown as ISO.
    fn shown(self) -> String {
        let text = self.text.trim();
        if text.is_empty() {
            return self.value;
        }
        if let Some(date) = &self.date
            && let (Some(year), Some(short)) = (date.get(..4), date.get(2..4))
            && !text.contains(year)
            && text.contains(short)
        {
            return self.date.unwrap_or_default();
        }
        // A value that is not there.
        if text == "#N/A" { String::new() } else { self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ElementKind;
    use crate::formats::builder::build;

    fn document(rows: &str) -> Result<crate::Document, FileError> {
        let xml = format!("<d><table:table table:name='Share'>{rows}</table:table></d>");
        let limits = ExtractLimits::default();
        build(&limits, |builder| Walk::new(&limits, builder).part(&xml))
    }

    #[test]
    fn cells_have_the_text_that_is_shown() {
        let found = document(
            "<table:table-row table:number-rows-repeated='3'><table:table-cell/></table:table-row>\
             <table:table-row><table:table-cell table:number-columns-repeated='2'/>\
             <table:table-cell office:value-type='percentage' office:value='0.5'><text:p>50 %</text:p></table:table-cell>\
             <table:table-cell office:value-type='date' office:date-value='2025-11-02'><text:p>02.11.25</text:p></table:table-cell>\
             <table:table-cell office:value-type='date' office:date-value='2025-11-02'><text:p>2 November 2025</text:p></table:table-cell>\
             <table:table-cell office:value-type='float' office:value='7.50'/>\
             <table:table-cell office:value-type='string'><office:annotation><text:p>note</text:p></office:annotation>\
             <text:p>a<text:s/>b</text:p><text:p>c</text:p></table:table-cell></table:table-row>\
             <table:table-row table:number-rows-repeated='2'><table:table-cell/><table:table-cell/>\
             <table:table-cell table:number-columns-repeated='2' office:value-type='boolean' office:boolean-value='true'/>\
             </table:table-row><table:table-row table:number-rows-repeated='1048000'>\
             <table:table-cell table:number-columns-repeated='16384'/></table:table-row>",
        )
        .expect("a workbook");
        assert_eq!(found.text, "Share\n\n50 % | 2025-11-02 | 2 November 2025 | 7.5 | a b c\nTRUE | TRUE\nTRUE | TRUE");
        let table = found.elements.last().expect("a table");
        assert_eq!((table.kind, table.place.as_deref()), (ElementKind::Table, Some("Share!C4:G6")));
    }

    #[test]
    fn repeated_cells_are_bounded() {
        let filled = "<table:table-row table:number-rows-repeated='1000000'>\
             <table:table-cell table:number-columns-repeated='4000000000'><text:p>much</text:p></table:table-cell>\
             </table:table-row>";
        assert_eq!(document(filled).expect_err("too much").kind, FileErrorKind::TooLarge);
    }
}
