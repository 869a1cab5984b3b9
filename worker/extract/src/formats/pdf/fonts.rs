//! The fonts of a file, for glyphs whose letters the interpreter does not know.
//!
//! A glyph does not say which font of the file it is of. One of an outline font has the font's program, by which the font is found
//! here; one of a Type 3 font has its width.

use std::collections::HashMap;

use hayro_interpret::font::OutlineGlyph;
use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::{Dict, MaybeRef, Name, Object};

use super::bitmap_fonts::BitmapFonts;
use super::cid_fonts::CidFonts;

/// The fonts of a file, which are looked for when the first letter is missing.
pub(super) struct Fonts<'a> {
    pdf: &'a Pdf,
    loaded: Option<(CidFonts, BitmapFonts)>,
}

impl<'a> Fonts<'a> {
    pub(super) fn new(pdf: &'a Pdf) -> Self {
        Self { pdf, loaded: None }
    }

    /// The letters of a glyph of an embedded font, by the font itself.
    pub(super) fn letters(&mut self, glyph: &OutlineGlyph) -> Option<String> {
        self.load().0.letters(glyph)
    }

    /// The letters of glyphs of one Type 3 font, of which the codes and widths are given, by their codes.
    pub(super) fn bitmap_letters(&mut self, glyphs: &[(u32, f32)]) -> HashMap<u32, String> {
        self.load().1.letters(glyphs)
    }

    fn load(&mut self) -> &mut (CidFonts, BitmapFonts) {
        let pdf = self.pdf;
        self.loaded.get_or_insert_with(|| {
            let fonts = dictionaries(pdf);
            (CidFonts::new(&fonts), BitmapFonts::new(&fonts))
        })
    }
}

/// The dictionaries of all fonts, be they objects or written in place in resources.
fn dictionaries(pdf: &Pdf) -> Vec<Dict<'_>> {
    let mut found = Vec::new();
    for object in pdf.objects() {
        let dict = match object {
            Object::Dict(dict) => dict,
            Object::Stream(stream) => stream.dict().clone(),
            _ => continue,
        };
        if is_font(&dict) {
            found.push(dict);
            continue;
        }
        let resources = dict.get::<Dict<'_>>(b"Resources").unwrap_or(dict);
        let Some(fonts) = resources.get::<Dict<'_>>(b"Font") else { continue };
        found.extend(fonts.entries().filter_map(|(_, font)| match font {
            MaybeRef::NotRef(Object::Dict(font)) if is_font(&font) => Some(font),
            _ => None,
        }));
    }
    found
}

fn is_font(dict: &Dict<'_>) -> bool {
    dict.get::<Name<'_>>(b"Type").is_none_or(|kind| &*kind == b"Font")
        && dict.get::<Name<'_>>(b"Subtype").is_some_and(|kind| matches!(&*kind, b"Type0" | b"Type3"))
}
