//! Paths of members.

use std::collections::HashSet;

/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 1_024;
/// Longest part of a path, in bytes: a part may become the name of a file.
const MAX_NAME_BYTES: usize = 255;

/// Folders and files that systems add to archives for themselves.
const SYSTEM_NAMES: [&str; 3] = ["__MACOSX", ".DS_Store", "Thumbs.db"];

/// A relative path with `/` between its parts and nothing that leaves the archive or hides in a name. `None`: there is no name
/// left, or a system added the file for itself.
pub(super) fn clean(path: &str) -> Option<String> {
    let parts: Vec<String> = path.split(['/', '\\']).filter_map(clean_name).collect();
    if parts.is_empty() || parts.iter().any(|part| SYSTEM_NAMES.contains(&part.as_str())) {
        return None;
    }
    // The end is the file's name; an absurdly deep path loses its beginning.
    let mut kept = parts.len() - 1;
    let mut bytes = parts[kept].len();
    while kept > 0 && bytes + 1 + parts[kept - 1].len() <= MAX_PATH_BYTES {
        kept -= 1;
        bytes += 1 + parts[kept].len();
    }
    Some(parts[kept..].join("/"))
}

/// A part of a path without control characters and drive letters; `None`: nothing is left of it, or it leads elsewhere.
fn clean_name(part: &str) -> Option<String> {
    let visible: String = part.chars().filter(|letter| !letter.is_control()).collect();
    let name = visible.trim();
    let is_drive = name.len() == 2 && name.ends_with(':');
    if name.is_empty() || is_drive || matches!(name, "." | "..") {
        return None;
    }
    if name.len() <= MAX_NAME_BYTES {
        return Some(name.to_owned());
    }
    // A cut name keeps its extension, which tells what the file is.
    let extension = name.rsplit_once('.').map(|(_, extension)| extension).filter(|extension| extension.len() < 16);
    let tail = extension.map(|extension| format!(".{extension}")).unwrap_or_default();
    let end = name.floor_char_boundary(MAX_NAME_BYTES - tail.len());
    Some(format!("{}{tail}", &name[..end]))
}

/// The path, with a number if another member has it already: paths identify members.
pub(super) fn unique(path: String, taken: &HashSet<String>) -> String {
    if !taken.contains(&path) {
        return path;
    }
    let (folder, name) = path.rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name));
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let separator = if folder.is_empty() { "" } else { "/" };
    (2_u32..)
        .map(|number| format!("{folder}{separator}{stem} ({number}){extension}"))
        .find(|path| !taken.contains(path))
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_archive() {
        for (path, cleaned) in [
            ("a/b.txt", Some("a/b.txt")),
            ("/etc/passwd", Some("etc/passwd")),
            ("../../etc/passwd", Some("etc/passwd")),
            ("a/../b.txt", Some("a/b.txt")),
            (r"C:\Users\me\plan.docx", Some("Users/me/plan.docx")),
            (r"\\server\share\x", Some("server/share/x")),
            ("./a//b/./c", Some("a/b/c")),
            ("a\0b\u{1b}[1m\n.txt", Some("ab[1m.txt")),
            ("Grüße/水.md", Some("Grüße/水.md")),
            ("__MACOSX/a/._b.txt", None),
            ("a/.DS_Store", None),
            ("..", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(clean(path).as_deref(), cleaned, "{path:?}");
        }
    }

    #[test]
    fn long_names_and_paths_are_cut() {
        let name = clean(&format!("{}.txt", "ü".repeat(500))).unwrap();
        assert!(name.len() <= MAX_NAME_BYTES && name.ends_with("ü.txt"), "{name}");
        let path = clean(&format!("{}end.txt", "folder/".repeat(1000))).unwrap();
        assert!(path.len() <= MAX_PATH_BYTES && path.ends_with("folder/end.txt"), "{path}");
    }

    #[test]
    fn repeated_paths_get_a_number() {
        let taken: HashSet<String> = ["a/b.txt", "a/b (2).txt", "x"].map(str::to_owned).into();
        assert_eq!(unique("a/b.txt".to_owned(), &taken), "a/b (3).txt");
        assert_eq!(unique("x".to_owned(), &taken), "x (2)");
        assert_eq!(unique("a/c.txt".to_owned(), &taken), "a/c.txt");
    }
}
