//! Pictures: their text, if it is recognised.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use super::builder::DocumentBuilder;
use super::failures::too_many_pages;
use super::pdf;
use crate::ocr::{Ocr, Picture};
use crate::{ExtractLimits, FileError, FileErrorKind, MediaType};

/// Reads a picture.
pub(super) fn read(
    bytes: &[u8],
    media_type: MediaType,
    limits: &ExtractLimits,
    ocr: &mut Ocr,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    if !ocr.is_ready() {
        return Err(FileError::new(FileErrorKind::UnsupportedMedia, "Text in pictures is not recognised here."));
    }
    builder.media_type(media_type);
    builder.if_empty("There is no readable text in the picture.");
    match media_type {
        MediaType::Tiff => pages(bytes, limits, ocr, builder)?,
        _ => recognize(&Picture::decode(bytes)?, ocr, builder)?,
    }
    if let Some(confidence) = ocr.confidence() {
        builder.property("ocrConfidence", &format!("{confidence:.2}"));
    }
    Ok(())
}

/// Adds the text of a picture.
fn recognize(picture: &Picture, ocr: &mut Ocr, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let found = ocr.read(|| Some(picture));
    builder.recognized_for(ocr.spent());
    pdf::add_found(builder, picture, found?.unwrap_or_default())
}

/// Reads all pictures of a TIFF.
fn pages(bytes: &[u8], limits: &ExtractLimits, ocr: &mut Ocr, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let damaged = || FileError::new(FileErrorKind::Corrupt, "The picture is cut short or damaged.");
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(bytes)).map_err(|_| damaged())?;
    // Before any of them: recognition takes its time.
    if has_more_pages(bytes, limits.max_pages) {
        builder.skip(too_many_pages())?;
    }
    let mut count = 0;
    for page in 1..=limits.max_pages {
        count = page;
        builder.page(page);
        if page == 1 {
            // The general reader knows all ways of colours.
            recognize(&Picture::decode(bytes)?, ocr, builder)?;
        } else if decoder.dimensions().is_ok_and(|(width, height)| Picture::is_too_large(width, height)) {
            // Black and white takes an eighth of a byte a point in the file, and three bytes here.
            let detail = format!("Page {page} has more points than a picture may have.");
            builder.skip(FileError::new(FileErrorKind::TooLarge, detail))?;
        } else if let Some(picture) = frame(&mut decoder) {
            recognize(&picture, ocr, builder)?;
        } else {
            let detail = format!("Page {page} is damaged, or has colours that are not read.");
            builder.skip(FileError::new(FileErrorKind::Corrupt, detail))?;
        }
        if !decoder.more_images() {
            break;
        }
        decoder.next_image().map_err(|_| damaged())?;
    }
    builder.page_count(count);
    Ok(())
}

/// Whether a TIFF has more pictures than that. Damage between them is found when they are read.
fn has_more_pages(bytes: &[u8], max_pages: u32) -> bool {
    let Ok(mut decoder) = tiff::decoder::Decoder::new(Cursor::new(bytes)) else { return false };
    (0..max_pages).all(|_| decoder.more_images() && decoder.next_image().is_ok())
}

/// A further picture of a TIFF, in grey or colours of eight bits.
fn frame(decoder: &mut tiff::decoder::Decoder<Cursor<&[u8]>>) -> Option<Picture> {
    let (width, height) = decoder.dimensions().ok()?;
    let color = decoder.colortype().ok()?;
    let tiff::decoder::DecodingResult::U8(data) = decoder.read_image().ok()? else { return None };
    let image = match color {
        tiff::ColorType::Gray(1) => {
            let (columns, rows) = (width as usize, height as usize);
            let row = columns.div_ceil(8);
            let bit = |place: usize| {
                let byte = data.get(place / columns * row + place % columns / 8).copied().unwrap_or(255);
                (byte >> (7 - place % columns % 8) & 1) * 255
            };
            let points = (0..columns * rows).map(bit).collect();
            GrayImage::from_raw(width, height, points).map(DynamicImage::ImageLuma8)
        }
        tiff::ColorType::Gray(8) => GrayImage::from_raw(width, height, data).map(DynamicImage::ImageLuma8),
        tiff::ColorType::RGB(8) => RgbImage::from_raw(width, height, data).map(DynamicImage::ImageRgb8),
        tiff::ColorType::RGBA(8) => RgbaImage::from_raw(width, height, data).map(DynamicImage::ImageRgba8),
        _ => None,
    };
    image.map(Picture::from_image)
}
