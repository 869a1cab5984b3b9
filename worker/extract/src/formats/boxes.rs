//! Places of recognised lines on their pages, beside their bytes in the document's text.

use super::builder::cleaned;
use crate::TextBox;
use crate::ocr::LineBox;

/// Digits behind the point of shares and probabilities: a tenth of a point of most pages.
const PRECISION: f64 = 10_000.0;

/// The boxes of an element. `content` was added to the document at byte `start`, cleaned, as `added`; the ranges of `lines` count
/// from `skipped` bytes before it.
pub(super) fn text_boxes(
    lines: &[LineBox],
    (content, skipped): (&str, usize),
    (added, start): (&str, usize),
    page: Option<u32>,
) -> Vec<TextBox> {
    let place = |place: usize| {
        let place = content.floor_char_boundary(place.saturating_sub(skipped));
        let place = if added == content { place } else { cleaned(&content[..place]).len() };
        start + added.floor_char_boundary(place)
    };
    let text_box = |line: &LineBox| TextBox {
        start: place(line.bytes.start),
        end: place(line.bytes.end),
        page,
        left: rounded(line.area.left),
        top: rounded(line.area.top),
        right: rounded(line.area.right),
        bottom: rounded(line.area.bottom),
        confidence: rounded(line.confidence),
    };
    lines.iter().map(text_box).filter(|found| found.start < found.end).collect()
}

fn rounded(share: f32) -> f64 {
    (f64::from(share).clamp(0.0, 1.0) * PRECISION).round() / PRECISION
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocr::Area;

    #[test]
    fn boxes_have_the_bytes_of_the_cleaned_text() {
        // A soft hyphen and a ligature become shorter or longer; the first two bytes of the lines were cut off.
        let (content, added) = ("so\u{AD}ft e\u{FB03}cient", "soft efficient");
        let area = Area { left: 0.1, top: 0.123_456, right: 1.5, bottom: 0.2 };
        let line = |bytes| LineBox { bytes, area, confidence: 0.9 };
        let lines = [line(0..8), line(9..19), line(19..19)];
        let boxes = text_boxes(&lines, (content, 2), (added, 10), Some(3));
        let ranges: Vec<_> = boxes.iter().map(|found| &added[found.start - 10..found.end - 10]).collect();
        assert_eq!(ranges, ["soft", "efficient"]);
        let TextBox { page, left, top, right, bottom, confidence, .. } = boxes[0];
        assert_eq!((page, left, top, right, bottom, confidence), (Some(3), 0.1, 0.1235, 1.0, 0.2, 0.9));
    }
}
