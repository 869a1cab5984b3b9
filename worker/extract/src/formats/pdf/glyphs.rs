//! Collects the glyphs of a page as the interpreter places them.

use std::collections::HashMap;

use hayro_interpret::font::{Glyph as FontGlyph, GlyphRun, OutlineGlyph};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::object::{Dict, String as PdfString};
use hayro_interpret::{BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, SoftMask};

use super::annotations::text_string;
use super::fonts::Fonts;
use hayro_interpret::kurbo::{BezPath, Point, Rect};

/// The weight from which on a font is bold.
const BOLD_WEIGHT: u32 = 600;

/// A glyph. Its place is along and across its line, whatever direction that has on the page.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    pub(super) text: String,
    /// Where it begins and ends along the line.
    pub(super) start: f32,
    pub(super) end: f32,
    /// The base line, growing downwards.
    pub(super) base: f32,
    pub(super) size: f32,
    /// The direction of the line in degrees, clockwise.
    pub(super) angle: i16,
    /// The number of the run of glyphs that it was shown with.
    pub(super) run: u32,
    /// Whether the file marks it as no part of the text.
    pub(super) is_artifact: bool,
    /// Whether its font is a bold one.
    pub(super) is_bold: bool,
}

/// The text of a page.
#[derive(Default)]
pub(super) struct PageText {
    pub(super) glyphs: Vec<Glyph>,
    /// Texts of notes beside the page.
    pub(super) notes: Vec<String>,
    /// Glyphs of which the file does not say what they are.
    pub(super) lost: usize,
    /// Whether there are more glyphs than are kept.
    pub(super) is_cut: bool,
    /// Glyphs that are not shown: the text of a scan that was recognised before.
    pub(super) hidden: usize,
    /// Whether the page shows a letter or a picture.
    pub(super) has_marks: bool,
    /// The share of the page that pictures take; more than 1 if they lie on each other.
    pub(super) picture_share: f64,
}

/// A marked passage.
#[derive(Default)]
struct Mark {
    is_artifact: bool,
    /// What the passage reads as, until its first glyph took it.
    actual: Option<String>,
    has_actual: bool,
}

/// Takes glyphs from the interpreter.
pub(super) struct Collector<'f, 'pdf> {
    area: Rect,
    max_glyphs: usize,
    fonts: &'f mut Fonts<'pdf>,
    text: PageText,
    marks: Vec<Mark>,
    run: u32,
    /// Texts of glyphs by font and code, and whether the font is bold.
    known: HashMap<(u128, u32), (Option<String>, bool)>,
}

impl<'f, 'pdf> Collector<'f, 'pdf> {
    pub(super) fn new(area: Rect, max_glyphs: usize, fonts: &'f mut Fonts<'pdf>) -> Self {
        Self { area, max_glyphs, fonts, text: PageText::default(), marks: Vec::new(), run: 0, known: HashMap::new() }
    }

    pub(super) fn finish(self) -> PageText {
        self.text
    }

    /// The text of a glyph, unless the file does not say it, and whether its font is bold.
    fn letters(&mut self, glyph: &FontGlyph<'_>) -> (Option<String>, bool) {
        let FontGlyph::Outline(outline) = glyph else { return (readable(glyph.as_unicode()), false) };
        let key = (outline.identifier().cache_key(), outline.char_code());
        let fonts = &mut *self.fonts;
        let known = self.known.entry(key).or_insert_with(|| {
            let letters = readable(glyph.as_unicode());
            (letters.or_else(|| shown(&fonts.letters(outline)?)), is_bold(outline))
        });
        known.clone()
    }

    /// The letters of the glyphs of a Type 3 font that does not name them, by their codes.
    fn bitmap_letters(&mut self, run: &GlyphRun<'_, '_>) -> HashMap<u32, String> {
        let lost = run.glyphs().iter().filter_map(|glyph| match &**glyph {
            FontGlyph::Type3(type3) if readable(type3.as_unicode()).is_none() => {
                Some((type3.char_code(), type3.advance_width()?))
            }
            _ => None,
        });
        let lost: Vec<(u32, f32)> = lost.collect();
        if lost.is_empty() { HashMap::new() } else { self.fonts.bitmap_letters(&lost) }
    }
}

/// Whether the font of a glyph says that it is bold, by its weight or its name.
fn is_bold(glyph: &OutlineGlyph) -> bool {
    let Some(font) = glyph.font_data() else { return false };
    let name = font.postscript_name.unwrap_or_default().to_lowercase();
    font.weight.is_some_and(|weight| weight >= BOLD_WEIGHT)
        || ["bold", "black", "heavy"].iter().any(|word| name.contains(word))
}

/// The letters that a font says a glyph is.
fn readable(unicode: Option<BfString>) -> Option<String> {
    match unicode? {
        BfString::Char(c) => shown(c.encode_utf8(&mut [0; 4])),
        BfString::String(text) => shown(&text),
    }
}

/// The letters of a text that say something; those of the private area do not.
fn shown(text: &str) -> Option<String> {
    let is_readable = |c: char| {
        !matches!(c, '\u{E000}'..='\u{F8FF}' | '\u{FFFD}' | '\u{F0000}'..) && (!c.is_control() || c.is_whitespace())
    };
    let text: String = text.chars().filter(|&c| is_readable(c)).collect();
    (!text.is_empty()).then_some(text)
}

impl<'a> Device<'a> for Collector<'_, '_> {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        self.run += 1;
        let is_hidden = matches!(mode, DrawMode::Invisible);
        self.text.has_marks |= !is_hidden;
        let is_vertical = run.writing_mode() == WritingMode::Vertical;
        let is_artifact = self.marks.iter().any(|mark| mark.is_artifact);
        let bitmap_letters = self.bitmap_letters(run);
        for glyph in run.glyphs() {
            if self.text.glyphs.len() >= self.max_glyphs {
                self.text.is_cut = true;
                return;
            }
            let transform = props.transform * glyph.transform();
            let advance = match &**glyph {
                FontGlyph::Outline(outline) => outline.advance_width(),
                FontGlyph::Type3(type3) => type3.advance_width(),
            };
            let origin = transform * Point::ZERO;
            let along = transform * Point::new(f64::from(advance.unwrap_or(500.0)), 0.0) - origin;
            let up = transform * Point::new(0.0, 1000.0) - origin;
            let unit = transform * Point::new(1000.0, 0.0) - origin;
            let size = up.hypot();
            if !size.is_finite() || size < 0.05 || !self.area.inflate(size, size).contains(origin) {
                continue;
            }
            let (mut letters, is_bold) = self.letters(glyph);
            letters = letters.or_else(|| bitmap_letters.get(&glyph.char_code()).cloned());
            if let Some(mark) = self.marks.iter_mut().rev().find(|mark| mark.has_actual) {
                letters = Some(mark.actual.take().unwrap_or_default());
            }
            let Some(text) = letters else {
                self.text.lost += 1;
                continue;
            };
            let mut angle = unit.y.atan2(unit.x).to_degrees();
            let mut length = along.hypot();
            if is_vertical {
                angle += 90.0;
                length = size;
            }
            // Nearly straight is straight.
            let quarter = (angle / 90.0).round() * 90.0;
            let angle = if (angle - quarter).abs() < 3.0 { quarter } else { angle.round() };
            let (sin, cos) = angle.to_radians().sin_cos();
            let start = origin.x * cos + origin.y * sin;
            let base = origin.y * cos - origin.x * sin;
            self.text.hidden += usize::from(is_hidden);
            self.text.glyphs.push(Glyph {
                text,
                start: start as f32,
                end: (start + length) as f32,
                base: base as f32,
                size: size as f32,
                angle: (angle as i16).rem_euclid(360),
                run: self.run,
                is_artifact,
                is_bold,
            });
        }
    }

    fn begin_marked_content(&mut self, tag: &[u8], properties: Option<&Dict<'_>>) {
        let actual = properties.and_then(|properties| properties.get::<PdfString<'_>>(b"ActualText"));
        let actual = actual.map(|text| text_string(text.as_bytes()));
        self.marks.push(Mark { is_artifact: tag == b"Artifact", has_actual: actual.is_some(), actual });
    }

    fn end_marked_content(&mut self) {
        self.marks.pop();
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn draw_rect(&mut self, _: &Rect, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_clip_rect(&mut self, _: &Rect) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.text.has_marks = true;
        let points = Rect::new(0.0, 0.0, f64::from(image.width()), f64::from(image.height()));
        let shown = props.transform.transform_rect_bbox(points).intersect(self.area);
        let share = shown.area() / self.area.area();
        if share.is_finite() {
            self.text.picture_share += share.max(0.0);
        }
    }

    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
