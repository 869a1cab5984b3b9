//! Values of form fields and texts of notes, which stand beside the content of a page.

use hayro_interpret::hayro_syntax::object::{Array, Dict, Name, Object, Rect as PdfRect, String as PdfString};
use hayro_interpret::hayro_syntax::page::Page;

use super::glyphs::{Glyph, PageText};
use hayro_interpret::kurbo::{Affine, Point};

/// Longest chain of a field's parents.
const MAX_PARENTS: usize = 16;
/// Most annotations of a page.
const MAX_ANNOTATIONS: usize = 10_000;

/// A text string: UTF-16 or UTF-8 by its mark, otherwise the encoding of PDF documents, which is nearly Latin 1.
pub(super) fn text_string(bytes: &[u8]) -> String {
    match bytes {
        [0xFE, 0xFF, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xFF, 0xFE, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => bytes.iter().map(|&byte| document_letter(byte)).collect(),
    }
}

fn document_letter(byte: u8) -> char {
    const LOW: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    const HIGH: [char; 33] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ', 'ﬂ', 'Ł',
        'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', '\u{FFFD}', '€',
    ];
    match byte {
        0x18..=0x1F => LOW[usize::from(byte) - 0x18],
        0x80..=0xA0 => HIGH[usize::from(byte) - 0x80],
        byte => char::from(byte),
    }
}

/// Adds the values and notes of a page. Values that the page already shows are not added again.
pub(super) fn add(page: &Page<'_>, transform: Affine, text: &mut PageText) {
    let Some(annotations) = page.raw().get::<Array<'_>>(b"Annots") else { return };
    let mut shown: String = text.glyphs.iter().map(|glyph| glyph.text.as_str()).collect();
    shown.retain(|c| !c.is_whitespace());
    for (number, annotation) in annotations.iter::<Dict<'_>>().take(MAX_ANNOTATIONS).enumerate() {
        // Hidden, or not to be viewed.
        if annotation.get::<u32>(b"F").unwrap_or(0) & 0b10_0010 != 0 {
            continue;
        }
        let kind = annotation.get::<Name<'_>>(b"Subtype");
        let kind = kind.as_deref().unwrap_or_default();
        let has_appearance = annotation.contains_key(b"AP");
        let contents = || annotation.get::<PdfString<'_>>(b"Contents").map(|text| text_string(text.as_bytes()));
        match kind {
            b"Widget" => {
                let Some(value) = value(&annotation).filter(|value| !value.trim().is_empty()) else { continue };
                let squeezed: String = value.split_whitespace().collect();
                if !(has_appearance && shown.contains(&squeezed)) {
                    place(&annotation, transform, &value, number, text);
                }
            }
            b"FreeText" => {
                let Some(note) = contents() else { continue };
                let squeezed: String = note.split_whitespace().collect();
                if !(has_appearance && shown.contains(&squeezed)) {
                    place(&annotation, transform, &note, number, text);
                }
            }
            b"Popup" | b"Link" => {}
            _ => text.notes.extend(contents().filter(|note| !note.trim().is_empty())),
        }
    }
}

/// The value of a field as a person sees it.
fn value(widget: &Dict<'_>) -> Option<String> {
    let kind = inherited(widget, b"FT", &|object| object.into_name().map(|name| name.to_vec()))?;
    let flags = inherited(widget, b"Ff", &|object| object.into_i32()).unwrap_or(0);
    match kind.as_slice() {
        // A field for a password.
        b"Tx" if flags & (1 << 13) != 0 => None,
        b"Btn" => {
            let state = widget.get::<Name<'_>>(b"AS")?;
            (&*state != b"Off").then(|| "☒".to_owned())
        }
        b"Tx" | b"Ch" => inherited(widget, b"V", &|object| match object {
            Object::String(text) => Some(text_string(text.as_bytes())),
            Object::Array(values) => {
                let values: Vec<_> = values.iter::<PdfString<'_>>().map(|text| text_string(text.as_bytes())).collect();
                Some(values.join(", "))
            }
            Object::Stream(stream) => stream.decoded_data().ok().map(|bytes| text_string(&bytes)),
            _ => None,
        }),
        _ => None,
    }
}

/// A property of a field or of one of its parents.
fn inherited<T>(widget: &Dict<'_>, key: &[u8], get: &dyn Fn(Object<'_>) -> Option<T>) -> Option<T> {
    let mut field = widget.clone();
    for _ in 0..MAX_PARENTS {
        if let Some(object) = field.get::<Object<'_>>(key) {
            return get(object);
        }
        field = field.get::<Dict<'_>>(b"Parent")?;
    }
    None
}

/// Puts a text where its annotation is on the page.
fn place(annotation: &Dict<'_>, transform: Affine, words: &str, number: usize, text: &mut PageText) {
    let Some(area) = annotation.get::<PdfRect>(b"Rect") else {
        text.notes.push(words.to_owned());
        return;
    };
    let corners = [Point::new(area.x0, area.y0), Point::new(area.x1, area.y1)].map(|corner| transform * corner);
    let (left, right) = (corners[0].x.min(corners[1].x), corners[0].x.max(corners[1].x));
    let (top, bottom) = (corners[0].y.min(corners[1].y), corners[0].y.max(corners[1].y));
    let lines = words.lines().count().max(1) as f64;
    let size = ((bottom - top) / lines * 0.7).clamp(4.0, 12.0);
    for (place, line) in words.lines().enumerate() {
        // The base line of the only line is a little below the middle, where labels have theirs.
        let base = match lines as usize {
            1 => (top + bottom) / 2.0 + size * 0.35,
            _ => top + size * (place as f64 * 1.2 + 1.0),
        };
        text.glyphs.push(Glyph {
            text: line.trim().to_owned(),
            start: left as f32,
            end: (right.min(left + size * 0.5 * line.chars().count() as f64)) as f32,
            base: base as f32,
            size: size as f32,
            angle: 0,
            // No other run has this number.
            run: u32::MAX - u32::try_from(number).unwrap_or(0),
            is_artifact: false,
            is_bold: false,
        });
    }
}
