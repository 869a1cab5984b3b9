//! The automatic numbers of paragraphs in a Word document.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::markup::{attribute, number};

/// Levels of a list.
const LEVELS: usize = 9;
/// Longest number, in characters.
const MAX_NUMBER_CHARS: usize = 60;

/// The lists of a document, and how far each has been counted.
#[derive(Default)]
pub(super) struct Numbering {
    /// Levels by abstract list.
    lists: HashMap<String, Vec<Level>>,
    /// By the number that paragraphs have: the abstract list, and levels that start anew.
    instances: HashMap<String, (String, HashMap<usize, usize>)>,
    /// The counters by abstract list; `None`: not yet counted.
    counters: HashMap<String, [Option<usize>; LEVELS]>,
    /// Instances whose new starts were applied.
    started: Vec<(String, usize)>,
}

#[derive(Clone, Default)]
struct Level {
    format: String,
    text: String,
    start: usize,
    style: Option<String>,
    is_legal: bool,
}

impl Numbering {
    /// Reads `numbering.xml`.
    pub(super) fn read(xml: &str) -> Result<Self, quick_xml::Error> {
        let mut numbering = Self::default();
        let mut reader = Reader::from_str(xml);
        let (mut list, mut level) = (None, 0);
        let mut instance = None;
        loop {
            match reader.read_event()? {
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    "abstractNum" => {
                        let id = attribute(&tag, "abstractNumId").unwrap_or_default();
                        numbering.lists.insert(id.clone(), vec![Level::default(); LEVELS]);
                        list = Some(id);
                    }
                    "num" => {
                        let id = attribute(&tag, "numId").unwrap_or_default();
                        numbering.instances.insert(id.clone(), Default::default());
                        (instance, list) = (Some(id), None);
                    }
                    "abstractNumId" => {
                        if let Some((list, _)) = instance.as_ref().and_then(|id| numbering.instances.get_mut(id)) {
                            *list = attribute(&tag, "val").unwrap_or_default();
                        }
                    }
                    "lvl" | "lvlOverride" => level = number(&tag, "ilvl").unwrap_or(0).min(LEVELS - 1),
                    "startOverride" => {
                        if let Some((_, starts)) = instance.as_ref().and_then(|id| numbering.instances.get_mut(id)) {
                            starts.insert(level, number(&tag, "val").unwrap_or(1));
                        }
                    }
                    name => {
                        let Some(levels) = list.as_ref().and_then(|id| numbering.lists.get_mut(id)) else { continue };
                        let found = &mut levels[level];
                        let value = || attribute(&tag, "val");
                        match name {
                            "start" => found.start = number(&tag, "val").unwrap_or(1),
                            "numFmt" => found.format = value().unwrap_or_default(),
                            "lvlText" => found.text = value().unwrap_or_default(),
                            "pStyle" => found.style = value(),
                            "isLgl" => found.is_legal = value().is_none_or(|value| value != "0" && value != "false"),
                            _ => {}
                        }
                    }
                },
                Event::Eof => return Ok(numbering),
                _ => {}
            }
        }
    }

    /// The level of an instance that belongs to a style.
    pub(super) fn level_of_style(&self, instance: &str, style: &str) -> Option<usize> {
        let (list, _) = self.instances.get(instance)?;
        self.lists.get(list)?.iter().position(|level| level.style.as_deref() == Some(style))
    }

    /// Counts a paragraph and gives its number. `None`: the list is unknown or has bullets.
    pub(super) fn next(&mut self, instance: &str, level: usize) -> Option<String> {
        let level = level.min(LEVELS - 1);
        let (list, starts) = self.instances.get(instance)?;
        let levels = self.lists.get(list)?;
        let counters = self.counters.entry(list.clone()).or_insert([None; LEVELS]);
        if let Some(start) = starts.get(&level) {
            let place = (instance.to_owned(), level);
            if !self.started.contains(&place) {
                self.started.push(place);
                counters[level] = start.checked_sub(1);
                if *start == 0 {
                    counters[level] = None;
                }
            }
        }
        counters[level] = Some(counters[level].map_or(levels[level].start, |count| count.saturating_add(1)));
        for (deeper, counter) in counters.iter_mut().enumerate() {
            if deeper > level {
                *counter = None;
            } else if counter.is_none() {
                *counter = Some(levels[deeper].start.max(1));
            }
        }
        let found = &levels[level];
        if matches!(found.format.as_str(), "bullet" | "none") && !found.text.contains('%') {
            return None;
        }
        let mut text = String::new();
        let mut letters = found.text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                text.push(letter);
                continue;
            }
            let Some(place) = letters.next().and_then(|digit| digit.to_digit(10)) else { continue };
            let place = (place as usize).clamp(1, LEVELS) - 1;
            let format = if found.is_legal { "decimal" } else { &levels[place].format };
            text.push_str(&formatted(counters[place].unwrap_or(1), format));
        }
        let text: String = text.trim().chars().take(MAX_NUMBER_CHARS).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// A number as a list shows it.
pub(super) fn formatted(number: usize, format: &str) -> String {
    match format {
        "lowerLetter" => letters(number).to_lowercase(),
        "upperLetter" => letters(number),
        "lowerRoman" => roman(number).to_lowercase(),
        "upperRoman" => roman(number),
        "decimalZero" => format!("{number:02}"),
        "none" | "bullet" => String::new(),
        _ => number.to_string(),
    }
}

/// A to Z, then AA to ZZ.
fn letters(number: usize) -> String {
    let Some(place) = number.checked_sub(1) else { return "0".to_owned() };
    let letter = char::from(b'A' + (place % 26) as u8);
    std::iter::repeat_n(letter, (place / 26 + 1).min(10)).collect()
}

fn roman(number: usize) -> String {
    const DIGITS: [(usize, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if number == 0 || number > 4_000 {
        return number.to_string();
    }
    let (mut rest, mut text) = (number, String::new());
    for (value, digits) in DIGITS {
        while rest >= value {
            rest -= value;
            text.push_str(digits);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_by_level_and_format() {
        let xml = r#"<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="1">
            <w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/><w:pStyle w:val="H1"/></w:lvl>
            <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/><w:isLgl/></w:lvl>
            <w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%3)"/></w:lvl>
            <w:lvl w:ilvl="3"><w:numFmt w:val="bullet"/><w:lvlText w:val="-"/></w:lvl>
            </w:abstractNum><w:num w:numId="7"><w:abstractNumId w:val="1"/></w:num>
            <w:num w:numId="8"><w:abstractNumId w:val="1"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="9"/></w:lvlOverride></w:num>
            </w:numbering>"#;
        let mut numbering = Numbering::read(xml).expect("well formed");
        assert_eq!(numbering.level_of_style("7", "H1"), Some(0));
        let mut next = |instance, level| numbering.next(instance, level).unwrap_or_default();
        let found = [0, 1, 1, 2, 2, 3, 0, 1].map(|level| next("7", level));
        assert_eq!(found, ["III.", "3.1", "3.2", "(a)", "(b)", "", "IV.", "4.1"]);
        assert_eq!([next("8", 0), next("8", 0), next("x", 0)], ["IX.", "X.", ""]);
        assert_eq!(formatted(28, "upperLetter"), "BB");
        assert_eq!(formatted(1994, "lowerRoman"), "mcmxciv");
    }
}
