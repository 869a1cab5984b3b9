//! Files that claim or unfold to much more than they are: a typed failure or a small result, within the limits of the child.

use std::{fmt::Write as _, io::Write as _};

use nvisy_extract::{
    Document, ElementKind, ExtractError, ExtractLimits, FileError, FileErrorKind, OcrMode, OcrSettings, run,
};

use super::{document, extract_with, failure, files, files::TiffPage, named, worker};

/// Four hundred megapixels.
const SIDE: u32 = 20_000;

/// Reads a file with the recognition of text, whose models `just test` names.
async fn recognized(name: &str, bytes: &[u8]) -> Result<Document, FileErrorKind> {
    let directory =
        std::env::var_os("NVISY_EXTRACT_OCR_DIRECTORY").expect("NVISY_EXTRACT_OCR_DIRECTORY: run `just test`");
    let ocr = OcrSettings { mode: OcrMode::Auto, directory: Some(directory.into()), ..OcrSettings::default() };
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    match run(&worker(), &file, &named(name), &ExtractLimits::default(), &ocr).await {
        Ok(document) => Ok(document),
        Err(ExtractError::File(FileError { kind, .. })) => Err(kind),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// A page of one grey point.
const POINT: TiffPage<'_> = TiffPage { side: 1, bits: 8, compression: 1, data: &[200] };

#[tokio::test]
async fn picture_that_claims_too_many_points_is_too_large() {
    assert_eq!(recognized("a.png", &files::png_header(SIDE)).await.expect_err("a failure"), FileErrorKind::TooLarge);
    let tiff = files::tiff(&[TiffPage { side: SIDE, ..POINT }], false);
    assert_eq!(recognized("a.tif", &tiff).await.expect_err("a failure"), FileErrorKind::TooLarge);
}

#[tokio::test]
async fn further_page_with_too_many_points_is_too_large() {
    // Black and white, packed: 800 KB that would be 1.2 GB in memory.
    let runs = (SIDE / 8 * SIDE).div_ceil(128) as usize;
    let black = [0x81_u8, 0].repeat(runs);
    let page = TiffPage { side: SIDE, bits: 1, compression: 32_773, data: &black };
    let tiff = files::tiff(&[POINT, page], false);
    assert_eq!(recognized("a.tif", &tiff).await.expect_err("a failure"), FileErrorKind::TooLarge);
}

#[tokio::test]
async fn tiff_with_too_many_or_endless_pages_fails_before_they_are_read() {
    let pages: Vec<_> = (0..10_000).map(|_| POINT).collect();
    assert_eq!(recognized("a.tif", &files::tiff(&pages, false)).await.expect_err("a failure"), FileErrorKind::TooLarge);
    let endless = files::tiff(&[POINT, POINT, POINT], true);
    assert_eq!(recognized("a.tif", &endless).await.expect_err("a failure"), FileErrorKind::Corrupt);
}

#[tokio::test]
async fn sheet_with_a_million_cells_is_one_table() {
    let mut sheet = "<worksheet><sheetData>".to_owned();
    for row in 0..4_000 {
        sheet.push_str("<row>");
        for column in 0..250 {
            write!(sheet, "<c><v>{}</v></c>", row * 250 + column).expect("in memory");
        }
        sheet.push_str("</row>");
    }
    sheet.push_str("</sheetData></worksheet>");
    let document = document("a.xlsx", &files::workbook(&sheet)).await;
    let tables: Vec<_> = document.elements.iter().filter(|element| element.kind == ElementKind::Table).collect();
    assert_eq!(tables.iter().map(|table| table.place.as_deref()).collect::<Vec<_>>(), [Some("S!A1:IP4000")]);
    assert!(document.text.starts_with("S\n\n0 | 1 | 2 |") && document.text.ends_with(" | 999999"));
    assert_eq!(document.text.matches(" | ").count(), 4_000 * 249);
}

#[tokio::test]
async fn mail_within_a_thousand_mails_is_read_as_the_outer_one() {
    let mail = files::nested_mail(1_000);
    let document = document("a.eml", mail.as_bytes()).await;
    assert!(document.text.contains("See the mail below, at level 1000."), "{}", document.text);
    assert!(document.text.len() < 1_000, "{} bytes", document.text.len());
    // So deep that a parser that calls itself for each level has no stack left.
    let levels = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    let mail = format!("From: a@example.org\r\nSubject: Deep\r\n{levels}");
    match extract_with("a.eml", mail.as_bytes(), &ExtractLimits::default()).await {
        Ok(document) => assert!(document.text.len() < 1_000, "{} bytes", document.text.len()),
        Err(ExtractError::File(FileError { kind, .. })) => assert_eq!(kind, FileErrorKind::Corrupt),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn pdf_with_a_million_pages_exceeds_a_limit() {
    let catalog = "<< /Type /Catalog /Pages 2 0 R >>".to_owned();
    let pages = format!("<< /Type /Pages /Count 1000000 /Kids [{}] >>", "<<>> ".repeat(1_000_000));
    let kind = failure("a.pdf", &files::pdf_of(&[catalog, pages])).await;
    assert!([FileErrorKind::TooLarge, FileErrorKind::OutOfMemory].contains(&kind), "{kind:?}");
}

#[tokio::test]
async fn page_tree_that_repeats_its_branches_is_not_unfolded() {
    const DEPTH: usize = 60;
    // Each node has the next one twice: 2^60 pages by their paths.
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    for number in 2..2 + DEPTH {
        objects.push(format!("<< /Type /Pages /Count 1 /Kids [{0} 0 R {0} 0 R] >>", number + 1));
    }
    let content = "BT /F1 12 Tf 72 700 Td (The only page of all.) Tj ET";
    objects.push(format!(
        "<< /Type /Page /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 {} 0 R >> >> >>",
        DEPTH + 3,
        DEPTH + 4
    ));
    objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned());
    let document = document("a.pdf", &files::pdf_of(&objects)).await;
    assert_eq!((document.text.as_str(), document.page_count), ("The only page of all.", Some(1)));
    // The last node leads back to the first one.
    objects.truncate(1 + DEPTH);
    objects[DEPTH] = "<< /Type /Pages /Count 1 /Kids [2 0 R 2 0 R] >>".to_owned();
    let kind = failure("a.pdf", &files::pdf_of(&objects)).await;
    assert!([FileErrorKind::Empty, FileErrorKind::Corrupt].contains(&kind), "{kind:?}");
}

#[tokio::test]
async fn file_of_two_formats_is_read_as_one_of_them() {
    let zip = files::zip(&[("a.txt", b"Ebb.")]);
    // A PDF with an archive behind it is a PDF.
    let both = [files::pdf(&["One page here."]), zip.clone()].concat();
    for name in ["a.pdf", "a.zip", "a.docx"] {
        assert_eq!(document(name, &both).await.text, "One page here.", "{name}");
    }
    // The header alone makes a damaged one.
    let header = [b"%PDF-1.4\n".as_slice(), &zip].concat();
    assert_eq!(failure("a.docx", &header).await, FileErrorKind::Corrupt);
    // An archive is one whatever its members begin with.
    let member = files::zip(&[("a.pdf", b"%PDF-1.4\n%%EOF")]);
    assert_eq!(failure("b.pdf", &member).await, FileErrorKind::UnsupportedMedia);
    let page = b"<!doctype html><p>The ebb begins.";
    assert_eq!(document("a.pdf", page).await.text, "The ebb begins.");
    let mentioned = b"<!doctype html><p>A file begins with %PDF-1.4 here.";
    assert_eq!(document("a.html", mentioned).await.text, "A file begins with %PDF-1.4 here.");
    assert_eq!(failure("a.pdf", mentioned).await, FileErrorKind::Corrupt);
}
