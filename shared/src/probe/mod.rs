//! Probes: the health of a running process, and the findings of the doctor about each part.

mod health;

use std::{borrow::Cow, fmt};

pub use health::is_healthy;

/// The result of checking one part.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The part.
    pub part: Cow<'static, str>,
    /// Its state; or its fault and the remedy.
    pub result: Result<String, String>,
    /// Whether the part works but should be improved, as the text says.
    pub warning: bool,
}

impl Finding {
    /// The part works.
    pub fn ok(part: impl Into<Cow<'static, str>>, state: impl Into<String>) -> Self {
        Self::from_result(part, Ok(state.into()))
    }

    /// The part has a fault.
    pub fn wrong(part: impl Into<Cow<'static, str>>, fault: impl Into<String>) -> Self {
        Self::from_result(part, Err(fault.into()))
    }

    /// The part works but should be improved.
    pub fn warning(part: impl Into<Cow<'static, str>>, improvement: impl Into<String>) -> Self {
        Self { warning: true, ..Self::ok(part, improvement) }
    }

    /// [`Finding::ok`] or [`Finding::wrong`].
    pub fn from_result(part: impl Into<Cow<'static, str>>, result: Result<String, String>) -> Self {
        Self { part: part.into(), result, warning: false }
    }
}

/// One line of the doctor's output.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.result {
            Ok(text) if self.warning => ("warn", text),
            Ok(text) => ("ok", text),
            Err(text) => ("WRONG", text),
        };
        write!(f, "{:<28} {word:<6} {text}", self.part)
    }
}
