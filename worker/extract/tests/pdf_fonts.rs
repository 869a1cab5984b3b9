//! PDF whose fonts have no map to Unicode: letters by collections of characters, by the fonts' programs, and by codes of TeX.

use std::fs::File;
use std::path::Path;

use nvisy_extract::{Document, ExtractLimits, FileError, FileErrorKind, FileInfo, OcrSettings, read_here};

fn read(name: &str, limits: &ExtractLimits) -> Result<Document, FileError> {
    let file = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).expect("the file");
    let info = FileInfo { file_name: name.to_owned(), declared_type: None };
    read_here(file, &info, limits, &OcrSettings::default())
}

#[test]
fn embedded_fonts_without_a_map_to_unicode_are_read() {
    let texts = [
        ("cid-japan1.pdf", "tide table for あぃいぅうぇえぉ"),
        ("cid-sjis.pdf", "潮汐表と満潮の時刻"),
        ("cid-cmap.pdf", "high water at noon"),
        ("cid-names.pdf", "high water at noon"),
    ];
    for (name, text) in texts {
        let document = read(name, &ExtractLimits::default()).expect(name);
        assert_eq!((document.text.as_str(), document.warnings.as_slice()), (text, &[][..]), "{name}");
    }
}

#[test]
fn bitmap_fonts_of_tex_are_read_by_their_codes() {
    let document = read("type3-codes.pdf", &ExtractLimits::default()).expect("a text");
    assert_eq!(document.text, "thirtyfive;office–room—17");
}

#[test]
fn text_of_unknown_letters_is_no_text() {
    for limits in [ExtractLimits::default(), ExtractLimits { partial: true, ..ExtractLimits::default() }] {
        let failure = read("type3-symbols.pdf", &limits).expect_err("symbols without names");
        assert_eq!(failure.kind, FileErrorKind::Empty);
        assert!(failure.detail.contains("fonts do not say which letters"), "{}", failure.detail);
    }
}
