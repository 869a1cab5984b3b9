//! Documents are stored and read again only when the code version of `partition` rises. So a change of what a reader gives must
//! raise it: `tests/data/documents.txt` has the code version, and the hash of the document of a fixed file of each format.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{Cursor, Read, Write},
};

use nvisy_extract::MediaType;
use nvisy_shared::pipeline::node::{NodeSpec, partition::Partition};
use sha2::{Digest, Sha256};

use super::{data, document, files};

/// A file of each format. Binary workbooks and pictures have none: the former are read as XLSX are, the latter by models that only
/// some installations have.
const FILES: [(&str, MediaType); 23] = [
    ("a.pdf", MediaType::Pdf),
    ("a.docx", MediaType::Docx),
    ("a.pptx", MediaType::Pptx),
    ("a.xlsx", MediaType::Xlsx),
    ("a.xls", MediaType::Xls),
    ("a.odt", MediaType::Odt),
    ("a.odp", MediaType::Odp),
    ("a.ods", MediaType::Ods),
    ("a.epub", MediaType::Epub),
    ("a.rtf", MediaType::Rtf),
    ("a.eml", MediaType::Mail),
    ("a.mbox", MediaType::Mailbox),
    ("a.msg", MediaType::Outlook),
    ("a.doc", MediaType::Doc),
    ("a.ppt", MediaType::Ppt),
    ("a.ipynb", MediaType::Notebook),
    ("a.html", MediaType::Html),
    ("a.md", MediaType::Markdown),
    ("a.csv", MediaType::Csv),
    ("a.json", MediaType::Json),
    ("a.xml", MediaType::Xml),
    ("a.rs", MediaType::SourceCode),
    ("a.txt", MediaType::PlainText),
];

#[tokio::test]
async fn changed_document_has_another_code_version() {
    let version = format!("code version {}\n", Partition::CODE_VERSION);
    let mut found = version.clone();
    for (name, media_type) in FILES {
        let document = document(name, &content(media_type)).await;
        let json = serde_json::to_string(&document).expect("plain values");
        let hash: String = Sha256::digest(json)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(found, "{name} {hash}").expect("in memory");
    }
    let path = data("documents.txt");
    let committed = fs::read_to_string(&path).expect("the table");
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let is_raised = !committed.starts_with(&version);
        let is_kept = committed.lines().all(|line| found.lines().any(|other| other == line));
        assert!(is_raised || is_kept, "a document has changed: raise `Partition::CODE_VERSION` first\n{found}");
        fs::write(&path, &found).expect("written");
        return;
    }
    assert_eq!(
        committed, found,
        "the output of `partition` or its code version has changed: raise `CODE_VERSION` in \
         `shared/src/pipeline/node/partition.rs` with each change of a document, and run with UPDATE_SNAPSHOTS=1"
    );
}

/// A file of the tests of the readers.
fn sample(name: &str) -> Vec<u8> {
    fs::read(data("").join("../../extract/tests/data").join(name)).expect("a file of the repository")
}

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut bytes).expect("a good file");
    bytes
}

/// An Outlook mail with these properties.
fn outlook(properties: &[(&str, &str)]) -> Vec<u8> {
    let mut container = cfb::CompoundFile::create(Cursor::new(Vec::new())).expect("in memory");
    let mut add = |name: &str, bytes: &[u8]| {
        container.create_stream(name).and_then(|mut stream| stream.write_all(bytes)).expect("in memory");
    };
    add("/__properties_version1.0", &[0; 32]);
    for (tag, text) in properties {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        add(&format!("/__substg1.0_{tag}001F"), &wide);
    }
    container.into_inner().into_inner()
}

fn content(media_type: MediaType) -> Vec<u8> {
    match media_type {
        MediaType::Pdf => files::pdf(&["First page here.\nAnother line.", "", "Third page here."]),
        MediaType::Docx => files::docx(
            r#"<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Gr&#252;&#xDF;e</w:t></w:r></w:p>
            <w:p><w:r><w:t>One</w:t><w:tab/><w:t>two</w:t></w:r></w:p>
            <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"#,
        ),
        MediaType::Pptx => sample("deck.pptx"),
        MediaType::Xlsx => sample("book.xlsx"),
        MediaType::Xls => sample("book.xls"),
        MediaType::Odt => sample("text.odt"),
        MediaType::Odp => files::zip(&[
            ("mimetype", b"application/vnd.oasis.opendocument.presentation"),
            (
                "content.xml",
                b"<office:document-content><office:body><office:presentation>\
                  <draw:page><draw:frame><draw:text-box><text:p>Harvest</text:p></draw:text-box></draw:frame></draw:page>\
                  <draw:page><draw:frame><draw:text-box><text:p>Yield</text:p></draw:text-box></draw:frame></draw:page>\
                  </office:presentation></office:body></office:document-content>",
            ),
        ]),
        MediaType::Ods => sample("book.ods"),
        MediaType::Epub => files::zip(&[
            ("mimetype", b"application/epub+zip"),
            (
                "META-INF/container.xml",
                b"<container><rootfiles><rootfile full-path='OPS/book.opf'/></rootfiles></container>",
            ),
            (
                "OPS/book.opf",
                b"<package><metadata><dc:title>Sea</dc:title></metadata><manifest>\
                  <item id='a' href='one.xhtml' media-type='application/xhtml+xml'/></manifest>\
                  <spine><itemref idref='a'/></spine></package>",
            ),
            ("OPS/one.xhtml", b"<?xml version='1.0'?><html><body><h1>One</h1><p>First.</p></body></html>"),
        ]),
        MediaType::Rtf => b"{\\rtf1\\ansi\\pard{\\b Head}\\par One\\tab two \\u8364?.\\par\\trowd\\cellx100\\cellx200 \
            \\intbl a\\cell b\\cell\\row\\pard last\\par}"
            .to_vec(),
        MediaType::Mail => b"From: Ada <a@example.org>\r\nTo: b@example.org\r\nSubject: Plans\r\n\
            Date: Sat, 1 Nov 2025 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n\
            --x\r\nContent-Type: text/plain\r\n\r\nSee the plans.\r\n\r\n> quoted\r\n\
            --x\r\nContent-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n--x--\r\n"
            .to_vec(),
        MediaType::Mailbox => (1..=2)
            .map(|number| {
                format!(
                    "From a@example.org Sat Nov  1 10:00:00 2025\nFrom: a@example.org\nSubject: {number}\n\
                     Date: Sat, 1 Nov 2025 10:00:00 +0100\n\nText {number}.\n\n"
                )
            })
            .collect::<String>()
            .into_bytes(),
        MediaType::Outlook => {
            outlook(&[("0037", "Plans"), ("0C1A", "Ada"), ("0E04", "Grace"), ("1000", "See the plans.\r\n\r\nAda")])
        }
        MediaType::Doc => sample("tide.doc"),
        MediaType::Ppt => unpacked(&sample("slides.ppt.gz")),
        MediaType::Notebook => br##"{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Head\n", "Text."]},
            {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": ["print(1)"]}],
            "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"##
            .to_vec(),
        MediaType::Html => b"<title>T</title><h1>Head</h1><p>Text &amp; more<ul><li>one<li>two</ul>\
            <table><tr><td>a<td>b</table><pre>  x\n y</pre><script>no()</script>"
            .to_vec(),
        MediaType::Markdown => {
            b"# One\n\nText.\n\n- a\n- b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n".to_vec()
        }
        MediaType::Csv => b"a,b\n1,2\n\nc,d\n".to_vec(),
        MediaType::Json => b"{\n  \"a\": 1\n}\n".to_vec(),
        MediaType::Xml => b"<?xml version='1.0'?>\n<tide><height unit='m'>12 &amp; more</height></tide>\n".to_vec(),
        MediaType::SourceCode => b"//! A module.\n\n/// Adds.\nfn add(a: u8, b: u8) -> u8 {\n    a + b\n}\n".to_vec(),
        _ => "\u{FEFF}Erste\r\nZeile\r\n\r\nZweite 🦀\n".as_bytes().to_vec(),
    }
}
