//! Documents as Markdown: the markup of headings, lists, code and tables that their text does not have already.

use nvisy_extract::{Document, Element, ElementKind};

use super::convert_table::markdown_table;

/// The deepest heading that Markdown has.
const MAX_LEVEL: usize = 6;

/// A document as Markdown. A text that is Markdown stays as it is.
pub(super) fn markdown(document: &Document) -> String {
    let mut text = String::with_capacity(document.text.len() + document.text.len() / 16);
    let mut end = 0;
    for element in &document.elements {
        text.push_str(&document.text[end..element.start]);
        let own = &document.text[element.start..element.end];
        let (own, line_ends) = own.split_at(own.trim_end_matches('\n').len());
        text.push_str(&marked(element, own));
        text.push_str(line_ends);
        end = element.end;
    }
    text.push_str(&document.text[end..]);
    text
}

fn marked(element: &Element, text: &str) -> String {
    let begins_with = |marks: &[&str]| marks.iter().any(|mark| text.trim_start().starts_with(mark));
    // Of two lines, the second may underline the heading.
    let is_plain = |text: &str| !begins_with(&["#"]) && !text.trim().contains('\n');
    match element.kind {
        ElementKind::Title if is_plain(text) => format!("# {}", text.trim_start()),
        ElementKind::Heading { level } if is_plain(text) => {
            let level = usize::from(level).clamp(1, MAX_LEVEL);
            format!("{} {}", "#".repeat(level), text.trim_start())
        }
        ElementKind::ListItem if !begins_with(&["- ", "* ", "+ ", "\u{2022}"]) && !is_numbered(text) => {
            format!("- {}", text.trim_start())
        }
        ElementKind::Code if !begins_with(&["```", "~~~", "    ", "\t"]) => {
            format!("```\n{text}\n```")
        }
        ElementKind::Table if !begins_with(&["|"]) => markdown_table(text),
        _ => text.to_owned(),
    }
}

/// Whether a text begins like `1.` or `a)`.
fn is_numbered(text: &str) -> bool {
    let mark = text.split_whitespace().next().unwrap_or_default();
    mark.strip_suffix(['.', ')'])
        .is_some_and(|number| (1..=4).contains(&number.len()) && number.chars().all(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(parts: &[(ElementKind, &str)]) -> Document {
        let mut document = Document::default();
        for (kind, text) in parts {
            let start = document.text.len();
            document.text.push_str(text);
            document.elements.push(Element::new(*kind, start..document.text.len(), None));
            document.text.push_str("\n\n");
        }
        document
    }

    #[test]
    fn structure_becomes_markup() {
        let document = document(&[
            (ElementKind::Title, "Tides"),
            (ElementKind::Heading { level: 2 }, "Ebb"),
            (ElementKind::Paragraph, "The water falls."),
            (ElementKind::ListItem, "neap"),
            (ElementKind::ListItem, "1. spring"),
            (ElementKind::Code, "let tide = 1;"),
            (ElementKind::Table, "a | b\n1 | 2"),
        ]);
        let expected = "# Tides\n\n## Ebb\n\nThe water falls.\n\n- neap\n\n1. spring\n\n```\nlet tide = 1;\n```\n\n\
                        | a | b |\n| --- | --- |\n| 1 | 2 |\n\n";
        assert_eq!(markdown(&document), expected);
    }

    #[test]
    fn markdown_stays_as_it_is() {
        let document = document(&[
            (ElementKind::Heading { level: 1 }, "# Tides"),
            (ElementKind::Heading { level: 2 }, "Ebb\n---"),
            (ElementKind::ListItem, "- neap"),
            (ElementKind::Code, "```\nx\n```"),
            (ElementKind::Table, "| a |\n| --- |"),
        ]);
        assert_eq!(markdown(&document), document.text);
    }
}
