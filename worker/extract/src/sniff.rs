//! Determines the media type of a file from its first bytes, its name and its declared type, in this order. Does no I/O.

use serde::{Deserialize, Serialize};

/// The number of first bytes that [`sniff`] examines.
pub const SNIFF_BYTES: usize = 8 * 1024;

/// The kinds of content that are distinguished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaType {
    /// Portable Document Format.
    Pdf,
    /// Word document (Office Open XML).
    Docx,
    /// Web page.
    Html,
    /// Markdown.
    Markdown,
    /// Comma or tab separated values.
    Csv,
    /// JSON, also one value per line.
    Json,
    /// XML of any vocabulary.
    Xml,
    /// Program source, configuration, scripts.
    SourceCode,
    /// Any other text.
    PlainText,
    /// A zip container with unknown content.
    Zip,
    /// OLE container: an old Office file, or a new one with a password.
    Ole,
    /// Binary content, or text that only a program can read (PostScript, RTF).
    Unsupported,
}

impl MediaType {
    /// The MIME type that is stored and served.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => DOCX_MIME,
            Self::Html => "text/html",
            Self::Markdown => "text/markdown",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::Xml => "application/xml",
            Self::SourceCode | Self::PlainText => "text/plain",
            Self::Zip => "application/zip",
            Self::Ole => "application/x-ole-storage",
            Self::Unsupported => "application/octet-stream",
        }
    }
}

const DOCX_MIME: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// Determines the media type from the first [`SNIFF_BYTES`] bytes, the name and the declared type.
///
/// Content takes precedence: a program named `report.pdf` is `Unsupported`, a text of that name is `PlainText`. Name and declared
/// type only distinguish kinds of text, whose content looks alike.
pub fn sniff(head: &[u8], file_name: &str, declared: Option<&str>) -> MediaType {
    let extension = file_name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
    let declared = declared.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();

    by_content(head, &extension, &declared)
        .or_else(|| by_extension(&extension))
        .or_else(|| by_declared(&declared))
        .unwrap_or(MediaType::PlainText)
}

fn by_content(head: &[u8], extension: &str, declared: &str) -> Option<MediaType> {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let docx = contains(head, b"word/") || extension == "docx" || declared == DOCX_MIME;
        return Some(if docx { MediaType::Docx } else { MediaType::Zip });
    }
    if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
        return Some(MediaType::Ole);
    }
    if is_pdf(head, extension, declared) {
        return Some(MediaType::Pdf);
    }
    if looks_binary(head) || head.starts_with(b"{\\rtf") || head.starts_with(b"%!PS") {
        return Some(MediaType::Unsupported);
    }
    let start = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let start = start[..start.len().min(1024)].to_ascii_lowercase();
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        return Some(MediaType::Html);
    }
    if start.starts_with(b"<?xml") {
        return Some(if contains(&start, b"<html") { MediaType::Html } else { MediaType::Xml });
    }
    None
}

/// Whether the content is a PDF. Readers accept up to a kilobyte before the header, so files with mail headers, printer commands or
/// binary junk before it exist; but a text may also mention the header. The file is a PDF if white space or binary content precedes
/// the header; if text does, name or declared type decide.
fn is_pdf(head: &[u8], extension: &str, declared: &str) -> bool {
    let Some(before) = head[..head.len().min(1024)].windows(5).position(|window| window == b"%PDF-") else {
        return false;
    };
    let before = &head[..before];
    before.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(before).trim_ascii().is_empty()
        || looks_binary(before)
        || looks_binary(head)
        || extension == "pdf"
        || declared == "application/pdf"
}

fn by_extension(extension: &str) -> Option<MediaType> {
    Some(match extension {
        "txt" | "text" | "log" => MediaType::PlainText,
        "md" | "markdown" | "mdown" | "mkd" => MediaType::Markdown,
        "html" | "htm" | "xhtml" => MediaType::Html,
        "csv" | "tsv" => MediaType::Csv,
        "json" | "jsonl" | "ndjson" => MediaType::Json,
        "xml" => MediaType::Xml,
        "rs" | "py" | "js" | "mjs" | "jsx" | "ts" | "tsx" | "java" | "kt" | "scala" | "go" | "c" | "h" | "cc"
        | "cpp" | "hpp" | "cs" | "rb" | "php" | "swift" | "lua" | "pl" | "r" | "sql" | "sh" | "bash" | "ps1"
        | "css" | "scss" | "yaml" | "yml" | "toml" | "ini" | "proto" | "graphql" => MediaType::SourceCode,
        _ => return None,
    })
}

fn by_declared(declared: &str) -> Option<MediaType> {
    Some(match declared {
        "text/markdown" | "text/x-markdown" => MediaType::Markdown,
        "text/html" | "application/xhtml+xml" => MediaType::Html,
        "text/csv" | "text/tab-separated-values" => MediaType::Csv,
        "application/json" | "application/x-ndjson" => MediaType::Json,
        "application/xml" | "text/xml" => MediaType::Xml,
        "text/javascript" | "application/javascript" | "application/yaml" | "application/toml" | "text/css" => {
            MediaType::SourceCode
        }
        other if other.ends_with("+json") => MediaType::Json,
        other if other.ends_with("+xml") => MediaType::Xml,
        other if other.starts_with("text/x-") => MediaType::SourceCode,
        _ => return None,
    })
}

/// Text in a common encoding has no NUL (UTF-16 starts with a byte order mark) and hardly any control characters; of compressed or
/// compiled bytes one in ten is a control character.
fn looks_binary(head: &[u8]) -> bool {
    if head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]) {
        return false;
    }
    let odd = head.iter().filter(|&&b| is_odd_control(char::from(b))).count();
    head.contains(&0) || odd * 50 > head.len()
}

/// Control characters that do not occur in text: all but tab, line ends, form feed, backspace and escape.
pub(super) fn is_odd_control(c: char) -> bool {
    matches!(c, '\0'..='\x07' | '\x0E'..='\x1A' | '\x1C'..='\x1F' | '\x7F')
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_takes_precedence_over_name_and_declared_type() {
        assert_eq!(sniff(b"%PDF-1.7\n", "a.txt", Some("text/plain")), MediaType::Pdf);
        assert_eq!(sniff(b"just words", "a.pdf", Some("application/pdf")), MediaType::PlainText);
        assert_eq!(sniff(b"MZ\x90\0\x03\0\0\0", "a.pdf", Some("application/pdf")), MediaType::Unsupported);
        assert_eq!(sniff(b"\x7fELF\x02\x01\x01\0", "a.md", None), MediaType::Unsupported);
        assert_eq!(sniff(b" \n<!DOCTYPE html><html>", "a.txt", None), MediaType::Html);
        assert_eq!(sniff(b"{\\rtf1\\ansi hello}", "a.txt", None), MediaType::Unsupported);
        assert_eq!(sniff(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, 0], "a.docx", None), MediaType::Ole);
    }

    #[test]
    fn pdf_header_is_found_after_junk_and_ignored_in_text() {
        let mention = b"Look for `%PDF-` in the first kilobyte.\n%PDF-1.7\n1 0 obj";
        for (name, kind) in
            [("a.txt", MediaType::PlainText), ("a.md", MediaType::Markdown), ("a", MediaType::PlainText)]
        {
            assert_eq!(sniff(mention, name, Some("text/plain")), kind, "{name}");
        }
        assert_eq!(sniff(b"<!doctype html><code>%PDF-1.7</code>", "a.html", None), MediaType::Html);
        assert_eq!(sniff(b"\xEF\xBB\xBF \r\n%PDF-1.7\n", "a.txt", None), MediaType::Pdf);
        assert_eq!(sniff(b"\0\x05macbinary\0\0%PDF-1.7\n", "a.txt", None), MediaType::Pdf);
        let http = b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n";
        assert_eq!(sniff(http, "a.pdf", None), MediaType::Pdf);
        assert_eq!(sniff(http, "a", Some("application/pdf")), MediaType::Pdf);
        assert_eq!(sniff(&[http, &b"stream\nx\x9c\x00\x01\x00"[..]].concat(), "a", None), MediaType::Pdf);
        assert_eq!(sniff(&[&[b' '; 1024][..], b"%PDF-1.7\n"].concat(), "a", None), MediaType::PlainText);
        assert_eq!(sniff(b"PK\x03\x04....a.pdf%PDF-1.7\n", "a.zip", None), MediaType::Zip);
    }

    #[test]
    fn zip_containers_are_distinguished_by_entries_then_by_name() {
        assert_eq!(sniff(b"PK\x03\x04....word/document.xml", "a.bin", None), MediaType::Docx);
        assert_eq!(sniff(b"PK\x03\x04....[Content_Types].xml", "a.docx", None), MediaType::Docx);
        assert_eq!(sniff(b"PK\x03\x04....a.png", "a.zip", None), MediaType::Zip);
    }

    #[test]
    fn name_takes_precedence_over_declared_type_for_texts() {
        assert_eq!(sniff(b"# Hi", "a.MD", Some("text/plain")), MediaType::Markdown);
        assert_eq!(sniff(b"# Hi", "a", Some("text/markdown; charset=utf-8")), MediaType::Markdown);
        assert_eq!(sniff(b"a,b", "a.csv", None), MediaType::Csv);
        assert_eq!(sniff(b"{}", "noext", Some("application/ld+json")), MediaType::Json);
        assert_eq!(sniff(b"fn main() {}", "main.rs", None), MediaType::SourceCode);
        assert_eq!(sniff(b"hello", "../../etc/passwd", None), MediaType::PlainText);
        assert_eq!(sniff(b"", "", None), MediaType::PlainText);
    }

    #[test]
    fn web_page_with_xml_prolog_is_html() {
        assert_eq!(sniff(b"<?xml version='1.0'?>\n<html xmlns='x'>", "a", None), MediaType::Html);
        assert_eq!(sniff(b"\xEF\xBB\xBF<?xml version='1.0'?><feed/>", "a.txt", None), MediaType::Xml);
    }

    #[test]
    fn encoded_text_is_not_binary() {
        assert_eq!(sniff(b"\xFF\xFEh\0i\0", "a.txt", None), MediaType::PlainText);
        assert_eq!(sniff(b"Gr\xFC\xDFe aus K\xF6ln", "a.txt", None), MediaType::PlainText);
        assert_eq!(sniff(b"\x1b[1mbold log line\x1b[0m", "a.log", None), MediaType::PlainText);
    }
}
