//! Extraction in a child process: good files give their text, bad ones a typed failure.

mod bombs;
mod confinement;
mod files;
mod golden;
mod members;

use std::fs::File;
use std::io::Write;
use std::os::{fd::OwnedFd, unix::net::UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nvisy_extract::{
    Document, ElementKind, ExtractError, ExtractLimits, FileError, FileErrorKind, FileInfo, OCR_FILES, OcrMode,
    OcrSettings, run,
};

fn worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_nvisy-worker"))
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn named(name: &str) -> FileInfo {
    FileInfo { file_name: name.to_owned(), declared_type: None }
}

async fn extract_with(name: &str, bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    run(&worker(), &file, &named(name), limits, &OcrSettings::default()).await
}

/// The document of this file, after a check of the invariants of documents.
async fn document(name: &str, bytes: &[u8]) -> Document {
    let document = extract_with(name, bytes, &ExtractLimits::default()).await.expect("a good file");
    let mut end = 0;
    for element in &document.elements {
        assert!(element.start >= end && element.end > element.start, "{name}: {element:?} overlaps or is empty");
        assert!(document.text.get(element.start..element.end).is_some(), "{name}: {element:?} splits a character");
        end = element.end;
    }
    document
}

async fn failure_within(name: &str, bytes: &[u8], limits: &ExtractLimits) -> (FileErrorKind, String) {
    match extract_with(name, bytes, limits).await {
        Err(ExtractError::File(FileError { kind, detail })) => (kind, detail),
        other => panic!("{name}: expected a failure, got {other:?}"),
    }
}

async fn failure(name: &str, bytes: &[u8]) -> FileErrorKind {
    failure_within(name, bytes, &ExtractLimits::default()).await.0
}

/// A child that reads for longer than a test looks at it, and its socket: the child exits when that closes.
fn start_long_child() -> (Child, UnixStream) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all("<table><tr><td>deep".repeat(1 << 20).as_bytes()).expect("written");
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    let child = Command::new(worker())
        .arg("extract")
        .stdin(Stdio::from(file))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .expect("the worker starts");
    let request = serde_json::json!({
        "info": { "file_name": "a.html", "declared_type": null },
        "limits": ExtractLimits::default(),
    });
    writeln!(&ours, "{request}").expect("written");
    (child, ours)
}

fn pieces(document: &Document) -> Vec<(ElementKind, &str)> {
    document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect()
}

#[tokio::test]
async fn pdf_text_has_its_page_number() {
    let file = files::pdf(&["First page here.", "", "Third page here."]);
    let document = document("a.pdf", &file).await;
    assert_eq!(document.page_count, Some(3));
    assert_eq!(document.title.as_deref(), Some("A Tiny File"));
    let texts: Vec<_> = document.elements.iter().filter(|e| e.kind != ElementKind::PageBreak).collect();
    assert_eq!(texts.iter().map(|e| e.page).collect::<Vec<_>>(), [Some(1), Some(3)]);
    assert_eq!(&document.text[texts[1].start..texts[1].end], "Third page here.");
    assert_eq!(document.elements.len() - texts.len(), 2, "two borders between three pages");
}

#[tokio::test]
async fn docx_structure_is_read() {
    let file = files::docx(
        r#"<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Gr&#252;&#xDF;e</w:t></w:r></w:p>
        <w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr><w:r><w:t xml:space="preserve">One </w:t></w:r>
            <w:r><w:t>two</w:t><w:tab/><w:t>three</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>
        <w:p><w:pPr><w:numPr><w:ilvl w:val="0"/></w:numPr></w:pPr><w:r><w:t>item</w:t></w:r></w:p>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
        <w:p><w:r><mc:AlternateContent><mc:Choice><w:p><w:r><w:t>boxed</w:t></w:r></w:p></mc:Choice>
            <mc:Fallback><w:p><w:r><w:t>boxed</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent><w:t>last</w:t></w:r></w:p>"#,
    );
    let document = document("a.docx", &file).await;
    assert_eq!(document.title.as_deref(), Some("R&D Report"));
    assert_eq!(
        pieces(&document),
        [
            (ElementKind::Heading { level: 1 }, "Grüße"),
            (ElementKind::Paragraph, "One two\tthree"),
            (ElementKind::ListItem, "- item"),
            (ElementKind::Table, "a | b"),
            (ElementKind::Paragraph, "boxed"),
            (ElementKind::Paragraph, "last"),
            (ElementKind::Aside, "A note."),
        ]
    );
}

#[tokio::test]
async fn html_is_read() {
    let document = document("a.html", b"<title>T</title><h1>Head</h1><p>Text").await;
    assert_eq!(document.title.as_deref(), Some("T"));
    assert_eq!(pieces(&document), [(ElementKind::Heading { level: 1 }, "Head"), (ElementKind::Paragraph, "Text")]);
}

#[tokio::test]
async fn text_files_are_kept_byte_for_byte() {
    let text = "\u{FEFF}Erste\r\n\r\n\tZweite 🦀 \u{A0}e\u{301}\r\n\r\n";
    for name in ["a.txt", "a.md", "a.csv", "a.json", "a.rs", "noext"] {
        assert_eq!(document(name, text.as_bytes()).await.text, text, "{name}");
    }
}

#[tokio::test]
async fn invalid_utf8_is_decoded() {
    let document = document("a.txt", b"Gr\xFC\xDFe aus K\xF6ln und M\xFCnchen").await;
    assert_eq!(document.text, "Grüße aus Köln und München");
}

#[tokio::test]
async fn files_without_text_are_empty() {
    assert_eq!(failure("a.txt", b"").await, FileErrorKind::Empty);
    assert_eq!(failure("a.pdf", b"").await, FileErrorKind::Empty);
    assert_eq!(failure("a.txt", b" \r\n\t\n ").await, FileErrorKind::Empty);
    assert_eq!(failure("a.html", b"<p> </p><script>x()</script>").await, FileErrorKind::Empty);
    assert_eq!(failure("a.pdf", &files::pdf(&[])).await, FileErrorKind::Empty);
    let (code, detail) = failure_within("a.pdf", &files::pdf(&["", ""]), &ExtractLimits::default()).await;
    assert_eq!(code, FileErrorKind::Empty);
    assert!(detail.contains("no text layer"), "{detail}");
}

#[tokio::test]
async fn damaged_files_are_corrupt() {
    let pdf = files::pdf(&["One page.", "Two pages.", "Three pages."]);
    for cut in [20, pdf.len() / 3, pdf.len() / 2, pdf.len() - 200] {
        assert_eq!(failure("a.pdf", &pdf[..cut]).await, FileErrorKind::Corrupt, "cut at {cut} of {}", pdf.len());
    }
    let docx = files::docx("<w:p><w:r><w:t>words</w:t></w:r></w:p>");
    assert_eq!(failure("a.docx", &docx[..docx.len() / 2]).await, FileErrorKind::Corrupt);
    assert_eq!(failure("a.docx", &files::docx("<w:p></w:oops>")).await, FileErrorKind::Corrupt);
    assert_eq!(failure("a.doc", &files::ole("WordDocument")).await, FileErrorKind::Corrupt);
    let mut late_junk = vec![b'a'; 20_000];
    late_junk.extend([0; 10]);
    assert_eq!(failure("a.txt", &late_junk).await, FileErrorKind::Corrupt);
}

#[tokio::test]
async fn protected_files_are_encrypted() {
    let pdf = std::fs::read(data("encrypted.pdf")).expect("the fixture");
    assert_eq!(failure("a.pdf", &pdf).await, FileErrorKind::Encrypted);
    assert_eq!(failure("a.docx", &files::ole("EncryptedPackage")).await, FileErrorKind::Encrypted);
}

#[tokio::test]
async fn unknown_formats_are_unsupported() {
    assert_eq!(failure("a.pdf", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xFF\xFF").await, FileErrorKind::UnsupportedMedia);
    assert_eq!(failure("a.bin", b"\x7fELF\x02\x01\x01\0\0\0\0").await, FileErrorKind::UnsupportedMedia);
    assert_eq!(failure("a.vsd", &files::ole("VisioDocument")).await, FileErrorKind::UnsupportedMedia);
    assert_eq!(failure("a.zip", &files::zip(&[("a.txt", b"hello")])).await, FileErrorKind::UnsupportedMedia);
    for version in [b"Rar!\x1A\x07\0\xCF\x90\x73\0\0", b"Rar!\x1A\x07\x01\0\x33\x92\xB5\xE5"] {
        let (code, detail) = failure_within("a.rar", version, &ExtractLimits::default()).await;
        assert_eq!(code, FileErrorKind::UnsupportedMedia);
        assert!(detail.contains("RAR"), "{detail}");
    }
}

#[tokio::test]
async fn text_under_a_wrong_extension_is_read_as_text() {
    assert_eq!(document("a.pdf", b"only words").await.text, "only words");
}

#[tokio::test]
async fn zip_bomb_is_too_large() {
    assert_eq!(failure("a.docx", &files::zip_bomb()).await, FileErrorKind::TooLarge);
}

#[tokio::test]
async fn files_above_size_and_page_limits_are_too_large() {
    let started = Instant::now();
    assert_eq!(failure("a.txt", &vec![b'x'; 50 << 20]).await, FileErrorKind::TooLarge);
    assert!(started.elapsed() < Duration::from_secs(5), "the length must be checked before the file is read");

    let limits = ExtractLimits { max_pages: 2, ..ExtractLimits::default() };
    let pdf = files::pdf(&["1", "2", "3"]);
    assert_eq!(failure_within("a.pdf", &pdf, &limits).await.0, FileErrorKind::TooLarge);
}

#[tokio::test]
async fn page_that_a_pdf_names_twice_is_not_missing() {
    let content = "BT /F 12 Tf 72 700 Td (Slack water) Tj ET";
    let objects = |count: usize| {
        [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            format!("<< /Type /Pages /Count {count} /Kids [5 0 R 5 0 R] >>"),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
            "<< /Title (Twice) >>".to_owned(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 6 0 R /Resources << /Font << /F 3 0 R >> >> >>"
                .to_owned(),
            format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        ]
    };
    assert_eq!(document("a.pdf", &files::pdf_of(&objects(2))).await.text, "Slack water");
    assert_eq!(failure("a.pdf", &files::pdf_of(&objects(3))).await, FileErrorKind::Corrupt);
}

#[tokio::test]
async fn page_with_more_letters_than_are_kept_is_too_large() {
    let line = format!("({}) Tj 0 -0.6 Td ", "a".repeat(1_000));
    let content = format!("BT /F 0.5 Tf 20 780 Td {}ET", line.repeat(1_001));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Count 1 /Kids [5 0 R] >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        "<< /Title (Letters) >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 6 0 R /Resources << /Font << /F 3 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    assert_eq!(failure("a.pdf", &files::pdf_of(&objects)).await, FileErrorKind::TooLarge);
}

#[tokio::test]
async fn deep_nesting_does_not_overflow_the_stack() {
    let html = format!("{}deep{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
    assert_eq!(document("a.html", html.as_bytes()).await.text, "deep");
    let table = format!("{}deep", "<table><tr><td>".repeat(100_000));
    assert_eq!(document("a.html", table.as_bytes()).await.text, "deep");
    let markdown = format!("{}deep", "> ".repeat(20_000));
    assert!(document("a.md", markdown.as_bytes()).await.text.ends_with("deep"));
    let docx = files::docx(&format!("{}<w:t>deep</w:t>{}", "<w:p>".repeat(100_000), "</w:p>".repeat(100_000)));
    assert_eq!(document("a.docx", &docx).await.text, "deep\n\nA note.");
}

#[tokio::test]
async fn confined_child_reads_containers_and_pdf() {
    assert_eq!(
        document("a.docx", &files::docx("<w:p><w:r><w:t>words</w:t></w:r></w:p>")).await.text,
        "words\n\nA note."
    );
    assert_eq!(document("a.rtf", b"{\\rtf1 rich \\b text}").await.text, "rich text");
    let mail = b"From: a@example.org\r\nSubject: Tides\r\nDate: Sat, 1 Nov 2025 10:00:00 +0100\r\n\r\nSlack water.\r\n";
    let mail = document("a.eml", mail).await;
    assert_eq!(mail.properties["subject"], "Tides");
    assert!(mail.text.ends_with("Slack water."), "{}", mail.text);
}

#[tokio::test]
async fn attacks_fail_or_end_within_limits() {
    // Entities that expand without bound are not expanded.
    let laughs = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]><w:p><w:t>&b;ok</w:t></w:p>";
    let docx = files::zip(&[("word/document.xml", laughs.as_bytes())]);
    assert_eq!(document("a.docx", &docx).await.text, "ok");
    // A cell in the last corner of a sheet, and one in the first.
    let cells = "<worksheet><sheetData><row r='1'><c r='A1'><v>1</v></c></row>\
                 <row r='1048576'><c r='XFD1048576'><v>2</v></c></row></sheetData></worksheet>";
    let book = files::workbook(cells);
    assert_eq!(document("a.xlsx", &book).await.text, "S\n\n1\n\n2");
    // Nesting.
    let groups = format!("{{\\rtf1 {}", "{".repeat(200_000));
    assert_eq!(failure("a.rtf", groups.as_bytes()).await, FileErrorKind::Corrupt);
    let odt = format!("<x>{}</x>", "<text:list><text:list-item>".repeat(50_000));
    let odt = files::zip(&[("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", odt.as_bytes())]);
    assert_eq!(failure("a.odt", &odt).await, FileErrorKind::Corrupt);
    // A page tree that contains itself.
    let loop_ =
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 1/Kids[2 0 R]>>endobj\n\
                  trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF";
    assert!([FileErrorKind::Empty, FileErrorKind::Corrupt].contains(&failure("a.pdf", loop_).await));
}

#[tokio::test]
async fn hanging_child_is_killed() {
    let file = tempfile::tempfile().expect("a temporary file");
    let limits = ExtractLimits { wall_seconds: 1, ..ExtractLimits::default() };
    let started = Instant::now();
    let outcome = run(&data("hang.sh"), &file, &named("a.txt"), &limits, &OcrSettings::default()).await;
    assert!(matches!(outcome, Err(ExtractError::File(FileError { kind: FileErrorKind::TimedOut, .. }))), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn file_above_the_memory_limit_fails_with_out_of_memory() {
    let page = "<p>".to_owned() + &"word ".repeat(6 << 20);
    let limits = ExtractLimits { memory_bytes: 64 << 20, ..ExtractLimits::default() };
    assert_eq!(failure_within("a.html", page.as_bytes(), &limits).await.0, FileErrorKind::OutOfMemory);
}

#[tokio::test]
async fn failures_of_the_worker_are_process_errors() {
    let file = tempfile::tempfile().expect("a temporary file");
    let outcome =
        run(&data("no-such-program"), &file, &named("a.txt"), &ExtractLimits::default(), &OcrSettings::default()).await;
    assert!(matches!(outcome, Err(ExtractError::Process(_))), "{outcome:?}");
    // A pipe cannot be read from its beginning: no file was staged.
    let (pipe, _writer) = std::io::pipe().expect("a pipe");
    let pipe = File::from(OwnedFd::from(pipe));
    let outcome = run(&worker(), &pipe, &named("a.txt"), &ExtractLimits::default(), &OcrSettings::default()).await;
    assert!(matches!(outcome, Err(ExtractError::Process(_))), "{outcome:?}");
}

#[tokio::test]
async fn models_that_cannot_be_loaded_are_no_fault_of_a_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in OCR_FILES {
        std::fs::write(folder.path().join(name), b"cut short").expect("written");
    }
    let ocr = OcrSettings { mode: OcrMode::Auto, directory: Some(folder.path().into()), ..OcrSettings::default() };
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("extract/tests/data/scan.png");
    let picture = File::open(picture).expect("the picture");
    let outcome = run(&worker(), &picture, &named("scan.png"), &ExtractLimits::default(), &ocr).await;
    let Err(ExtractError::Process(reason)) = outcome else { panic!("{outcome:?}") };
    assert!(reason.to_string().contains(OCR_FILES[0]), "{reason}");
}

#[tokio::test]
async fn file_is_read_from_its_start_each_time() {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(b"Slack water is at six.").expect("written");
    for _ in 0..2 {
        let document = run(&worker(), &file, &named("a.txt"), &ExtractLimits::default(), &OcrSettings::default())
            .await
            .expect("a good file");
        assert_eq!(document.text, "Slack water is at six.");
    }
}

#[test]
fn child_exits_with_its_parent() {
    let (mut child, ours) = start_long_child();
    drop(ours);
    assert_eq!(child.wait().expect("waited").code(), Some(75));
}
