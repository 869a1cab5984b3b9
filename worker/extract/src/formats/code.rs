//! Source code, whose text stays as it is: definitions are headings, so that chunks are cut between them.
//!
//! Definitions are found by their lines and indentation, not by a grammar: what stands at the left edge, and what stands in a
//! class or the like at the first indentation within it. So code of any language and with any fault is read, in one pass.

use super::code_definitions::{Definition, definition};
use super::code_lines::{Line, LineKind, Syntax, lines};
use crate::{Document, Element, ElementKind};

/// Finds the definitions of a source file and the blocks of lines between them.
pub(super) fn describe(text: String, language: Option<&str>) -> Document {
    let syntax = Syntax::of(language.unwrap_or_default());
    let lines = lines(&text, &syntax);
    let mut elements = Vec::new();
    // The first line that is in no element.
    let mut next = 0;
    for (place, level, definition) in definitions(&text, &lines, &syntax) {
        let first = first_line(&lines, place, next);
        blocks(&lines[next..first], &mut elements);
        let last = place + definition.lines_before_name;
        let bytes = lines[first].bytes.start..lines[last].bytes.end;
        let mut heading = Element::new(ElementKind::Heading { level }, bytes, None);
        heading.label = Some(definition.label);
        elements.push(heading);
        next = last + 1;
    }
    blocks(&lines[next..], &mut elements);
    Document { text, elements, ..Document::default() }
}

/// A definition whose parts may be definitions, or not.
struct Open {
    indent: usize,
    has_members: bool,
    /// The indentation of its first member.
    member_indent: Option<usize>,
}

/// The places of definitions with their levels.
fn definitions(text: &str, lines: &[Line], syntax: &Syntax) -> Vec<(usize, u8, Definition)> {
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    // The first line behind the name of the last definition.
    let mut behind = 0;
    for (place, line) in lines.iter().enumerate() {
        if place < behind || line.kind != LineKind::Code || line.is_continuation(text) {
            continue;
        }
        while open.last().is_some_and(|above| above.indent >= line.indent) {
            open.pop();
        }
        let is_member = match open.last_mut() {
            None => line.indent == 0,
            Some(above) if above.has_members => *above.member_indent.get_or_insert(line.indent) == line.indent,
            Some(_) => false,
        };
        if !is_member {
            continue;
        }
        let statement = || lines[place..].iter().map(|line| &text[line.bytes.clone()]);
        if let Some(definition) = definition(statement, open.len(), syntax) {
            let level = u8::try_from(open.len() + 1).unwrap_or(6).min(6);
            behind = place + definition.lines_before_name + 1;
            open.push(Open { indent: line.indent, has_members: definition.has_members, member_indent: None });
            found.push((place, level, definition));
        }
    }
    found
}

/// The first of the comments, attributes and other lines that belong to the definition at a place.
fn first_line(lines: &[Line], place: usize, from: usize) -> usize {
    let belongs = |line: &&Line| line.kind == LineKind::Comment || line.kind == LineKind::Attribute;
    place - lines[from..place].iter().rev().take_while(belongs).count()
}

/// Adds the blocks of lines between blank ones.
fn blocks(lines: &[Line], elements: &mut Vec<Element>) {
    for block in lines.split(|line| line.kind == LineKind::Blank) {
        if let (Some(first), Some(last)) = (block.first(), block.last()) {
            elements.push(Element::new(ElementKind::Code, first.bytes.start..last.bytes.end, None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels of the headings of a text with their levels and their first words.
    fn headings(language: &str, text: &str) -> Vec<(u8, String)> {
        let document = describe(text.to_owned(), Some(language));
        assert_eq!(document.text, text);
        let mut end = 0;
        for element in &document.elements {
            assert!(element.start >= end && element.end > element.start, "{element:?}");
            assert_eq!(text[end..element.start].trim_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']), "", "{element:?}");
            end = element.end;
        }
        assert_eq!(text[end..].trim(), "");
        document
            .elements
            .iter()
            .filter_map(|element| match element.kind {
                ElementKind::Heading { level } => Some((level, element.label.clone().unwrap_or_default())),
                _ => None,
            })
            .collect()
    }

    fn owned(found: &[(u8, &str)]) -> Vec<(u8, String)> {
        found.iter().map(|(level, label)| (*level, (*label).to_owned())).collect()
    }

    #[test]
    fn definitions_of_rust_are_headings() {
        let text = "//! Module.\n\nuse std::io;\n\n/// Doc.\n#[derive(Debug)]\npub struct Tide {\n    level: f64,\n}\n\n\
            impl<T> Rise for Tide<T>\nwhere\n    T: Copy,\n{\n    /// Rises.\n    pub async fn rise(&self) {\n        fn inner() {}\n    }\n\n    const fn fall() {}\n}\n\n\
            #[cfg(test)]\nmod tests {\n    #[test]\n    fn water_rises() {\n        let text = \"\nfn no_function() {\";\n    }\n}\n\nmacro_rules! sea { () => {} }\n";
        let found = owned(&[
            (1, "struct Tide"),
            (1, "impl Rise for Tide<T>"),
            (2, "fn rise"),
            (2, "fn fall"),
            (1, "mod tests"),
            (2, "fn water_rises"),
            (1, "macro_rules! sea"),
        ]);
        assert_eq!(headings("rust", text), found);
        let document = describe(text.to_owned(), Some("rust"));
        let heading = document.elements.iter().find(|element| element.label.as_deref() == Some("struct Tide")).unwrap();
        assert_eq!(&text[heading.start..heading.end], "/// Doc.\n#[derive(Debug)]\npub struct Tide {");
    }

    #[test]
    fn definitions_of_python_are_headings() {
        let text = "\"\"\"Tides.\n\ndef no_function():\n\"\"\"\nimport os\n\n# Lists.\n@cache\ndef rise(level):\n    def inner():\n        pass\n    return level\n\n\
            class Sea(Water):\n    \"\"\"The\n    sea.\"\"\"\n    x = 1\n\n    @property\n    async def depth(self):\n        return 2\n\n    def __init__(\n        self,\n    ) -> None:\n        pass\n\nif __name__ == '__main__':\n    rise(1)\n";
        let found = owned(&[(1, "def rise"), (1, "class Sea"), (2, "def depth"), (2, "def __init__")]);
        assert_eq!(headings("python", text), found);
    }

    #[test]
    fn definitions_of_languages_with_braces_are_headings() {
        let go = "package tide\n\n// Rise rises.\nfunc Rise(x int) int {\n\treturn x\n}\n\nfunc (t *Tide) Fall() {\n}\n\ntype Tide struct {\n\tx int\n}\n";
        assert_eq!(headings("go", go), owned(&[(1, "func Rise"), (1, "func Tide.Fall"), (1, "type Tide")]));
        let java = "package a;\n\n@Entity\npublic final class Tide extends Water {\n    private int x = 1;\n\n    @Override\n    public int level(int hour) throws IOException {\n        if (hour > 1) {\n            return 1;\n        }\n    }\n\n    Tide(\n            int x) {\n    }\n\n    enum Kind { SPRING }\n}\n";
        let found = owned(&[(1, "class Tide"), (2, "level()"), (2, "Tide()"), (2, "enum Kind")]);
        assert_eq!(headings("java", java), found);
        let script = "import a from 'a';\n\nexport default async function rise(x) {\n}\n\nexport const fall = async (x) => {\n};\n\nclass Sea extends Water {\n  constructor(x) {\n    super(x);\n  }\n\n  async depth() {\n    for (const y of x) {\n    }\n  }\n}\n\ntest('rises', () => {\n});\n";
        let found =
            owned(&[(1, "function rise"), (1, "fall()"), (1, "class Sea"), (2, "constructor()"), (2, "depth()")]);
        assert_eq!(headings("typescript", script), found);
        let c = "#include <a.h>\n\nstatic int level;\nint fall(int x);\nstruct tide {\n\tint x;\n};\n\n/* Rises. */\nstatic int\nrise(int x)\n{\n\tif (x) {\n\t}\n\treturn x;\n}\n\nstruct tide *make(void)\n{\n}\n\nint table[] = { 1, 2 };\n";
        assert_eq!(headings("c", c), owned(&[(1, "struct tide"), (1, "rise()"), (1, "make()")]));
        let sharp = "namespace Tides\n{\n    [Serializable]\n    public class Sea : Water\n    {\n        public int Depth { get; set; }\n\n        public async Task<int> RiseAsync(int x)\n        {\n        }\n    }\n}\n";
        let found = owned(&[(1, "namespace Tides"), (2, "class Sea"), (3, "RiseAsync()")]);
        assert_eq!(headings("csharp", sharp), found);
        let plus = "namespace tides {\n\ntemplate <typename T>\nclass Sea : public Water {\n public:\n  explicit Sea(int x) : x_(x) {}\n  int depth() const;\n};\n\nint Sea<T>::depth() const {\n  return 1;\n}\n\n}  // namespace\n";
        let found = owned(&[(1, "namespace tides"), (1, "class Sea"), (2, "Sea()"), (1, "depth()")]);
        assert_eq!(headings("cpp", plus), found);
    }

    #[test]
    fn definitions_of_other_languages_are_headings() {
        for (language, text, found) in [
            ("ruby", "class Sea < Water\n  def rise!(x)\n  end\nend\n", &[(1, "class Sea"), (2, "def rise!")][..]),
            (
                "php",
                "<?php\nfunction rise() {\n}\nfinal class Sea {\n    public function fall() {\n    }\n}\n",
                &[(1, "function rise"), (1, "class Sea"), (2, "function fall")],
            ),
            ("shell", "set -e\nrise() {\n  echo\n}\nfunction fall {\n}\n", &[(1, "rise()"), (1, "function fall")]),
            (
                "lua",
                "local function rise(x)\nend\nfunction Sea.fall()\nend\n",
                &[(1, "function rise"), (1, "function Sea.fall")],
            ),
            (
                "sql",
                "create table if not exists tide (\n  x int\n);\n\nCREATE OR REPLACE FUNCTION rise() returns int as $$\n$$;\n",
                &[(1, "table tide"), (1, "FUNCTION rise")],
            ),
            ("toml", "a = 1\n\n[package]\nname = 'x'\n\n[[bin]]\nname = 'y'\n", &[(1, "package"), (1, "bin")]),
            (
                "kotlin",
                "data class Sea(val x: Int) {\n    override fun rise() = 1\n}\n\nfun fall() {}\n",
                &[(1, "class Sea"), (2, "fun rise"), (1, "fun fall")],
            ),
            ("elixir", "defmodule Sea do\n  def rise(x) do\n  end\nend\n", &[(1, "defmodule Sea"), (2, "def rise")]),
            ("r", "rise <- function(x) {\n}\n", &[(1, "rise()")]),
            ("yaml", "class: Sea\ndef: x\n", &[]),
        ] {
            assert_eq!(headings(language, text), owned(found), "{language}");
        }
    }

    #[test]
    fn text_of_any_shape_is_covered() {
        for text in [
            "",
            "\n\n",
            "\u{FEFF}fn a() {}",
            "fn",
            "class",
            "\"\"\"",
            "/*",
            "impl",
            "  fn a() {}\nfn b",
            "(((\n{{{",
            "fn ü() {\r\n}\r\n\r\n'",
        ] {
            for language in ["rust", "python", "c", "javascript", "lua", ""] {
                headings(language, text);
            }
        }
    }
}
