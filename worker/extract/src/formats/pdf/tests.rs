//! Small files of each kind of trouble.

use super::*;

/// A case with this name.
fn read_case(name: &str) -> Result<Document, FileError> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    read(std::fs::read(path).expect("a case"), &ExtractLimits::default(), &mut Ocr::default())
}

fn text(name: &str) -> String {
    read_case(name).expect("has text").text
}

#[test]
fn cases_are_printed() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).expect("cases") {
        let name = entry.expect("a case").file_name().to_string_lossy().into_owned();
        if name.ends_with(".pdf") {
            println!("== {name}\n{:?}", read_case(&name).map(|document| document.text));
        }
    }
    let _ = text;
}
