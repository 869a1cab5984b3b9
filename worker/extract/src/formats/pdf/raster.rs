//! Pages as pictures, for the recognition of text: fills, strokes, letters and pictures, without blending and clips.

use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, FillRule, Image, ImageData, ImageDrawProps,
    InterpreterCache, InterpreterSettings, LumaData, Paint, SoftMask, interpret_page,
};
use tiny_skia::{
    Color, FilterQuality, Paint as Brush, PathBuilder, Pattern, Pixmap, PremultipliedColorU8, Rect as SkiaRect, Shader,
    SpreadMode, Stroke, Transform,
};

use crate::ocr::Picture;
use hayro_interpret::kurbo::{Affine, BezPath, PathEl, Rect};

/// Longest side of the picture of a page.
const SIDE: f32 = 1_800.0;

/// The picture of a page, and whether anything is on it.
pub(super) fn picture<'a>(page: &Page<'a>, pdf: &'a Pdf, cache: &InterpreterCache<'a>) -> Option<Picture> {
    let (width, height) = page.render_dimensions();
    let scale = SIDE / width.max(height).max(1.0);
    let (to_width, to_height) = ((width * scale).ceil().max(1.0) as u32, (height * scale).ceil().max(1.0) as u32);
    let mut pixmap = Pixmap::new(to_width, to_height)?;
    pixmap.fill(Color::WHITE);
    let area = Rect::new(0.0, 0.0, f64::from(to_width), f64::from(to_height));
    let transform = Affine::scale(f64::from(scale)) * Affine::new(page.initial_transform(true).as_coeffs());
    let mut context = Context::new(transform, area, cache, pdf.xref(), InterpreterSettings::default());
    let mut canvas = Canvas { pixmap, is_marked: false };
    interpret_page(page, &mut context, &mut canvas);
    if !canvas.is_marked {
        return None;
    }
    let points = canvas.pixmap.pixels().iter().flat_map(|point| [point.red(), point.green(), point.blue()]).collect();
    Some(Picture { width: to_width as usize, height: to_height as usize, points })
}

struct Canvas {
    pixmap: Pixmap,
    is_marked: bool,
}

fn skia(transform: Affine) -> Transform {
    let [a, b, c, d, e, f] = transform.as_coeffs().map(|value| value as f32);
    Transform::from_row(a, b, c, d, e, f)
}

fn path(path: &BezPath) -> Option<tiny_skia::Path> {
    let mut builder = PathBuilder::new();
    for element in path.elements() {
        match *element {
            PathEl::MoveTo(to) => builder.move_to(to.x as f32, to.y as f32),
            PathEl::LineTo(to) => builder.line_to(to.x as f32, to.y as f32),
            PathEl::QuadTo(by, to) => builder.quad_to(by.x as f32, by.y as f32, to.x as f32, to.y as f32),
            PathEl::CurveTo(one, two, to) => {
                builder.cubic_to(one.x as f32, one.y as f32, two.x as f32, two.y as f32, to.x as f32, to.y as f32);
            }
            PathEl::ClosePath => builder.close(),
        }
    }
    builder.finish()
}

fn brush(paint: &Paint<'_>) -> Brush<'static> {
    let [red, green, blue, alpha] = match paint {
        Paint::Color(color) => color.to_rgba().to_rgba8(),
        // Patterns are backgrounds more often than letters.
        Paint::Pattern(_) => [235, 235, 235, 255],
    };
    Brush {
        shader: Shader::SolidColor(Color::from_rgba8(red, green, blue, alpha)),
        anti_alias: true,
        ..Brush::default()
    }
}

impl Canvas {
    fn draw(&mut self, shape: &BezPath, paint: &Paint<'_>, mode: &DrawMode, transform: Affine) {
        let Some(shape) = path(shape) else { return };
        let fill = |rule: &FillRule| match rule {
            FillRule::NonZero => tiny_skia::FillRule::Winding,
            FillRule::EvenOdd => tiny_skia::FillRule::EvenOdd,
        };
        let brush = brush(paint);
        if let DrawMode::Fill(rule) | DrawMode::FillAndStroke(rule, _) = mode {
            self.pixmap.fill_path(&shape, &brush, fill(rule), skia(transform), None);
        }
        if let DrawMode::Stroke(stroke) | DrawMode::FillAndStroke(_, stroke) = mode {
            let stroke = Stroke { width: stroke.line_width, ..Stroke::default() };
            self.pixmap.stroke_path(&shape, &brush, &stroke, skia(transform), None);
        }
    }

    /// Draws a picture whose points are given by number.
    fn put(&mut self, width: u32, height: u32, transform: Affine, point: impl Fn(usize) -> [u8; 4]) {
        let Some(mut source) = Pixmap::new(width, height) else { return };
        for (place, target) in source.pixels_mut().iter_mut().enumerate() {
            let [red, green, blue, alpha] = point(place);
            let scaled = |value: u8| (u16::from(value) * u16::from(alpha) / 255) as u8;
            if let Some(color) = PremultipliedColorU8::from_rgba(scaled(red), scaled(green), scaled(blue), alpha) {
                *target = color;
            }
        }
        // Much larger pictures are made smaller by halves, so that thin lines stay.
        let mut transform = transform;
        let [a, b, c, d, ..] = transform.as_coeffs();
        let mut ratio = (a.hypot(b)).max(c.hypot(d));
        while ratio < 0.6 && source.width() > 1 && source.height() > 1 {
            let Some(half) = halved(&source) else { break };
            let (x, y) = (
                f64::from(source.width()) / f64::from(half.width()),
                f64::from(source.height()) / f64::from(half.height()),
            );
            transform *= Affine::scale_non_uniform(x, y);
            ratio *= 2.0;
            source = half;
        }
        let pattern =
            Pattern::new(source.as_ref(), SpreadMode::Pad, FilterQuality::Bilinear, 1.0, Transform::identity());
        let brush = Brush { shader: pattern, ..Brush::default() };
        if let Some(area) = SkiaRect::from_xywh(0.0, 0.0, source.width() as f32, source.height() as f32) {
            self.pixmap.fill_rect(area, &brush, skia(transform), None);
        }
        self.is_marked = true;
    }
}

fn halved(source: &Pixmap) -> Option<Pixmap> {
    let (width, height) = (source.width().div_ceil(2), source.height().div_ceil(2));
    let mut half = Pixmap::new(width, height)?;
    let (from, from_width, from_height) = (source.pixels(), source.width() as usize, source.height() as usize);
    for (place, target) in half.pixels_mut().iter_mut().enumerate() {
        let (x, y) = (place % width as usize * 2, place / width as usize * 2);
        let at = |x: usize, y: usize| from[y.min(from_height - 1) * from_width + x.min(from_width - 1)];
        let four = [at(x, y), at(x + 1, y), at(x, y + 1), at(x + 1, y + 1)];
        let mean = |value: fn(&PremultipliedColorU8) -> u8| {
            (four.iter().map(|point| u16::from(value(point))).sum::<u16>() / 4) as u8
        };
        let [red, green, blue, alpha] = [
            mean(|point| point.red()),
            mean(|point| point.green()),
            mean(|point| point.blue()),
            mean(|point| point.alpha()),
        ];
        if let Some(color) = PremultipliedColorU8::from_rgba(red.min(alpha), green.min(alpha), blue.min(alpha), alpha) {
            *target = color;
        }
    }
    Some(half)
}

impl<'a> Device<'a> for Canvas {
    fn draw_path(&mut self, shape: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        self.draw(shape, &props.paint, mode, props.transform);
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        if matches!(mode, DrawMode::Invisible) {
            return;
        }
        for glyph in run.glyphs() {
            self.is_marked = true;
            match &**glyph {
                Glyph::Outline(outline) => {
                    self.draw(&outline.outline(), &props.paint, mode, props.transform * glyph.transform());
                }
                Glyph::Type3(type3) => type3.interpret(self, props.transform, glyph.transform(), &props.paint),
            }
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        let [a, b, c, d, ..] = props.transform.as_coeffs();
        let target = (
            (a.hypot(b) * f64::from(image.width())).ceil() as u32,
            (c.hypot(d) * f64::from(image.height())).ceil() as u32,
        );
        let scaled = |factors: (f32, f32)| {
            props.transform * Affine::scale_non_uniform(f64::from(factors.0), f64::from(factors.1))
        };
        match image {
            Image::Stencil(stencil) => stencil.with_stencil(
                |mask, paint| {
                    let [red, green, blue, _] = match paint {
                        Paint::Color(color) => color.to_rgba().to_rgba8(),
                        Paint::Pattern(_) => [0, 0, 0, 255],
                    };
                    let data = mask.data;
                    self.put(mask.width, mask.height, scaled(mask.scale_factors), |place| {
                        [red, green, blue, data.get(place).copied().unwrap_or(0)]
                    });
                },
                Some(target),
            ),
            Image::Raster(raster) => raster.with_rgba(
                |data, alpha| {
                    let (width, height) = (data.width(), data.height());
                    let alpha: Option<LumaData> = alpha.filter(|alpha| alpha.width == width && alpha.height == height);
                    let opacity =
                        |place: usize| alpha.as_ref().and_then(|alpha| alpha.data.get(place)).copied().unwrap_or(255);
                    let transform = scaled(data.scale_factors());
                    match &data {
                        ImageData::Rgb(rgb) => self.put(width, height, transform, |place| {
                            let point = |channel: usize| rgb.data.get(place * 3 + channel).copied().unwrap_or(255);
                            [point(0), point(1), point(2), opacity(place)]
                        }),
                        ImageData::Luma(luma) => self.put(width, height, transform, |place| {
                            let value = luma.data.get(place).copied().unwrap_or(255);
                            [value, value, value, opacity(place)]
                        }),
                    }
                },
                Some(target),
            ),
        }
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_clip_rect(&mut self, _: &Rect) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
