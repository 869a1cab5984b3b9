//! A cross-encoder of the BERT family: an encoder that reads query and passage as one sequence, with a head that gives one number.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::config::ModelConfig;
use super::encoder::{Encoder, Scratch, linear};
use super::matmul::{Panels, RowView, multiply};
use super::pool::{PoolError, ThreadPool};
use super::weights::Weights;
use super::{TOKENIZER, WEIGHTS, fingerprint, name};
use crate::tokenizer::{PairIds, Tokenizer};
use crate::{InputType, OpenModelError, RerankError};

const CONFIG: &str = "config.json";
const TYPES: &str = "embeddings.token_type_embeddings.weight";

/// A loaded model; immutable, shared by all threads.
pub(crate) struct CrossEncoder {
    name: String,
    encoder: Encoder,
    head: Head,
    tokenizer: Tokenizer,
    max_tokens: usize,
}

/// The layers behind the encoder.
struct Head {
    hidden: usize,
    /// A linear layer with tanh: the pooler of BERT, the dense layer of RoBERTa's head. `None`: the model has none.
    dense: Option<Panels>,
    weights: Vec<f32>,
    bias: f32,
}

/// A query and a passage.
struct Pair {
    query: Arc<str>,
    passage: String,
}

impl CrossEncoder {
    /// Loads the model. Blocks the calling thread.
    pub(crate) fn open(directory: &Path) -> Result<Self, OpenModelError> {
        let started = Instant::now();
        let unsupported = |reason: String| OpenModelError::Model { path: directory.to_path_buf(), reason };
        for file in [WEIGHTS, TOKENIZER, CONFIG] {
            if !directory.join(file).is_file() {
                return Err(unsupported(format!("it is no reranking model: {file} is missing")));
            }
        }
        let path = directory.join(WEIGHTS);
        let mut weights = Weights::open(&path, "embeddings.word_embeddings.weight")?;
        let config = ModelConfig::read(directory, &weights)?;
        // RoBERTa and its successors distinguish query and passage by the tokens between them.
        let is_roberta = config.first_position != 0;
        match weights.shape(TYPES) {
            Some([2, _]) => {}
            _ if is_roberta => {}
            _ => return Err(unsupported(format!("its {TYPES} has no second row, for the tokens of passages"))),
        }
        let head = Head::load(directory, &mut weights, config.hidden, is_roberta)?;
        let encoder = Encoder::load(&config, &mut weights)?;
        let tokenizer = Tokenizer::from_file(&directory.join(TOKENIZER))?;
        if tokenizer.vocabulary() > config.vocabulary {
            let (tokens, rows) = (tokenizer.vocabulary(), config.vocabulary);
            return Err(unsupported(format!("its tokenizer has {tokens} tokens, its weights have {rows}")));
        }
        let max_tokens = config.positions.saturating_sub(config.first_position);
        let model = Self { name: name(directory)?, encoder, head, tokenizer, max_tokens };
        let joined = model.tokenizer.pair("a", "b", max_tokens).map_err(|error| unsupported(error.to_string()))?;
        let specials = model.tokenizer.pair_specials();
        if specials < 3 || !is_roberta && joined.second >= joined.ids.len() || max_tokens < specials + 2 {
            return Err(unsupported("its tokenizer does not join two texts as `[CLS] a [SEP] b [SEP]`".into()));
        }
        tracing::info!(
            reranking.model = %model.name,
            reranking.sha256 = %fingerprint(&path)?,
            duration = started.elapsed().as_secs_f64(),
            "reranking model loaded"
        );
        Ok(model)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The output of the model for each passage, in their order. They come behind queries to be embedded, and among passages.
    pub(crate) async fn score(
        self: &Arc<Self>,
        threads: &ThreadPool,
        query: &str,
        passages: Vec<String>,
    ) -> Result<Vec<f32>, RerankError> {
        let query: Arc<str> = query.into();
        let pairs = passages.into_iter().map(|passage| Pair { query: Arc::clone(&query), passage }).collect();
        let model = Arc::clone(self);
        let bytes = |pair: &Pair| pair.query.len() + pair.passage.len();
        let scores = threads.run(InputType::Passage, pairs, bytes, move |pairs, scratch| model.compute(pairs, scratch));
        scores.await.map_err(|error| match error {
            PoolError::Panicked => RerankError::Panicked,
            PoolError::Rejected(reason) => RerankError::Rejected(reason),
        })
    }

    /// Computes on the calling thread.
    fn compute(&self, pairs: &[Pair], scratch: &mut Scratch) -> Result<Vec<f32>, String> {
        let pairs = pairs
            .iter()
            .map(|pair| self.tokenizer.pair(&pair.query, &pair.passage, self.max_tokens))
            .collect::<Result<Vec<PairIds>, _>>()
            .map_err(|error| error.to_string())?;
        Ok(self.head.apply(self.encoder.encode_pairs(&pairs, scratch)))
    }
}

impl Head {
    fn load(directory: &Path, weights: &mut Weights, hidden: usize, is_roberta: bool) -> Result<Self, OpenModelError> {
        let classifier = if is_roberta { "classifier.out_proj" } else { "classifier" };
        let (weight, bias) = (format!("{classifier}.weight"), format!("{classifier}.bias"));
        let outputs = match weights.head_shape(&weight) {
            Some([outputs, _]) => *outputs,
            Some(_) | None => 1,
        };
        if outputs != 1 {
            let reason = format!("it has {outputs} outputs, so it is a classifier: a reranking model has one");
            return Err(OpenModelError::Model { path: directory.to_path_buf(), reason });
        }
        let dense = if is_roberta {
            let weight = weights.read_head("classifier.dense.weight", &[hidden, hidden])?;
            let bias = weights.read_head("classifier.dense.bias", &[hidden])?;
            Some(Panels::pack(hidden, hidden, &weight, &bias))
        } else if weights.shape("pooler.dense.weight").is_some() {
            Some(linear(weights, "pooler.dense", hidden, hidden)?)
        } else {
            None
        };
        let bias = weights.read_head(&bias, &[1])?.first().copied().unwrap_or_default();
        Ok(Self { hidden, dense, weights: weights.read_head(&weight, &[1, hidden])?, bias })
    }

    /// The output for each vector of a first token.
    fn apply(&self, vectors: Vec<f32>) -> Vec<f32> {
        let vectors = match &self.dense {
            None => vectors,
            Some(dense) => {
                let mut pooled = vec![0.0; vectors.len()];
                let rows = RowView { data: &vectors, stride: self.hidden, count: vectors.len() / self.hidden };
                multiply(rows, dense, &mut pooled, self.hidden);
                pooled.iter_mut().for_each(|value| *value = value.tanh());
                pooled
            }
        };
        let product =
            |vector: &[f32]| vector.iter().zip(&self.weights).map(|(value, weight)| value * weight).sum::<f32>();
        vectors.chunks_exact(self.hidden).map(|vector| product(vector) + self.bias).collect()
    }
}
