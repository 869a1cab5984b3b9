//! The automatic numbers of lists and headings in an OpenDocument text.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::docx_numbering::formatted;
use super::markup::{attribute, malformed, number};
use crate::FileError;

/// Levels of a list.
const LEVELS: usize = 10;
/// Longest number, in characters.
const MAX_NUMBER_CHARS: usize = 60;

/// The name of the style of headings here; those of files have no blanks.
const HEADINGS: &str = "of headings";

/// How a level is numbered.
#[derive(Clone, Default)]
struct Level {
    /// Empty: it has no number.
    format: String,
    prefix: String,
    suffix: String,
    start: usize,
    /// The number of levels whose numbers are shown, this one included.
    shown: usize,
}

type Counters = [Option<usize>; LEVELS];

/// The lists of a document, and how far each has been counted.
#[derive(Default)]
pub(super) struct Numbering {
    /// Levels by the name of their style.
    styles: HashMap<String, Vec<Level>>,
    counters: HashMap<String, Counters>,
    /// The styles of the open lists, outermost first.
    open: Vec<String>,
}

impl Numbering {
    /// Adds the styles of a part.
    pub(super) fn read(&mut self, xml: &str) -> Result<(), FileError> {
        let mut reader = Reader::from_str(xml);
        let mut style = None;
        loop {
            match reader.read_event().map_err(malformed)? {
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    "list-style" => style = attribute(&tag, "name"),
                    "outline-style" => style = Some(HEADINGS.to_owned()),
                    "list-level-style-number" | "outline-level-style" => self.add(style.as_ref(), &tag),
                    _ => {}
                },
                Event::End(tag) if matches!(tag.local_name().as_ref(), "list-style" | "outline-style") => style = None,
                Event::Eof => return Ok(()),
                _ => {}
            }
        }
    }

    fn add(&mut self, style: Option<&String>, tag: &BytesStart<'_>) {
        let Some(style) = style else { return };
        let levels = self.styles.entry(style.clone()).or_insert_with(|| vec![Level::default(); LEVELS]);
        let Some(level) = number(tag, "level").and_then(|level| levels.get_mut(level.checked_sub(1)?)) else { return };
        let format = attribute(tag, "num-format").unwrap_or_default();
        *level = Level {
            format: match format.as_str() {
                "1" => "decimal".to_owned(),
                "a" => "lowerLetter".to_owned(),
                "A" => "upperLetter".to_owned(),
                "i" => "lowerRoman".to_owned(),
                "I" => "upperRoman".to_owned(),
                _ => String::new(),
            },
            prefix: attribute(tag, "num-prefix").unwrap_or_default(),
            suffix: attribute(tag, "num-suffix").unwrap_or_default(),
            start: number(tag, "start-value").unwrap_or(1),
            shown: number(tag, "display-levels").unwrap_or(1),
        };
    }

    /// Opens a list. One within another has its style unless it names one.
    pub(super) fn open(&mut self, tag: &BytesStart<'_>) {
        let style = attribute(tag, "style-name").or_else(|| self.open.last().cloned()).unwrap_or_default();
        let continues = attribute(tag, "continue-numbering").is_some_and(|value| value == "true")
            || attribute(tag, "continue-list").is_some();
        if self.open.is_empty() && !continues {
            self.counters.remove(&style);
        }
        self.open.push(style);
    }

    pub(super) fn close(&mut self) {
        self.open.pop();
    }

    /// Counts an item of the innermost list and gives its number. `None`: it has none.
    pub(super) fn item(&mut self, tag: &BytesStart<'_>) -> Option<String> {
        let (style, level) = (self.open.last()?.clone(), self.open.len() - 1);
        self.next(&style, level, number(tag, "start-value"))
    }

    /// Counts a heading and gives its number. `None`: it has none.
    pub(super) fn heading(&mut self, level: u8) -> Option<String> {
        self.next(HEADINGS, usize::from(level).checked_sub(1)?, None)
    }

    fn next(&mut self, style: &str, level: usize, start: Option<usize>) -> Option<String> {
        let levels = self.styles.get(style)?;
        let level = level.min(LEVELS - 1);
        let counters = self.counters.entry(style.to_owned()).or_insert([None; LEVELS]);
        let counted = counters[level].map_or(levels[level].start, |count| count.saturating_add(1));
        counters[level] = Some(start.unwrap_or(counted));
        counters[level + 1..].fill(None);
        let found = &levels[level];
        if found.format.is_empty() {
            return None;
        }
        let first = (level + 1).saturating_sub(found.shown.max(1));
        let shown = (first..=level).filter(|place| !levels[*place].format.is_empty());
        let numbers =
            shown.map(|place| formatted(counters[place].unwrap_or(levels[place].start), &levels[place].format));
        let text = format!("{}{}{}", found.prefix, numbers.collect::<Vec<_>>().join("."), found.suffix);
        let text: String = text.trim().chars().take(MAX_NUMBER_CHARS).collect();
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(xml: &str) -> BytesStart<'static> {
        match Reader::from_str(xml).read_event().expect("well formed") {
            Event::Start(tag) | Event::Empty(tag) => tag.into_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn items_and_headings_are_counted_by_their_levels() {
        let styles = r#"<s><text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
            <text:list-level-style-number text:level="2" style:num-format="a" style:num-prefix="(" style:num-suffix=")" text:start-value="2"/>
            <text:list-level-style-bullet text:level="3"/></text:list-style>
            <text:outline-style><text:outline-level-style text:level="1" style:num-format="I"/>
            <text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/></text:outline-style></s>"#;
        let mut numbering = Numbering::default();
        numbering.read(styles).expect("well formed");
        let (list, inner, item) = (tag(r#"<l text:style-name="L1"/>"#), tag("<l/>"), tag("<i/>"));
        numbering.open(&list);
        assert_eq!(numbering.item(&item).as_deref(), Some("1."));
        numbering.open(&inner);
        assert_eq!(numbering.item(&item).as_deref(), Some("(b)"));
        assert_eq!(numbering.item(&item).as_deref(), Some("(c)"));
        numbering.open(&inner);
        assert_eq!(numbering.item(&item), None);
        numbering.close();
        numbering.close();
        assert_eq!(numbering.item(&item).as_deref(), Some("2."));
        numbering.close();
        numbering.open(&tag(r#"<l text:style-name="L1" text:continue-numbering="true"/>"#));
        assert_eq!(numbering.item(&item).as_deref(), Some("3."));
        assert_eq!(numbering.item(&tag(r#"<i text:start-value="9"/>"#)).as_deref(), Some("9."));
        numbering.close();
        numbering.open(&list);
        assert_eq!(numbering.item(&item).as_deref(), Some("1."), "another list begins anew");
        let headings = [1, 2, 2, 1, 2, 3].map(|level| numbering.heading(level));
        let shown: Vec<_> = headings.iter().map(|number| number.as_deref()).collect();
        assert_eq!(shown, [Some("I"), Some("I.1"), Some("I.2"), Some("II"), Some("II.1"), None]);
    }
}
