//! Files of Office before 2007, made with LibreOffice.

use std::io::{Cursor, Read, Seek, Write};

use nvisy_extract::{
    Document, ElementKind, ExtractLimits, FileError, FileErrorKind, FileInfo, MediaType, OcrSettings, read_here,
};

const TEXT: &[u8] = include_bytes!("data/tide.doc");
const PACKED_SLIDES: &[u8] = include_bytes!("data/slides.ppt.gz");

fn slides() -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(PACKED_SLIDES).read_to_end(&mut bytes).expect("a good file");
    bytes
}

fn read(name: &str, bytes: &[u8]) -> Result<Document, FileError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    file.rewind().expect("rewound");
    let info = FileInfo { file_name: name.to_owned(), declared_type: None };
    read_here(file, &info, &ExtractLimits::default(), &OcrSettings::default())
}

fn pieces(document: &Document) -> Vec<(ElementKind, &str)> {
    document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect()
}

#[test]
fn word_97_has_headings_tables_lists_and_notes() {
    let document = read("a.doc", TEXT).expect("a text");
    assert_eq!((document.title.as_deref(), document.media_type), (Some("Tide report"), Some(MediaType::Doc)));
    assert_eq!(document.properties["author"], "Ada");
    assert_eq!(
        pieces(&document),
        [
            (ElementKind::Heading { level: 1 }, "Tides"),
            (ElementKind::Paragraph, "The tide turns twice a day, Größe “quoted” — 5 €."),
            (ElementKind::Heading { level: 2 }, "Heights"),
            (ElementKind::Table, "Place | Height\nBrest | \nSaint-Malo | 12 m"),
            (ElementKind::ListItem, "- first item"),
            (ElementKind::ListItem, "- second item"),
            (ElementKind::Paragraph, "Last, with a link in it. Привет."),
            (ElementKind::Aside, "A note below."),
            (ElementKind::Aside, "Head of the page"),
        ]
    );
}

/// A file of Word 95 with this text, the language of the program, and a font with this character set.
fn word_95(text: &[u8], language: u16, character_set: u8) -> Vec<u8> {
    const HEADER_BYTES: usize = 0x300;
    let mut main = vec![0; HEADER_BYTES];
    let font = [14, 0x16, 0x90, 1, character_set, 0, b'T', b'i', b'm', b'e', b's', b' ', b'C', b'y', 0];
    let length = u32::try_from(text.len()).expect("short");
    let mut set = |at: usize, bytes: &[u8]| main[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, &0xA5DC_u16.to_le_bytes());
    set(2, &104_u16.to_le_bytes());
    set(6, &language.to_le_bytes());
    set(0x18, &(HEADER_BYTES as u32).to_le_bytes());
    set(0x34, &length.to_le_bytes());
    set(0xD0, &(HEADER_BYTES as u32 + length).to_le_bytes());
    set(0xD4, &(font.len() as u32 + 2).to_le_bytes());
    main.extend(text);
    main.extend(u16::try_from(font.len() + 2).expect("short").to_le_bytes());
    main.extend(font);
    container(&[("/WordDocument", &main)])
}

/// A container with these streams.
fn container(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut container = cfb::CompoundFile::create(Cursor::new(Vec::new())).expect("in memory");
    for (name, bytes) in streams {
        let mut stream = container.create_stream(name).expect("in memory");
        stream.write_all(bytes).expect("in memory");
        stream.flush().expect("in memory");
    }
    container.flush().expect("in memory");
    container.into_inner().into_inner()
}

#[test]
fn word_95_has_the_letters_of_its_language_or_fonts() {
    let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю. Установка программы и запуск.";
    let german = "Die Straße führt über die Brücke nach Köln, wo große Bäume stehen.";
    let (cyrillic, ..) = encoding_rs::WINDOWS_1251.encode(russian);
    let (western, ..) = encoding_rs::WINDOWS_1252.encode(german);
    for (bytes, language, character_set, text) in [
        (&cyrillic, 0x419, 0, russian),
        (&cyrillic, 0x409, 204, russian),
        (&western, 0x407, 0, german),
        (&western, 0x409, 204, german),
        (&western, 0x419, 204, german),
    ] {
        let document = read("a.doc", &word_95(bytes, language, character_set)).expect("a text");
        assert_eq!(document.text, text, "language {language:x}, character set {character_set}");
    }
}

#[test]
fn powerpoint_97_has_slides_and_notes() {
    let document = read("a.ppt", &slides()).expect("a presentation");
    assert_eq!((document.page_count, document.media_type), (Some(2), Some(MediaType::Ppt)));
    let pieces: Vec<_> = pieces(&document).into_iter().filter(|(kind, _)| *kind != ElementKind::PageBreak).collect();
    assert_eq!(
        pieces,
        [
            (ElementKind::Heading { level: 1 }, "Tides"),
            (ElementKind::Paragraph, "High water"),
            (ElementKind::Paragraph, "at six"),
            (ElementKind::Aside, "Say hello first."),
            (ElementKind::Heading { level: 1 }, "Table"),
            (ElementKind::Paragraph, "r0c0"),
            (ElementKind::Paragraph, "r0c1"),
            (ElementKind::Paragraph, "r1c0"),
            (ElementKind::Paragraph, "r1c1"),
        ]
    );
    assert_eq!(document.elements.last().and_then(|element| element.page), Some(2));
}

#[test]
fn powerpoint_95_has_its_text() {
    let old = container(&[
        ("/PowerPoint Document", b"\x03\0\0\0\xFF\xFF\0\0 other records"),
        ("/Text_Content", b"Tides\r\rHigh water \x93at six\x94\rLow water at noon\r"),
    ]);
    let document = read("a.ppt", &old).expect("a presentation");
    assert_eq!((document.page_count, document.media_type), (None, Some(MediaType::Ppt)));
    assert_eq!(document.text, "Tides\n\nHigh water “at six”\n\nLow water at noon");
}

#[test]
fn damaged_files_fail_or_give_what_is_there() {
    for (name, bytes) in [("a.doc", TEXT.to_vec()), ("a.ppt", slides())] {
        for step in 1..40 {
            let cut = &bytes[..bytes.len() * step / 40];
            if let Err(failure) = read(name, cut) {
                assert!(matches!(failure.kind, FileErrorKind::Corrupt | FileErrorKind::Empty), "{name}: {failure}");
            }
            // Bytes all over the file.
            let mut changed = bytes.clone();
            (0..changed.len()).skip(512 + step * 7).step_by(97 + step).for_each(|place| changed[place] ^= 0x5A);
            let _any = read(name, &changed);
        }
    }
}
