//! Recognition of text in pictures, in this process: PP-OCR models from a folder of the operator.

mod detect;
mod engine;
mod letters;
mod picture;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ExtractLimits;
pub(crate) use detect::Area;
pub(crate) use engine::{Engine, FoundLine};
pub use letters::Script;
pub(crate) use picture::Picture;

/// The files of the models in their folder: one finds lines, one reads them, and the letters that it knows.
pub const OCR_FILES: [&str; 3] = ["PP-OCRv6_det_small.rten", "PP-OCRv6_rec_small.rten", "ppocrv6_dict.txt"];
/// Most pages that are recognised in one file.
const MAX_PAGES: u32 = 500;

/// The share of a file's time in which pages are recognised.
const TIME_SHARE: f64 = 0.7;

/// When text in pictures is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OcrMode {
    /// Never.
    #[default]
    Never,
    /// In pictures, and on pages without readable text.
    Auto,
    /// In pictures and on all pages, whatever text they have.
    Always,
}

/// How text in pictures is recognised.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OcrSettings {
    /// When.
    pub mode: OcrMode,
    /// The folder of the models; without it no text is recognised.
    pub directory: Option<PathBuf>,
    /// The scripts of the text: only their letters are recognised. None: letters of all.
    #[serde(default)]
    pub scripts: Vec<Script>,
}

/// The place of a recognised line in a picture, and in a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineBox {
    pub(crate) bytes: Range<usize>,
    pub(crate) area: Area,
    pub(crate) confidence: f32,
}

/// The models, which are loaded when the first picture comes. Their files are opened before the process is confined.
#[derive(Default)]
pub(crate) struct Ocr {
    mode: OcrMode,
    scripts: Vec<Script>,
    files: Option<[File; 3]>,
    engine: Option<Engine>,
    /// When no further page is begun.
    until: Option<Instant>,
    pages: u32,
    confidence: f64,
    lines: usize,
}

impl Ocr {
    /// Opens the files of the models.
    pub(crate) fn open(settings: &OcrSettings) -> io::Result<Self> {
        let files = match (settings.mode, &settings.directory) {
            (OcrMode::Never, _) | (_, None) => None,
            (_, Some(directory)) => {
                let open = |name: &str| File::open(Path::new(directory).join(name));
                Some([open(OCR_FILES[0])?, open(OCR_FILES[1])?, open(OCR_FILES[2])?])
            }
        };
        Ok(Self { mode: settings.mode, scripts: settings.scripts.clone(), files, ..Self::default() })
    }

    /// Whether pictures can be read.
    pub(crate) fn is_ready(&self) -> bool {
        self.files.is_some()
    }

    /// Whether pages with text are read as pictures, too.
    pub(crate) fn is_always(&self) -> bool {
        self.is_ready() && self.mode == OcrMode::Always
    }

    /// Ends recognition when most of the time of a file is over, so that what was read is not lost.
    pub(crate) fn within(&mut self, limits: &ExtractLimits) {
        self.until = Some(Instant::now() + Duration::from_secs(limits.wall_seconds).mul_f64(TIME_SHARE));
    }

    /// The lines of a picture. `None`: it was not read, because the models are missing or many pages were read already.
    pub(crate) fn read(&mut self, picture: &Picture) -> Option<Vec<FoundLine>> {
        let files = self.files.as_mut()?;
        self.pages += 1;
        if self.pages > MAX_PAGES || self.until.is_some_and(|until| Instant::now() > until) {
            return None;
        }
        if self.engine.is_none() {
            self.engine = Some(load(files, &self.scripts)?);
        }
        let lines = self.engine.as_ref()?.read(picture);
        self.confidence += lines.iter().map(|line| f64::from(line.confidence)).sum::<f64>();
        self.lines += lines.len();
        Some(lines)
    }

    /// The mean confidence of all lines; `None`: none was read.
    pub(crate) fn confidence(&self) -> Option<f64> {
        (self.lines > 0).then(|| self.confidence / self.lines as f64)
    }
}

fn load(files: &mut [File; 3], scripts: &[Script]) -> Option<Engine> {
    let mut bytes = files.iter_mut().map(|file| {
        let mut bytes = Vec::new();
        file.rewind().ok()?;
        file.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    });
    let (detector, recognizer, letters) = (bytes.next()??, bytes.next()??, bytes.next()??);
    Engine::new(detector, recognizer, &String::from_utf8(letters).ok()?, scripts)
}
