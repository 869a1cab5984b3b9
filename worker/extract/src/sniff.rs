//! Determines the media type of a file from its first bytes, its name and its declared type, in this order. Does no I/O.

use serde::{Deserialize, Serialize};

use crate::{
    codepage::{is_ebcdic, is_iso_2022_kr},
    encoding::{self, is_odd_control},
};

/// The number of first bytes that [`sniff`] examines.
pub const SNIFF_BYTES: usize = 8 * 1024;

/// The first bytes of RAR archives, which no reader knows.
pub(crate) const RAR_SIGNATURE: &[u8] = b"Rar!\x1A\x07";

/// The kinds of content that are distinguished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaType {
    /// Portable Document Format.
    Pdf,
    /// Word document (Office Open XML).
    Docx,
    /// Presentation (Office Open XML).
    Pptx,
    /// Workbook (Office Open XML).
    Xlsx,
    /// Workbook in the binary form of Office Open XML.
    Xlsb,
    /// Workbook of before 2007.
    Xls,
    /// Text (OpenDocument).
    Odt,
    /// Presentation (OpenDocument).
    Odp,
    /// Workbook (OpenDocument).
    Ods,
    /// Electronic book.
    Epub,
    /// Rich Text Format.
    Rtf,
    /// Mail.
    Mail,
    /// Mails one after the other (mbox).
    Mailbox,
    /// Text of Word before 2007.
    Doc,
    /// Presentation of before 2007.
    Ppt,
    /// Mail of Outlook.
    Outlook,
    /// Notebook (Jupyter).
    Notebook,
    /// Picture.
    Png,
    /// Picture.
    Jpeg,
    /// Picture, or several.
    Tiff,
    /// Picture.
    Webp,
    /// Picture.
    Bmp,
    /// Picture.
    Gif,
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
    /// Binary content, or text that only a program can read (PostScript).
    Unsupported,
}

impl MediaType {
    /// The MIME type that is stored and served.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => DOCX_MIME,
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Xlsb => "application/vnd.ms-excel.sheet.binary.macroenabled.12",
            Self::Xls => "application/vnd.ms-excel",
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Odp => "application/vnd.oasis.opendocument.presentation",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Epub => "application/epub+zip",
            Self::Rtf => "application/rtf",
            Self::Mail => "message/rfc822",
            Self::Mailbox => "application/mbox",
            Self::Doc => "application/msword",
            Self::Ppt => "application/vnd.ms-powerpoint",
            Self::Outlook => "application/vnd.ms-outlook",
            Self::Notebook => "application/x-ipynb+json",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Tiff => "image/tiff",
            Self::Webp => "image/webp",
            Self::Bmp => "image/bmp",
            Self::Gif => "image/gif",
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
        return Some(zip_kind(head, extension, declared));
    }
    if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
        return Some(match extension {
            "xls" | "xlt" => MediaType::Xls,
            "msg" => MediaType::Outlook,
            _ => MediaType::Ole,
        });
    }
    if is_pdf(head, extension, declared) {
        return Some(MediaType::Pdf);
    }
    if let Some(picture) = picture(head) {
        return Some(picture);
    }
    if head.starts_with(b"{\\rtf") {
        return Some(MediaType::Rtf);
    }
    if head.starts_with(b"%!PS") || head.starts_with(RAR_SIGNATURE) {
        return Some(MediaType::Unsupported);
    }
    let wide = encoding::wide(head);
    if wide.is_none() && looks_binary(head) && !is_ebcdic(head) && !is_iso_2022_kr(head) {
        return Some(MediaType::Unsupported);
    }
    let wide = wide.unwrap_or_default();
    let head = if wide.is_empty() { head } else { wide.as_bytes() };
    if matches!(extension, "eml" | "mbox" | "mbx" | "") || by_extension(extension).is_none() {
        let declares_mail = declared == "message/rfc822" || extension == "eml";
        if head.starts_with(b"From ")
            && has_mail_headers(head.splitn(2, |&byte| byte == b'\n').nth(1).unwrap_or_default())
        {
            return Some(MediaType::Mailbox);
        }
        if declares_mail || has_mail_headers(head) {
            return Some(MediaType::Mail);
        }
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

/// The kind of a zip container by what is at its beginning, then by its name; its reader looks at all of it.
fn zip_kind(head: &[u8], extension: &str, declared: &str) -> MediaType {
    for (part, kind) in [
        (&b"opendocument.text"[..], MediaType::Odt),
        (b"opendocument.presentation", MediaType::Odp),
        (b"opendocument.spreadsheet", MediaType::Ods),
        (b"application/epub+zip", MediaType::Epub),
        (b"word/", MediaType::Docx),
        (b"ppt/", MediaType::Pptx),
        (b"xl/workbook.bin", MediaType::Xlsb),
        (b"xl/", MediaType::Xlsx),
    ] {
        if contains(head, part) {
            return kind;
        }
    }
    match extension {
        "docx" | "docm" | "dotx" => MediaType::Docx,
        "pptx" | "pptm" | "ppsx" | "potx" => MediaType::Pptx,
        "xlsx" | "xlsm" | "xltx" => MediaType::Xlsx,
        "xlsb" => MediaType::Xlsb,
        "odt" | "ott" => MediaType::Odt,
        "odp" | "otp" => MediaType::Odp,
        "ods" | "ots" => MediaType::Ods,
        "epub" => MediaType::Epub,
        _ if declared == DOCX_MIME => MediaType::Docx,
        _ => MediaType::Zip,
    }
}

/// The kind of a picture by its first bytes.
fn picture(head: &[u8]) -> Option<MediaType> {
    Some(match head {
        [0x89, b'P', b'N', b'G', ..] => MediaType::Png,
        [0xFF, 0xD8, 0xFF, ..] => MediaType::Jpeg,
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => MediaType::Tiff,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => MediaType::Webp,
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => MediaType::Bmp,
        [b'G', b'I', b'F', b'8', ..] => MediaType::Gif,
        _ => return None,
    })
}

/// Whether a text begins with the headers of a mail: only such lines, and among them two that mails have.
fn has_mail_headers(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&head[..head.len().min(4096)]);
    let mut known = 0;
    for (place, line) in head.lines().enumerate() {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) && place > 0 {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { return known >= 4 };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return false;
        }
        known += usize::from(
            [
                "received",
                "return-path",
                "message-id",
                "mime-version",
                "delivered-to",
                "from",
                "date",
                "subject",
                "content-type",
            ]
            .iter()
            .any(|header| name.eq_ignore_ascii_case(header)),
        );
    }
    known >= 3
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
        "xml" | "xsd" | "xsl" | "svg" => MediaType::Xml,
        "ipynb" => MediaType::Notebook,
        _ if language_of(extension).is_some() => MediaType::SourceCode,
        _ => return None,
    })
}

/// The language of source code, by the name of its file.
pub(crate) fn language(file_name: &str) -> Option<&'static str> {
    language_of(&file_name.rsplit_once('.')?.1.to_ascii_lowercase())
}

fn language_of(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "rs" => "rust",
        "py" | "pyi" => "python",
        "js" | "mjs" | "cjs" | "jsx" => "javascript",
        "ts" | "tsx" => "typescript",
        "java" => "java",
        "kt" | "kts" => "kotlin",
        "scala" => "scala",
        "go" => "go",
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "hpp" | "hh" => "cpp",
        "cs" => "csharp",
        "rb" => "ruby",
        "php" => "php",
        "swift" => "swift",
        "lua" => "lua",
        "pl" | "pm" => "perl",
        "r" => "r",
        "jl" => "julia",
        "hs" => "haskell",
        "ex" | "exs" => "elixir",
        "erl" => "erlang",
        "clj" => "clojure",
        "dart" => "dart",
        "sql" => "sql",
        "sh" | "bash" | "zsh" => "shell",
        "ps1" => "powershell",
        "css" | "scss" | "less" => "css",
        "yaml" | "yml" => "yaml",
        "toml" => "toml",
        "ini" | "cfg" | "conf" => "ini",
        "proto" => "protobuf",
        "graphql" => "graphql",
        "tf" => "hcl",
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

/// Text in a common encoding has hardly any control characters (UTF-16 is recognised before); of compressed or compiled bytes one in
/// ten is a control character.
fn looks_binary(head: &[u8]) -> bool {
    if encoding::has_wide_mark(head) {
        return !encoding::is_marked_text(head);
    }
    let odd = head.iter().filter(|&&b| is_odd_control(char::from(b))).count();
    // A slip of a program or a keyboard makes no text binary.
    odd > 2 + head.len() / 100
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
        assert_eq!(sniff(b"{\\rtf1\\ansi hello}", "a.txt", None), MediaType::Rtf);
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n\0", "a.docx", None), MediaType::Png);
        assert_eq!(sniff(b"From: a\nSubject: b\nDate: c\n\nx", "mail", None), MediaType::Mail);
        assert_eq!(sniff(b"From: a\nSubject: b\nDate: c\n\nx", "mail.txt", None), MediaType::PlainText);
        assert_eq!(sniff(b"From a Sat\nFrom: a\nSubject: b\nDate: c\n\nx", "inbox", None), MediaType::Mailbox);
        assert_eq!(sniff(b"Alarm \x07 rang", "a.txt", None), MediaType::PlainText);
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
        assert_eq!(sniff(b"\x1b$)C\x0E4B\x0F \x0E4B\x0F \x0E4B\x0F", "a.txt", None), MediaType::PlainText);
    }
}
