//! The two models: one finds lines in a picture, the other reads them.

use rten::{Model, ValueView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};

use super::detect::{Area, areas};
use super::letters::Letters;
use super::{OCR_FILES, Picture, Script};

/// Longest side of the picture in which lines are searched.
const SEARCH_SIDE: usize = 1_280;
/// Height of the picture of a line that is read.
const LINE_HEIGHT: usize = 48;
/// Longest picture of a line that is read.
const MAX_LINE_WIDTH: usize = 3_200;
/// Most lines of a picture.
const MAX_LINES: usize = 2_000;
/// Confidence below which a line is no text.
const MIN_CONFIDENCE: f32 = 0.5;
/// Mean confidence below which the picture may be upside down.
const DOUBTFUL: f32 = 0.75;

/// A line of text in a picture.
#[derive(Clone, Debug)]
pub(crate) struct FoundLine {
    pub(crate) text: String,
    pub(crate) confidence: f32,
    /// Its place in the upright picture, in which it is read.
    pub(crate) upright: Area,
    /// Whether the upright picture is the given one turned by 90 degrees: its width is the height of that one.
    pub(crate) is_sideways: bool,
    /// Its place in the picture as it is given, which may be turned.
    pub(crate) area: Area,
}

/// The models.
pub(crate) struct Engine {
    detector: Model,
    recognizer: Model,
    letters: Letters,
}

impl Engine {
    /// Loads the models, or says why they cannot be. With scripts, only letters of them are read.
    pub(crate) fn new(
        detector: Vec<u8>,
        recognizer: Vec<u8>,
        letters: &str,
        scripts: &[Script],
    ) -> Result<Self, String> {
        let load = |bytes: Vec<u8>, name: &str| {
            Model::load(bytes).map_err(|error| format!("{name} cannot be loaded: {error}"))
        };
        Ok(Self {
            detector: load(detector, OCR_FILES[0])?,
            recognizer: load(recognizer, OCR_FILES[1])?,
            letters: Letters::new(letters, scripts),
        })
    }

    /// The lines of a picture, which may be turned: most text tells how.
    pub(crate) fn read(&self, picture: &Picture) -> Vec<FoundLine> {
        let found = self.find(picture);
        let tall = found.iter().filter(|area| is_tall(area, picture)).count();
        if tall * 2 > found.len() {
            let turned = [0, 1, 3].map(|times| self.read_turned(picture, times));
            let best = turned.into_iter().max_by(|one, other| mean(one).total_cmp(&mean(other)));
            return best.unwrap_or_default();
        }
        let lines = self.read_areas(picture, &found);
        if !found.is_empty() && mean(&lines) < DOUBTFUL {
            let turned = self.read_turned(picture, 2);
            if mean(&turned) > mean(&lines) + 0.1 {
                return turned;
            }
        }
        lines.into_iter().filter(|line| line.confidence >= MIN_CONFIDENCE).collect()
    }

    /// The lines of a picture that is turned by 90 degrees clockwise first, so many times.
    fn read_turned(&self, picture: &Picture, times: usize) -> Vec<FoundLine> {
        let turned = picture.turned(times);
        let lines = self.read_areas(&turned, &self.find(&turned)).into_iter();
        let lines = lines.filter(|line| line.confidence >= MIN_CONFIDENCE);
        let is_sideways = !times.is_multiple_of(2);
        lines.map(|line| FoundLine { area: line.upright.turned_back(times), is_sideways, ..line }).collect()
    }

    /// Where lines are.
    fn find(&self, picture: &Picture) -> Vec<Area> {
        let longest = picture.width.max(picture.height).max(1);
        let scale = (SEARCH_SIDE as f32 / longest as f32).min(2.0);
        let side = |length: usize| ((length as f32 * scale / 32.0).round() as usize).clamp(1, SEARCH_SIDE / 32) * 32;
        let (width, height) = (side(picture.width), side(picture.height));
        let values = picture.scaled(0.0, 0.0, picture.width as f32, picture.height as f32, width, height);
        let (means, deviations) = ([0.406, 0.456, 0.485], [0.225, 0.224, 0.229]);
        let mut input = NdTensor::<f32, 4>::zeros([1, 3, height, width]);
        fill(&mut input, &values, width, |value, channel| (value / 255.0 - means[channel]) / deviations[channel]);
        let Some(map) = run(&self.detector, input.view()) else { return Vec::new() };
        let shape = map.shape().to_vec();
        let [.., map_height, map_width] = shape.as_slice() else { return Vec::new() };
        let values = map.to_vec();
        let mut found = areas(&values[..(map_height * map_width).min(values.len())], *map_width, *map_height);
        found.truncate(MAX_LINES);
        found
    }

    fn read_areas(&self, picture: &Picture, found: &[Area]) -> Vec<FoundLine> {
        found.iter().filter_map(|area| self.read_area(picture, area)).collect()
    }

    fn read_area(&self, picture: &Picture, area: &Area) -> Option<FoundLine> {
        let (left, top) = (area.left * picture.width as f32, area.top * picture.height as f32);
        let (width, height) =
            ((area.right - area.left) * picture.width as f32, (area.bottom - area.top) * picture.height as f32);
        let to_width = (LINE_HEIGHT as f32 * width / height.max(1.0)).ceil() as usize;
        let to_width = to_width.clamp(LINE_HEIGHT / 3, MAX_LINE_WIDTH);
        let values = picture.scaled(left, top, width, height, to_width, LINE_HEIGHT);
        // The model is used to lines of some length.
        let padded = to_width.max(320);
        let mut input = NdTensor::<f32, 4>::zeros([1, 3, LINE_HEIGHT, padded]);
        fill(&mut input, &values, to_width, |value, _| value / 127.5 - 1.0);
        let output = run(&self.recognizer, input.view())?;
        let shape = output.shape().to_vec();
        let [_, steps, classes] = shape.as_slice() else { return None };
        let (text, confidence) = self.letters.read(&output.to_vec(), *steps, *classes);
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(FoundLine { text, confidence, upright: *area, is_sideways: false, area: *area })
    }
}

/// Fills a tensor with the points of a picture; the models take blue first.
fn fill(input: &mut NdTensor<f32, 4>, values: &[f32], width: usize, value: impl Fn(f32, usize) -> f32) {
    for (place, point) in values.chunks_exact(3).enumerate() {
        for channel in 0..3 {
            input[[0, channel, place / width, place % width]] = value(point[2 - channel], channel);
        }
    }
}

fn run(model: &Model, input: NdTensorView<'_, f32, 4>) -> Option<rten_tensor::Tensor<f32>> {
    let output = model.run_one(ValueView::from(input).into(), None).ok()?;
    output.into_tensor::<f32>()
}

fn is_tall(area: &Area, picture: &Picture) -> bool {
    (area.bottom - area.top) * picture.height as f32 > 1.5 * (area.right - area.left) * picture.width as f32
}

/// The mean confidence of lines, longer ones count more.
fn mean(lines: &[FoundLine]) -> f32 {
    let letters: f32 = lines.iter().map(|line| line.text.len() as f32).sum();
    lines.iter().map(|line| line.confidence * line.text.len() as f32).sum::<f32>() / letters.max(1.0)
}
