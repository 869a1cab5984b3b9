use serde::{Deserialize, Serialize};

/// The limits of reading one file. A file that exceeds one fails with the error kind named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractLimits {
    /// Address space of the child in bytes, its own code included. More is `out_of_memory`.
    pub memory_bytes: u64,
    /// Seconds of wall-clock time, and of CPU time, without the recognition of text in pictures. More is `timed_out`.
    pub wall_seconds: u64,
    /// Pages of a paged file. More is `too_large`.
    pub max_pages: u32,
    /// Bytes of extracted text, and of a text file itself. More is `too_large`.
    pub max_text_bytes: u64,
    /// Bytes that a compressed container may unfold to. More is `too_large`.
    pub max_expanded_bytes: u64,
    /// Whether what is read before a failure, of the file or of a limit, is a document, too, with the failure in
    /// [`Document::failure`](crate::Document::failure). `out_of_memory` may leave none.
    #[serde(default)]
    pub partial: bool,
}

/// How many times the time of a file the recognition of its pages may take.
const RECOGNITION_TIMES: u64 = 10;

impl ExtractLimits {
    /// Further seconds in which text in pictures is recognised: pages take seconds each. More is `timed_out`.
    #[must_use]
    pub const fn recognition_seconds(&self) -> u64 {
        self.wall_seconds.saturating_mul(RECOGNITION_TIMES)
    }
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            wall_seconds: 120,
            max_pages: 5_000,
            max_text_bytes: 32 << 20,
            max_expanded_bytes: 256 << 20,
            partial: false,
        }
    }
}
