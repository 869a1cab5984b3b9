//! What a statement of source code defines, by its first words.

use super::code_lines::{Syntax, is_of_name};

/// A definition.
pub(super) struct Definition {
    /// What it is, and its name.
    pub(super) label: String,
    /// Whether its parts may be definitions.
    pub(super) has_members: bool,
    /// Lines before the one with the name.
    pub(super) lines_before_name: usize,
}

/// Words before the one that says what is defined.
const MODIFIERS: [&str; 46] = [
    "abstract",
    "async",
    "case",
    "companion",
    "const",
    "constexpr",
    "create",
    "data",
    "declare",
    "default",
    "explicit",
    "export",
    "extern",
    "fileprivate",
    "final",
    "friend",
    "global",
    "implicit",
    "inline",
    "inner",
    "internal",
    "local",
    "mutating",
    "native",
    "open",
    "or",
    "override",
    "partial",
    "private",
    "protected",
    "pub",
    "public",
    "readonly",
    "replace",
    "sealed",
    "static",
    "suspend",
    "synchronized",
    "temp",
    "temporary",
    "transparent",
    "typedef",
    "unsafe",
    "value",
    "virtual",
    "volatile",
];

/// Words that say what is defined, and whether its parts may be definitions.
const KEYWORDS: [(&str, bool); 35] = [
    ("class", true),
    ("def", false),
    ("defmacro", false),
    ("defmodule", true),
    ("defp", false),
    ("enum", true),
    ("extension", true),
    ("fn", false),
    ("fun", false),
    ("func", false),
    ("function", false),
    ("impl", true),
    ("interface", true),
    ("macro", false),
    ("macro_rules!", false),
    ("message", true),
    ("mod", true),
    ("module", true),
    ("namespace", true),
    ("object", true),
    ("procedure", false),
    ("protocol", true),
    ("record", true),
    ("rpc", false),
    ("service", true),
    ("struct", true),
    ("sub", false),
    ("table", false),
    ("trait", true),
    ("trigger", false),
    ("type", false),
    ("union", true),
    ("view", false),
    ("input", false),
    ("scalar", false),
];

/// Words that begin statements which look like functions.
const STATEMENTS: [&str; 22] = [
    "assert",
    "await",
    "catch",
    "delete",
    "do",
    "else",
    "for",
    "foreach",
    "if",
    "lock",
    "new",
    "print",
    "return",
    "sizeof",
    "super",
    "switch",
    "synchronized",
    "throw",
    "try",
    "using",
    "while",
    "yield",
];

/// Most lines of the head of a function.
const MAX_HEAD_LINES: usize = 12;
/// Longest label, in characters.
const MAX_LABEL_CHARS: usize = 120;

/// What a statement defines, whose lines `lines` gives, with what follows. `depth`: how many definitions are open around it.
pub(super) fn definition<'a, L: Iterator<Item = &'a str>>(
    lines: impl Fn() -> L,
    depth: usize,
    syntax: &Syntax,
) -> Option<Definition> {
    let lines_before_name = lines().take(MAX_HEAD_LINES).position(|line| line.contains('(')).unwrap_or(0);
    let line = lines().next()?.trim_start().trim_start_matches('\u{FEFF}');
    let found = match syntax.language.as_str() {
        "toml" | "ini" => section(line),
        "yaml" | "css" => None,
        "shell" | "r" => by_assignment(line).or_else(|| by_keyword(line, syntax)),
        // A type may be that of a function.
        "c" | "cpp" => bare(lines, depth, syntax).or_else(|| by_keyword(line, syntax)),
        "javascript" | "typescript" => {
            let by_word = by_keyword(line, syntax).or_else(|| by_assignment(line));
            by_word.or_else(|| bare(lines, depth, syntax).filter(|_| depth > 0))
        }
        _ if syntax.has_bare_functions => by_keyword(line, syntax).or_else(|| bare(lines, depth, syntax)),
        _ => by_keyword(line, syntax),
    };
    found.map(|(label, has_members)| {
        let label = label.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_bare = label.ends_with("()");
        Definition {
            label: label.chars().take(MAX_LABEL_CHARS).collect(),
            has_members,
            lines_before_name: if is_bare { lines_before_name } else { 0 },
        }
    })
}

/// A table of a configuration file.
fn section(line: &str) -> Option<(String, bool)> {
    let name = line.strip_prefix('[')?.trim_start_matches('[').split(']').next()?.trim();
    (!name.is_empty()).then(|| (name.to_owned(), false))
}

fn by_keyword(line: &str, syntax: &Syntax) -> Option<(String, bool)> {
    let mut rest = line;
    loop {
        let word = first_word(rest);
        let after = rest[word.len()..].trim_start();
        let lower = if syntax.language == "sql" { word.to_lowercase() } else { word.to_owned() };
        if let Some((_, has_members)) = KEYWORDS.iter().find(|(keyword, _)| *keyword == lower) {
            return Some((named(word, after, syntax)?, *has_members));
        }
        if !MODIFIERS.contains(&lower.as_str()) {
            return None;
        }
        // `pub(crate)`, `extern "C"`.
        rest = match after.chars().next() {
            Some('(') => after.split_once(')')?.1.trim_start(),
            Some('"') => after[1..].split_once('"')?.1.trim_start(),
            _ => after,
        };
    }
}

/// The label of a definition by its word and what follows.
fn named(word: &str, after: &str, syntax: &Syntax) -> Option<String> {
    match word {
        "impl" => {
            let head = after.split(['{', ';']).next()?.split(" where ").next()?.trim();
            // Its own parameters say nothing.
            let head = if head.starts_with('<') { without_parameters(head)? } else { head };
            return Some(format!("{word} {}", head.trim()));
        }
        "func" if after.starts_with('(') => {
            let (receiver, after) = after[1..].split_once(')')?;
            let of = receiver.split(|c: char| !is_of_name(c)).rfind(|part| !part.is_empty())?;
            return Some(format!("{word} {of}.{}", name(after.trim_start())?));
        }
        _ => {}
    }
    let after = match word {
        // `enum class` of C++, `function*` of JavaScript, `fun <T>` of Kotlin, `def self.` of Ruby stays.
        "enum" => after.strip_prefix("class ").or_else(|| after.strip_prefix("struct ")).unwrap_or(after),
        "function" => after.trim_start_matches('*').trim_start(),
        "fun" if after.starts_with('<') => without_parameters(after)?.trim_start(),
        _ if syntax.language == "sql" => without_condition(after),
        _ => after,
    };
    let name = name(after)?;
    let rest = after.trim_start_matches(['"', '`'])[name.len()..].trim_start();
    let is_definition = match (syntax.language.as_str(), word) {
        // A variable of this type is none.
        ("c" | "cpp", "struct" | "enum" | "union" | "class") => {
            rest.is_empty() || rest.starts_with(['{', ':']) || rest.starts_with("final")
        }
        (_, "type" | "input" | "scalar" | "record" | "message" | "service" | "object" | "table" | "view") => {
            !rest.starts_with(['.', ',', ':']) || syntax.language == "sql"
        }
        _ => true,
    };
    is_definition.then(|| format!("{word} {name}"))
}

fn without_condition(after: &str) -> &str {
    let lower = after.to_ascii_lowercase();
    match lower.starts_with("if not exists ") {
        true => after["if not exists ".len()..].trim_start(),
        false => after,
    }
}

/// The rest behind parameters of types.
fn without_parameters(text: &str) -> Option<&str> {
    let mut depth = 0;
    for (place, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if text[..place].ends_with(['-', '=']) => {}
            '>' => {
                depth -= 1;
                if depth == 0 {
                    return Some(&text[place + 1..]);
                }
            }
            _ => {}
        }
    }
    None
}

/// A function that is the value of a name, or that has nothing but a name: `rise = function(`, `rise() {`.
fn by_assignment(line: &str) -> Option<(String, bool)> {
    let mut rest = line;
    while let word @ ("export" | "const" | "let" | "var" | "local" | "default") = first_word(rest) {
        rest = rest[word.len()..].trim_start();
    }
    let name = name(rest)?;
    let value = rest[name.len()..].trim_start();
    if value.starts_with("()") && value.trim_end().ends_with(['{', ')']) && !STATEMENTS.contains(&name) {
        return value[2..].trim().trim_end_matches('{').is_empty().then(|| (format!("{name}()"), false));
    }
    let value = value.strip_prefix("<-").or_else(|| value.strip_prefix('='))?.trim_start();
    let is_function = value.starts_with("function")
        || value.starts_with("async function")
        || (value.contains("=>") && (value.starts_with('(') || value.starts_with("async") || is_parameter(value)));
    is_function.then(|| (format!("{name}()"), false))
}

/// Whether a function begins with its only parameter.
fn is_parameter(value: &str) -> bool {
    value[first_word(value).len()..].trim_start().starts_with("=>")
}

/// A function that begins with its type or name, and has a body.
fn bare<'a, L: Iterator<Item = &'a str>>(
    lines: impl Fn() -> L,
    depth: usize,
    syntax: &Syntax,
) -> Option<(String, bool)> {
    let mut head = String::new();
    for line in lines().take(MAX_HEAD_LINES) {
        head.push_str(line.trim_start());
        head.push(' ');
        if line.contains(['{', ';']) || line.trim().is_empty() {
            break;
        }
    }
    let open = head.find('(')?;
    let body = head.find('{')?;
    if body < open || head.find(';').is_some_and(|end| end < body) {
        return None;
    }
    let before = head[..open].trim_end();
    let is_operator = before.contains("operator");
    if before.contains(['=', '"', '\'', '[']) && !is_operator || STATEMENTS.contains(&first_word(before)) {
        return None;
    }
    let start = before.rfind(|c: char| !is_of_name(c) && c != '~' && c != '#').map_or(0, |place| place + 1);
    let name = before.get(start..)?;
    if !name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '~' | '#'))
        || STATEMENTS.contains(&name)
    {
        return None;
    }
    // At the left edge, a call of a script has a point, or nothing before its name.
    let is_script = matches!(syntax.language.as_str(), "javascript" | "typescript");
    if is_script && (depth == 0 || before.contains('.')) {
        return None;
    }
    Some((format!("{name}()"), false))
}

/// The letters of the first word. One that ends with an exclamation mark is a macro.
fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !is_of_name(c)).unwrap_or(text.len());
    match text[end..].starts_with('!') {
        true => &text[..=end],
        false => &text[..end],
    }
}

/// The name at the beginning of a text, in any quotation marks.
fn name(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(['"', '`']);
    let is_part = |c: char| is_of_name(c) || matches!(c, '.' | ':' | '!' | '?' | '-' | '\\');
    let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let name = text[..end].trim_end_matches([':', '.', '-']);
    name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$').then_some(name)
}
