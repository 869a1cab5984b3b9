//! Asking how things are: a running process of ours for its health, and every part that we stand on for the doctor.

mod health;

use std::{borrow::Cow, fmt};

pub use health::is_well;

/// What was found out about one part.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The part.
    pub part: Cow<'static, str>,
    /// How it is; or what is wrong with it, and what to do.
    pub outcome: Result<String, String>,
    /// Whether it works and could be better: the text says how.
    pub warning: bool,
}

impl Finding {
    /// All is well with it.
    pub fn fine(part: impl Into<Cow<'static, str>>, how: impl Into<String>) -> Self {
        Self::of(part, Ok(how.into()))
    }

    /// Something is wrong with it.
    pub fn wrong(part: impl Into<Cow<'static, str>>, what: impl Into<String>) -> Self {
        Self::of(part, Err(what.into()))
    }

    /// It works, and could be better.
    pub fn warning(part: impl Into<Cow<'static, str>>, what: impl Into<String>) -> Self {
        Self { warning: true, ..Self::fine(part, what) }
    }

    /// One or the other.
    pub fn of(part: impl Into<Cow<'static, str>>, outcome: Result<String, String>) -> Self {
        Self { part: part.into(), outcome, warning: false }
    }
}

/// One line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.outcome {
            Ok(text) if self.warning => ("warn", text),
            Ok(text) => ("ok", text),
            Err(text) => ("WRONG", text),
        };
        write!(f, "{:<28} {word:<6} {text}", self.part)
    }
}
