//! Media types by the extension of a name, and the category of each.

use nvisy_shared::pipeline::node::switch_category::Category::{
    self, Archive, Code, Document, Image, Other, Presentation, Spreadsheet, Text,
};

/// The media type of content of unknown type.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// Extensions, their media type and category. Where several extensions have a type, the first row counts for its category.
const TYPES: &[(&[&str], &str, Category)] = &[
    (&["txt", "text", "log"], "text/plain", Text),
    (&["md", "markdown", "mdown", "mkd"], "text/markdown", Text),
    (&["rst"], "text/x-rst", Text),
    (&["tex"], "application/x-tex", Text),
    (&["srt"], "application/x-subrip", Text),
    (&["vtt"], "text/vtt", Text),
    (&["ics"], "text/calendar", Text),
    (&["vcf"], "text/vcard", Text),
    (&["pdf"], "application/pdf", Document),
    (&["doc", "dot"], "application/msword", Document),
    (&["docx"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document", Document),
    (&["docm"], "application/vnd.ms-word.document.macroenabled.12", Document),
    (&["odt"], "application/vnd.oasis.opendocument.text", Document),
    (&["rtf"], "application/rtf", Document),
    (&["rtf"], "text/rtf", Document),
    (&["epub"], "application/epub+zip", Document),
    (&["html", "htm"], "text/html", Document),
    (&["xhtml"], "application/xhtml+xml", Document),
    (&["eml"], "message/rfc822", Document),
    (&["mbox"], "application/mbox", Document),
    (&["msg"], "application/vnd.ms-outlook", Document),
    (&["ps", "eps"], "application/postscript", Document),
    (&["pages"], "application/vnd.apple.pages", Document),
    (&["csv"], "text/csv", Spreadsheet),
    (&["tsv"], "text/tab-separated-values", Spreadsheet),
    (&["xls"], "application/vnd.ms-excel", Spreadsheet),
    (&["xlsx"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Spreadsheet),
    (&["xlsm"], "application/vnd.ms-excel.sheet.macroenabled.12", Spreadsheet),
    (&["xlsb"], "application/vnd.ms-excel.sheet.binary.macroenabled.12", Spreadsheet),
    (&["ods"], "application/vnd.oasis.opendocument.spreadsheet", Spreadsheet),
    (&["numbers"], "application/vnd.apple.numbers", Spreadsheet),
    (&["ppt", "pps"], "application/vnd.ms-powerpoint", Presentation),
    (&["pptx"], "application/vnd.openxmlformats-officedocument.presentationml.presentation", Presentation),
    (&["pptm"], "application/vnd.ms-powerpoint.presentation.macroenabled.12", Presentation),
    (&["ppsx"], "application/vnd.openxmlformats-officedocument.presentationml.slideshow", Presentation),
    (&["odp"], "application/vnd.oasis.opendocument.presentation", Presentation),
    (&["key"], "application/vnd.apple.keynote", Presentation),
    (&["zip"], "application/zip", Archive),
    (&["zip"], "application/x-zip-compressed", Archive),
    (&["tar"], "application/x-tar", Archive),
    (&["gz", "tgz", "gzip"], "application/gzip", Archive),
    (&["gz"], "application/x-gzip", Archive),
    (&["bz2", "tbz2"], "application/x-bzip2", Archive),
    (&["xz", "txz"], "application/x-xz", Archive),
    (&["zst"], "application/zstd", Archive),
    (&["7z"], "application/x-7z-compressed", Archive),
    (&["rar"], "application/vnd.rar", Archive),
    (&["rar"], "application/x-rar-compressed", Archive),
    (&["jar", "war"], "application/java-archive", Archive),
    (&["json"], "application/json", Code),
    (&["ipynb"], "application/x-ipynb+json", Code),
    (&["jsonl", "ndjson"], "application/x-ndjson", Code),
    (&["xml", "xsd", "xsl"], "application/xml", Code),
    (&["xml"], "text/xml", Code),
    (&["yaml", "yml"], "application/yaml", Code),
    (&["toml"], "application/toml", Code),
    (&["css"], "text/css", Code),
    (&["js", "mjs", "cjs"], "text/javascript", Code),
    (&["js"], "application/javascript", Code),
    (&["sql"], "application/sql", Code),
    (&["sh", "bash"], "application/x-sh", Code),
    (&["rs"], "text/x-rust", Code),
    (&["py"], "text/x-python", Code),
    (&["c", "h"], "text/x-c", Code),
    (&["cc", "cpp", "hpp"], "text/x-c++", Code),
    (&["java"], "text/x-java", Code),
    (&["go"], "text/x-go", Code),
    (
        &[
            "ts", "tsx", "jsx", "kt", "scala", "cs", "rb", "php", "swift", "lua", "pl", "r", "ps1", "scss", "ini",
            "proto", "graphql",
        ],
        "text/x-source",
        Code,
    ),
    (&["jpg", "jpeg"], "image/jpeg", Image),
    (&["png"], "image/png", Image),
    (&["gif"], "image/gif", Image),
    (&["webp"], "image/webp", Image),
    (&["tif", "tiff"], "image/tiff", Image),
    (&["bmp"], "image/bmp", Image),
    (&["svg"], "image/svg+xml", Image),
    (&["heic"], "image/heic", Image),
    (&["avif"], "image/avif", Image),
    (&["mp3"], "audio/mpeg", Other),
    (&["wav"], "audio/wav", Other),
    (&["mp4"], "video/mp4", Other),
    (&["mov"], "video/quicktime", Other),
];

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// The media type that the extension of a name tells.
pub(crate) fn by_name(name: &str) -> &'static str {
    let extension = extension(name);
    let row = TYPES.iter().find(|(extensions, ..)| extensions.contains(&extension.as_str()));
    row.map_or(UNKNOWN, |(_, media_type, _)| media_type)
}

/// The category of a file. The media type decides; where it says nothing (`text/plain`, `application/octet-stream`), the
/// extension does.
pub(crate) fn category(media_type: &str, name: &str) -> Category {
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let extension = extension(name);
    let by_extension = || {
        let row = TYPES.iter().find(|(extensions, ..)| extensions.contains(&extension.as_str()));
        row.map(|(_, _, category)| *category)
    };
    match media_type.as_str() {
        // A text of any language of programs is stored as plain text.
        "text/plain" => by_extension().filter(|category| *category == Code).unwrap_or(Text),
        // Only their names distinguish Office formats of before 2007.
        "" | UNKNOWN | "application/x-ole-storage" | "application/x-cfb" => by_extension().unwrap_or(Other),
        media_type => TYPES
            .iter()
            .find(|(_, known, _)| *known == media_type)
            .map_or_else(|| by_family(media_type), |(_, _, category)| *category),
    }
}

/// The category of a media type without a row.
fn by_family(media_type: &str) -> Category {
    let (family, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
    match family {
        "image" => Image,
        "text" if subtype.starts_with("x-") => Code,
        "text" => Text,
        "application" if subtype.ends_with("+json") || subtype.ends_with("+xml") => Code,
        "application" if subtype.ends_with("+zip") || subtype.ends_with("+gzip") => Archive,
        _ => Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn category_follows_media_type_then_extension() {
        for (media_type, name, expected) in [
            ("application/pdf", "a.xlsx", Document),
            ("text/plain", "notes.txt", Text),
            ("text/plain; charset=utf-8", "noext", Text),
            ("text/plain", "main.rs", Code),
            // Plain text named as a document is text.
            ("text/plain", "a.pdf", Text),
            ("TEXT/CSV", "a", Spreadsheet),
            ("application/octet-stream", "a.XLSX", Spreadsheet),
            ("application/octet-stream", "a.bin", Other),
            ("", "slides.pptx", Presentation),
            ("application/x-ole-storage", "old.doc", Document),
            ("application/x-ole-storage", "old.xls", Spreadsheet),
            ("image/x-unknown", "a", Image),
            ("application/ld+json", "a", Code),
            ("image/svg+xml", "a.svg", Image),
            ("application/vnd.example+zip", "a", Archive),
            ("application/gzip", "a.tar.gz", Archive),
            ("text/x-haskell", "a.hs", Code),
            ("text/html", "a.html", Document),
            ("video/mp4", "a.mp4", Other),
            ("nonsense", "a", Other),
        ] {
            assert_eq!(category(media_type, name), expected, "{media_type} {name}");
        }
    }

    #[test]
    fn media_type_follows_the_extension() {
        assert_eq!(by_name("folder/Report.PDF"), "application/pdf");
        assert_eq!(by_name("page.html"), "text/html");
        assert_eq!(by_name("a.tar.gz"), "application/gzip");
        assert_eq!(by_name("README"), UNKNOWN);
        assert_eq!(by_name("x.unknown"), UNKNOWN);
    }

    #[test]
    fn every_category_has_a_type_and_types_are_unique() {
        for category in [Text, Image, Document, Spreadsheet, Presentation, Archive, Code, Other] {
            assert!(TYPES.iter().any(|(_, _, found)| *found == category), "{category:?}");
        }
        let mut types: Vec<_> = TYPES.iter().map(|(_, media_type, _)| media_type).collect();
        let count = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), count);
    }
}
