//! Files of all formats and of many kinds of trouble, each with what must be read of it.

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use nvisy_extract::{
    Document, ElementKind, ExtractLimits, FileError, FileErrorKind, FileInfo, MediaType, OcrMode, OcrSettings, Script,
    TextBox, read_here,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read_as(name: &str, file: &Path, ocr: &OcrSettings) -> Result<Document, FileError> {
    let info = FileInfo { file_name: name.to_owned(), declared_type: None };
    let document = read_here(File::open(file).expect("the file"), &info, &ExtractLimits::default(), ocr)?;
    let mut end = 0;
    for element in &document.elements {
        assert!(element.start >= end && element.end > element.start, "{name}: {element:?} overlaps or is empty");
        assert!(document.text.get(element.start..element.end).is_some(), "{name}: {element:?} splits a character");
        end = element.end;
    }
    Ok(document)
}

fn read(name: &str) -> Result<Document, FileError> {
    read_as(name, &data(name), &OcrSettings::default())
}

fn pieces(document: &Document) -> Vec<(ElementKind, &str)> {
    document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect()
}

/// Files with the whole text that they must have.
const TEXTS: &[(&str, &str)] = &[
    ("r01-main-document2.docx", "The quokka census of 1987 counted 412 animals."),
    ("r01b-main-other-folder.docx", "The quokka census of 1988 counted 413 animals."),
    ("alt.docx", "All the text is in an alternative chunk."),
    ("chart.docx", "A chart and a diagram follow.\n\nRevenue by region Northern shires 4711\n\nPlan, do, check, act"),
    (
        "r09-header-footer.docx",
        "Dear customer, the delivery has left the yard.\n\nWombat Logistics BV, contract KX-20417\n\nVAT number NL001234567B01",
    ),
    ("math.docx", "Half is 2/4 and a power x^12 and a matrix 1 2; 3 4"),
    ("n-sym.docx", "Tolerance ±5 mm, angle 30°, non-slip, Donaudampf"),
    (
        "r32-numbering.docx",
        "3 Obligations\n\n3.1 The supplier shall deliver on Mondays.\n3.2 The buyer shall pay as in clause 3.1.\n3.2.1 Sub-clause on interest.",
    ),
    ("r23-ruby.docx", "会議は東京で開かれた。\n\nとうきょう"),
    (
        "r10-merged.docx",
        "Region | Product | Units\nEU | Cable | 12\nEU | Hub | 7\nTotal of all regions | Total of all regions | 19\n | Hub in US | 3",
    ),
    (
        "r10-rowspan.html",
        "Region | Product | Units\nEU | Cable | 12\nEU | Hub | 7\nTotal of all | Total of all | 19\n | Late | 1",
    ),
    ("buttons.html", "Text\n\nName x\n\nOne\n\nTwo\n\na | b\n\nSeal count by year\n\nCap\n\nHome Prices Contact"),
    ("hidden.html", "Visible words.\n\nAlternative text of a diagram\n\ntyped value\n\nMore\n\nfolded words"),
    ("r02-title-selfclosed.xhtml", "Tides\n\nThe tapir sleeps at noon."),
    ("r02b-title-selfclosed.html", "The tapir sleeps at eleven."),
    ("r06-iso2022jp.txt", "会議の議事録です。水道料金は来月から値上げされます。"),
    ("r29-cp850.txt", "Die Größe der Möbel für die Küche überprüfen, Käufer wählen Türen."),
    ("r29-macroman.txt", "Die Größe der Möbel für die Küche überprüfen, Käufer wählen Türen."),
    ("bell.txt", "Alarm  rang at noon."),
    ("utf-16-le.txt", "No mark, but plainly UTF-16 as Windows programs write it.\n"),
    (
        "r07-escaped.json",
        "{\"title\": \"取扱説明書\", \"body\": \"水道料金は来月から値上げされます。\", \"city\": \"Malmö\", \"note\": \"emoji 😀 and “quotes”\", \"path\": \"C:\\temp\\new\", \"html\": \"<p>x</p>\"}",
    ),
    (
        "r07d-entities.xml",
        "<?xml version=\"1.0\"?><rows><row>Größe & Maß in Malmö</row><row><![CDATA[Raw <b> & text]]></row></rows>",
    ),
    ("r07e-entities.md", "# Straße\n\nDie Größe in Malmö ist snake_case und 2*3.\n"),
    (
        "r13-shy.html",
        "Ein Indexfonds bildet einen Wertpapierindex nach.\n\nsupercalifragilistic and zerowidth and keyboard",
    ),
    (
        "book.xlsx",
        "Orders\n\nItem | Units | When | Share\nCable | 12 | 2025-11-01 | 0.5\nHub |  | 2025-11-02 14:30:00 | 0.333333333333333\n\nTotal | 12\n\nNotes & more\n\nOnly cell",
    ),
    ("book.xls", "Blatt\n\nGröße | Wert\nKabel | 3.25"),
    ("book.ods", "Werte\n\nName | Anzahl\nKabel | 7"),
    ("text.odt", "Gezeiten\n\nDas Wasser steigt.\n\n- erstens\n\na | b\n1 | 2"),
    ("deck.pptx", "Tides\n\n- High water\n- at six\n\nSay hello first.\n\nTable\n\nr0c0 | r0c1\nr1c0 | r1c1"),
    ("bfrange.pdf", "annotation"),
    (
        "cm-rot180.pdf",
        "The harbour crane lifts forty tonnes in calm weather. Operators check the wind speed before each lift. Above twelve metres per second the crane is parked. The parking brake is inspected on Mondays.",
    ),
    ("cm-table-rot90.pdf", "Item | Jan | Feb | Mar\nCable | 11 | 12 | 13\nHub | 21 | 22 | 23\nPlug | 31 | 32 | 33"),
    ("cm-table-upright.pdf", "Item | Jan | Feb | Mar\nCable | 11 | 12 | 13\nHub | 21 | 22 | 23\nPlug | 31 | 32 | 33"),
    ("mac.pdf", "here is some text that was printed on a mac"),
    ("mail-header.pdf", "Junk before the header is allowed by every reader"),
    ("only-values.pdf", "Wilhelmina Oakenshield"),
    (
        "r11-form.pdf",
        "Name of applicant: | Marjolein Quist\nAccount: | NL13\nI agree: | ☒\nCountry: | Netherlands\n\nReviewer note about ospreys\n\nSticky note about kestrels",
    ),
    ("r12-ligatures.pdf", "The final workflow office.\n\nPlain text line for company."),
    (
        "r26-hyphen.pdf",
        "If replicated at scale this would let the sea take up more of the gas that is driving climate change, while price-determining factors stay. Vracht- en verzendkosten stay too.",
    ),
    ("r30-fakebold-chars.pdf", "HELLO WORLD\n\nBody text about plovers."),
    ("salam.pdf", "سلام كتب"),
    ("tracking.pdf", "RANGERS IN THE CLASSROOM\n\nAn ordinary line under a spaced heading"),
    ("truetype-winansi.pdf", "annotation"),
];

#[test]
fn cases_have_the_right_text() {
    for (name, text) in TEXTS {
        match read(name) {
            Ok(document) => assert_eq!(document.text, *text, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn damage_and_loss_are_failures() {
    for (name, kind) in
        [("second-stream-broken.pdf", FileErrorKind::Corrupt), ("mostly-lost.pdf", FileErrorKind::Empty)]
    {
        assert_eq!(read(name).expect_err(name).kind, kind, "{name}");
    }
}

#[test]
fn sheets_have_pages_places_and_headers() {
    let document = read("book.xlsx").expect("a workbook");
    assert_eq!(document.title.as_deref(), Some("Order book"));
    assert_eq!(document.properties["author"], "Ada");
    assert_eq!((document.page_count, document.media_type), (Some(2), Some(MediaType::Xlsx)));
    let tables: Vec<_> = document.elements.iter().filter(|element| element.kind == ElementKind::Table).collect();
    let places: Vec<_> = tables.iter().map(|table| (table.page, table.place.as_deref())).collect();
    assert_eq!(
        places,
        [(Some(1), Some("Orders!A1:D3")), (Some(1), Some("Orders!A6:B6")), (Some(2), Some("Notes & more!C3:C3"))]
    );
    let header = tables[0].records.map(|records| records.header_bytes);
    assert_eq!(header, Some("Item | Units | When | Share".len()));
}

#[test]
fn numbers_of_sheets_are_shown_by_their_formats() {
    let parts = [
        (
            "_rels/.rels",
            "<Relationships><Relationship Id='a' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' \
             Target='xl/workbook.xml'/></Relationships>",
        ),
        (
            "xl/workbook.xml",
            "<workbook xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'><sheets>\
             <sheet name='Sales' sheetId='1' r:id='b'/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id='b' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet' \
             Target='worksheets/sheet1.xml'/></Relationships>",
        ),
        (
            "xl/styles.xml",
            "<styleSheet><numFmts><numFmt numFmtId='164' formatCode='#,##0.00\\ [$€-407]'/>\
             <numFmt numFmtId='165' formatCode='d mmm yyyy'/></numFmts>\
             <cellXfs><xf numFmtId='0'/><xf numFmtId='10'/><xf numFmtId='164'/><xf numFmtId='165'/><xf numFmtId='14'/></cellXfs></styleSheet>",
        ),
        (
            "xl/worksheets/sheet1.xml",
            "<worksheet><sheetData><row r='1'><c r='A1'><v>0.075</v></c><c r='B1' s='1'><v>0.075</v></c><c r='C1' s='2'><v>1234.5</v></c>\
             <c r='D1' s='3'><v>45963</v></c><c r='E1' s='4'><v>45963</v></c></row></sheetData></worksheet>",
        ),
    ];
    let mut book = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        book.start_file(name, zip::write::SimpleFileOptions::default()).expect("in memory");
        book.write_all(content.as_bytes()).expect("in memory");
    }
    let file = written(&book.finish().expect("in memory").into_inner());
    let document = read_as("a.xlsx", file.path(), &OcrSettings::default()).expect("a workbook");
    assert_eq!(document.text, "Sales\n\n0.075 | 7.50% | 1,234.50 € | 2 Nov 2025 | 2025-11-02");
}

#[test]
fn slides_have_headings_items_tables_and_notes() {
    let document = read("deck.pptx").expect("a presentation");
    assert_eq!((document.title.as_deref(), document.page_count), (Some("Deck"), Some(2)));
    let kinds: Vec<_> = document.elements.iter().map(|element| (element.kind, element.page)).collect();
    assert_eq!(
        kinds,
        [
            (ElementKind::Heading { level: 1 }, Some(1)),
            (ElementKind::ListItem, Some(1)),
            (ElementKind::ListItem, Some(1)),
            (ElementKind::Aside, Some(1)),
            (ElementKind::PageBreak, Some(2)),
            (ElementKind::Heading { level: 1 }, Some(2)),
            (ElementKind::Table, Some(2)),
        ]
    );
}

#[test]
fn headings_of_markdown_have_their_words() {
    let document = read("r18-headings.md").expect("a text");
    let words: Vec<_> = document
        .elements
        .iter()
        .filter(|element| matches!(element.kind, ElementKind::Heading { .. }))
        .map(|element| element.label.clone().unwrap_or_else(|| document.text[element.start..element.end].to_owned()))
        .collect();
    assert_eq!(
        words,
        [
            "Intro",
            "Sub part one",
            "My Resume",
            "Bold code heading",
            "24/7 Support",
            "C# and F#",
            "HTML heading",
            "Quoted heading",
            "Chapter Two",
            "Über uns"
        ]
    );
}

#[test]
fn name_does_not_decide_what_a_file_is() {
    for (file, name, media_type) in [
        ("book.xlsx", "a.docx", MediaType::Xlsx),
        ("deck.pptx", "a.xlsx", MediaType::Pptx),
        ("text.odt", "a.zip", MediaType::Odt),
        ("book.xls", "a.doc", MediaType::Xls),
        ("math.docx", "a.pdf", MediaType::Docx),
    ] {
        let document = read_as(name, &data(file), &OcrSettings::default()).expect(file);
        assert_eq!(document.media_type, Some(media_type), "{file} as {name}");
    }
}

/// A file with this content.
fn written(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(content).expect("written");
    file
}

#[test]
fn csv_with_a_stray_nul_behind_the_first_bytes_is_one_table_without_it() {
    let rows: String = (0..3_000).map(|row| format!("{row},heron {row}\n")).collect();
    let csv = format!("id,name\n{rows}3001,\0\n");
    let document = read_as("a.csv", written(csv.as_bytes()).path(), &OcrSettings::default()).expect("a table");
    assert_eq!(document.text, csv.replace('\0', ""));
    let [table] = document.elements.as_slice() else { panic!("{} elements", document.elements.len()) };
    assert_eq!((table.kind, table.records.map(|records| records.header_bytes)), (ElementKind::Table, Some(7)));
    assert_eq!(table.records(&document.text).count(), 3_002);
}

#[test]
fn books_notebooks_and_rich_text_are_read() {
    let notebook = br##"{"nbformat": 4, "metadata": {"language_info": {"name": "python"}}, "cells": [
        {"cell_type": "markdown", "source": ["# Tides\n", "\n", "Text."]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}]}]}"##;
    let file = written(notebook);
    let document = read_as("a.ipynb", file.path(), &OcrSettings::default()).expect("a notebook");
    assert_eq!(document.properties["language"], "python");
    assert_eq!(
        pieces(&document),
        [
            (ElementKind::Heading { level: 1 }, "Tides"),
            (ElementKind::Paragraph, "Text."),
            (ElementKind::Code, "print(1)"),
            (ElementKind::Aside, "1"),
        ]
    );

    let mut book = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in [
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            "<container><rootfiles><rootfile full-path='OPS/book.opf'/></rootfiles></container>",
        ),
        (
            "OPS/book.opf",
            "<package><metadata><dc:title>Sea</dc:title><dc:creator>Ada</dc:creator></metadata><manifest>\
             <item id='b' href='two.xhtml' media-type='application/xhtml+xml'/>\
             <item id='a' href='text/one.xhtml' media-type='application/xhtml+xml'/></manifest>\
             <spine><itemref idref='a'/><itemref idref='b'/></spine></package>",
        ),
        (
            "OPS/text/one.xhtml",
            "<?xml version='1.0'?><html><head><title/></head><body><h1>One</h1><p>First.</p></body></html>",
        ),
        ("OPS/two.xhtml", "<?xml version='1.0'?><html><body><h1>Two</h1><p>Second.</p></body></html>"),
    ] {
        book.start_file(name, zip::write::SimpleFileOptions::default()).expect("in memory");
        book.write_all(content.as_bytes()).expect("in memory");
    }
    let file = written(&book.finish().expect("in memory").into_inner());
    let document = read_as("a.epub", file.path(), &OcrSettings::default()).expect("a book");
    assert_eq!((document.title.as_deref(), document.media_type), (Some("Sea"), Some(MediaType::Epub)));
    assert_eq!(document.text, "One\n\nFirst.\n\nTwo\n\nSecond.");
}

#[test]
fn pictures_have_no_text_without_models() {
    assert_eq!(read("scan.png").expect_err("no models").kind, FileErrorKind::UnsupportedMedia);
    assert_eq!(read("scan.pdf").expect_err("no models").kind, FileErrorKind::Empty);
}

/// The folder of the models, which `just test` names.
fn models() -> OcrSettings {
    let directory =
        std::env::var_os("NVISY_EXTRACT_OCR_DIRECTORY").expect("NVISY_EXTRACT_OCR_DIRECTORY: run `just test`");
    OcrSettings { mode: OcrMode::Auto, directory: Some(directory.into()), ..OcrSettings::default() }
}

#[test]
fn text_in_pictures_and_scanned_pages_is_recognized() {
    for name in ["scan.png", "scan.pdf"] {
        let document = read_as(name, &data(name), &models()).expect(name);
        let text = document.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(text, "The harbour crane lifts forty tonnes. Invoice 20417: 1,250.00 EUR", "{name}");
        let confidence: f64 = document.properties["ocrConfidence"].parse().expect("a number");
        assert!(confidence > 0.9, "{name}: {confidence}");
    }
}

#[test]
fn scan_under_a_stamp_is_recognized() {
    let stamped = read_as("stamped-scan.pdf", &data("stamped-scan.pdf"), &models()).expect("a text");
    for words in ["Received by post on 3 March", "The harbour crane lifts", "Invoice 20417"] {
        assert_eq!(stamped.text.matches(words).count(), 1, "{}", stamped.text);
    }
}

#[test]
fn file_whose_pages_are_not_recognized_in_time_fails() {
    let limits = ExtractLimits { wall_seconds: 0, ..ExtractLimits::default() };
    for name in ["scan.png", "scan.pdf"] {
        let info = FileInfo { file_name: name.to_owned(), declared_type: None };
        let failure = read_here(File::open(data(name)).expect("the file"), &info, &limits, &models());
        assert_eq!(failure.expect_err("no time").kind, FileErrorKind::TimedOut, "{name}");
    }
    let text = read_as("bold.pdf", &data("bold.pdf"), &models()).expect("a text");
    assert!(!text.properties.contains_key("ocrConfidence"), "a page with text takes no time of recognition");
}

#[test]
fn recognized_lines_have_boxes_on_their_page() {
    for (name, page) in [("scan.png", None), ("scan.pdf", Some(1))] {
        let document = read_as(name, &data(name), &models()).expect(name);
        let mut end = 0;
        let mut letters = String::new();
        for TextBox { start, end: to, page: of, left, top, right, bottom, confidence } in &document.boxes {
            assert!(*start >= end && to > start && *of == page, "{name}: {:?}", document.boxes);
            assert!(0.0 <= *left && left < right && *right <= 1.0, "{name}: {:?}", document.boxes);
            assert!(0.0 <= *top && top < bottom && *bottom <= 1.0, "{name}: {:?}", document.boxes);
            assert!((0.5..=1.0).contains(confidence), "{name}: {:?}", document.boxes);
            letters.extend(document.text[*start..*to].split_whitespace());
            end = *to;
        }
        let text: String = document.text.split_whitespace().collect();
        assert_eq!(letters, text, "{name}: all text stands in boxes");
        let upper = |words: &str| {
            let place = document.text.find(words).expect(words);
            let found = document.boxes.iter().find(|found| (found.start..found.end).contains(&place));
            found.expect("its box").top
        };
        assert!(upper("harbour") < upper("Invoice"), "{name}: {:?}", document.boxes);
    }
    assert!(read("bold.pdf").expect("a text").boxes.is_empty(), "text that is not recognised has no boxes");
}

#[test]
fn picture_on_its_side_has_the_text_of_the_upright_one_and_boxes_on_its_side() {
    let upright = read_as("scan.png", &data("scan.png"), &models()).expect("a text");
    let picture = image::open(data("scan.png")).expect("a picture");
    for (turned, is_clockwise) in [(picture.rotate90(), true), (picture.rotate270(), false)] {
        let mut bytes = Cursor::new(Vec::new());
        turned.write_to(&mut bytes, image::ImageFormat::Png).expect("in memory");
        let file = written(&bytes.into_inner());
        let document = read_as("turned.png", file.path(), &models()).expect("a text");
        assert_eq!((&document.text, &document.elements), (&upright.text, &upright.elements));
        assert_eq!(document.boxes.len(), upright.boxes.len());
        for (found, line) in document.boxes.iter().zip(&upright.boxes) {
            let sides = match is_clockwise {
                true => [1.0 - line.bottom, line.left, 1.0 - line.top, line.right],
                false => [line.top, 1.0 - line.right, line.bottom, 1.0 - line.left],
            };
            for (side, expected) in [found.left, found.top, found.right, found.bottom].into_iter().zip(sides) {
                assert!((side - expected).abs() < 0.001, "{found:?} is not the turned {line:?}");
            }
        }
    }
}

#[test]
fn hint_of_the_script_keeps_the_text() {
    let without = read_as("scan.png", &data("scan.png"), &models()).expect("a text");
    let hinted = OcrSettings { scripts: vec![Script::Latin], ..models() };
    let with = read_as("scan.png", &data("scan.png"), &hinted).expect("a text");
    assert_eq!((with.text, with.boxes), (without.text, without.boxes));
}

#[test]
fn pages_with_text_are_not_recognized() {
    let document = read_as("r12-ligatures.pdf", &data("r12-ligatures.pdf"), &models()).expect("a text");
    assert!(!document.properties.contains_key("ocrConfidence"));
}

#[test]
fn bold_lines_of_text_size_are_headings() {
    let document = read("bold.pdf").expect("a text");
    let headings: Vec<_> = pieces(&document)
        .into_iter()
        .filter(|(kind, _)| matches!(kind, ElementKind::Heading { .. }))
        .map(|(_, text)| text)
        .collect();
    assert_eq!(headings, ["Scope of work", "Duties"]);
}
