//! Table: tables of documents in another format.

use std::{ops::Range, sync::Arc};

use nvisy_extract::{Document, ElementKind};
use nvisy_shared::pipeline::node::convert_table::{ConvertTable, TableFormat};
use serde_json::{Map, Value, json};

use super::{
    chunking::{compute, documents},
    redact::replace_in,
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::{DocumentElement, Elements, RecordElement},
    },
    runner::JobError,
};

impl Behaviour for ConvertTable {
    async fn run(&self, _: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let settings = self.clone();
        let input = documents("convert.table", input)?;
        let (documents, tables) = compute(move || convert(input, &settings)).await?;
        Ok(Output::ports(vec![Elements::Documents(documents), Elements::Records(tables)]))
    }
}

/// The documents with converted tables, and the tables.
pub(super) fn convert(
    mut documents: Vec<DocumentElement>,
    settings: &ConvertTable,
) -> (Vec<DocumentElement>, Vec<RecordElement>) {
    let mut tables = Vec::new();
    for element in &mut documents {
        let mut replacements: Vec<(Range<usize>, String)> = Vec::new();
        let document = Arc::clone(&element.document);
        for part in document.elements.iter().filter(|part| part.kind == ElementKind::Table) {
            let rows = rows(&document.text[part.start..part.end]);
            let content = write(&rows, settings);
            let source = element.edits.source(part.start as u64..part.end as u64);
            let row = json!({
                "ordinal": tables.len(), "format": settings.format.name(), "content": content, "page": part.page,
                "start": source.start, "end": source.end, "headings": headings(&document, part.start),
                "rows": rows.len(), "columns": rows.iter().map(Vec::len).max().unwrap_or_default(),
            });
            tables.push(RecordElement { row, origin: Arc::clone(&element.origin) });
            replacements.push((part.start..part.end, content));
        }
        if !replacements.is_empty() {
            element.document = Arc::new(replace_in(element, &replacements));
            if let Some(info) = Arc::make_mut(&mut element.origin).document.as_mut() {
                info.characters = element.document.text.chars().count() as u64;
            }
        }
    }
    (documents, tables)
}

/// The headings above a place, outermost first.
fn headings(document: &Document, place: usize) -> Vec<&str> {
    let mut headings: Vec<(u8, &str)> = Vec::new();
    for part in document.elements.iter().take_while(|part| part.start < place) {
        if let ElementKind::Heading { level } = part.kind {
            headings.retain(|(above, _)| *above < level);
            headings.push((level, &document.text[part.start..part.end]));
        }
    }
    headings.into_iter().map(|(_, text)| text).collect()
}

/// The cells of a table as documents have it: Markdown, lines with ` | ` between cells, or values separated by commas, semicolons or
/// tabs.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = || text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    if lines().count() > 1 && lines().all(|line| line.trim_start().starts_with('|')) {
        return lines().map(markdown_cells).filter(|cells| !is_delimiter(cells)).collect();
    }
    if lines().any(|line| line.contains(" | ") || line.ends_with(" |")) {
        return lines()
            .map(|line| format!("{line} ").split(" | ").map(|cell| cell.trim().to_owned()).collect())
            .collect();
    }
    separated(text)
}

/// The row between header and body of a Markdown table.
fn is_delimiter(cells: &[String]) -> bool {
    !cells.is_empty()
        && cells.iter().all(|cell| {
            let dashes = cell.trim_start_matches(':').trim_end_matches(':');
            !dashes.is_empty() && dashes.chars().all(|letter| letter == '-')
        })
}

/// The cells of a line of a Markdown table; `\|` is no border.
fn markdown_cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut escaped) = (Vec::new(), String::new(), false);
    for letter in line.trim().trim_start_matches('|').chars() {
        match (escaped, letter) {
            (true, '|') => {
                cell.pop();
                cell.push('|');
            }
            (false, '|') => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            (_, letter) => cell.push(letter),
        }
        escaped = letter == '\\' && !escaped;
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().to_owned());
    }
    cells
}

/// Values with the separator that occurs most often in the first line.
fn separated(text: &str) -> Vec<Vec<String>> {
    let first = text.lines().next().unwrap_or_default();
    let count = |separator: &u8| first.bytes().filter(|byte| byte == separator).count();
    let separator = [b',', b';', b'\t'].into_iter().rev().max_by_key(count).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.trim_start_matches('\u{FEFF}').as_bytes());
    reader.records().filter_map(Result::ok).map(|row| row.iter().map(str::to_owned).collect()).collect()
}

fn write(rows: &[Vec<String>], settings: &ConvertTable) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    match settings.format {
        TableFormat::Html => html(rows, columns, settings.header),
        TableFormat::Markdown => markdown(rows, columns, settings.header),
        TableFormat::Csv => comma_separated(rows, columns),
        TableFormat::Json => json_array(rows, columns, settings.header),
    }
}

/// A table of a document as Markdown, with a header.
pub(super) fn markdown_table(text: &str) -> String {
    let rows = rows(text);
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    markdown(&rows, columns, true)
}

/// A row with as many cells as there are columns.
fn padded(row: &[String], columns: usize) -> impl Iterator<Item = &str> {
    row.iter().map(String::as_str).chain(std::iter::repeat("")).take(columns)
}

fn html(rows: &[Vec<String>], columns: usize, header: bool) -> String {
    let escape = |cell: &str| cell.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let line = |row: &[String], tag: &str| {
        let cells: String = padded(row, columns).map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let (head, body) = rows.split_at(usize::from(header && !rows.is_empty()));
    let head: String = head.iter().map(|row| format!("<thead>\n{}</thead>\n", line(row, "th"))).collect();
    let body: String = body.iter().map(|row| line(row, "td")).collect();
    format!("<table>\n{head}<tbody>\n{body}</tbody>\n</table>")
}

fn markdown(rows: &[Vec<String>], columns: usize, header: bool) -> String {
    let escape = |cell: &str| cell.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let line = |row: &[String]| {
        format!("|{}", padded(row, columns).map(|cell| format!(" {} |", escape(cell))).collect::<String>())
    };
    // Without a header the first row is empty: Markdown has no table without one.
    let (head, body) = rows.split_at(usize::from(header && !rows.is_empty()));
    let head = head.first().map_or_else(|| line(&[]), |row| line(row));
    let lines = [head, format!("|{}", " --- |".repeat(columns))];
    lines.into_iter().chain(body.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n")
}

fn comma_separated(rows: &[Vec<String>], columns: usize) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in rows {
        // Writing to memory does not fail.
        let _ = writer.write_record(padded(row, columns));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default().trim_end_matches('\n').to_owned()
}

fn json_array(rows: &[Vec<String>], columns: usize, header: bool) -> String {
    let (head, body) = rows.split_at(usize::from(header && !rows.is_empty()));
    let rows: Vec<Value> = match head.first() {
        None => body.iter().map(|row| padded(row, columns).collect::<Vec<_>>().into()).collect(),
        Some(head) => {
            let names = names(head, columns);
            let object = |row: &Vec<String>| -> Map<String, Value> {
                names.iter().cloned().zip(padded(row, columns).map(Value::from)).collect()
            };
            body.iter().map(|row| Value::Object(object(row))).collect()
        }
    };
    Value::Array(rows).to_string()
}

/// A different name for each column; those without one have their number.
fn names(head: &[String], columns: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns);
    for (place, name) in padded(head, columns).enumerate() {
        let name = if name.is_empty() { format!("column {}", place + 1) } else { name.to_owned() };
        let mut unique = name.clone();
        let mut number = 2;
        while names.contains(&unique) {
            unique = format!("{name} ({number})");
            number += 1;
        }
        names.push(unique);
    }
    names
}

#[cfg(test)]
mod tests {
    use nvisy_extract::Element;

    use super::*;

    const CELLS: &str = "Name | Note\nAda | a, \"b\" <i>&\nBob | \nC|d | e | f";

    fn converted(text: &str, format: TableFormat, header: bool) -> String {
        write(&rows(text), &ConvertTable { format, header })
    }

    #[test]
    fn cells_are_escaped_and_rows_have_equal_lengths() {
        assert_eq!(
            converted(CELLS, TableFormat::Html, true),
            "<table>\n<thead>\n<tr><th>Name</th><th>Note</th><th></th></tr>\n</thead>\n<tbody>\n\
             <tr><td>Ada</td><td>a, \"b\" &lt;i&gt;&amp;</td><td></td></tr>\n<tr><td>Bob</td><td></td><td></td></tr>\n\
             <tr><td>C|d</td><td>e</td><td>f</td></tr>\n</tbody>\n</table>"
        );
        assert_eq!(
            converted(CELLS, TableFormat::Markdown, true),
            "| Name | Note |  |\n| --- | --- | --- |\n| Ada | a, \"b\" <i>& |  |\n| Bob |  |  |\n| C\\|d | e | f |"
        );
        assert_eq!(converted(CELLS, TableFormat::Csv, true), "Name,Note,\nAda,\"a, \"\"b\"\" <i>&\",\nBob,,\nC|d,e,f");
        assert_eq!(
            serde_json::from_str::<Value>(&converted(CELLS, TableFormat::Json, true)).unwrap(),
            json!([
                { "Name": "Ada", "Note": "a, \"b\" <i>&", "column 3": "" },
                { "Name": "Bob", "Note": "", "column 3": "" },
                { "Name": "C|d", "Note": "e", "column 3": "f" },
            ])
        );
    }

    #[test]
    fn table_without_a_header_has_none() {
        let text = "a | b\nc | d";
        assert_eq!(converted(text, TableFormat::Markdown, false), "|  |  |\n| --- | --- |\n| a | b |\n| c | d |");
        assert_eq!(converted(text, TableFormat::Json, false), r#"[["a","b"],["c","d"]]"#);
        assert!(!converted(text, TableFormat::Html, false).contains("<th"));
    }

    #[test]
    fn markdown_and_separated_values_are_read() {
        let expected = vec![vec!["a|b".to_owned(), "c".to_owned()], vec!["1".to_owned(), "2".to_owned()]];
        assert_eq!(rows("| a\\|b | c |\n|:--|---|\n| 1 | 2 |"), expected);
        assert_eq!(rows("a|b,c\n1,2\n"), expected);
        assert_eq!(rows("\u{FEFF}\"a|b\";c\n1;2"), expected);
        assert_eq!(rows("a|b\tc\n1\t2"), expected);
        assert_eq!(rows("name,\"two\nlines\"\n"), [["name", "two\nlines"]]);
        assert_eq!(names(&["a".to_owned(), "a".to_owned(), String::new()], 4), ["a", "a (2)", "column 3", "column 4"]);
    }

    #[test]
    fn markdown_round_trip_keeps_all_cells() {
        let cells = vec![vec![r"a\".to_owned(), r"b\|c".to_owned()], vec!["d".to_owned(), "| e".to_owned()]];
        let text = markdown(&cells, 2, true);
        assert_eq!(text.lines().count(), 3);
        assert_eq!(text.lines().next(), Some(r"| a\\ | b\\\|c |"));
    }

    #[test]
    fn tables_are_replaced_in_place_and_given_as_records() {
        let text = "Intro\n\nTop\n\nName | Note\nAda | x\n\nEnd";
        let part = |kind, start, end| Element::new(kind, start..end, Some(2));
        let elements = vec![
            part(ElementKind::Paragraph, 0, 5),
            part(ElementKind::Heading { level: 1 }, 7, 10),
            part(ElementKind::Table, 12, 31),
            part(ElementKind::Paragraph, 33, 36),
        ];
        let document = Document { text: text.to_owned(), elements, page_count: Some(2), ..Document::default() };
        let element = DocumentElement { document: Arc::new(document), origin: Arc::default(), edits: Arc::default() };
        let settings = ConvertTable { format: TableFormat::Csv, header: true };
        let (documents, tables) = convert(vec![element], &settings);
        let document = &documents[0].document;
        assert_eq!(document.text, "Intro\n\nTop\n\nName,Note\nAda,x\n\nEnd");
        let last = &document.elements[3];
        assert_eq!(&document.text[last.start..last.end], "End");
        assert_eq!(documents[0].edits.source(29..32), 33..36);
        assert_eq!(
            tables[0].row,
            json!({
                "ordinal": 0, "format": "csv", "content": "Name,Note\nAda,x", "page": 2, "start": 12, "end": 31,
                "headings": ["Top"], "rows": 2, "columns": 2,
            })
        );
    }
}
