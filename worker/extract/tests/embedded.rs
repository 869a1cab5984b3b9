//! Charts, tables and texts that are embedded in presentations.

use std::io::{Cursor, Seek, Write};

use nvisy_extract::{Document, ElementKind, ExtractLimits, FileInfo, OcrSettings, read_here};

/// The document of a container with these parts.
fn read(name: &str, parts: &[(&str, &str)]) -> Document {
    let mut container = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (part, content) in parts {
        container.start_file(*part, zip::write::SimpleFileOptions::default()).expect("in memory");
        container.write_all(content.as_bytes()).expect("in memory");
    }
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&container.finish().expect("in memory").into_inner()).expect("written");
    file.rewind().expect("rewound");
    let info = FileInfo { file_name: name.to_owned(), declared_type: None };
    read_here(file, &info, &ExtractLimits::default(), &OcrSettings::default()).expect(name)
}

fn pieces(document: &Document) -> Vec<(ElementKind, Option<u32>, &str)> {
    document.elements.iter().map(|e| (e.kind, e.page, &document.text[e.start..e.end])).collect()
}

#[test]
fn open_document_slides_have_their_charts_tables_and_texts() {
    let document = read(
        "a.odp",
        &[
            ("mimetype", "application/vnd.oasis.opendocument.presentation"),
            (
                "content.xml",
                "<office:document-content><office:body><office:presentation>\
                 <draw:page><draw:frame><draw:text-box><text:p>Harvest</text:p></draw:text-box></draw:frame>\
                 <draw:frame><draw:object xlink:href='./Object 1'/></draw:frame>\
                 <draw:frame><draw:object xlink:href='./Object%202'/></draw:frame>\
                 <draw:frame><draw:object xlink:href='./Object 9'/></draw:frame></draw:page>\
                 <draw:page><draw:frame><draw:object xlink:href='./Object 3'/></draw:frame>\
                 <draw:frame><draw:object xlink:href='./Object 4'/></draw:frame></draw:page>\
                 </office:presentation></office:body></office:document-content>",
            ),
            (
                "Object 1/content.xml",
                "<office:document-content><office:body><office:chart><chart:chart><chart:title><text:p>Yield by field</text:p>\
                 </chart:title><table:table><table:table-row><table:table-cell><text:p>North</text:p></table:table-cell>\
                 <table:table-cell><text:p>41</text:p></table:table-cell></table:table-row></table:table></chart:chart>\
                 </office:chart></office:body></office:document-content>",
            ),
            (
                "Object 2/content.xml",
                "<office:document-content><office:body><office:spreadsheet><table:table><table:table-row>\
                 <table:table-cell><text:p>Field</text:p></table:table-cell><table:table-cell><text:p>50 %</text:p></table:table-cell>\
                 </table:table-row></table:table></office:spreadsheet></office:body></office:document-content>",
            ),
            (
                "Object 3/content.xml",
                "<office:document-content><office:body><office:drawing><draw:page><draw:frame><draw:text-box>\
                 <text:p>A drawing</text:p></draw:text-box></draw:frame></draw:page></office:drawing></office:body>\
                 </office:document-content>",
            ),
            ("Object 4/content.xml", "<office:document-content><office:body></office:text></office:document-content>"),
        ],
    );
    assert_eq!(document.page_count, Some(2));
    assert_eq!(document.warnings, ["An embedded object was not read."]);
    assert_eq!(
        pieces(&document),
        [
            (ElementKind::Paragraph, Some(1), "Harvest"),
            (ElementKind::Aside, Some(1), "Yield by field North 41"),
            (ElementKind::Table, Some(1), "Field | 50 %"),
            (ElementKind::PageBreak, Some(2), "\n\n"),
            (ElementKind::Paragraph, Some(2), "A drawing"),
        ]
    );
}
