//! Counts tokens and finds their byte ranges.

use std::path::Path;
use std::sync::Arc;

use tokenizers::utils::truncation::{TruncationDirection, TruncationParams, truncate_encodings};

use super::OpenModelError;

/// Bytes of a word that count as one token where the model's own tokenizer is unknown. Common tokenizers average 4 in English and
/// less in other languages. The estimate must not be too low, because servers reject passages that are too long.
const BYTES_PER_TOKEN: usize = 3;

/// The tokenizer of a model, or an estimate of one. Clones share the vocabulary.
#[derive(Clone)]
pub struct Tokenizer {
    /// `None`: estimate.
    model: Option<Arc<tokenizers::Tokenizer>>,
}

impl Tokenizer {
    /// Reads a published `tokenizer.json`. Its truncation and padding are ignored, because the encoder does both itself.
    pub(super) fn from_file(path: &Path) -> Result<Self, OpenModelError> {
        let invalid =
            |error: tokenizers::Error| OpenModelError::Model { path: path.to_path_buf(), reason: error.to_string() };
        let mut model = tokenizers::Tokenizer::from_file(path).map_err(invalid)?;
        model.with_truncation(None).map_err(invalid)?;
        model.with_padding(None);
        Ok(Self { model: Some(Arc::new(model)) })
    }

    /// A tokenizer that counts every three bytes of a word as a token.
    #[must_use]
    pub fn estimate() -> Self {
        Self { model: None }
    }

    /// The number of tokens, without special tokens.
    pub fn count(&self, text: &str) -> usize {
        match &self.model {
            Some(model) => {
                model.encode_fast(text, false).map_or_else(|_| estimate(text).count(), |encoding| encoding.len())
            }
            None => estimate(text).count(),
        }
    }

    /// The byte range of every token, in order, without special tokens. Ranges start and end at character boundaries; tokens that
    /// share a character (a byte-level vocabulary splits rare ones) overlap there.
    pub fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        match &self.model {
            Some(model) => model
                .encode(text, false)
                .map_or_else(|_| estimate(text).collect(), |encoding| encoding.get_offsets().to_vec()),
            None => estimate(text).collect(),
        }
    }

    /// The number of special tokens that the model adds to a text.
    pub(super) fn specials(&self) -> usize {
        use tokenizers::PostProcessor;
        self.model.as_ref().and_then(|model| model.get_post_processor()).map_or(0, |added| added.added_tokens(false))
    }

    /// The ids of a text with special tokens, truncated to `max_tokens` in all.
    pub(super) fn ids(&self, text: &str, max_tokens: usize) -> Result<Vec<u32>, tokenizers::Error> {
        let model = self.model.as_ref().ok_or("an estimate has no ids")?;
        let mut encoding = model.encode_fast(text, false)?;
        encoding.truncate(max_tokens - self.specials(), 0, TruncationDirection::Right);
        Ok(model.post_process(encoding, None, true)?.get_ids().to_vec())
    }

    /// The number of tokens that the vocabulary has; 0 for an estimate.
    pub(super) fn vocabulary(&self) -> usize {
        self.model.as_ref().map_or(0, |model| model.get_vocab_size(true))
    }

    /// The number of special tokens that the model adds to a pair of texts.
    pub(super) fn pair_specials(&self) -> usize {
        use tokenizers::PostProcessor;
        self.model.as_ref().and_then(|model| model.get_post_processor()).map_or(0, |added| added.added_tokens(true))
    }

    /// The ids of two texts with special tokens, truncated to `max_tokens` in all: of the longer text first.
    pub(super) fn pair(&self, first: &str, second: &str, max_tokens: usize) -> Result<PairIds, tokenizers::Error> {
        let model = self.model.as_ref().ok_or("an estimate has no ids")?;
        let (first, second) = (model.encode_fast(first, false)?, model.encode_fast(second, false)?);
        let max_length = max_tokens.saturating_sub(self.pair_specials());
        let params = TruncationParams { max_length, ..TruncationParams::default() };
        let (first, second) = truncate_encodings(first, Some(second), &params)?;
        let pair = model.post_process(first, second, true)?;
        let second = pair.get_type_ids().iter().position(|kind| *kind == 1).unwrap_or(pair.len());
        Ok(PairIds { ids: pair.get_ids().to_vec(), second })
    }
}

/// The tokens of a pair of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PairIds {
    /// The ids of both texts, with special tokens.
    pub(super) ids: Vec<u32>,
    /// The place of the first token of the second text.
    pub(super) second: usize,
}

/// Splits every word into pieces of [`BYTES_PER_TOKEN`] bytes (at least a character); every other visible character is a token.
fn estimate(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = rest.find(|(_, c)| !c.is_whitespace())?;
        let mut end = start + first.len_utf8();
        if first.is_alphanumeric() {
            while let Some((at, c)) =
                rest.next_if(|(at, c)| c.is_alphanumeric() && at + c.len_utf8() - start <= BYTES_PER_TOKEN)
            {
                end = at + c.len_utf8();
            }
        }
        Some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use super::Tokenizer;

    #[test]
    fn estimate_splits_words_at_character_boundaries() {
        let text = "Blätter, 12 水!";
        let tokens: Vec<_> =
            Tokenizer::estimate().offsets(text).into_iter().map(|(start, end)| &text[start..end]).collect();
        assert_eq!(tokens, ["Bl", "ät", "ter", ",", "12", "水", "!"]);
        assert_eq!(Tokenizer::estimate().count(text), tokens.len());
    }

    #[test]
    fn blank_text_has_no_tokens() {
        assert_eq!(Tokenizer::estimate().count(" \n\t"), 0);
    }
}
