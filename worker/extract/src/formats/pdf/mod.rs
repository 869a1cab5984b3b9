//! Reads PDF page by page: the glyphs that `hayro-interpret` places, put into lines, columns and paragraphs here.

mod annotations;
mod bitmap_fonts;
mod blocks;
mod cid_fonts;
mod columns;
mod fonts;
mod glyphs;
mod hyphens;
mod line_numbers;
mod lines;
mod marks;
mod outline;
mod page_tree;
mod raster;

use std::collections::{HashMap, HashSet};
use std::panic::{self, AssertUnwindSafe};

use hayro_interpret::hayro_syntax::object::{Array, Name, Stream};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};
use hayro_interpret::{Context, InterpreterCache, InterpreterSettings, interpret_page};

use super::builder::DocumentBuilder;
use super::failures::{too_many_pages, too_much_text};
use crate::ocr::{FoundLine, LineBox, Ocr, Picture};
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind};
use blocks::Block;
use fonts::Fonts;
use glyphs::{Collector, PageText};
use hyphens::Words;
use lines::Line;

use hayro_interpret::kurbo::{Affine, Rect};

/// The part of the file in which readers search the end marker; a file without one is truncated.
const TAIL_BYTES: usize = 1024;
/// The part of the file in which readers search the header.
const HEAD_BYTES: usize = 1024;
/// Most marked glyphs of a page; more is an attack.
const MAX_GLYPHS: usize = 1_000_000;
/// Glyphs of a page that has text.
const MIN_GLYPHS: usize = 10;
/// The share of a page from which on its pictures may be a scan.
const SCAN_SHARE: f64 = 0.5;
/// Glyphs from which on a page with such pictures has text of its own, more than a stamp or a head on a scan.
const MIN_GLYPHS_BESIDE_SCAN: usize = 200;
/// Lost glyphs of a file that are worth a warning, and their share of all that make the text useless.
const WARNED_LOST: usize = 20;

/// Reads a PDF's text with page numbers, headings, lists and tables.
pub(super) fn read(
    bytes: Vec<u8>,
    limits: &ExtractLimits,
    ocr: &mut Ocr,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    let is_cut_short = is_cut_short(&bytes);
    let pdf = open(bytes)?;
    let pages = pdf.pages();
    let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    if count > limits.max_pages {
        builder.skip(too_many_pages())?;
    }
    if is_cut_short || page_tree::is_incomplete(&pdf, pages.len()) {
        let cut_short = "The PDF is cut short or damaged: pages are missing.";
        builder.skip(FileError::new(FileErrorKind::Corrupt, cut_short))?;
    }

    builder.if_empty(match count {
        0 => "The PDF has no pages.",
        _ => "The PDF has no text layer: its pages are pictures or blank.",
    });
    builder.page_count(count);
    let metadata = pdf.metadata();
    for (name, value) in
        [("author", &metadata.author), ("subject", &metadata.subject), ("keywords", &metadata.keywords)]
    {
        builder.property(name, &annotations::text_string(value.as_deref().unwrap_or_default()));
    }
    builder.title(&annotations::text_string(metadata.title.as_deref().unwrap_or_default()));

    let mut reading = Reading { titles: outline::titles(&pdf), ..Reading::default() };
    let cache = InterpreterCache::new();
    let mut fonts = Fonts::new(&pdf);
    let mut bytes = 0_u64;
    // The failure of the first page that is not recognised, and the number of such pages.
    let mut unread: Option<(FileError, u32)> = None;
    for page in pages.iter().take(limits.max_pages as usize) {
        if let Err(late) = builder.check_time() {
            builder.skip(late)?;
            break;
        }
        if has_damaged_content(page) {
            let damaged = "The PDF is damaged: a part of a page cannot be read.";
            builder.skip(FileError::new(FileErrorKind::Corrupt, damaged))?;
        }
        let text = match panic::catch_unwind(AssertUnwindSafe(|| collect(page, &pdf, &cache, &mut fonts))) {
            Ok(text) => text,
            Err(_) => {
                builder.skip(FileError::crashed())?;
                PageText { has_marks: true, ..PageText::default() }
            }
        };
        if text.is_cut {
            let detail = "A page of the PDF has more letters than one page may have.";
            builder.skip(FileError::new(FileErrorKind::TooLarge, detail))?;
        }
        let (width, height) = page.render_dimensions();
        let is_readable = text.glyphs.len() >= MIN_GLYPHS && text.glyphs.len() >= text.lost;
        let is_recognized = text.has_marks && ocr.is_ready() && (ocr.is_always() || !is_readable || may_be_scan(&text));
        let outcome = if is_recognized { recognized(page, &pdf, &cache, ocr) } else { Ok((Vec::new(), height)) };
        builder.recognized_for(ocr.spent());
        let (found, height_of_found) = match outcome {
            Ok(found) => found,
            // The pages with text that follow are read, so the document gets the failure after them.
            Err(failure) if builder.is_partial() && failure.kind != FileErrorKind::UnsupportedMedia => {
                unread.get_or_insert((failure, 0)).1 += 1;
                (Vec::new(), height)
            }
            Err(failure) => return Err(failure),
        };
        reading.has_readable_page |= is_readable || !found.is_empty();
        let (lines, height) = match found.is_empty() {
            true => {
                reading.lost += text.lost;
                reading.kept += text.glyphs.len();
                (lines::lines(text.glyphs, width, height), height)
            }
            // The few letters of an unreadable page are in its picture, too.
            false if !is_readable => {
                reading.kept += found.iter().map(|line| line.text.chars().count()).sum::<usize>();
                (found, height_of_found)
            }
            false => (with_found(lines::lines(text.glyphs, width, height), found), height),
        };
        let read = ReadPage { lines, notes: text.notes, height };
        bytes += read.lines.iter().map(|line| line.text.len() as u64).sum::<u64>();
        if bytes > limits.max_text_bytes {
            builder.skip(too_much_text())?;
            break;
        }
        reading.pages.push(read);
    }
    if reading.lost > reading.kept {
        let unreadable = "The PDF has no readable text layer: its fonts do not say which letters they show.";
        // Such a page is like a picture; pages with readable text are a part of the file.
        let kind = if reading.has_readable_page { FileErrorKind::Corrupt } else { FileErrorKind::Empty };
        builder.skip(FileError::new(kind, unreadable))?;
    }
    if let Some((failure, pages)) = unread {
        builder.skip(failure)?;
        builder.warn(format!("{pages} pages were not recognised."));
    }
    if let Some(confidence) = ocr.confidence() {
        builder.property("ocrConfidence", &format!("{confidence:.2}"));
    }
    if reading.lost >= WARNED_LOST {
        builder.warn(format!("{} letters were not decoded: their fonts do not say which they are.", reading.lost));
    }
    reading.write(builder)
}

/// Loads a file, with or without what stands before its header.
fn open(mut bytes: Vec<u8>) -> Result<Pdf, FileError> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let header = head.windows(5).position(|window| window == b"%PDF-").unwrap_or(0);
    if header > 0 {
        // Offsets count from the header in most such files, and from the beginning in some.
        let whole = bytes.clone();
        bytes.drain(..header);
        return match load(bytes) {
            Ok(pdf) if !pdf.pages().is_empty() => Ok(pdf),
            _ => load(whole),
        };
    }
    load(bytes)
}

fn load(bytes: Vec<u8>) -> Result<Pdf, FileError> {
    Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(_) => FileError::new(FileErrorKind::Encrypted, "The PDF is protected by a password."),
        LoadPdfError::Invalid => FileError::new(FileErrorKind::Corrupt, "The PDF's structure cannot be read."),
    })
}

fn is_cut_short(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    !tail.windows(5).any(|window| window == b"%%EOF") && !tail.windows(9).any(|window| window == b"startxref")
}

/// Whether a part of the page's content cannot be unpacked. Half a page indexed as a whole one would be worse than an error.
fn has_damaged_content(page: &Page<'_>) -> bool {
    let is_damaged = |stream: &Stream<'_>| {
        let data = stream.raw_data();
        let filter = stream.dict().get::<Name<'_>>(b"Filter");
        let first = || stream.dict().get::<Array<'_>>(b"Filter").and_then(|filters| filters.iter::<Name<'_>>().next());
        let is_first = |name: Name<'_>| matches!(&*name, b"FlateDecode" | b"Fl");
        // The interpreter takes what it can unpack for all.
        !data.is_empty()
            && match filter.or_else(first).is_some_and(is_first) {
                true => !is_deflated(&data),
                false => stream.decoded_data().is_err(),
            }
    };
    if let Some(stream) = page.raw().get::<Stream<'_>>(b"Contents") {
        return is_damaged(&stream);
    }
    page.raw()
        .get::<Array<'_>>(b"Contents")
        .is_some_and(|parts| parts.iter::<Stream<'_>>().any(|stream| is_damaged(&stream)))
}

/// Whether data can be unpacked. Writers leave out checksums and ends, which loses nothing.
fn is_deflated(data: &[u8]) -> bool {
    let mut sink = std::io::sink();
    match std::io::copy(&mut flate2::read::ZlibDecoder::new(data), &mut sink) {
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => true,
        // A wrong checksum is found behind all data.
        Err(_) => {
            std::io::copy(&mut flate2::read::DeflateDecoder::new(data.get(2..).unwrap_or_default()), &mut sink).is_ok()
        }
    }
}

fn collect<'a>(page: &Page<'a>, pdf: &'a Pdf, cache: &InterpreterCache<'a>, fonts: &mut Fonts<'a>) -> PageText {
    let (width, height) = page.render_dimensions();
    let area = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    let transform = Affine::new(page.initial_transform(true).as_coeffs());
    let mut context = Context::new(transform, area, cache, pdf.xref(), InterpreterSettings::default());
    let mut collector = Collector::new(area, MAX_GLYPHS, fonts);
    interpret_page(page, &mut context, &mut collector);
    let mut text = collector.finish();
    annotations::add(page, transform, &mut text);
    text
}

/// Whether a page is mostly picture and has little text, none of which is hidden: that of a scan that was recognised before is.
fn may_be_scan(text: &PageText) -> bool {
    text.picture_share >= SCAN_SHARE && text.glyphs.len() < MIN_GLYPHS_BESIDE_SCAN && text.hidden < MIN_GLYPHS
}

/// The lines that are recognised in the picture of a page, and the height of the page on which they are upright.
fn recognized<'a>(
    page: &Page<'a>,
    pdf: &'a Pdf,
    cache: &InterpreterCache<'a>,
    ocr: &mut Ocr,
) -> Result<(Vec<Line>, f32), FileError> {
    let (width, height) = page.render_dimensions();
    let found = ocr.read(|| raster::picture(page, pdf, cache))?.unwrap_or_default();
    let is_sideways = found.first().is_some_and(|line| line.is_sideways);
    let lines = found.into_iter().map(|line| line_of(line, width, height)).collect();
    Ok((lines, if is_sideways { width } else { height }))
}

/// A recognised line at its place on the upright page. Width and height are those of the page as it is given.
fn line_of(found: FoundLine, width: f32, height: f32) -> Line {
    let FoundLine { text, confidence, upright, is_sideways, area } = found;
    let (width, height) = if is_sideways { (height, width) } else { (width, height) };
    Line {
        left: upright.left * width,
        right: upright.right * width,
        y: (upright.bottom * 0.8 + upright.top * 0.2) * height,
        // A box is higher than the letters in it.
        size: (upright.bottom - upright.top) * height * 0.75,
        is_artifact: false,
        is_upright: true,
        is_bold: false,
        boxes: vec![LineBox { bytes: 0..text.len(), area, confidence }],
        text,
    }
}

/// The lines of a page, and those of its picture that it does not have: neither their words, nor words in their place.
fn with_found(mut lines: Vec<Line>, mut found: Vec<Line>) -> Vec<Line> {
    let squeezed =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let known: String = lines.iter().map(|line| squeezed(&line.text)).collect();
    found.retain(|line| {
        let text = squeezed(&line.text);
        !text.is_empty() && !known.contains(&text) && !lines.iter().any(|other| covers(other, line))
    });
    lines.append(&mut found);
    lines
}

/// Whether a line of the text stands where most of a recognised line does.
fn covers(line: &Line, found: &Line) -> bool {
    let common = line.right.min(found.right) - line.left.max(found.left);
    line.is_upright
        && (line.y - found.y).abs() < line.size.max(found.size) * 0.5
        && common > (found.right - found.left) * 0.5
}

/// Adds the recognised lines of a picture to a document.
pub(super) fn add_found(
    builder: &mut DocumentBuilder,
    picture: &Picture,
    found: Vec<FoundLine>,
) -> Result<(), FileError> {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let lines: Vec<Line> = found.into_iter().map(|line| line_of(line, width, height)).collect();
    let (sizes, words) = (blocks::Sizes::of_picture(&lines), Words::new(lines.iter()));
    for block in blocks::blocks(columns::order(lines), &sizes, &words) {
        add(builder, block)?;
    }
    Ok(())
}

fn add(builder: &mut DocumentBuilder, block: Block) -> Result<(), FileError> {
    match block {
        Block::Table(lines, boxes) => builder.table_at(&lines, None, &boxes),
        Block::Text(kind, text, boxes) => builder.push_placed(kind, &text, &boxes),
    }
}

struct ReadPage {
    lines: Vec<Line>,
    notes: Vec<String>,
    height: f32,
}

#[derive(Default)]
struct Reading {
    pages: Vec<ReadPage>,
    lost: usize,
    kept: usize,
    /// Whether a page has more readable letters than lost ones.
    has_readable_page: bool,
    /// The titles of the outline, with their levels.
    titles: HashMap<String, u8>,
}

impl Reading {
    /// Adds all pages to a document.
    fn write(self, builder: &mut DocumentBuilder) -> Result<(), FileError> {
        let running = running_lines(&self.pages);
        let mut sizes = blocks::Sizes::new(self.pages.iter().flat_map(|page| &page.lines));
        sizes.titles = self.titles;
        let words = Words::new(self.pages.iter().flat_map(|page| &page.lines));
        for (page, number) in self.pages.into_iter().zip(1..) {
            builder.page(number);
            let (mut body, mut beside) = (Vec::new(), Vec::new());
            for line in page.lines {
                let is_running =
                    line.is_artifact || running.contains(&pattern(&line.text)) && is_at_edge(&line, page.height);
                if is_running { &mut beside } else { &mut body }.push(line);
            }
            for line in beside {
                let is_number = line.text.trim().chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '–' | ' '));
                if !is_number {
                    builder.aside_placed(line.text.trim(), &line.boxes)?;
                }
            }
            let numbers = line_numbers::take(&mut body);
            if !numbers.is_empty() {
                builder.aside(&numbers.join(" "))?;
            }
            let (upright, turned): (Vec<_>, Vec<_>) = body.into_iter().partition(|line| line.is_upright);
            for block in blocks::blocks(columns::order(upright), &sizes, &words) {
                add(builder, block)?;
            }
            for block in blocks::blocks(turned, &sizes, &words) {
                let (Block::Table(text, boxes) | Block::Text(_, text, boxes)) = block;
                builder.push_placed(ElementKind::Aside, &text, &boxes)?;
            }
            for note in page.notes {
                builder.push(ElementKind::Aside, &note)?;
            }
        }
        Ok(())
    }
}

/// A line without its numbers, by which a running head is known again.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '0'..='9' if pattern.ends_with('#') => {}
            '0'..='9' => pattern.push('#'),
            c if c.is_whitespace() => pattern.push(' '),
            c => pattern.push(c),
        }
    }
    pattern
}

fn is_at_edge(line: &Line, height: f32) -> bool {
    line.y < height * 0.12 || line.y > height * 0.88
}

/// The patterns of lines that stand at the edge of many pages.
fn running_lines(pages: &[ReadPage]) -> HashSet<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for page in pages {
        let patterns: HashSet<String> =
            page.lines.iter().filter(|line| is_at_edge(line, page.height)).map(|line| pattern(&line.text)).collect();
        for pattern in patterns {
            *counts.entry(pattern).or_default() += 1;
        }
    }
    let least = (pages.len() / 5).max(3);
    counts.into_iter().filter(|(_, count)| *count >= least).map(|(pattern, _)| pattern).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocr::Area;

    #[test]
    fn recognized_line_in_the_place_of_text_is_left_out() {
        let line = |text: &str, left: f32, y: f32| {
            let area = Area { left: left / 600.0, top: (y - 8.0) / 900.0, right: 0.5, bottom: (y + 2.0) / 900.0 };
            line_of(
                FoundLine { text: text.to_owned(), confidence: 0.9, upright: area, is_sideways: false, area },
                600.0,
                900.0,
            )
        };
        let text = vec![line("Received 3 March", 100.0, 60.0)];
        let found = vec![line("Recelved 3 Marcb", 102.0, 61.0), line("Dear Ms Gray", 100.0, 120.0)];
        let texts: Vec<_> = with_found(text, found).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["Received 3 March", "Dear Ms Gray"]);
    }

    #[test]
    fn line_of_a_page_on_its_side_has_the_measures_of_the_upright_page() {
        let upright = Area { left: 0.1, top: 0.5, right: 0.6, bottom: 0.52 };
        for (is_sideways, width, height) in [(false, 600.0, 900.0), (true, 900.0, 600.0)] {
            let (text, confidence) = ("Invoice".to_owned(), 0.9);
            let line = line_of(FoundLine { text, confidence, upright, is_sideways, area: upright }, width, height);
            for (measure, expected) in
                [line.left, line.right, line.y, line.size].into_iter().zip([60.0, 360.0, 464.4, 13.5])
            {
                assert!((measure - expected).abs() < 0.01, "{measure} is not {expected}");
            }
        }
    }
}
