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
    pdf_of(&objects)
}

/// A PDF of these objects, numbered from 1: the catalogue first, and properties in the fourth.
pub(crate) fn pdf_of(objects: &[String]) -> Vec<u8> {
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

/// A tape archive of these files.
pub(crate) fn tar(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in parts {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, *content).expect("written to memory");
    }
    tar.into_inner().expect("written to memory")
}

/// A workbook of one sheet with these cells.
pub(crate) fn workbook(sheet: &str) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let related = |kind: &str, target: &str| {
        format!(
            "<Relationships xmlns='{package}'><Relationship Id='r1' Type='{relations}/{kind}' Target='{target}'/></Relationships>"
        )
    };
    let book = format!(
        "<workbook xmlns='{main}' xmlns:r='{relations}'><sheets><sheet name='S' sheetId='1' r:id='r1'/></sheets></workbook>"
    );
    let sheet = sheet.replace("<worksheet>", &format!("<worksheet xmlns='{main}'>"));
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("_rels/.rels", related("officeDocument", "xl/workbook.xml").as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", related("worksheet", "worksheets/sheet1.xml").as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

/// An OLE container with a stream of this name.
pub(crate) fn ole(stream: &str) -> Vec<u8> {
    let mut container = cfb::CompoundFile::create(Cursor::new(Vec::new())).expect("in memory");
    container.create_stream(stream).and_then(|mut stream| stream.write_all(&[7; 600])).expect("in memory");
    container.into_inner().into_inner()
}

/// A mail that is attached to a mail, and so on.
pub(crate) fn nested_mail(levels: usize) -> String {
    let head = |level: usize| format!("From: a@example.org\r\nTo: b@example.org\r\nSubject: Level {level}\r\n");
    let mut mail = format!("{}\r\nThe innermost tide.\r\n", head(0));
    for level in 1..=levels {
        let boundary = format!("b{level:06}");
        mail = format!(
            "{}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain\r\n\r\nSee the mail below, at level {level}.\r\n\
             --{boundary}\r\nContent-Type: message/rfc822\r\n\r\n{mail}\r\n--{boundary}--\r\n",
            head(level)
        );
    }
    mail
}

/// A page of a TIFF: a square of grey points. The file may claim more than the data has.
pub(crate) struct TiffPage<'a> {
    pub(crate) side: u32,
    pub(crate) bits: u32,
    /// 1: none; 32773: `PackBits`.
    pub(crate) compression: u32,
    pub(crate) data: &'a [u8],
}

/// A TIFF of these pages. `is_loop`: the first page follows the last one.
pub(crate) fn tiff(pages: &[TiffPage<'_>], is_loop: bool) -> Vec<u8> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    let mut file = b"II*\0\0\0\0\0".to_vec();
    // Where the offset of the next page is written.
    let mut link = 4;
    for page in pages {
        let data = file.len() as u32;
        file.extend(page.data);
        file.resize(file.len().next_multiple_of(2), 0);
        let start = file.len() as u32;
        file[link..link + 4].copy_from_slice(&start.to_le_bytes());
        let fields: [(u16, u16, u32); 9] = [
            (256, LONG, page.side),
            (257, LONG, page.side),
            (258, SHORT, page.bits),
            (259, SHORT, page.compression),
            // Black is zero.
            (262, SHORT, 1),
            (273, LONG, data),
            (277, SHORT, 1),
            (278, LONG, page.side),
            (279, LONG, page.data.len() as u32),
        ];
        file.extend((fields.len() as u16).to_le_bytes());
        for (tag, kind, value) in fields {
            file.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            file.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
        }
        link = file.len();
        file.extend([0; 4]);
    }
    if is_loop {
        let first: [u8; 4] = file[4..8].try_into().expect("four bytes");
        file[link..].copy_from_slice(&first);
    }
    file
}

/// A PNG whose header claims a square of colours, without any.
pub(crate) fn png_header(side: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [side.to_be_bytes().as_slice(), &side.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (kind, data) in [(b"IHDR", header.as_slice()), (b"IDAT", &[0x78, 0x9C, 3, 0, 0, 0, 0, 1]), (b"IEND", &[])] {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend([kind.as_slice(), data, &crc.sum().to_be_bytes()].concat());
    }
    file
}
