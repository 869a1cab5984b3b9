//! The forward pass of a BERT-family encoder (BERT, MiniLM, E5, BGE, GTE-like, RoBERTa): turns each token sequence into a vector.
//!
//! The tokens of several sequences are concatenated without padding: the linear layers process one tall matrix, attention works
//! within each sequence. So nothing is computed for padding, and batches need no sorting by length.

use std::ops::Range;

use super::config::{ModelConfig, Pooling};
use super::matmul::{Panels, RowView, multiply};
use super::rowwise::{add_and_normalise, gelu, softmax};
use super::weights::Weights;
use crate::tokenizer::PairIds;
use crate::{OpenModelError, to_unit_length};

/// RowView worked on at a time where rows are independent: their intermediate results stay in the second-level cache.
const BLOCK_ROWS: usize = 96;

/// A loaded model; immutable, shared by all threads.
pub(super) struct Encoder {
    hidden: usize,
    heads: usize,
    intermediate: usize,
    epsilon: f32,
    pooling: Pooling,
    words: Vec<f32>,
    /// Position embedding plus the embedding of token type 0, the type of every token of a single text.
    positions: Vec<f32>,
    /// The difference between the embeddings of token types 1 and 0, for the second text of a pair; 0 if there is one type.
    second_type: Vec<f32>,
    /// Layer normalisation of the embeddings.
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Query, key and value side by side: one product instead of three. The query is scaled by 1 / sqrt(head size).
    qkv: Panels,
    attended: Panels,
    attention_norm: Norm,
    up: Panels,
    down: Panels,
    norm: Norm,
}

struct Norm {
    gain: Vec<f32>,
    shift: Vec<f32>,
}

/// Buffers of one thread, reused between calls.
#[derive(Default)]
pub(super) struct Scratch {
    hidden: Vec<f32>,
    qkv: Vec<f32>,
    context: Vec<f32>,
    scores: Vec<f32>,
    inner: Vec<f32>,
    added: Vec<f32>,
    keys: Panels,
    values: Panels,
}

impl Encoder {
    /// Reads the tensors that `config` requires.
    pub(super) fn load(config: &ModelConfig, weights: &mut Weights) -> Result<Self, OpenModelError> {
        let ModelConfig { hidden, heads, intermediate, layers, vocabulary, positions, first_position, .. } = *config;
        let words = weights.read("embeddings.word_embeddings.weight", &[vocabulary, hidden])?;
        let types = match weights.shape("embeddings.token_type_embeddings.weight").map(<[usize]>::to_vec) {
            Some(shape) => weights.read("embeddings.token_type_embeddings.weight", &shape)?,
            None => vec![0.0; hidden],
        };
        let second_type = match types.get(hidden..2 * hidden) {
            Some(second) => second.iter().zip(&types).map(|(second, first)| second - first).collect(),
            None => vec![0.0; hidden],
        };
        let mut places = weights.read("embeddings.position_embeddings.weight", &[positions, hidden])?;
        places.drain(..first_position * hidden);
        for place in places.chunks_exact_mut(hidden) {
            place.iter_mut().zip(&types[..hidden]).for_each(|(place, kind)| *place += kind);
        }
        Ok(Self {
            hidden,
            heads,
            intermediate,
            epsilon: config.epsilon,
            pooling: config.pooling,
            words,
            positions: places,
            second_type,
            norm: norm(weights, "embeddings.LayerNorm", hidden)?,
            layers: (0..layers)
                .map(|layer| {
                    let name = |part: &str| format!("encoder.layer.{layer}.{part}");
                    Ok(Layer {
                        qkv: fused(weights, &name("attention.self"), hidden, heads)?,
                        attended: linear(weights, &name("attention.output.dense"), hidden, hidden)?,
                        attention_norm: norm(weights, &name("attention.output.LayerNorm"), hidden)?,
                        up: linear(weights, &name("intermediate.dense"), hidden, intermediate)?,
                        down: linear(weights, &name("output.dense"), intermediate, hidden)?,
                        norm: norm(weights, &name("output.LayerNorm"), hidden)?,
                    })
                })
                .collect::<Result<_, OpenModelError>>()?,
        })
    }

    /// The vectors of `sequences` of token ids, each of unit length. No sequence is empty or longer than the model's positions.
    pub(super) fn encode(&self, sequences: &[Vec<u32>], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let spans = self.run(sequences.iter().map(|ids| (ids.as_slice(), ids.len())), scratch);
        spans.into_iter().map(|span| self.pool(span, &scratch.hidden)).collect()
    }

    /// The vectors of the first tokens of pairs of texts, one after the other. No pair is longer than the model's positions.
    pub(super) fn encode_pairs(&self, pairs: &[PairIds], scratch: &mut Scratch) -> Vec<f32> {
        let spans = self.run(pairs.iter().map(|pair| (pair.ids.as_slice(), pair.second)), scratch);
        let mut vectors = Vec::with_capacity(pairs.len() * self.hidden);
        for span in spans {
            vectors.extend_from_slice(&scratch.hidden[span.start * self.hidden..][..self.hidden]);
        }
        vectors
    }

    /// Computes the vectors of all tokens, in `scratch.hidden`; returns the rows of each sequence. With a sequence comes the place
    /// of its first token of type 1, which is its length if it has none.
    fn run<'a>(
        &self,
        sequences: impl ExactSizeIterator<Item = (&'a [u32], usize)>,
        scratch: &mut Scratch,
    ) -> Vec<Range<usize>> {
        let mut spans = Vec::with_capacity(sequences.len());
        scratch.hidden.clear();
        for (sequence, second) in sequences {
            let start = scratch.hidden.len() / self.hidden;
            for (place, token) in sequence.iter().enumerate() {
                let word = &self.words[*token as usize * self.hidden..][..self.hidden];
                let position = &self.positions[place * self.hidden..][..self.hidden];
                let row = scratch.hidden.len();
                scratch.hidden.extend(word.iter().zip(position).map(|(word, place)| word + place));
                if place >= second {
                    let values = scratch.hidden[row..].iter_mut();
                    values.zip(&self.second_type).for_each(|(value, kind)| *value += kind);
                }
            }
            spans.push(start..start + sequence.len());
        }
        let total = scratch.hidden.len() / self.hidden;
        fit(&mut scratch.added, total * self.hidden).fill(0.0);
        self.normalise(&self.norm, &mut scratch.hidden, &scratch.added);

        for layer in &self.layers {
            self.attend(layer, &spans, scratch);
            self.mix(layer, scratch);
            self.feed_forward(layer, scratch);
        }
        spans
    }

    /// Self-attention of each sequence: from `scratch.hidden` into `scratch.context`.
    fn attend(&self, layer: &Layer, spans: &[Range<usize>], scratch: &mut Scratch) {
        let Scratch { hidden, qkv, context, scores, keys, values, .. } = scratch;
        let (wide, size) = (3 * self.hidden, self.hidden / self.heads);
        let total = hidden.len() / self.hidden;
        let qkv = fit(qkv, total * wide);
        let context = fit(context, total * self.hidden);
        multiply(RowView { data: hidden, stride: self.hidden, count: total }, &layer.qkv, qkv, wide);

        for span in spans {
            let length = span.len();
            let qkv = &qkv[span.start * wide..span.end * wide];
            for head in (0..self.hidden).step_by(size) {
                let key = &qkv[self.hidden + head..];
                let value = &qkv[2 * self.hidden + head..];
                keys.refill(size, length, |k, column| key[column * wide + k]);
                values.refill(length, size, |k, column| value[k * wide + column]);
                for first in (0..length).step_by(BLOCK_ROWS) {
                    let count = BLOCK_ROWS.min(length - first);
                    let scores = fit(scores, count * length);
                    let query = RowView { data: &qkv[first * wide + head..], stride: wide, count };
                    multiply(query, keys, scores, length);
                    softmax(scores, length);
                    let out = &mut context[(span.start + first) * self.hidden + head..];
                    multiply(RowView { data: scores, stride: length, count }, values, out, self.hidden);
                }
            }
        }
    }

    /// Projects the attention output and adds it to the tokens.
    fn mix(&self, layer: &Layer, scratch: &mut Scratch) {
        let Scratch { hidden, context, added, .. } = scratch;
        for (hidden, context) in
            hidden.chunks_mut(BLOCK_ROWS * self.hidden).zip(context.chunks(BLOCK_ROWS * self.hidden))
        {
            let count = hidden.len() / self.hidden;
            let added = fit(added, hidden.len());
            multiply(RowView { data: context, stride: self.hidden, count }, &layer.attended, added, self.hidden);
            self.normalise(&layer.attention_norm, hidden, added);
        }
    }

    /// The two-layer feed-forward network, token by token.
    fn feed_forward(&self, layer: &Layer, scratch: &mut Scratch) {
        let Scratch { hidden, inner, added, .. } = scratch;
        for hidden in hidden.chunks_mut(BLOCK_ROWS * self.hidden) {
            let count = hidden.len() / self.hidden;
            let inner = fit(inner, count * self.intermediate);
            multiply(RowView { data: hidden, stride: self.hidden, count }, &layer.up, inner, self.intermediate);
            gelu(inner);
            let added = fit(added, hidden.len());
            multiply(RowView { data: inner, stride: self.intermediate, count }, &layer.down, added, self.hidden);
            self.normalise(&layer.norm, hidden, added);
        }
    }

    fn normalise(&self, norm: &Norm, rows: &mut [f32], added: &[f32]) {
        add_and_normalise(rows, added, &norm.gain, &norm.shift, self.epsilon);
    }

    fn pool(&self, span: Range<usize>, hidden: &[f32]) -> Vec<f32> {
        let mut rows = hidden[span.start * self.hidden..span.end * self.hidden].chunks_exact(self.hidden);
        let mut vector = rows.next().map(<[f32]>::to_vec).unwrap_or_default();
        if self.pooling == Pooling::Mean {
            // The sum has the direction of the mean, and only the direction survives the next line.
            for row in rows {
                vector.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        to_unit_length(&mut vector);
        vector
    }
}

/// The first `len` numbers of a buffer that only grows; they hold values of earlier use.
fn fit(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// A linear layer of `inner` x `outer` numbers.
pub(super) fn linear(weights: &mut Weights, name: &str, inner: usize, outer: usize) -> Result<Panels, OpenModelError> {
    let weight = weights.read(&format!("{name}.weight"), &[outer, inner])?;
    let bias = weights.read(&format!("{name}.bias"), &[outer])?;
    Ok(Panels::pack(inner, outer, &weight, &bias))
}

fn fused(weights: &mut Weights, name: &str, hidden: usize, heads: usize) -> Result<Panels, OpenModelError> {
    let scale = ((hidden / heads) as f32).sqrt().recip();
    let (mut weight, mut bias) = (Vec::new(), Vec::new());
    for (part, scale) in [("query", scale), ("key", 1.0), ("value", 1.0)] {
        let read = weights.read(&format!("{name}.{part}.weight"), &[hidden, hidden])?;
        weight.extend(read.into_iter().map(|number| number * scale));
        let read = weights.read(&format!("{name}.{part}.bias"), &[hidden])?;
        bias.extend(read.into_iter().map(|number| number * scale));
    }
    Ok(Panels::pack(hidden, 3 * hidden, &weight, &bias))
}

fn norm(weights: &mut Weights, name: &str, hidden: usize) -> Result<Norm, OpenModelError> {
    Ok(Norm {
        gain: weights.read(&format!("{name}.weight"), &[hidden])?,
        shift: weights.read(&format!("{name}.bias"), &[hidden])?,
    })
}
