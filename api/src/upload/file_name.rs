//! The file name that a part of an upload declares.

use actix_multipart::Field;
use actix_web::http::header::{CONTENT_DISPOSITION, ContentDisposition, HeaderValue};

/// The declared name, as the client sent it.
pub fn declared_name(part: &Field) -> Option<String> {
    let header = part.headers().get(CONTENT_DISPOSITION)?;
    let disposition =
        ContentDisposition::from_raw(&HeaderValue::from_bytes(&keep_path(header.as_bytes())).ok()?).ok()?;
    let extended = disposition.get_filename_ext().map(|name| String::from_utf8_lossy(&name.value).into_owned());
    extended.or_else(|| disposition.get_filename().map(str::to_owned))
}

/// Escapes the backslashes that escape nothing. Browsers send a Windows path (`C:\Users\me\plan.docx`) as it is, and the
/// parser, which takes every backslash for an escape, would make one word of it. Clients that escape at all escape only
/// quotes and backslashes.
fn keep_path(header: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(header.len());
    let mut bytes = header.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        kept.push(byte);
        if byte == b'\\' {
            let escaped = bytes.next_if(|next| matches!(next, b'"' | b'\\'));
            kept.push(escaped.unwrap_or(b'\\'));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(header: &str) -> String {
        let header = HeaderValue::from_bytes(&keep_path(header.as_bytes())).unwrap();
        ContentDisposition::from_raw(&header).unwrap().get_filename().unwrap().to_owned()
    }

    #[test]
    fn backslashes_of_a_path_are_kept_and_escapes_are_removed() {
        assert_eq!(name(r#"form-data; name="file"; filename="C:\Users\me\plan.docx""#), r"C:\Users\me\plan.docx");
        assert_eq!(name(r#"form-data; name="file"; filename="C:\\Users\\plan.docx""#), r"C:\Users\plan.docx");
        assert_eq!(name(r#"form-data; name="file"; filename="\\server\share\plan.docx""#), r"\server\share\plan.docx");
        assert_eq!(name(r#"form-data; name="file"; filename="the \"plan\".docx""#), r#"the "plan".docx"#);
        assert_eq!(name(r"form-data; name=file; filename=C:\plan.docx"), r"C:\\plan.docx");
        assert_eq!(name(r#"form-data; name="file"; filename="Größe.md""#), "Größe.md");
    }
}
