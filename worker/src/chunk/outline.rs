//! The outline of a document: the text between two headings, with the headings above it, and its pages.

use std::{ops::Range, sync::Arc};

use nvisy_extract::{Document, Element, ElementKind};

use super::{
    areas::{Area, areas, elements_in},
    cut::{MAX_TOKEN_BYTES, cut, trimmed},
    noise::without_noise,
    piece::{ChunkModel, Piece},
};

/// Longest heading kept, in characters: some files mark whole paragraphs as headings.
const MAX_HEADING_CHARS: usize = 200;

/// Between the headings of a contextual prefix.
const PREFIX_SEPARATOR: &str = " > ";

/// The line between a contextual prefix and the text, as the embedding node writes it.
pub(super) const PREFIX_END: &str = "\n\n";

/// A heading.
#[derive(Debug, PartialEq, Eq)]
struct Heading {
    text: String,
    /// One past its last byte.
    end: usize,
}

/// A stretch of text under the same headings.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// Its range, which begins with its own heading.
    pub(super) bytes: Range<usize>,
    /// The headings above and at its beginning, outermost first.
    path: Vec<Arc<Heading>>,
    /// The tokens that a contextual prefix of its text takes, at most.
    prefix_tokens: usize,
    /// Whether it stands beside the body.
    pub(super) is_aside: bool,
}

/// The sections and pages of a document.
pub(super) struct Outline<'a> {
    pub(super) document: &'a Document,
    pub(super) model: &'a ChunkModel,
    /// Together they cover the text.
    pub(super) sections: Vec<Section>,
    has_pages: bool,
}

impl<'a> Outline<'a> {
    pub(super) fn new(document: &'a Document, model: &'a ChunkModel) -> Self {
        let mut sections = sections(document);
        if model.contextual {
            for section in &mut sections {
                let tokens = prefix(&section.path).map_or(0, |prefix| prefix_tokens(model, &prefix));
                // A prefix may take half of the model; longer ones lose their outermost headings.
                section.prefix_tokens = tokens.min(model.max_tokens / 2);
            }
        }
        let has_pages = document.elements.iter().any(|element| element.page.is_some());
        Self { document, model, sections, has_pages }
    }

    /// The sections that a range overlaps.
    fn overlapped(&self, bytes: &Range<usize>) -> &[Section] {
        let first = self.sections.partition_point(|section| section.bytes.end <= bytes.start);
        let after = self.sections.partition_point(|section| section.bytes.start < bytes.end);
        &self.sections[first.min(after)..after]
    }

    /// Tokens that a piece of this range may have, so that its contextual prefix also fits the model.
    pub(super) fn max_tokens(&self, bytes: &Range<usize>) -> usize {
        let prefix = self.overlapped(bytes).iter().map(|section| section.prefix_tokens).max().unwrap_or(0);
        (self.model.max_tokens - prefix).max(1)
    }

    /// Adds a piece, or the pieces of a range that is too long for the model.
    pub(super) fn add(&self, bytes: Range<usize>, pieces: &mut Vec<Piece>) {
        let max_tokens = self.max_tokens(&bytes);
        let header_tokens = self.header_at(bytes.start).map_or(0, |header| self.header_tokens(header));
        // Behind the header of a table there is room for it, unless it takes too much.
        let room = if header_tokens <= max_tokens / 3 { header_tokens } else { 0 };
        self.cut(bytes, max_tokens - room, 0, pieces);
    }

    /// Adds the pieces of a range. A long table is cut between its records, and its header is a prefix of each piece that begins
    /// behind it.
    pub(super) fn cut(&self, range: Range<usize>, max_tokens: usize, overlap_tokens: usize, pieces: &mut Vec<Piece>) {
        let before = pieces.len();
        self.cut_at_tables(range, max_tokens, overlap_tokens, pieces);
        for piece in &mut pieces[before..] {
            self.add_header(piece, max_tokens / 2);
        }
    }

    /// Adds the header of the table in which a piece begins, if it has no more tokens than these and fits the model beside the text.
    fn add_header(&self, piece: &mut Piece, max_tokens: usize) {
        let Some(header) = self.header_at(piece.bytes.start) else { return };
        if self.header_tokens(header) > max_tokens {
            return;
        }
        let prefix = match &piece.prefix {
            Some(headings) => format!("{headings}\n{header}"),
            None => header.to_owned(),
        };
        if prefix_tokens(self.model, &prefix) + piece.tokens as usize <= self.model.max_tokens {
            piece.prefix = Some(prefix);
        }
    }

    /// The header of the table that an offset stands in, behind its header.
    fn header_at(&self, offset: usize) -> Option<&'a str> {
        let table = self.element_at(offset)?;
        let end = table.start + table.records?.header_bytes;
        let header = self.document.text[table.start..end].trim();
        (!header.is_empty() && offset >= end).then_some(header)
    }

    /// The element that an offset stands in.
    fn element_at(&self, offset: usize) -> Option<&'a Element> {
        let after = self.document.elements.partition_point(|element| element.start <= offset);
        self.document.elements[..after].last().filter(|element| offset < element.end)
    }

    /// The tokens of a header as a prefix; of a very long one, as many as it has at least.
    fn header_tokens(&self, header: &str) -> usize {
        let longest = header.len() / MAX_TOKEN_BYTES;
        if longest > self.model.max_tokens { longest } else { prefix_tokens(self.model, header) }
    }

    fn cut_at_tables(&self, range: Range<usize>, max_tokens: usize, overlap_tokens: usize, pieces: &mut Vec<Piece>) {
        let mut from = range.start;
        let first = self.document.elements.partition_point(|element| element.start < range.start);
        for element in &self.document.elements[first..] {
            if element.start >= range.end {
                break;
            }
            let is_table = element.records.is_some() && element.end <= range.end;
            if is_table
                && self.count(element.start..element.end) > max_tokens / 2
                && self.count(range.clone()) > max_tokens
            {
                // A short text stays with the table that it introduces.
                let lead = from..element.start;
                let is_short = !lead.is_empty() && self.count(lead.clone()) <= max_tokens / 4;
                if !is_short {
                    self.cut_text(lead.clone(), max_tokens, overlap_tokens, pieces);
                }
                self.cut_table(element, if is_short { lead.start } else { element.start }, max_tokens, pieces);
                from = element.end;
            }
        }
        self.cut_text(from..range.end, max_tokens, overlap_tokens, pieces);
    }

    /// The tokens of a range; of a very long one, as many as it has at least.
    fn count(&self, bytes: Range<usize>) -> usize {
        let longest = bytes.len() / MAX_TOKEN_BYTES;
        if longest > self.model.max_tokens { longest } else { self.model.tokenizer.count(&self.document.text[bytes]) }
    }

    fn cut_text(&self, range: Range<usize>, max_tokens: usize, overlap_tokens: usize, pieces: &mut Vec<Piece>) {
        let text = &self.document.text;
        for part in without_noise(text, range) {
            for bytes in cut(text, part, &self.model.tokenizer, max_tokens, overlap_tokens) {
                let tokens = self.model.tokenizer.count(&text[bytes.clone()]);
                pieces.extend(self.piece(bytes, tokens));
            }
        }
    }

    /// Adds pieces of whole records. The first begins at `start`, which may be before the table.
    fn cut_table(&self, table: &Element, start: usize, max_tokens: usize, pieces: &mut Vec<Piece>) {
        let text = &self.document.text;
        let header = &text[table.start..table.start + table.records.map_or(0, |records| records.header_bytes)];
        let header_tokens = if header.trim().is_empty() { 0 } else { self.header_tokens(header.trim()) };
        // A header of half a piece is no header.
        let later_tokens = if header_tokens <= max_tokens / 2 { max_tokens - header_tokens } else { max_tokens };
        let mut open: Option<(Range<usize>, usize)> = Some((start..table.start, self.count(start..table.start)));
        let close = |open: &mut Option<(Range<usize>, usize)>, pieces: &mut Vec<Piece>| {
            let Some((bytes, tokens)) = open.take() else { return };
            let limit = if bytes.start <= table.start { max_tokens } else { later_tokens };
            let is_short =
                tokens <= limit && bytes.len() <= limit * MAX_TOKEN_BYTES && self.count(bytes.clone()) <= limit;
            match is_short && without_noise(text, bytes.clone()).len() == 1 {
                true => pieces.extend(self.piece(bytes.clone(), self.model.tokenizer.count(&text[bytes.clone()]))),
                // A record that is longer than a piece.
                false => self.cut_text(bytes.clone(), limit, 0, pieces),
            }
        };
        for record in table.records(text) {
            // A line end may be a token of its own.
            let tokens = self.count(record.clone()) + 1;
            match &mut open {
                Some((bytes, sum))
                    if {
                        let limit = if bytes.start <= table.start { max_tokens } else { later_tokens };
                        *sum + tokens <= limit
                    } =>
                {
                    bytes.end = record.end;
                    *sum += tokens;
                }
                _ => {
                    close(&mut open, pieces);
                    open = Some((record, tokens));
                }
            }
        }
        close(&mut open, pieces);
    }

    /// The piece of a range, without white space at its ends; `None`: there is nothing else in it.
    pub(super) fn piece(&self, bytes: Range<usize>, tokens: usize) -> Option<Piece> {
        let bytes = trimmed(&self.document.text, bytes)?;
        let path = common_path(self.overlapped(&bytes));
        let tokens = tokens.max(1);
        let prefix = if self.model.contextual { self.fitting_prefix(&path, bytes.start, tokens) } else { None };
        Some(Piece {
            page: self.page_at(bytes.start),
            place: self.element_at(bytes.start).and_then(|element| element.place.clone()),
            headings: path.iter().map(|heading| heading.text.clone()).collect(),
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            prefix,
            bytes,
        })
    }

    /// The headings above a text at `start`, without the outermost ones if all do not fit the model beside the text.
    fn fitting_prefix(&self, path: &[Arc<Heading>], start: usize, tokens: usize) -> Option<String> {
        let above = path.iter().take_while(|heading| heading.end <= start).count();
        let room = self.model.max_tokens.saturating_sub(tokens);
        (0..above)
            .filter_map(|outermost| prefix(&path[outermost..above]))
            .find(|prefix| prefix_tokens(self.model, prefix) <= room)
    }

    /// The page of a byte offset, if the document has pages.
    fn page_at(&self, offset: usize) -> Option<u32> {
        if !self.has_pages {
            return None;
        }
        let after = self.document.elements.partition_point(|element| element.start <= offset);
        self.document.elements[..after].iter().rev().find_map(|element| element.page)
    }
}

fn prefix(path: &[Arc<Heading>]) -> Option<String> {
    let headings: Vec<&str> =
        path.iter().map(|heading| heading.text.as_str()).filter(|text| !text.is_empty()).collect();
    (!headings.is_empty()).then(|| headings.join(PREFIX_SEPARATOR))
}

fn prefix_tokens(model: &ChunkModel, prefix: &str) -> usize {
    model.tokenizer.count(&format!("{prefix}{PREFIX_END}"))
}

/// The headings that are above all of the sections.
fn common_path(sections: &[Section]) -> Vec<Arc<Heading>> {
    let Some((first, others)) = sections.split_first() else { return Vec::new() };
    let mut common = first.path.len();
    for section in others {
        let same = first.path.iter().zip(&section.path).take_while(|(one, other)| Arc::ptr_eq(one, other)).count();
        common = common.min(same);
    }
    first.path[..common].to_vec()
}

/// The sections of a document, which together cover its text. A heading directly followed by another shares its section, because
/// a chunk with only a heading is useless.
fn sections(document: &Document) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut path: Vec<(u8, Arc<Heading>)> = Vec::new();
    for Area { bytes, is_aside } in areas(document) {
        if is_aside {
            // Under no heading.
            sections.push(Section { is_aside, ..section(bytes, &[]) });
            continue;
        }
        let mut start = bytes.start;
        // Where the text after the last heading begins.
        let mut body = bytes.start;
        for element in elements_in(document, &bytes) {
            let Some(level) = heading_level(element.kind) else { continue };
            if !document.text[body..element.start].trim().is_empty() {
                sections.push(section(start..element.start, &path));
                start = element.start;
            }
            path.retain(|(above, _)| *above < level);
            let text = match &element.label {
                Some(words) => words,
                None => document.text[element.start..element.end].trim().trim_start_matches('#').trim(),
            };
            let text = text.chars().take(MAX_HEADING_CHARS).collect();
            path.push((level, Arc::new(Heading { text, end: element.end })));
            body = element.end;
        }
        sections.push(section(start..bytes.end, &path));
    }
    sections
}

/// The level of a heading; `None`: it is none.
pub(super) const fn heading_level(kind: ElementKind) -> Option<u8> {
    match kind {
        ElementKind::Title => Some(0),
        ElementKind::Heading { level } => Some(level),
        _ => None,
    }
}

fn section(bytes: Range<usize>, path: &[(u8, Arc<Heading>)]) -> Section {
    let path = path.iter().map(|(_, heading)| Arc::clone(heading)).collect();
    Section { bytes, path, prefix_tokens: 0, is_aside: false }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use nvisy_embed::Tokenizer;
    use nvisy_extract::Records;

    /// A document of these elements, each with its page.
    pub(crate) fn document(parts: &[(ElementKind, &str, u32)]) -> Document {
        let mut document = Document::default();
        for (kind, text, page) in parts {
            let start = document.text.len();
            document.text.push_str(text);
            let end = document.text.len();
            document.elements.push(Element::new(*kind, start..end, Some(*page)));
            document.text.push_str("\n\n");
        }
        document.page_count = parts.last().map(|(_, _, page)| *page);
        document
    }

    pub(crate) fn model(max_tokens: usize, contextual: bool) -> ChunkModel {
        ChunkModel { tokenizer: Tokenizer::estimate(), max_tokens, contextual }
    }

    /// Checks that pieces fit the model and cover everything but white space.
    pub(crate) fn check(document: &Document, model: &ChunkModel, pieces: &[Piece]) {
        let mut covered = 0;
        for piece in pieces {
            let text = &document.text[piece.bytes.clone()];
            assert_eq!(text.trim(), text);
            assert_eq!(piece.tokens as usize, model.tokenizer.count(text).max(1));
            let prefix = piece.prefix.as_ref().map_or(0, |prefix| model.tokenizer.count(prefix));
            assert!(piece.tokens as usize + prefix <= model.max_tokens, "{piece:?}");
            if piece.bytes.start > covered {
                assert_eq!(document.text[covered..piece.bytes.start].trim(), "");
            }
            assert!(piece.bytes.end > covered, "each piece must advance");
            covered = piece.bytes.end;
        }
        assert_eq!(document.text[covered..].trim(), "");
    }

    /// A document with text beside its body: in the middle of a page, and at the end, of earlier pages.
    pub(crate) fn with_asides() -> Document {
        use ElementKind::{Aside, Heading, Paragraph};
        document(&[
            (Heading { level: 1 }, "One", 1),
            (Paragraph, "Body of page one.", 1),
            (Aside, "aside at its side", 1),
            (Paragraph, "More body of page one.", 1),
            (Paragraph, "Body of page two.", 2),
            (Aside, "aside of page one", 1),
            (Aside, "aside of page two", 2),
        ])
    }

    /// Checks that no piece of [`with_asides`] has text of the body and text beside it, and that asides have their page.
    pub(crate) fn assert_asides_are_apart(document: &Document, pieces: &[Piece]) {
        let mut asides = 0;
        for piece in pieces {
            let text = &document.text[piece.bytes.clone()];
            assert!(!text.contains("aside") || !text.to_lowercase().contains("body"), "{text}");
            if text.starts_with("aside") {
                asides += 1;
                let page = if text.starts_with("aside of page two") { 2 } else { 1 };
                assert_eq!((piece.page, piece.headings.len()), (Some(page), 0), "{text}");
            }
        }
        assert!(asides >= 2, "{pieces:?}");
    }

    /// A table of some sixty records below its header.
    pub(crate) fn table() -> Document {
        let text =
            (0..60).fold("name,note".to_owned(), |text, number| format!("{text}\nCable {number},in sector {number}."));
        let mut table = Element::new(ElementKind::Table, 0..text.len(), None);
        table.records = Some(Records { header_bytes: 9, is_quoted: false });
        table.place = Some("Cables!A1:B61".to_owned());
        Document { text, elements: vec![table], ..Document::default() }
    }

    /// Checks that all pieces of [`table`] but the first have its header as prefix.
    pub(crate) fn assert_later_pieces_have_the_header(pieces: &[Piece]) {
        assert!(pieces.len() > 5);
        assert!(pieces.iter().all(|piece| piece.place.as_deref() == Some("Cables!A1:B61")));
        assert_eq!(pieces[0].prefix, None);
        assert!(pieces[1..].iter().all(|piece| piece.prefix.as_deref() == Some("name,note")), "{pieces:?}");
    }

    /// Texts of difficult shapes.
    pub(crate) fn texts() -> Vec<String> {
        vec![
            String::new(),
            "   \n".to_owned(),
            "a".to_owned(),
            "word ".repeat(500),
            "x".repeat(3000),
            "水と火。".repeat(200),
            "🦀".repeat(700),
            "e\u{301}\u{301} \u{a0}\u{2003}".repeat(300),
            "One. Two! Three?\n\nFour.\r\n\r\nFive\n".repeat(60),
        ]
    }

    #[test]
    fn sections_carry_the_path_of_their_headings() {
        use ElementKind::{Heading, Paragraph};
        let document = document(&[
            (Paragraph, "Before.", 1),
            (Heading { level: 1 }, "# One", 1),
            (Heading { level: 2 }, "Inner", 1),
            (Paragraph, "Body.", 2),
            (Heading { level: 1 }, "Two", 3),
            (Paragraph, "End.", 3),
        ]);
        let model = model(100, false);
        let outline = Outline::new(&document, &model);
        let found: Vec<_> = outline
            .sections
            .iter()
            .map(|section| {
                let path = section.path.iter().map(|heading| heading.text.clone()).collect::<Vec<_>>();
                (document.text[section.bytes.clone()].trim().to_owned(), path)
            })
            .collect();
        let path = |headings: &[&str]| headings.iter().map(|heading| (*heading).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                ("Before.".to_owned(), path(&[])),
                ("# One\n\nInner\n\nBody.".to_owned(), path(&["One", "Inner"])),
                ("Two\n\nEnd.".to_owned(), path(&["Two"])),
            ]
        );
        assert_eq!(outline.page_at(document.text.find("Body").unwrap()), Some(2));
        assert_eq!(outline.page_at(document.text.len()), Some(3));
    }

    #[test]
    fn prefix_that_does_not_fit_loses_its_outermost_headings() {
        use ElementKind::{Heading, Paragraph};
        let long = "a very long heading that says nothing at all ".repeat(4);
        let document = document(&[
            (Heading { level: 1 }, &long, 1),
            (Heading { level: 2 }, "Inner", 1),
            (Paragraph, "Opening words.", 1),
            (Paragraph, "Body.", 1),
        ]);
        let model = model(40, true);
        let outline = Outline::new(&document, &model);
        let start = document.text.find("Body").unwrap();
        let piece = outline.piece(start..document.text.len(), 2).unwrap();
        assert_eq!(piece.prefix.as_deref(), Some("Inner"));
        assert_eq!(piece.headings.len(), 2);
        // No room at all.
        assert_eq!(outline.piece(start..document.text.len(), 40).unwrap().prefix, None);
        // The text has its own headings.
        assert_eq!(outline.piece(0..document.text.len(), 30).unwrap().prefix, None);
    }
}
