//! The properties of paragraphs of Word before 2007: headings, lists, and where tables end their rows.

use super::doc::{number16, number32, part};

/// Places in the header: of the styles, and of the list of pages with properties.
const STYLES: usize = 0xA2;
const PAGES: usize = 0x102;
/// Bytes of a page with properties.
const PAGE_BYTES: usize = 512;
/// Bytes of an entry of such a page.
const ENTRY_BYTES: usize = 13;

/// Identifiers of styles that come with Word.
const HEADINGS: std::ops::RangeInclusive<u16> = 1..=9;
const TITLE: u16 = 62;

/// Modifiers of properties.
const IN_TABLE: u16 = 0x2416;
const ENDS_ROW: u16 = 0x2417;
const OUTLINE_LEVEL: u16 = 0x2640;
const LIST: u16 = 0x460B;
/// Modifiers whose length is not where that of others is.
const TABLE_DEFINITIONS: [u16; 2] = [0xD608, 0xD606];

/// The properties of a paragraph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// The level of a heading; 0 is the title.
    pub(super) heading: Option<u8>,
    pub(super) in_table: bool,
    pub(super) ends_row: bool,
    pub(super) in_list: bool,
}

/// The properties of all paragraphs, by the places of their bytes in the main stream.
#[derive(Default)]
pub(super) struct Paragraphs {
    /// First byte, one past the last one, properties; in order.
    runs: Vec<(usize, usize, Properties)>,
}

impl Paragraphs {
    /// Reads what is there: a text without properties is a text, too.
    pub(super) fn read(main: &[u8], table: &[u8]) -> Self {
        let styles = styles(part(main, table, STYLES).unwrap_or_default());
        let pages = part(main, table, PAGES).unwrap_or_default();
        let count = pages.len().saturating_sub(4) / 8;
        let mut runs = Vec::new();
        for n in 0..count {
            let Some(page) = number32(pages, (count + 1) * 4 + n * 4) else { break };
            let start = (page as usize & 0x3F_FFFF) * PAGE_BYTES;
            if let Some(page) = main.get(start..start + PAGE_BYTES) {
                add_page(page, &styles, &mut runs);
            }
        }
        runs.sort_by_key(|(start, ..)| *start);
        Self { runs }
    }

    /// The properties of the paragraph of a byte.
    pub(super) fn at(&self, place: usize) -> Option<Properties> {
        let after = self.runs.partition_point(|(start, ..)| *start <= place);
        let (_, end, properties) = self.runs.get(after.checked_sub(1)?)?;
        (place < *end).then_some(*properties)
    }
}

/// The headings that styles are, by the numbers of the styles.
fn styles(sheet: &[u8]) -> Vec<Option<u8>> {
    let mut styles = Vec::new();
    let Some(header) = number16(sheet, 0) else { return styles };
    let mut at = 2 + usize::from(header);
    while let Some(length) = number16(sheet, at) {
        let built_in = if length > 0 { number16(sheet, at + 2).unwrap_or(0) & 0xFFF } else { 0 };
        styles.push(match built_in {
            TITLE => Some(0),
            id if HEADINGS.contains(&id) => u8::try_from(id).ok(),
            _ => None,
        });
        // Styles begin at even places.
        at += 2 + usize::from(length) + usize::from(length % 2);
    }
    styles
}

fn add_page(page: &[u8], styles: &[Option<u8>], runs: &mut Vec<(usize, usize, Properties)>) {
    let count = usize::from(page[PAGE_BYTES - 1]);
    for n in 0..count {
        let bounds = number32(page, n * 4).zip(number32(page, n * 4 + 4));
        let entry = page.get((count + 1) * 4 + n * ENTRY_BYTES).copied();
        let (Some((start, end)), Some(entry)) = (bounds, entry) else { break };
        let properties = match entry {
            0 => Properties::default(),
            entry => properties(page, usize::from(entry) * 2, styles).unwrap_or_default(),
        };
        runs.push((start as usize, end as usize, properties));
    }
}

fn properties(page: &[u8], at: usize, styles: &[Option<u8>]) -> Option<Properties> {
    let half = usize::from(*page.get(at)?);
    let (start, length) = match half {
        0 => (at + 2, usize::from(*page.get(at + 1)?) * 2),
        half => (at + 1, half * 2 - 1),
    };
    let bytes = page.get(start..(start + length).min(page.len()))?;
    let style = usize::from(number16(bytes, 0)?);
    let mut found = Properties { heading: styles.get(style).copied().flatten(), ..Properties::default() };
    let mut rest = bytes.get(2..)?;
    while let Some(modifier) = number16(rest, 0) {
        let operand = &rest[2..];
        let first = operand.first().copied().unwrap_or(0);
        match modifier {
            IN_TABLE => found.in_table = first != 0,
            ENDS_ROW => found.ends_row = first != 0,
            LIST => found.in_list = number16(operand, 0).unwrap_or(0) != 0,
            OUTLINE_LEVEL if first < 9 => found.heading = found.heading.or(Some(first + 1)),
            _ => {}
        }
        let length = match modifier >> 13 {
            0 | 1 => 1,
            2 | 4 | 5 => 2,
            3 => 4,
            7 => 3,
            _ if TABLE_DEFINITIONS.contains(&modifier) => usize::from(number16(operand, 0).unwrap_or(0)) + 1,
            _ => usize::from(first) + 1,
        };
        rest = operand.get(length..).unwrap_or_default();
    }
    Some(found)
}
