//! What a Word document's paragraph styles mean. Ids are localised (`berschrift1`), names are not (`heading 1`).

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::ElementKind;

/// How long a chain of styles based on styles may be; a cycle ends here.
const MAX_CHAIN: usize = 16;

#[derive(Default)]
pub(super) struct Styles {
    by_id: HashMap<String, Style>,
}

#[derive(Default)]
struct Style {
    meaning: Option<ElementKind>,
    based_on: Option<String>,
}

impl Styles {
    /// Reads `word/styles.xml`; of a broken one, what can be read.
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
                        current.1.meaning = meaning_of(&name).or(current.1.meaning);
                    }
                    "basedOn" => current.1.based_on = attribute(&tag, "val"),
                    "outlineLvl" if current.1.meaning.is_none() => current.1.meaning = outline_level(&tag),
                    "numPr" if current.1.meaning.is_none() => current.1.meaning = Some(ElementKind::ListItem),
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

    /// What a paragraph of this style is, if its style says.
    pub(super) fn meaning(&self, id: &str) -> Option<ElementKind> {
        let mut id = id;
        for _ in 0..MAX_CHAIN {
            // A document without a style sheet still uses the ids that Word gives its own styles.
            let Some(style) = self.by_id.get(id) else { return meaning_of(id) };
            match (&style.meaning, &style.based_on) {
                (Some(meaning), _) => return Some(*meaning),
                (None, Some(parent)) => id = parent,
                (None, None) => return None,
            }
        }
        None
    }
}

fn meaning_of(name: &str) -> Option<ElementKind> {
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

/// The meaning of `w:outlineLvl`: 0 to 8 are headings, 9 is body text.
pub(super) fn outline_level(tag: &BytesStart<'_>) -> Option<ElementKind> {
    let level: u8 = attribute(tag, "val")?.parse().ok()?;
    (level < 9).then(|| ElementKind::Heading { level: (level + 1).min(6) })
}

/// An attribute by its name without prefix.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outline_levels_and_inheritance_give_the_meaning() {
        let xml = r#"<w:styles xmlns:w="w">
            <w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/><w:pPr><w:numPr/></w:pPr></w:style>
            <w:style w:styleId="Mine"><w:name w:val="My own"/><w:basedOn w:val="berschrift2"/></w:style>
            <w:style w:styleId="Deep"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
            <w:style w:styleId="Body"><w:name w:val="Body"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>
            <w:style w:styleId="A"><w:name w:val="a"/><w:basedOn w:val="B"/></w:style>
            <w:style w:styleId="B"><w:name w:val="b"/><w:basedOn w:val="A"/></w:style>
        </w:styles>"#;
        let styles = Styles::read(xml).expect("well formed");
        assert_eq!(styles.meaning("berschrift2"), Some(ElementKind::Heading { level: 2 }));
        assert_eq!(styles.meaning("Mine"), Some(ElementKind::Heading { level: 2 }));
        assert_eq!(styles.meaning("Deep"), Some(ElementKind::Heading { level: 3 }));
        assert_eq!(styles.meaning("Body"), None);
        assert_eq!(styles.meaning("A"), None);
        assert_eq!(styles.meaning("Heading1"), Some(ElementKind::Heading { level: 1 }));
    }
}
