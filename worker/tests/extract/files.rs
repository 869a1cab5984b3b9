//! Small handmade files, valid and invalid.

use std::io::{Cursor, Write};

use zip::write::{SimpleFileOptions, ZipWriter};

/// A PDF with one page per entry, each entry's lines set in Helvetica; an empty entry is a blank page.
pub(crate) fn pdf(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Count {} /Kids [{}] >>",
            pages.len(),
            (0..pages.len()).map(|page| format!("{} 0 R ", 5 + 2 * page)).collect::<String>()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        "<< /Title (A Tiny File) >>".to_owned(),
    ];
    for (index, page) in pages.iter().enumerate() {
        let lines: String = page.lines().map(|line| format!("({line}) Tj 0 -16 Td ")).collect();
        let content = if lines.is_empty() { String::new() } else { format!("BT /F1 12 Tf 72 700 Td {lines}ET") };
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            6 + 2 * index
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }

    let mut file = "%PDF-1.4\n".to_owned();
    let mut xref = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        xref.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
    }
    let start = file.len();
    let size = objects.len() + 1;
    file.push_str(&format!("{xref}trailer\n<< /Size {size} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{start}\n%%EOF\n"));
    file.into_bytes()
}

/// A zip container of these parts.
pub(crate) fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).expect("in memory");
        zip.write_all(content).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}

/// A Word document with this body.
pub(crate) fn docx(body: &str) -> Vec<u8> {
    let document = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="w" xmlns:mc="mc"><w:body>{body}</w:body></w:document>"#
    );
    let styles = r#"<w:styles xmlns:w="w"><w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>"#;
    let core =
        r#"<cp:coreProperties xmlns:cp="cp" xmlns:dc="dc"><dc:title>R&amp;D Report</dc:title></cp:coreProperties>"#;
    let notes =
        r#"<w:footnotes xmlns:w="w"><w:footnote><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>"#;
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", document.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
        ("word/footnotes.xml", notes.as_bytes()),
        ("docProps/core.xml", core.as_bytes()),
    ])
}

/// A Word document of 300 MiB of spaces, in 300 KB.
pub(crate) fn zip_bomb() -> Vec<u8> {
    zip(&[("word/document.xml", &vec![b' '; 300 << 20])])
}

/// The head of an OLE container, with a stream of this name in its directory.
pub(crate) fn ole(stream: &str) -> Vec<u8> {
    let mut file = vec![0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
    file.resize(1024, 0);
    file.extend(stream.encode_utf16().flat_map(u16::to_le_bytes));
    file.resize(2048, 0);
    file
}
