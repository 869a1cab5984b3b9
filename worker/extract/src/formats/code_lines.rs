//! The lines of source code: which of them are code, and which stand in comments and in texts of several lines.

use std::ops::Range;

/// What a reader of a language must know of it.
#[derive(Default)]
pub(super) struct Syntax {
    pub(super) language: String,
    /// What begins a comment that ends with its line.
    comments: &'static [&'static str],
    /// What begins and ends comments of several lines.
    block_comments: &'static [(&'static str, &'static str)],
    /// What begins and ends texts of several lines.
    texts: &'static [(&'static str, &'static str)],
    /// Whether functions begin with their type or name, not with a word of the language.
    pub(super) has_bare_functions: bool,
}

impl Syntax {
    pub(super) fn of(language: &str) -> Self {
        const SLASHES: &[&str] = &["//"];
        const HASH: &[&str] = &["#"];
        const STARS: &[(&str, &str)] = &[("/*", "*/")];
        const THREE: &[(&str, &str)] = &[("\"\"\"", "\"\"\""), ("'''", "'''")];
        let (comments, block_comments, texts) = match language {
            "rust" => (SLASHES, STARS, &[("r#\"", "\"#"), ("\"", "\"")][..]),
            "c" | "cpp" | "dart" | "protobuf" => (SLASHES, STARS, &[][..]),
            "java" | "csharp" | "kotlin" | "scala" | "swift" => (SLASHES, STARS, &THREE[..1]),
            "javascript" | "typescript" | "go" => (SLASHES, STARS, &[("`", "`")][..]),
            "php" => (&["//", "#"][..], STARS, &[][..]),
            "python" => (HASH, &[][..], THREE),
            "elixir" | "julia" | "graphql" => (HASH, &[][..], &THREE[..1]),
            "css" => (&[][..], STARS, &[][..]),
            "sql" => (&["--"][..], STARS, &[][..]),
            "lua" => (&["--"][..], &[("--[[", "]]")][..], &[("[[", "]]")][..]),
            "haskell" => (&["--"][..], &[("{-", "-}")][..], &[][..]),
            "clojure" | "ini" => (&[";", "#"][..], &[][..], &[][..]),
            "erlang" => (&["%"][..], &[][..], &[][..]),
            "powershell" => (HASH, &[("<#", "#>")][..], &[][..]),
            _ => (HASH, &[][..], &[][..]),
        };
        let has_bare_functions =
            matches!(language, "c" | "cpp" | "java" | "csharp" | "dart" | "javascript" | "typescript");
        Self { language: language.to_owned(), comments, block_comments, texts, has_bare_functions }
    }

    /// What opens at the beginning of a text, the longest first: what it opens with, what ends it, and whether it is a comment.
    fn opening(&self, rest: &str) -> Option<(&'static str, &'static str, bool)> {
        let of = |pairs: &'static [(&'static str, &'static str)], is_comment: bool| {
            let found = pairs.iter().find(|(opening, _)| rest.starts_with(opening));
            found.map(|(opening, closing)| (*opening, *closing, is_comment))
        };
        of(self.block_comments, true).or_else(|| of(self.texts, false))
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    Blank,
    /// A comment, and nothing else.
    Comment,
    /// An attribute, annotation or decorator of what follows.
    Attribute,
    Code,
    /// It begins within a text of several lines.
    Text,
}

/// A line.
pub(super) struct Line {
    /// Its bytes without the line end and white space before it. That of a blank line is empty.
    pub(super) bytes: Range<usize>,
    /// The columns before its first letter; a tabulator counts as four.
    pub(super) indent: usize,
    pub(super) kind: LineKind,
}

/// What lines begin with that continue or end what is open: closing brackets, the brace of a function, parts of statements.
const CONTINUATIONS: [&str; 12] =
    ["{", "}", ")", "]", "#", ">", "where", "end", "else", "public:", "private:", "protected:"];

impl Line {
    /// Whether the line continues or ends what is open, whatever its indentation.
    pub(super) fn is_continuation(&self, text: &str) -> bool {
        let line = &text[self.bytes.clone()];
        let rest = CONTINUATIONS.iter().find_map(|start| Some((start, line.trim_start().strip_prefix(start)?)));
        rest.is_some_and(|(start, rest)| !start.ends_with(char::is_alphabetic) || !rest.starts_with(is_of_name))
    }
}

/// Whether a letter is part of a name.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The lines of a text. A byte order mark belongs to none.
pub(super) fn lines(text: &str, syntax: &Syntax) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut offset = 0;
    // What ends the open comment or text, and whether it is a comment.
    let mut open: Option<(&'static str, bool)> = None;
    for whole in text.split_inclusive('\n') {
        let mark = if offset == 0 && whole.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
        let line = whole[mark..].trim_end();
        let start = offset + mark;
        let code = line.trim_start();
        let kind = match open {
            _ if code.is_empty() => LineKind::Blank,
            Some((_, true)) => LineKind::Comment,
            Some((_, false)) => LineKind::Text,
            None if syntax.comments.iter().any(|comment| code.starts_with(comment)) => LineKind::Comment,
            None if matches!(syntax.opening(code), Some((_, _, true))) => LineKind::Comment,
            None if is_attribute(code, syntax) => LineKind::Attribute,
            None => LineKind::Code,
        };
        // A text at the beginning of a line describes what is around it.
        let spaces = line[..line.len() - code.len()].chars().map(|c| if c == '\t' { 4 } else { 1 }).sum();
        lines.push(Line { bytes: start..start + line.len(), indent: spaces, kind });
        open = open_after(line, open, syntax);
        offset += whole.len();
    }
    lines
}

fn is_attribute(code: &str, syntax: &Syntax) -> bool {
    match syntax.language.as_str() {
        "rust" | "php" => code.starts_with("#["),
        "csharp" => code.starts_with('[') && code.ends_with(']'),
        "cpp" => code.starts_with("template") && code.ends_with('>'),
        "elixir" => code.starts_with("@doc ") || code.starts_with("@spec "),
        _ => code.starts_with('@') && !code.starts_with("@interface"),
    }
}

/// The comment or text that is open at the end of a line.
fn open_after(line: &str, mut open: Option<(&'static str, bool)>, syntax: &Syntax) -> Option<(&'static str, bool)> {
    let mut rest = line;
    loop {
        if let Some((closing, _)) = open {
            match rest.find(closing) {
                Some(place) => rest = &rest[place + closing.len()..],
                None => return open,
            }
            open = None;
        }
        let c = rest.chars().next()?;
        if let Some((opening, closing, is_comment)) = syntax.opening(rest) {
            // A text of a single quotation mark has escapes.
            if opening == "\"" {
                match closed(&rest[1..], '"') {
                    Some(after) => {
                        rest = after;
                        continue;
                    }
                    None => return Some((closing, false)),
                }
            }
            open = Some((closing, is_comment));
            rest = &rest[opening.len()..];
        } else if syntax.comments.iter().any(|comment| rest.starts_with(comment)) {
            return None;
        } else if matches!(c, '"' | '\'') {
            // An apostrophe that is not closed is none: a lifetime, or a word of a text.
            rest = quoted(&rest[1..], c, syntax).unwrap_or(&rest[1..]);
        } else {
            rest = &rest[c.len_utf8()..];
        }
    }
}

/// What follows a text in quotation marks.
fn quoted<'a>(rest: &'a str, mark: char, syntax: &Syntax) -> Option<&'a str> {
    if mark == '\'' && syntax.language == "rust" {
        // A letter, not a lifetime.
        let letters: Vec<char> = rest.chars().take(2).collect();
        let is_letter = letters.first() == Some(&'\\') || letters.get(1) == Some(&'\'');
        return if is_letter { closed(rest, mark) } else { None };
    }
    closed(rest, mark)
}

/// What follows the next mark without a backslash before it.
fn closed(text: &str, mark: char) -> Option<&str> {
    let mut is_escaped = false;
    for (place, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == mark => return Some(&text[place + c.len_utf8()..]),
            _ => {}
        }
    }
    None
}
