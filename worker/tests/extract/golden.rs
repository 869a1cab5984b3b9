//! Documents are stored and read again only when the code version of `partition` rises. So a change of what a reader gives must
//! raise it: this table has the document of a fixed file of each format.

use nvisy_extract::MediaType;
use nvisy_shared::pipeline::node::{NodeSpec, partition::Partition};
use sha2::{Digest, Sha256};

use super::{document, files};

/// The code version of `partition`, and the hash of the document of each file.
const CODE_VERSION: u32 = 4;
const DOCUMENTS: [(&str, MediaType, &str); 7] = [
    ("a.pdf", MediaType::Pdf, "f19d11c0925c46e743e72732eed266fd"),
    ("a.docx", MediaType::Docx, "6f6fd33b00b474362e2dfed8671e5baa"),
    ("a.html", MediaType::Html, "577c497552749c3c705cad5c35374cf6"),
    ("a.md", MediaType::Markdown, "579e12d4469c85da4bce14dbbd4d24f3"),
    ("a.csv", MediaType::Csv, "0f2d4b54ad99549be67fa6ba7023392c"),
    ("a.json", MediaType::Json, "1f6f26186a302212992ba427e6ba37b2"),
    ("a.txt", MediaType::PlainText, "0e085d2435cc64a11a397556d8784866"),
];

#[tokio::test]
async fn changed_document_has_another_code_version() {
    let mut found = Vec::new();
    for (name, media_type, _) in DOCUMENTS {
        let document = document(name, &content(media_type)).await;
        let json = serde_json::to_string(&document).expect("plain values");
        let hash: String = Sha256::digest(json)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        found.push((name, hash));
    }
    let expected: Vec<_> = DOCUMENTS.iter().map(|(name, _, hash)| (*name, (*hash).to_owned())).collect();
    assert_eq!(
        (CODE_VERSION, expected),
        (Partition::CODE_VERSION, found),
        "the output of `partition` or its code version has changed: raise `CODE_VERSION` in \
         `shared/src/pipeline/node/partition.rs` with each change of a document, and enter both here"
    );
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
        MediaType::Html => b"<title>T</title><h1>Head</h1><p>Text &amp; more<ul><li>one<li>two</ul>\
            <table><tr><td>a<td>b</table><pre>  x\n y</pre><script>no()</script>"
            .to_vec(),
        MediaType::Markdown => {
            b"# One\n\nText.\n\n- a\n- b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n".to_vec()
        }
        MediaType::Csv => b"a,b\n1,2\n\nc,d\n".to_vec(),
        MediaType::Json => b"{\n  \"a\": 1\n}\n".to_vec(),
        _ => "\u{FEFF}Erste\r\nZeile\r\n\r\nZweite 🦀\n".as_bytes().to_vec(),
    }
}
