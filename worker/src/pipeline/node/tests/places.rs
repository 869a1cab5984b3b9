//! Passages of files of every format: a chunk has the bytes of the text that it says, whatever the reader has made of the file.

use std::{
    fs::File,
    io::{Cursor, Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use nvisy_embed::Tokenizer;
use nvisy_extract::{Document, ExtractLimits, FileError, FileErrorKind, FileInfo, OcrSettings, read_here};
use proptest::prelude::*;
use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    chunk::{
        CharacterLimits, ChunkModel, PageLimits, SectionLimits, SimilarityLimits, Stretches, by_characters, by_pages,
        by_sections,
    },
    pipeline::{
        element::{ChunkElement, DocumentElement, Elements},
        node::chunking::Chunks,
    },
};

/// Words of several scripts, of characters with several bytes, and of the marks of formats.
static WORDS: [&str; 24] = [
    "tide",
    "Ebbe",
    "Größe",
    "水位",
    "مد",
    "e\u{301}bb",
    "🦀",
    "a&b",
    "<i>",
    "\"q\"",
    "|",
    "#",
    "*",
    "-",
    "1,5",
    "\u{a0}",
    "co\u{ad}op",
    "\u{200b}",
    "naïve.",
    "End!",
    "\\x",
    "{b}",
    "100%",
    "'s",
];

/// A part of a file.
#[derive(Clone, Debug)]
enum Part {
    Heading(String),
    Paragraph(String),
    Item(String),
    Row(Vec<String>),
}

impl Part {
    /// Its cells; of a text, one.
    fn cells(&self) -> Vec<&str> {
        match self {
            Self::Heading(text) | Self::Paragraph(text) | Self::Item(text) => vec![text],
            Self::Row(cells) => cells.iter().map(String::as_str).collect(),
        }
    }

    fn line(&self) -> String {
        self.cells().join("\t")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let words = || prop::collection::vec(prop::sample::select(&WORDS[..]), 1..12).prop_map(|words| words.join(" "));
    let part = prop_oneof![
        words().prop_map(Part::Heading),
        words().prop_map(Part::Paragraph),
        words().prop_map(Part::Item),
        prop::collection::vec(words(), 1..4).prop_map(Part::Row),
    ];
    prop::collection::vec(part, 1..12)
}

fn container(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The parts with markup; `row` has that of a row, of its cells and of their ends.
fn marked(parts: &[Part], heading: [&str; 2], paragraph: [&str; 2], item: [&str; 2], row: [&str; 4]) -> String {
    let around = |[before, after]: [&str; 2], text: &str| format!("{before}{}{after}", escaped(text));
    let part = |part: &Part| match part {
        Part::Heading(text) => around(heading, text),
        Part::Paragraph(text) => around(paragraph, text),
        Part::Item(text) => around(item, text),
        Part::Row(cells) => {
            let cells: String = cells.iter().map(|cell| around([row[1], row[2]], cell)).collect();
            format!("{}{cells}{}", row[0], row[3])
        }
    };
    parts.iter().map(part).collect()
}

/// A file with these parts in each format.
fn files(parts: &[Part]) -> Vec<(&'static str, Vec<u8>)> {
    let lines: Vec<String> = parts.iter().map(Part::line).collect();
    let text = lines.join("\n\n");
    let html = marked(
        parts,
        ["<h2>", "</h2>"],
        ["<p>", "</p>"],
        ["<ul><li>", "</ul>"],
        ["<table><tr>", "<td>", "", "</table>"],
    );
    let xml = marked(parts, ["<t>", "</t>"], ["<p>", "</p>"], ["<i>", "</i>"], ["<r>", "<c>", "</c>", "</r>"]);
    let mail = format!(
        "From: a@example.org\nTo: b@example.org\nSubject: Tides\nDate: Sat, 1 Nov 2025 10:00:00 +0100\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}\n"
    );
    let cells = |part: &Part| {
        let quoted = part.cells().into_iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
        quoted.collect::<Vec<_>>().join(",")
    };
    let notebook = json!({
        "nbformat": 4, "metadata": {}, "cells": [
            { "cell_type": "markdown", "source": [text] }, { "cell_type": "code", "source": text, "outputs": [] } ],
    });
    let wide = text.encode_utf16().flat_map(u16::to_le_bytes);
    vec![
        ("a.txt", text.clone().into_bytes()),
        ("windows.txt", format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes()),
        ("wide.txt", [0xff, 0xfe].into_iter().chain(wide).collect()),
        ("a.md", markdown(parts).into_bytes()),
        ("a.csv", parts.iter().map(cells).collect::<Vec<_>>().join("\r\n").into_bytes()),
        ("a.json", serde_json::to_vec_pretty(&lines).unwrap()),
        ("a.xml", format!("<?xml version='1.0'?><x>{xml}</x>").into_bytes()),
        ("a.html", format!("<!doctype html><title>T</title>{html}").into_bytes()),
        ("a.rs", lines.iter().map(|line| format!("/// {line}\nfn f() {{}}\n\n")).collect::<String>().into_bytes()),
        ("a.ipynb", notebook.to_string().into_bytes()),
        ("a.rtf", rich_text(&lines).into_bytes()),
        ("a.eml", mail.replace('\n', "\r\n").into_bytes()),
        ("a.mbox", format!("From a@example.org Sat Nov  1 10:00:00 2025\n{mail}\n").repeat(2).into_bytes()),
        ("a.docx", word(parts)),
        ("a.xlsx", workbook(parts)),
        ("a.odt", open_document(parts)),
        ("a.epub", book(&html)),
        ("a.pdf", pdf(&lines)),
    ]
}

fn markdown(parts: &[Part]) -> String {
    let line = |part: &Part| match part {
        Part::Heading(text) => format!("## {text}\n\n"),
        Part::Paragraph(text) => format!("{text}\n\n"),
        Part::Item(text) => format!("- {text}\n"),
        Part::Row(cells) => format!("\n| {} |\n|{}\n\n", cells.join(" | "), "---|".repeat(cells.len())),
    };
    parts.iter().map(line).collect()
}

fn rich_text(lines: &[String]) -> String {
    let escaped = |line: &String| {
        let mut text = String::new();
        for unit in line.encode_utf16() {
            match u8::try_from(unit) {
                Ok(letter @ (b'\\' | b'{' | b'}')) => text.extend(['\\', char::from(letter)]),
                Ok(letter @ b' '..=b'~') => text.push(char::from(letter)),
                _ => text.push_str(&format!("\\u{}?", unit.cast_signed())),
            }
        }
        text + "\\par "
    };
    format!("{{\\rtf1\\ansi\\uc1 {}}}", lines.iter().map(escaped).collect::<String>())
}

fn word(parts: &[Part]) -> Vec<u8> {
    let text = |text: &str| format!("<w:r><w:t xml:space='preserve'>{}</w:t></w:r>", escaped(text));
    let part = |part: &Part| match part {
        Part::Heading(words) => {
            format!("<w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr>{}</w:p>", text(words))
        }
        Part::Paragraph(words) => format!("<w:p>{}</w:p>", text(words)),
        Part::Item(words) => format!("<w:p><w:pPr><w:numPr/></w:pPr>{}</w:p>", text(words)),
        Part::Row(cells) => {
            let cells = cells.iter().map(|cell| format!("<w:tc><w:p>{}</w:p></w:tc>", text(cell)));
            format!("<w:tbl><w:tr>{}</w:tr></w:tbl>", cells.collect::<String>())
        }
    };
    let body: String = parts.iter().map(part).collect();
    let document = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
    container(&[("[Content_Types].xml", "<Types/>"), ("word/document.xml", &document)])
}

fn workbook(parts: &[Part]) -> Vec<u8> {
    let cell = |cell: &str| format!("<c t='inlineStr'><is><t>{}</t></is></c>", escaped(cell));
    let row = |part: &Part| format!("<row>{}</row>", part.cells().into_iter().map(cell).collect::<String>());
    let rows: String = parts.iter().map(row).collect();
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let related = |kind: &str, target: &str| {
        format!(
            "<Relationships xmlns='{package}'><Relationship Id='r1' Type='{relations}/{kind}' Target='{target}'/></Relationships>"
        )
    };
    let sheets = "<sheets><sheet name='S' sheetId='1' r:id='r1'/></sheets>";
    container(&[
        ("[Content_Types].xml", "<Types/>"),
        ("_rels/.rels", &related("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", &format!("<workbook xmlns='{main}' xmlns:r='{relations}'>{sheets}</workbook>")),
        ("xl/_rels/workbook.xml.rels", &related("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", &format!("<worksheet xmlns='{main}'><sheetData>{rows}</sheetData></worksheet>")),
    ])
}

fn open_document(parts: &[Part]) -> Vec<u8> {
    let content = marked(
        parts,
        ["<text:h text:outline-level='1'>", "</text:h>"],
        ["<text:p>", "</text:p>"],
        ["<text:list><text:list-item><text:p>", "</text:p></text:list-item></text:list>"],
        [
            "<table:table><table:table-row>",
            "<table:table-cell><text:p>",
            "</text:p></table:table-cell>",
            "</table:table-row></table:table>",
        ],
    );
    let content = format!("<office:body><office:text>{content}</office:text></office:body>");
    container(&[("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", &content)])
}

fn book(html: &str) -> Vec<u8> {
    container(&[
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            "<container><rootfiles><rootfile full-path='OPS/book.opf'/></rootfiles></container>",
        ),
        (
            "OPS/book.opf",
            "<package><metadata/><manifest>\
             <item id='a' href='one.xhtml' media-type='application/xhtml+xml'/></manifest>\
             <spine><itemref idref='a'/></spine></package>",
        ),
        ("OPS/one.xhtml", &format!("<?xml version='1.0'?><html><head><title/></head><body>{html}</body></html>")),
    ])
}

/// A page of each four lines, of their letters that the simplest fonts have.
fn pdf(lines: &[String]) -> Vec<u8> {
    let simple = |line: &String| line.replace(|letter: char| !letter.is_ascii_alphanumeric(), " ");
    let pages: Vec<String> = lines
        .chunks(4)
        .map(|lines| {
            let lines: String = lines.iter().map(|line| format!("({}) Tj 0 -16 Td ", simple(line))).collect();
            format!("BT /F1 12 Tf 72 700 Td {lines}ET")
        })
        .collect();
    let kids: String = (0..pages.len()).map(|page| format!("{} 0 R ", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Count {} /Kids [{kids}] >>", pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (page, content) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * page
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let mut file = "%PDF-1.4\n".to_owned();
    let mut xref = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (place, object) in objects.iter().enumerate() {
        xref.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", place + 1));
    }
    let (start, size) = (file.len(), objects.len() + 1);
    file.push_str(&format!("{xref}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"));
    file.into_bytes()
}

fn read(name: &str, content: &[u8]) -> Result<Document, FileError> {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    let info = FileInfo { file_name: name.to_owned(), declared_type: None };
    read_here(file, &info, &ExtractLimits::default(), &OcrSettings::default())
}

/// How a document is cut.
#[derive(Clone, Copy, Debug)]
struct Limits {
    tokens: usize,
    overlap: usize,
    pages: u32,
    contextual: bool,
}

fn limits() -> impl Strategy<Value = Limits> {
    let limits = (64_usize..400, 0_usize..16, 1_u32..4, any::<bool>());
    limits.prop_map(|(tokens, overlap, pages, contextual)| Limits { tokens, overlap, pages, contextual })
}

/// Cuts a document in every way, and compares each chunk with the text.
fn check(name: &str, document: Document, limits: Limits) {
    if document.text.trim().is_empty() {
        return;
    }
    let Limits { tokens: max_tokens, overlap, pages, contextual } = limits;
    let model = ChunkModel { tokenizer: Tokenizer::estimate(), max_tokens, contextual };
    let sections = SectionLimits { min_tokens: Some(overlap), max_tokens: max_tokens / 2, overlap_tokens: overlap };
    let characters = CharacterLimits { max_characters: max_tokens, overlap_characters: overlap };
    let of_pages = PageLimits { pages, overlap_pages: pages - 1 };
    let similar = SimilarityLimits { max_tokens, threshold: 0.5 };
    let stretches = Stretches::new(&document, &model);
    let similarities: Vec<_> = stretches
        .compared(max_tokens)
        .zip([Some(0.9), Some(0.1), None].into_iter().cycle())
        .map(|(_, of)| of)
        .collect();
    let ways = [
        ("sections", by_sections(&document, &model, sections)),
        ("characters", by_characters(&document, &model, characters)),
        ("pages", by_pages(&document, &model, of_pages)),
        ("similarity", stretches.pieces(&document, &model, &similarities, similar)),
    ];
    let element = DocumentElement { document: Arc::new(document), origin: Arc::default(), edits: Arc::default() };
    let text = &element.document.text;
    for (way, pieces) in ways {
        let mut chunks = Chunks::default();
        chunks.add(&element, pieces);
        let output = chunks.output().unwrap_or_else(|error| panic!("{name} by {way}: {error}"));
        let Elements::Chunks(chunks) = &output.ports[0] else { panic!("{output:?}") };
        let mut covered = 0;
        for ChunkElement { text: of_chunk, bytes, .. } in chunks {
            let (start, end) = (usize::try_from(bytes.start).unwrap(), usize::try_from(bytes.end).unwrap());
            assert_eq!(text.get(start..end), Some(of_chunk.as_str()), "{name} by {way}: {bytes:?} of {text:?}");
            assert!(!of_chunk.is_empty() && of_chunk.trim() == of_chunk, "{name} by {way}: {of_chunk:?}");
            if start > covered {
                assert_eq!(text[covered..start].trim(), "", "{name} by {way}: text before {start} is lost");
            }
            covered = end;
        }
        assert_eq!(text[covered..].trim(), "", "{name} by {way}: text after {covered} is lost");
    }
}

#[test]
fn every_format_that_is_written_here_is_read() {
    let text = |text: &str| text.to_owned();
    let parts = [
        Part::Heading(text("Tides")),
        Part::Paragraph(text("The water turns twice a day")),
        Part::Item(text("ebb")),
        Part::Row(vec![text("gauge"), text("level")]),
    ];
    for (name, content) in files(&parts) {
        let document = read(name, &content).unwrap_or_else(|error| panic!("{name}: {error}"));
        for word in ["Tides", "twice", "ebb"] {
            assert!(document.text.contains(word), "{name}: no {word} in {:?}", document.text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn chunk_of_any_format_has_the_bytes_of_the_text(parts in parts(), limits in limits()) {
        for (name, content) in files(&parts) {
            match read(name, &content) {
                Ok(document) => check(name, document, limits),
                // Of white space and marks alone.
                Err(FileError { kind: FileErrorKind::Empty, .. }) => {}
                Err(error) => panic!("{name}: {error}: {parts:?}"),
            }
        }
    }

    /// Formats that nothing here writes, too: old Office files, presentations, workbooks of other programs.
    #[test]
    fn chunk_of_any_sample_has_the_bytes_of_the_text(limits in limits(), sample in prop::sample::select(samples())) {
        let (name, document) = sample;
        check(&name, document, limits);
    }
}

/// The documents of the files with which the readers are tested.
fn samples() -> Vec<(String, Document)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("extract/tests/data");
    let mut samples = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let (mut name, mut content) = (path.file_name().unwrap().to_string_lossy().into_owned(), Vec::new());
        let mut file = File::open(&path).unwrap();
        if let Some(unpacked) = name.strip_suffix(".gz") {
            flate2::read::GzDecoder::new(file).read_to_end(&mut content).unwrap();
            name = unpacked.to_owned();
        } else {
            file.read_to_end(&mut content).unwrap();
        }
        samples.extend(read(&name, &content).ok().map(|document| (name, document)));
    }
    for format in ["doc", "xls", "ppt", "xlsx", "ods", "odt", "pptx", "docx", "pdf", "html"] {
        let suffix = format!(".{format}");
        assert!(samples.iter().any(|(name, _)| name.ends_with(&suffix)), "no sample of {format}");
    }
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}
