//! The content of a gzip stream.

use std::io::{BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::budget::{Budgets, Limited};

/// The content of a stream, which may have several parts.
pub(super) fn content<'a>(reader: &'a mut dyn Read, budgets: &Budgets) -> impl Read + use<'a> {
    Limited::new(MultiGzDecoder::new(BufReader::new(reader)), &budgets.expanded)
}

/// The name of the content: that of the stream without the extension of the compression.
pub(super) fn content_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    match extension.to_ascii_lowercase().as_str() {
        "gz" | "gzip" if !stem.is_empty() => stem.to_owned(),
        "tgz" if !stem.is_empty() => format!("{stem}.tar"),
        _ if name.is_empty() => "content".to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::content_name;

    #[test]
    fn content_loses_the_extension_of_the_compression() {
        for (name, content) in [
            ("notes.txt.gz", "notes.txt"),
            ("logs/a.TGZ", "a.tar"),
            ("plain", "plain"),
            (".gz", ".gz"),
            ("", "content"),
        ] {
            assert_eq!(content_name(name), content);
        }
    }
}
