//! Maps the paragraph styles of a Word document to element kinds. Ids are localised (`berschrift1`), names are not (`heading 1`).

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::markup::{attribute, number};
use crate::ElementKind;

/// The longest chain of styles based on styles that is followed; it ends cycles.
const MAX_STYLE_DEPTH: usize = 16;

#[derive(Default)]
pub(super) struct Styles {
    by_id: HashMap<String, Style>,
}

#[derive(Default)]
struct Style {
    element_kind: Option<ElementKind>,
    based_on: Option<String>,
    /// The list and level that number its paragraphs.
    list: Option<String>,
    level: Option<usize>,
}

impl Styles {
    /// Reads `word/styles.xml`.
    pub(super) fn read(xml: &str) -> Result<Self, quick_xml::Error> {
        let mut styles = Self::default();
        let mut reader = Reader::from_str(xml);
        let mut current = (String::new(), Style::default());
        loop {
            match reader.read_event()? {
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    "style" => current = (attribute(&tag, "styleId").unwrap_or_default(), Style::default()),
                    "name" => {
                        let name = attribute(&tag, "val").unwrap_or_default();
                        current.1.element_kind = element_kind_of(&name).or(current.1.element_kind);
                    }
                    "basedOn" => current.1.based_on = attribute(&tag, "val"),
                    "outlineLvl" if current.1.element_kind.is_none() => current.1.element_kind = outline_level(&tag),
                    "numId" => current.1.list = attribute(&tag, "val"),
                    "ilvl" => current.1.level = number(&tag, "val"),
                    "numPr" if current.1.element_kind.is_none() => current.1.element_kind = Some(ElementKind::ListItem),
                    _ => {}
                },
                Event::End(tag) if tag.local_name().as_ref() == "style" => {
                    let (id, style) = std::mem::take(&mut current);
                    styles.by_id.insert(id, style);
                }
                Event::Eof => return Ok(styles),
                _ => {}
            }
        }
    }

    /// The list that numbers paragraphs of this style, the style that says so, and the level if it says one.
    pub(super) fn list(&self, id: &str) -> Option<(&str, &str, Option<usize>)> {
        let mut id = id;
        let mut level = None;
        for _ in 0..MAX_STYLE_DEPTH {
            let (key, style) = self.by_id.get_key_value(id)?;
            level = level.or(style.level);
            match (&style.list, &style.based_on) {
                (Some(list), _) => return Some((list, key, level)),
                (None, Some(parent)) => id = parent,
                (None, None) => return None,
            }
        }
        None
    }

    /// The element kind of a paragraph of this style, if the style implies one.
    pub(super) fn element_kind(&self, id: &str) -> Option<ElementKind> {
        let mut id = id;
        for _ in 0..MAX_STYLE_DEPTH {
            // Documents without a style sheet use the ids of Word's built-in styles.
            let Some(style) = self.by_id.get(id) else { return element_kind_of(id) };
            match (&style.element_kind, &style.based_on) {
                (Some(element_kind), _) => return Some(*element_kind),
                (None, Some(parent)) => id = parent,
                (None, None) => return None,
            }
        }
        None
    }
}

fn element_kind_of(name: &str) -> Option<ElementKind> {
    let name = name.to_ascii_lowercase().replace(' ', "");
    if let Some(level) = name.strip_prefix("heading").and_then(|level| level.parse::<u8>().ok()) {
        return Some(ElementKind::Heading { level: level.clamp(1, 6) });
    }
    match name.as_str() {
        "title" => Some(ElementKind::Title),
        "sourcecode" | "code" | "htmlpreformatted" | "preformattedtext" => Some(ElementKind::Code),
        other if other.starts_with("list") => Some(ElementKind::ListItem),
        _ => None,
    }
}

/// The element kind of `w:outlineLvl`: 0 to 8 are headings, 9 is body text.
pub(super) fn outline_level(tag: &BytesStart<'_>) -> Option<ElementKind> {
    let level: u8 = attribute(tag, "val")?.parse().ok()?;
    (level < 9).then(|| ElementKind::Heading { level: (level + 1).min(6) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_kind_follows_from_name_outline_level_or_parent() {
        let xml = r#"<w:styles xmlns:w="w">
            <w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/><w:pPr><w:numPr/></w:pPr></w:style>
            <w:style w:styleId="Mine"><w:name w:val="My own"/><w:basedOn w:val="berschrift2"/></w:style>
            <w:style w:styleId="Deep"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
            <w:style w:styleId="Body"><w:name w:val="Body"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>
            <w:style w:styleId="A"><w:name w:val="a"/><w:basedOn w:val="B"/></w:style>
            <w:style w:styleId="B"><w:name w:val="b"/><w:basedOn w:val="A"/></w:style>
        </w:styles>"#;
        let styles = Styles::read(xml).expect("well formed");
        assert_eq!(styles.element_kind("berschrift2"), Some(ElementKind::Heading { level: 2 }));
        assert_eq!(styles.element_kind("Mine"), Some(ElementKind::Heading { level: 2 }));
        assert_eq!(styles.element_kind("Deep"), Some(ElementKind::Heading { level: 3 }));
        assert_eq!(styles.element_kind("Body"), None);
        assert_eq!(styles.element_kind("A"), None);
        assert_eq!(styles.element_kind("Heading1"), Some(ElementKind::Heading { level: 1 }));
    }
}
