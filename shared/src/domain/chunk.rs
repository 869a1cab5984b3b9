//! Limits of changes of chunks.

/// The most texts of a workspace that members have changed: searches read the list of disabled chunks.
pub const MAX_CHANGED_CHUNKS: u64 = 10_000;
/// The longest text, in characters, that a member can write for a chunk.
pub const MAX_TEXT_CHARS: usize = 20_000;
