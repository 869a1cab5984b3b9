//! Presentations of before 2007 (MS-PPT): slides in order, each a page, with their notes. PowerPoint 95 has its text in a stream of its own.

use std::collections::HashMap;
use std::io::{Read, Seek};

use cfb::CompoundFile;
use encoding_rs::UTF_16LE;

use super::builder::DocumentBuilder;
use super::doc::{number16, number32, stream};
use super::failures::too_many_pages;
use super::ppt_objects::Objects;
use super::summary;
use crate::encoding::guess;
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType};

/// Kinds of records.
const DOCUMENT: u16 = 1000;
const SLIDE: u16 = 1006;
const SLIDE_ATOM: u16 = 1007;
const NOTES: u16 = 1008;
const SLIDE_PERSIST: u16 = 1011;
const OUTLINE_REFERENCE: u16 = 3998;
const TEXT_HEADER: u16 = 3999;
const WIDE_TEXT: u16 = 4000;
const TEXT: u16 = 4008;
const SLIDE_LIST: u16 = 4080;
const USER_EDIT: u16 = 4085;
const DIRECTORY: u16 = 6002;
const OBJECT_REFERENCE: u16 = 3009;

/// The mark of a presentation with a password.
const ENCRYPTED: u32 = 0xF3D1_C4DF;
/// The text of a field, such as the number of the slide.
const FIELD: &str = "*";
/// Deepest nesting of records; deeper is an attack.
const MAX_DEPTH: usize = 64;
/// Most changes that a file keeps of its history.
const MAX_EDITS: usize = 10_000;

/// Reads a presentation.
pub(super) fn read<F: Read + Seek>(
    container: &mut CompoundFile<F>,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    builder.media_type(MediaType::Ppt);
    builder.if_empty("The presentation has no text.");
    summary::add(container, builder);
    let bytes = stream(container, "/PowerPoint Document")?;
    let user = stream(container, "/Current User").unwrap_or_default();
    if number32(&user, 12) == Some(ENCRYPTED) {
        return Err(FileError::new(FileErrorKind::Encrypted, "The presentation is protected by a password."));
    }
    let file = Presentation::new(&bytes, number32(&user, 16).unwrap_or(0) as usize);
    let slides = file.slides();
    if slides.is_empty()
        && let Ok(text) = stream(container, "/Text_Content")
    {
        return read_old(&text, builder);
    }
    builder.page_count(u32::try_from(slides.len()).unwrap_or(u32::MAX));
    if slides.len() > limits.max_pages as usize {
        builder.skip(too_many_pages())?;
    }
    let mut objects = Objects::new(file.document().map(|document| document.content).unwrap_or_default(), limits);
    for (slide, number) in slides.iter().zip(1..=limits.max_pages) {
        builder.page(number);
        for text in &slide.texts {
            add(builder, text)?;
        }
        for id in &slide.objects {
            objects.add(*id, |storage| file.current(storage), builder)?;
        }
        for note in &slide.notes {
            builder.push(ElementKind::Aside, &note.text.replace('\r', "\n"))?;
        }
    }
    Ok(())
}

/// Adds the text of PowerPoint 95, which does not say where slides begin.
fn read_old(text: &[u8], builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let text = guess(text).decode_without_bom_handling(text).0;
    text.split('\r').try_for_each(|paragraph| builder.push(ElementKind::Paragraph, paragraph))
}

fn add(builder: &mut DocumentBuilder, text: &SlideText) -> Result<(), FileError> {
    for paragraph in text.text.split('\r') {
        // A line end within a paragraph.
        let paragraph = paragraph.replace('\u{B}', "\n");
        let paragraph = paragraph.trim();
        match text.kind {
            TextKind::Title => builder.push(ElementKind::Heading { level: 1 }, &paragraph.replace('\n', " "))?,
            TextKind::Body if !paragraph.is_empty() => {
                builder.push(ElementKind::ListItem, &format!("- {paragraph}"))?
            }
            _ => builder.push(ElementKind::Paragraph, paragraph)?,
        }
    }
    Ok(())
}

/// What a text is on its slide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextKind {
    Title,
    Body,
    Other,
}

impl TextKind {
    fn of(number: u32) -> Self {
        match number {
            0 | 6 => Self::Title,
            1 | 7 | 8 => Self::Body,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Debug)]
struct SlideText {
    kind: TextKind,
    text: String,
}

struct Slide {
    texts: Vec<SlideText>,
    notes: Vec<SlideText>,
    /// The identifiers of embedded objects.
    objects: Vec<u32>,
}

/// A record: a list of records, or a value.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) kind: u16,
    pub(super) instance: u16,
    is_list: bool,
    pub(super) content: &'a [u8],
}

/// The records of some bytes. One that is cut short has the bytes that are there.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, kind, length) = (number16(rest, 0)?, number16(rest, 2)?, number32(rest, 4)? as usize);
        let content = &rest[8..rest.len().min(8_usize.saturating_add(length))];
        rest = &rest[8 + content.len()..];
        Some(Record { kind, instance: head >> 4, is_list: head & 0xF == 0xF, content })
    })
}

/// The stream of a presentation: later edits are appended to it, and the directory says what is current.
struct Presentation<'a> {
    bytes: &'a [u8],
    /// The places of current records by their identifiers.
    places: HashMap<u32, usize>,
    document: Option<u32>,
}

impl<'a> Presentation<'a> {
    fn new(bytes: &'a [u8], last_edit: usize) -> Self {
        let mut file = Self { bytes, places: HashMap::new(), document: None };
        let mut edit = last_edit;
        for _ in 0..MAX_EDITS {
            let Some(record) = file.record(edit).filter(|record| record.kind == USER_EDIT) else { break };
            let number = |at| number32(record.content, at);
            file.document = file.document.or(number(16));
            if let Some(directory) = number(12).and_then(|place| file.record(place as usize)) {
                file.add_directory(directory);
            }
            match number(8) {
                Some(before) if before != 0 && (before as usize) < edit => edit = before as usize,
                _ => break,
            }
        }
        file
    }

    fn record(&self, place: usize) -> Option<Record<'a>> {
        records(self.bytes.get(place..)?).next()
    }

    /// Adds the places of a directory that no later one has.
    fn add_directory(&mut self, directory: Record<'_>) {
        let mut rest = directory.content;
        while let (DIRECTORY, Some(head)) = (directory.kind, number32(rest, 0)) {
            let (first, count) = (head & 0xF_FFFF, head >> 20);
            for n in 0..count {
                let Some(place) = number32(rest, 4 + n as usize * 4) else { return };
                self.places.entry(first + n).or_insert(place as usize);
            }
            rest = rest.get(4 + count as usize * 4..).unwrap_or_default();
        }
    }

    fn current(&self, id: u32) -> Option<Record<'a>> {
        self.record(*self.places.get(&id)?)
    }

    /// The record of the presentation as a whole.
    fn document(&self) -> Option<Record<'a>> {
        let document = self.document.and_then(|id| self.current(id)).filter(|record| record.kind == DOCUMENT);
        document.or_else(|| records(self.bytes).find(|record| record.kind == DOCUMENT))
    }

    /// The slides in their order; those of a file without a directory in the order of the stream.
    fn slides(&self) -> Vec<Slide> {
        let Some(document) = self.document() else { return self.all_slides() };
        let lists: Vec<_> = records(document.content).filter(|record| record.kind == SLIDE_LIST).collect();
        let list =
            |instance: u16| lists.iter().find(|list| list.instance == instance).map(|list| entries(list.content));
        let notes: HashMap<u32, u32> = list(2).into_iter().flatten().map(|entry| (entry.slide, entry.id)).collect();
        let slides: Vec<_> = list(0).into_iter().flatten().collect();
        if slides.is_empty() || self.places.is_empty() {
            return self.all_slides();
        }
        slides.into_iter().map(|entry| self.slide(entry, &notes)).collect()
    }

    fn slide(&self, entry: Entry, notes: &HashMap<u32, u32>) -> Slide {
        let record = self.current(entry.id).filter(|record| record.kind == SLIDE);
        let mut drawing = Drawing::new(entry.texts);
        let mut of_notes = Vec::new();
        if let Some(record) = record {
            drawing.read(record.content, 0);
            let atom = records(record.content).find(|record| record.kind == SLIDE_ATOM);
            // The identifier of the notes stands behind the layout and the master.
            let id = atom.and_then(|atom| number32(atom.content, 16)).and_then(|slide| notes.get(&slide));
            if let Some(record) = id.and_then(|id| self.current(*id)).filter(|record| record.kind == NOTES) {
                of_notes = Drawing::of(record.content).all();
            }
        }
        Slide { objects: std::mem::take(&mut drawing.objects), texts: drawing.all(), notes: of_notes }
    }

    fn all_slides(&self) -> Vec<Slide> {
        let slides = records(self.bytes).filter(|record| record.kind == SLIDE);
        let texts = slides.map(|record| Drawing::of(record.content).all());
        texts.map(|texts| Slide { texts, notes: Vec::new(), objects: Vec::new() }).collect()
    }
}

/// A slide in the list of slides, with the texts of its placeholders.
struct Entry {
    id: u32,
    slide: u32,
    texts: Vec<SlideText>,
}

fn entries(list: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for record in records(list) {
        if record.kind == SLIDE_PERSIST {
            let number = |at| number32(record.content, at).unwrap_or(0);
            entries.push(Entry { id: number(0), slide: number(12), texts: Vec::new() });
        } else if record.kind == TEXT_HEADER {
            let kind = TextKind::of(number32(record.content, 0).unwrap_or(4));
            // A placeholder without text counts, too.
            if let Some(entry) = entries.last_mut() {
                entry.texts.push(SlideText { kind, text: String::new() });
            }
        } else if let (Some(text), Some(last)) =
            (text(record), entries.last_mut().and_then(|entry| entry.texts.last_mut()))
        {
            last.text = text;
        }
    }
    entries
}

/// The text of a record that is one.
fn text(record: Record<'_>) -> Option<String> {
    match record.kind {
        WIDE_TEXT => Some(UTF_16LE.decode_without_bom_handling(record.content).0.into_owned()),
        // The lower bytes of UTF-16.
        TEXT => Some(record.content.iter().map(|&byte| char::from(byte)).collect()),
        _ => None,
    }
}

/// The texts of a slide on their way out of its shapes.
struct Drawing {
    outline: Vec<SlideText>,
    /// Which texts of the outline a shape shows.
    used: Vec<bool>,
    texts: Vec<SlideText>,
    kind: TextKind,
    objects: Vec<u32>,
}

impl Drawing {
    fn new(outline: Vec<SlideText>) -> Self {
        let used = vec![false; outline.len()];
        Self { outline, used, texts: Vec::new(), kind: TextKind::Other, objects: Vec::new() }
    }

    fn of(content: &[u8]) -> Self {
        let mut drawing = Self::new(Vec::new());
        drawing.read(content, 0);
        drawing
    }

    fn read(&mut self, bytes: &[u8], depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for record in records(bytes) {
            match record.kind {
                // Also a list of one text: its records stand in a value that is none.
                0xF00D => self.read(record.content, depth + 1),
                TEXT_HEADER => self.kind = TextKind::of(number32(record.content, 0).unwrap_or(4)),
                OUTLINE_REFERENCE => {
                    let place = number32(record.content, 0).unwrap_or(u32::MAX) as usize;
                    if let (Some(text), Some(used)) = (self.outline.get(place), self.used.get_mut(place)) {
                        *used = true;
                        self.texts.push(text.clone());
                    }
                }
                OBJECT_REFERENCE => self.objects.extend(number32(record.content, 0)),
                _ if record.is_list => self.read(record.content, depth + 1),
                _ => {
                    let text = text(record).filter(|text| text.trim() != FIELD);
                    self.texts.extend(text.map(|text| SlideText { kind: self.kind, text }));
                }
            }
        }
    }

    /// The texts of the outline that no shape shows, then those of the shapes.
    fn all(self) -> Vec<SlideText> {
        let unused = self.outline.into_iter().zip(self.used).filter(|(_, used)| !used).map(|(text, _)| text);
        unused.chain(self.texts).collect()
    }
}
