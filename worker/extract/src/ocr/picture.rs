//! Pictures in memory: three bytes a point.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::{FileError, FileErrorKind};

/// Most bytes that a decoder may take.
const MAX_BYTES: u64 = 400 << 20;
/// Most points of a picture.
const MAX_POINTS: u64 = 120_000_000;

/// Points above which the sides of a picture are halved: letters of a page of paper are large enough for recognition in a quarter.
const KEPT_POINTS: u64 = 25_000_000;

/// A picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Red, green, blue.
    pub(crate) points: Vec<u8>,
}

impl Picture {
    /// Decodes a file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        let damaged = || FileError::new(FileErrorKind::Corrupt, "The picture is cut short or damaged.");
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| damaged())?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(file_error)?;
        let (width, height) = decoder.dimensions();
        if Self::is_too_large(width, height) {
            return Err(FileError::new(FileErrorKind::TooLarge, "The picture has more points than one file may have."));
        }
        let orientation = decoder.orientation().ok();
        let mut image = reduced(DynamicImage::from_decoder(decoder).map_err(file_error)?);
        if let Some(orientation) = orientation {
            image.apply_orientation(orientation);
        }
        Ok(Self::from_image(image))
    }

    /// Whether a picture has more points than may be in memory.
    pub(crate) fn is_too_large(width: u32, height: u32) -> bool {
        u64::from(width) * u64::from(height) > MAX_POINTS
    }

    /// Transparent points become white. A large picture becomes smaller.
    pub(crate) fn from_image(image: DynamicImage) -> Self {
        let image = reduced(image);
        let (width, height) = (image.width() as usize, image.height() as usize);
        let points = if image.color().has_alpha() {
            let rgba = image.into_rgba8().into_raw();
            let over_white = |point: &[u8]| {
                let alpha = u32::from(point[3]);
                [point[0], point[1], point[2]]
                    .map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha)) / 255) as u8)
            };
            rgba.chunks_exact(4).flat_map(over_white).collect()
        } else {
            image.into_rgb8().into_raw()
        };
        Self { width, height, points }
    }

    /// The picture turned by 90 degrees clockwise, so many times.
    pub(crate) fn turned(&self, times: usize) -> Self {
        let times = times % 4;
        let (width, height) =
            if times.is_multiple_of(2) { (self.width, self.height) } else { (self.height, self.width) };
        let mut points = Vec::with_capacity(self.points.len());
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = match times {
                    0 => (x, y),
                    1 => (y, self.height - 1 - x),
                    2 => (self.width - 1 - x, self.height - 1 - y),
                    _ => (self.width - 1 - y, x),
                };
                let from = (from_y * self.width + from_x) * 3;
                points.extend_from_slice(&self.points[from..from + 3]);
            }
        }
        Self { width, height, points }
    }

    /// A part of the picture in another size, by means of areas or between points.
    pub(crate) fn scaled(
        &self,
        left: f32,
        top: f32,
        width: f32,
        height: f32,
        to_width: usize,
        to_height: usize,
    ) -> Vec<f32> {
        let mut values = vec![255.0; to_width * to_height * 3];
        if self.points.is_empty() {
            return values;
        }
        let (x_step, y_step) = (width / to_width as f32, height / to_height as f32);
        // Larger steps take the mean of several points.
        let (x_samples, y_samples) = ((x_step.ceil() as usize).clamp(1, 8), (y_step.ceil() as usize).clamp(1, 8));
        let scale = 1.0 / (x_samples * y_samples) as f32;
        for y in 0..to_height {
            for x in 0..to_width {
                let mut sums = [0.0; 3];
                for y_sample in 0..y_samples {
                    let from_y = top + (y as f32 + (y_sample as f32 + 0.5) / y_samples as f32) * y_step - 0.5;
                    for x_sample in 0..x_samples {
                        let from_x = left + (x as f32 + (x_sample as f32 + 0.5) / x_samples as f32) * x_step - 0.5;
                        let point =
                            if x_samples > 1 { self.nearest(from_x, from_y) } else { self.between(from_x, from_y) };
                        for (sum, value) in sums.iter_mut().zip(point) {
                            *sum += value;
                        }
                    }
                }
                for (place, sum) in sums.into_iter().enumerate() {
                    values[(y * to_width + x) * 3 + place] = sum * scale;
                }
            }
        }
        values
    }

    fn point(&self, x: usize, y: usize) -> [f32; 3] {
        let from = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) * 3;
        [0, 1, 2].map(|place| f32::from(self.points[from + place]))
    }

    fn nearest(&self, x: f32, y: f32) -> [f32; 3] {
        self.point(x.round().max(0.0) as usize, y.round().max(0.0) as usize)
    }

    fn between(&self, x: f32, y: f32) -> [f32; 3] {
        let (x, y) = (x.max(0.0), y.max(0.0));
        let (left, top) = (x as usize, y as usize);
        let (right_share, bottom_share) = (x.fract(), y.fract());
        let row = |y| {
            let (one, other) = (self.point(left, y), self.point(left + 1, y));
            [0, 1, 2].map(|place| one[place] + (other[place] - one[place]) * right_share)
        };
        let (upper, lower) = (row(top), row(top + 1));
        [0, 1, 2].map(|place| upper[place] + (lower[place] - upper[place]) * bottom_share)
    }
}

/// A picture of not more points than are kept. Smaller ones stay as they are.
fn reduced(mut image: DynamicImage) -> DynamicImage {
    while u64::from(image.width()) * u64::from(image.height()) > KEPT_POINTS {
        // By halves each point is the mean of four.
        image = image.thumbnail_exact((image.width() / 2).max(1), (image.height() / 2).max(1));
    }
    image
}

pub(crate) fn file_error(error: image::ImageError) -> FileError {
    match error {
        image::ImageError::Limits(_) => {
            FileError::new(FileErrorKind::TooLarge, "The picture has more points than one file may have.")
        }
        image::ImageError::Unsupported(_) => {
            FileError::new(FileErrorKind::UnsupportedMedia, "No reader knows this kind of picture.")
        }
        _ => FileError::new(FileErrorKind::Corrupt, "The picture is cut short or damaged."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_a_large_picture_are_halved() {
        let image = |width, height| DynamicImage::ImageLuma8(image::GrayImage::new(width, height));
        for (width, height, expected) in [(8_001, 4_000, (4_000, 2_000)), (5_000, 5_000, (5_000, 5_000))] {
            let picture = Picture::from_image(image(width, height));
            assert_eq!((picture.width, picture.height), expected);
            assert_eq!(picture.points.len(), picture.width * picture.height * 3);
        }
    }

    #[test]
    fn picture_is_turned_and_scaled() {
        let picture = Picture { width: 2, height: 1, points: vec![0, 0, 0, 255, 255, 255] };
        let turned = picture.turned(1);
        assert_eq!((turned.width, turned.height, turned.points[0], turned.points[3]), (1, 2, 0, 255));
        assert_eq!(picture.turned(2).points[0], 255);
        assert_eq!(picture.turned(4).points, picture.points);
        assert_eq!(picture.scaled(0.0, 0.0, 2.0, 1.0, 1, 1), [127.5; 3]);
        let points: Vec<u8> = (0..18).collect();
        let picture = Picture { width: 3, height: 2, points };
        let [once, twice, thrice] = [1, 2, 3].map(|times| picture.turned(times));
        assert_eq!(once.turned(1).points, twice.points);
        assert_eq!(twice.turned(1).points, thrice.points);
        assert_eq!((thrice.width, thrice.height, &thrice.points[..3]), (2, 3, &[6, 7, 8][..]));
        assert_eq!(thrice.turned(1).points, picture.points);
    }
}
