//! The weights of the legs of a hybrid search: those of the request, or those that the best hits by words suggest.
//!
//! - A best hit by words that has little of the query says little, the less so the fewer words it has: the text leg counts
//!   `coverage^(2 / words)` times.
//! - Few hits that have all words are probably what a query names: the vector leg counts `1 - 1 / complete_hits` times.

use super::{query::Weights, text_leg::WordMatch};

/// The exponent for one word: a hit with one of three words has a ninth of the weight.
const EXPONENT: f64 = 2.0;
/// The least weight, so that a leg still orders the hits that only it finds.
const MIN_WEIGHT: f64 = 0.01;

/// How a hybrid search has fused its legs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegWeights {
    /// The weights.
    pub weights: Weights,
    /// What the best hits by words have of the query.
    pub words: WordMatch,
}

impl LegWeights {
    /// The given weights, or those that follow from the words.
    pub(super) fn new(given: Option<Weights>, words: WordMatch) -> Self {
        Self { weights: given.unwrap_or_else(|| suggested(&words)), words }
    }

    /// How surely the best hits by words are what the query names, 0 to 1.
    pub(super) fn certainty(&self) -> f64 {
        certainty(&self.words)
    }
}

fn suggested(words: &WordMatch) -> Weights {
    let text = match words.words {
        0 => 0.0,
        count => words.coverage.powf(EXPONENT / count as f64),
    };
    Weights { text: text.max(MIN_WEIGHT), vector: (1.0 - certainty(words)).max(MIN_WEIGHT) }
}

fn certainty(words: &WordMatch) -> f64 {
    if words.complete_hits == 0 { 0.0 } else { 1.0 / words.complete_hits as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(coverage: f64, words: usize, complete_hits: usize) -> Weights {
        LegWeights::new(None, WordMatch { coverage, words, complete_hits }).weights
    }

    #[test]
    fn one_word_of_several_weighs_less_than_several_of_many() {
        let (one, two, many) = (weights(0.3, 1, 0), weights(0.3, 2, 0), weights(0.3, 8, 0));
        assert!((one.text - 0.09).abs() < 1e-9 && (two.text - 0.3).abs() < 1e-9 && many.text > 0.7);
        assert!([one, two, many].iter().all(|weights| weights.vector == 1.0));
    }

    #[test]
    fn vector_leg_weighs_less_the_fewer_hits_have_all_words() {
        assert_eq!(weights(1.0, 4, 1), Weights { text: 1.0, vector: MIN_WEIGHT });
        assert_eq!(weights(1.0, 1, 10), Weights { text: 1.0, vector: 0.9 });
    }

    #[test]
    fn search_without_hits_by_words_keeps_the_least_weight() {
        assert_eq!(weights(0.0, 0, 0), Weights { text: MIN_WEIGHT, vector: 1.0 });
    }

    #[test]
    fn given_weights_stay_as_they_are() {
        let given = Weights { text: 0.3, vector: 0.7 };
        let words = WordMatch { coverage: 1.0, words: 2, complete_hits: 1 };
        let fused = LegWeights::new(Some(given), words);
        assert_eq!((fused.weights, fused.certainty()), (given, 1.0));
    }
}
