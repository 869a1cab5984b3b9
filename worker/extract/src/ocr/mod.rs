//! Recognition of text in pictures, in this process: PP-OCR models from a folder of the operator.

mod detect;
mod engine;
mod letters;
mod picture;
mod time;

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ExtractLimits, FileError, FileErrorKind};
pub(crate) use detect::Area;
pub(crate) use engine::{Engine, FoundLine};
pub use letters::Script;
pub(crate) use picture::Picture;
use time::RecognitionTime;

/// The files of the models in their folder: one finds lines, one reads them, and the letters that it knows.
pub const OCR_FILES: [&str; 3] = ["PP-OCRv6_det_small.rten", "PP-OCRv6_rec_small.rten", "ppocrv6_dict.txt"];
/// Most pages that are recognised in one file.
const MAX_PAGES: u32 = 500;

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

impl OcrSettings {
    /// Whether text is recognised where the models are in their folder.
    pub(crate) fn is_on(&self) -> bool {
        self.mode != OcrMode::Never && self.directory.is_some()
    }
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
    /// Why the models cannot be loaded.
    model_failure: Option<String>,
    time: RecognitionTime,
    pages: u32,
    confidence: f64,
    found: usize,
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

    /// Sets the limits of a file, after the limits of the process are set.
    pub(crate) fn within(&mut self, limits: &ExtractLimits) {
        self.time = RecognitionTime::within(limits);
    }

    /// The time that recognition took.
    pub(crate) fn spent(&self) -> Duration {
        self.time.spent()
    }

    /// The lines of a picture; `None`: there is no picture. Its making counts as recognition.
    ///
    /// # Errors
    /// `unsupported_media` without usable models; `too_large` and `timed_out` if many pages were read already.
    pub(crate) fn read<P: Borrow<Picture>>(
        &mut self,
        picture: impl FnOnce() -> Option<P>,
    ) -> Result<Option<Vec<FoundLine>>, FileError> {
        if self.pages >= MAX_PAGES {
            let detail = "There are more pages without text than are recognised in one file.";
            return Err(FileError::new(FileErrorKind::TooLarge, detail));
        }
        if self.time.is_over() {
            let detail = "Recognising the text of all pages takes longer than one file may take.";
            return Err(FileError::new(FileErrorKind::TimedOut, detail));
        }
        let began = self.time.begin();
        let lines = picture().map(|picture| self.lines(picture.borrow())).transpose();
        self.time.end(began);
        lines
    }

    fn lines(&mut self, picture: &Picture) -> Result<Vec<FoundLine>, FileError> {
        let missing = || FileError::new(FileErrorKind::UnsupportedMedia, "Text in pictures is not recognised here.");
        self.pages += 1;
        if self.engine.is_none() {
            match load(self.files.as_mut().ok_or_else(missing)?, &self.scripts) {
                Ok(engine) => self.engine = Some(engine),
                Err(reason) => self.model_failure = Some(reason),
            }
        }
        let lines = self.engine.as_ref().ok_or_else(missing)?.read(picture);
        self.confidence += lines.iter().map(|line| f64::from(line.confidence)).sum::<f64>();
        self.found += lines.len();
        Ok(lines)
    }

    /// Why the models of this process cannot be loaded. The failure of the file is a consequence then.
    pub(crate) fn model_failure(&self) -> Option<&str> {
        self.model_failure.as_deref()
    }

    /// The mean confidence of all lines; `None`: none was read.
    pub(crate) fn confidence(&self) -> Option<f64> {
        (self.found > 0).then(|| self.confidence / self.found as f64)
    }
}

/// Loads the models, or says why they cannot be.
fn load(files: &mut [File; 3], scripts: &[Script]) -> Result<Engine, String> {
    let mut read = |place: usize| -> Result<Vec<u8>, String> {
        let failed = |error: io::Error| format!("{} cannot be read: {error}", OCR_FILES[place]);
        let mut bytes = Vec::new();
        files[place].rewind().map_err(failed)?;
        files[place].read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    };
    let (detector, recognizer, letters) = (read(0)?, read(1)?, read(2)?);
    let letters = String::from_utf8(letters).map_err(|error| format!("{} is no text: {error}", OCR_FILES[2]))?;
    Engine::new(detector, recognizer, &letters, scripts)
}
