//! Charts, tables, texts and documents that are embedded in office files.

use std::io::{Cursor, Seek, Write};

use nvisy_extract::{Document, ElementKind, ExtractLimits, FileInfo, OcrSettings, read_here};

/// The document of a container with these parts.
fn read(name: &str, parts: &[(&str, &str)]) -> Document {
    let parts: Vec<_> = parts.iter().map(|(part, content)| (*part, content.as_bytes())).collect();
    read_bytes(name, &parts)
}

fn read_bytes(name: &str, parts: &[(&str, &[u8])]) -> Document {
    let mut container = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (part, content) in parts {
        container.start_file(*part, zip::write::SimpleFileOptions::default()).expect("in memory");
        container.write_all(content).expect("in memory");
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

#[test]
fn office_slides_have_their_charts_and_the_texts_of_their_layouts() {
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relationships = |parts: &[(&str, &str)]| {
        let one = |(number, (kind, target)): (usize, &(&str, &str))| {
            format!("<Relationship Id='r{number}' Type='{office}/{kind}' Target='{target}'/>")
        };
        format!("<Relationships>{}</Relationships>", parts.iter().enumerate().map(one).collect::<String>())
    };
    let shape = |placeholder: &str, text: &str| {
        format!(
            "<p:sp><p:nvPr>{placeholder}</p:nvPr><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        )
    };
    let title = "<p:ph type='title'/>";
    let layout =
        format!("<p:sldLayout>{}{}</p:sldLayout>", shape(title, "Click to edit"), shape("", "Company confidential"));
    let document = read(
        "a.pptx",
        &[
            ("_rels/.rels", &relationships(&[("officeDocument", "ppt/presentation.xml")])),
            (
                "ppt/presentation.xml",
                "<p:presentation><p:sldIdLst><p:sldId id='256' r:id='r0'/><p:sldId id='257' r:id='r1'/></p:sldIdLst></p:presentation>",
            ),
            (
                "ppt/_rels/presentation.xml.rels",
                &relationships(&[("slide", "slides/slide1.xml"), ("slide", "slides/slide2.xml")]),
            ),
            ("ppt/slides/slide1.xml", &format!("<p:sld>{}</p:sld>", shape(title, "Yield"))),
            ("ppt/slides/slide2.xml", &format!("<p:sld showMasterSp='0'>{}</p:sld>", shape(title, "Rain"))),
            (
                "ppt/slides/_rels/slide1.xml.rels",
                &relationships(&[("slideLayout", "../slideLayouts/one.xml"), ("chart", "../charts/chart1.xml")]),
            ),
            ("ppt/slides/_rels/slide2.xml.rels", &relationships(&[("slideLayout", "../slideLayouts/two.xml")])),
            ("ppt/slideLayouts/one.xml", &layout),
            ("ppt/slideLayouts/two.xml", &format!("<p:sldLayout>{}</p:sldLayout>", shape("", "Hidden words"))),
            ("ppt/slideLayouts/_rels/one.xml.rels", &relationships(&[("slideMaster", "../slideMasters/m.xml")])),
            ("ppt/slideMasters/m.xml", &format!("<p:sldMaster>{}</p:sldMaster>", shape("", "Field office"))),
            (
                "ppt/charts/chart1.xml",
                "<c:chart><c:title><a:t>By month</a:t></c:title><c:val><c:numCache><c:formatCode>0%</c:formatCode>\
                 <c:pt><c:v>0.41</c:v></c:pt></c:numCache></c:val></c:chart>",
            ),
        ],
    );
    assert_eq!(document.text, "Yield\n\nBy month 41%\n\nRain\n\nCompany confidential\n\nField office");
    let aside = document.elements.iter().rfind(|element| element.kind == ElementKind::Aside).expect("an aside");
    assert_eq!(aside.page, Some(1));
}

#[test]
fn parts_of_documents_in_other_formats_are_read_by_their_content() {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/aFChunk";
    let chunk = |id: usize, target: &str| format!("<Relationship Id='r{id}' Type='{kind}' Target='{target}'/>");
    let names = ["one.rtf", "two.mht", "three.dat", "four.bin", "five.htm", "six.docx"];
    let related: String = names.iter().enumerate().map(|(id, name)| chunk(id, name)).collect();
    let related = format!("<Relationships>{related}</Relationships>");
    let mut inner = zip::ZipWriter::new(Cursor::new(Vec::new()));
    inner.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).expect("in memory");
    inner.write_all(b"<w:document><w:p><w:r><w:t>Inner words</w:t></w:r></w:p></w:document>").expect("in memory");
    let inner = inner.finish().expect("in memory").into_inner();
    let page = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>A saved page</p>";
    let parts: [(&str, &[u8]); 8] = [
        ("word/document.xml", b"<w:document><w:p><w:r><w:t>Body</w:t></w:r></w:p></w:document>"),
        ("word/_rels/document.xml.rels", related.as_bytes()),
        ("word/one.rtf", b"{\\rtf1 Rich \\b words}"),
        ("word/two.mht", page.as_bytes()),
        ("word/three.dat", b"Plain words"),
        ("word/four.bin", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0"),
        ("word/five.htm", b"<p>Words of a page"),
        ("word/six.docx", &inner),
    ];
    let document = read_bytes("a.docx", &parts);
    let texts: Vec<_> = pieces(&document).into_iter().map(|(_, _, text)| text).collect();
    let expected = ["Body", "Rich words", "A saved page", "Plain words", "Words of a page", "Inner words"];
    assert_eq!(texts, expected);
    assert_eq!(document.warnings, ["An embedded document was not read."]);
}
