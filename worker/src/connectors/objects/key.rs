//! Keys of objects that are written: below their folder, and of a form that every store takes.

use nvisy_shared::domain::failure::{Failure, FailureCode};

use super::names;
use crate::connectors::object_target::ObjectPlace;

/// Maximum length of a part of a path, in bytes: file systems take 255, and the id and the extension follow.
const MAX_PART_BYTES: usize = 160;
/// Maximum length of the path below the folder, in bytes: stores take 1024 for the whole.
const MAX_NAME_BYTES: usize = 600;
/// Stands for a name without any usable character.
const UNNAMED: &str = "unnamed";
/// Characters that some stores, shells or file systems do not take.
const REPLACED: [char; 8] = ['\\', ':', '*', '?', '"', '<', '>', '|'];

/// The keys of the objects of a file. `name` is made safe: no part of it leads out of `folder`.
///
/// # Errors
/// [`FailureCode::TargetMismatch`] for a folder that no store takes.
pub(crate) fn place(folder: &str, name: &str, extension: &str) -> Result<ObjectPlace, Failure> {
    let folder = folder.trim_matches('/');
    if let Some(reason) = names::problem(folder).filter(|_| !folder.is_empty()) {
        return Err(Failure::new(FailureCode::TargetMismatch, format!("the folder of the setting `into` {reason}")));
    }
    // The extension follows behind the id.
    let name = safe(name.strip_suffix(extension).unwrap_or(name));
    let before = if folder.is_empty() { format!("{name}.") } else { format!("{folder}/{name}.") };
    Ok(ObjectPlace { before, after: extension.to_owned() })
}

/// The extension of a name, with its point; empty: it has none.
pub(crate) fn extension(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or_default();
    let extension = name.rfind('.').filter(|at| *at > 0).map_or("", |at| &name[at..]);
    let is_short = (2..=12).contains(&extension.len());
    if is_short && extension[1..].bytes().all(|byte| byte.is_ascii_alphanumeric()) { extension } else { "" }
}

fn safe(name: &str) -> String {
    let parts = name.split('/').map(safe_part).filter(|part| !part.is_empty());
    let mut path = String::new();
    for part in parts {
        if path.len() + part.len() >= MAX_NAME_BYTES {
            break;
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&part);
    }
    if path.is_empty() { UNNAMED.to_owned() } else { path }
}

fn safe_part(part: &str) -> String {
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffd}');
    let replaced = part.chars().filter(|c| !hidden(*c)).map(|c| if REPLACED.contains(&c) { '_' } else { c });
    let part: String = replaced.collect();
    let mut end = part.len().min(MAX_PART_BYTES);
    while !part.is_char_boundary(end) {
        end -= 1;
    }
    // Points at the ends hide files, lead to other folders, or are dropped by some stores.
    part[..end].trim_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn name_never_leads_out_of_its_folder() {
        let of = |name: &str| place("out/", name, ".txt").unwrap().before;
        for (name, before) in [
            ("a.pdf", "out/a.pdf."),
            ("../../etc/passwd", "out/etc/passwd."),
            ("/etc/./shadow", "out/etc/shadow."),
            ("a\0b\r\nc", "out/abc."),
            ("..\\..\\boot.ini", "out/_.._boot.ini."),
            ("a//b", "out/a/b."),
            ("  .. ", "out/unnamed."),
            ("", "out/unnamed."),
            ("ü/ß?.txt", "out/ü/ß_."),
            ("note.txt", "out/note."),
        ] {
            assert_eq!(of(name), before, "{name:?}");
        }
        assert_eq!(place("/", "a", ".txt").unwrap().before, "a.");
    }

    #[test]
    fn long_names_become_keys_that_stores_take() {
        let name = format!("{}/{}", "ü".repeat(2000), "x/".repeat(3000));
        let key = place(&"f".repeat(255), &name, ".jsonl").unwrap().key(Uuid::nil());
        assert!(key.len() < 1024 && names::problem(&key).is_none(), "{key}");
        assert!(key.split('/').all(|part| part.len() <= 255));
    }

    #[test]
    fn folder_that_climbs_is_refused() {
        for folder in ["../up", "a/../../b", "a//b", "a\0"] {
            assert_eq!(place(folder, "a", "").unwrap_err().code, FailureCode::TargetMismatch, "{folder}");
        }
    }

    #[test]
    fn extension_is_short_and_plain() {
        assert_eq!((extension("a/b.PDF"), extension("a.b/c"), extension(".profile")), (".PDF", "", ""));
        assert_eq!((extension("a."), extension("a.b c"), extension("a.tar.gz")), ("", "", ".gz"));
    }
}
