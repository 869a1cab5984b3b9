//! Files that are cut short, damaged or too large, of which a part is enough: what can be read, and why the rest is missing.

use std::io::Write;
use std::path::Path;

use nvisy_extract::{Document, ExtractLimits, FileError, FileErrorKind, FileInfo, OcrSettings, read_here};

const PARTIAL: fn() -> ExtractLimits = || ExtractLimits { partial: true, ..ExtractLimits::default() };

fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).expect("the file")
}

fn read(name: &str, bytes: &[u8], limits: &ExtractLimits) -> Result<Document, FileError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    std::io::Seek::rewind(&mut file).expect("rewound");
    let info = FileInfo { file_name: name.to_owned(), declared_type: None };
    read_here(file, &info, limits, &OcrSettings::default())
}

/// The text of a file whose rest is missing for this reason. As a whole the file fails for the same reason.
fn part(name: &str, bytes: &[u8], limits: &ExtractLimits, kind: FileErrorKind) -> String {
    let whole = ExtractLimits { partial: false, ..limits.clone() };
    assert_eq!(read(name, bytes, &whole).expect_err(name).kind, kind, "{name}");
    let document = read(name, bytes, limits).expect(name);
    assert_eq!(document.failure.as_ref().map(|failure| failure.kind), Some(kind), "{name}");
    assert!(document.failure.is_some_and(|failure| document.warnings.contains(&failure.detail)), "{name}");
    for element in &document.elements {
        assert!(document.text.get(element.start..element.end).is_some(), "{name}: {element:?}");
    }
    document.text
}

fn zip_of(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a new part");
        zip.write_all(content.as_bytes()).expect("written to memory");
    }
    zip.finish().expect("written to memory").into_inner()
}

#[test]
fn whole_file_is_not_partial() {
    for name in ["text.odt", "r32-numbering.docx", "book.xlsx", "r12-ligatures.pdf", "hidden.html"] {
        let bytes = data(name);
        let whole = read(name, &bytes, &ExtractLimits::default()).expect(name);
        assert_eq!(read(name, &bytes, &PARTIAL()).expect(name), whole, "{name}");
    }
}

#[test]
fn mail_with_large_attachments_is_limited_by_its_text() {
    let mail = format!(
        "From: a@example.org\r\nSubject: Plans\r\nDate: Sat, 1 Nov 2025 10:00:00 +0100\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nSee the plans.\r\n\
         --x\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--x--\r\n",
        "JVBERi0xLjcK\r\n".repeat(1_000)
    );
    let mailbox = format!("From a@example.org Sat Nov  1 10:00:00 2025\r\n{mail}");
    let limits = ExtractLimits { max_text_bytes: 1_000, ..ExtractLimits::default() };
    for (name, content) in [("a.eml", &mail), ("a.mbox", &mailbox)] {
        let document = read(name, content.as_bytes(), &limits).expect(name);
        assert!(document.text.contains("See the plans."), "{name}: {}", document.text);
        let small = ExtractLimits { max_expanded_bytes: 10_000, ..limits.clone() };
        assert_eq!(read(name, content.as_bytes(), &small).expect_err(name).kind, FileErrorKind::TooLarge, "{name}");
    }
}

#[test]
fn part_of_a_container_that_is_cut_short_is_read() {
    let paragraphs: String =
        (0..4_000).map(|n| format!("<w:p><w:r><w:t>Line {} of the tide.</w:t></w:r></w:p>", n * 7919 % 4001)).collect();
    let docx = zip_of(&[
        ("word/document.xml", &format!("<w:document>{paragraphs}</w:document>")),
        ("word/styles.xml", "<w:styles/>"),
    ]);
    let text = part("a.docx", &docx[..docx.len() / 2], &PARTIAL(), FileErrorKind::Corrupt);
    assert!(text.starts_with("Line 0 of the tide.\n\nLine 3918 of the tide."), "{}", &text[..100]);
    assert!((1_000..3_000).contains(&text.matches("Line").count()));
    // Without its list of parts a whole document can be read.
    let odt = data("text.odt");
    let whole = read("a.odt", &odt, &ExtractLimits::default()).expect("a document");
    assert_eq!(part("a.odt", &odt[..odt.len() - 40], &PARTIAL(), FileErrorKind::Corrupt), whole.text);
    let book = data("book.xlsx");
    let end = book.windows(4).position(|window| window == b"PK\x01\x02").expect("the list of parts");
    assert!(part("a.xlsx", &book[..end + 100], &PARTIAL(), FileErrorKind::Corrupt).contains("Item | Units"));
}

#[test]
fn text_before_malformed_markup_is_read() {
    let main = "<w:document><w:p><w:r><w:t>one</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
                <w:p><w:r><w:t>two</w:t></w:oops><w:t>three</w:t>";
    assert_eq!(
        part("a.docx", &zip_of(&[("word/document.xml", main)]), &PARTIAL(), FileErrorKind::Corrupt),
        "one\n\ncell\n\ntwo"
    );
    let cut = "<w:document><w:p><w:r><w:t>one</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>last";
    assert_eq!(
        part("a.docx", &zip_of(&[("word/document.xml", cut)]), &PARTIAL(), FileErrorKind::Corrupt),
        "one\n\ncell | last"
    );
    assert_eq!(part("a.rtf", b"{\\rtf1 one\\par two", &PARTIAL(), FileErrorKind::Corrupt), "one\n\ntwo");
}

#[test]
fn pages_of_a_damaged_pdf_are_read() {
    let text = part("a.pdf", &data("second-stream-broken.pdf"), &PARTIAL(), FileErrorKind::Corrupt);
    assert!(text.contains("First half of the page"), "{text}");
    let pdf = data("r11-form.pdf");
    let whole = read("a.pdf", &pdf, &ExtractLimits::default()).expect("a document");
    let end = pdf.windows(9).rposition(|window| window == b"startxref").expect("the end mark");
    let text = part("a.pdf", &pdf[..end], &PARTIAL(), FileErrorKind::Corrupt);
    assert_eq!(text, whole.text);
}

#[test]
fn limits_leave_what_comes_before_them() {
    let few = ExtractLimits { max_pages: 1, ..PARTIAL() };
    let text = part("a.xlsx", &data("book.xlsx"), &few, FileErrorKind::TooLarge);
    assert!(text.starts_with("Orders\n\n") && !text.contains("Notes & more"), "{text}");
    let mails = b"From a Sat Nov  1 10:00:00 2025\nFrom: a@b.c\nDate: x\nSubject: One\n\nfirst\n\nFrom b Sat Nov  1 10:00:00 2025\nSubject: Two\n\nsecond\n";
    let text = part("a.mbox", mails, &few, FileErrorKind::TooLarge);
    assert!(text.contains("first") && !text.contains("second"), "{text}");

    let short = ExtractLimits { max_text_bytes: 10, ..PARTIAL() };
    assert_eq!(part("a.txt", "Größe, Größe".as_bytes(), &short, FileErrorKind::TooLarge), "Größe, G");
    let rtf = b"{\\rtf1 one\\par two\\par three}";
    assert_eq!(part("a.rtf", rtf, &short, FileErrorKind::TooLarge), "one\n\ntwo");
}

#[test]
fn text_before_binary_content_is_read() {
    let mut text = b"Plain words. ".repeat(1_000);
    text.extend([0; 64]);
    assert_eq!(part("a.txt", &text, &PARTIAL(), FileErrorKind::Corrupt).len(), 13_000);
}

#[test]
fn file_without_a_readable_part_fails() {
    for (name, bytes) in [("a.pdf", b"%PDF-1.7 cut".as_slice()), ("a.docx", b"PK\x03\x04 cut"), ("a.txt", b" \n")] {
        let whole = read(name, bytes, &ExtractLimits::default()).expect_err(name);
        let part = read(name, bytes, &PARTIAL()).expect_err(name);
        assert_eq!(part.kind, whole.kind, "{name}");
    }
}

#[test]
fn missing_and_damaged_parts_of_containers_fail_the_file() {
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let related = |id: &str, kind: &str, target: &str| {
        format!("<Relationships><Relationship Id='{id}' Type='{office}/{kind}' Target='{target}'/></Relationships>")
    };
    let sheet = "<worksheet><sheetData><row r='1'><c r='A1'><v>11</v></c></row><row r='2'><c r='A2'><v>12</v></oops>";
    let book = zip_of(&[
        ("_rels/.rels", &related("a", "officeDocument", "xl/workbook.xml")),
        (
            "xl/workbook.xml",
            &format!(
                "<workbook xmlns:r='{office}'><sheets><sheet name='Sales' sheetId='1' r:id='b'/></sheets></workbook>"
            ),
        ),
        ("xl/_rels/workbook.xml.rels", &related("b", "worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", sheet),
    ]);
    let text = part("a.xlsx", &book, &PARTIAL(), FileErrorKind::Corrupt);
    assert!(text.starts_with("Sales\n\n11"), "{text}");

    let related = format!(
        "<Relationships><Relationship Id='a' Type='{office}/slide' Target='slides/slide1.xml'/>\
         <Relationship Id='b' Type='{office}/slide' Target='slides/slide2.xml'/></Relationships>"
    );
    let deck = zip_of(&[
        (
            "ppt/presentation.xml",
            "<p:presentation><p:sldIdLst><p:sldId r:id='a'/><p:sldId r:id='b'/></p:sldIdLst></p:presentation>",
        ),
        ("ppt/_rels/presentation.xml.rels", &related),
        (
            "ppt/slides/slide1.xml",
            "<p:sld><p:sp><p:txBody><a:p><a:r><a:t>Tides</a:t></a:r></a:p></p:txBody></p:sp></p:sld>",
        ),
    ]);
    assert_eq!(part("a.pptx", &deck, &PARTIAL(), FileErrorKind::Corrupt).trim_end(), "Tides");

    let epub = zip_of(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", "<container><rootfiles><rootfile full-path='a.opf'/></rootfiles></container>"),
        (
            "a.opf",
            "<package><manifest><item id='a' href='a.xhtml' media-type='application/xhtml+xml'/>\
             <item id='b' href='b.xhtml' media-type='application/xhtml+xml'/></manifest>\
             <spine><itemref idref='a'/><itemref idref='b'/></spine></package>",
        ),
        ("a.xhtml", "<html><body><p>Tides</p></body></html>"),
    ]);
    assert_eq!(part("a.epub", &epub, &PARTIAL(), FileErrorKind::Corrupt), "Tides");
}
