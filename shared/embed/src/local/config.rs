//! What a published model directory says about its model.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::weights::Weights;
use crate::OpenError;

/// How the vectors of the tokens become the vector of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The vector of the first token.
    First,
}

/// The sizes and conventions of one encoder.
#[derive(Debug)]
pub(super) struct Config {
    /// Length of a token's vector, and of the text's.
    pub(super) hidden: usize,
    /// Attention heads.
    pub(super) heads: usize,
    /// Width of the feed-forward network.
    pub(super) intermediate: usize,
    /// Transformer layers.
    pub(super) layers: usize,
    /// Token ids.
    pub(super) vocabulary: usize,
    /// Rows of the position table.
    pub(super) positions: usize,
    /// Row of the first token: 0, but one past the padding id in RoBERTa's table.
    pub(super) first_position: usize,
    /// Added to the variance in layer normalisation.
    pub(super) epsilon: f32,
    /// How token vectors are combined.
    pub(super) pooling: Pooling,
    /// Longest sequence the model was tuned for, special tokens included.
    pub(super) max_tokens: usize,
    /// Put before a query.
    pub(super) query_prefix: String,
    /// Put before a passage.
    pub(super) passage_prefix: String,
}

/// `config.json`. Everything has a default, since a bare pair of weights and tokenizer implies all but the number of heads.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Published {
    model_type: Option<String>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    num_attention_heads: Option<usize>,
    layer_norm_eps: Option<f32>,
    pad_token_id: Option<usize>,
}

#[derive(Deserialize)]
struct Module {
    path: PathBuf,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PublishedPooling {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
}

#[derive(Deserialize)]
struct SentenceTransformer {
    max_seq_length: Option<usize>,
}

/// `config_sentence_transformers.json`: the texts that the authors put before a query and a passage, by name.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Prompts {
    prompts: HashMap<String, String>,
}

impl Config {
    /// Reads the directory's description; sizes come from the weights themselves, which cannot be wrong about them.
    pub(super) fn read(directory: &Path, weights: &Weights) -> Result<Self, OpenError> {
        let published: Published = json(&directory.join("config.json"))?.unwrap_or_default();
        let unfit = |reason: String| OpenError::Model { path: directory.to_path_buf(), reason };
        let expect = |key: &str, value: &Option<String>, known: &[&str]| match value.as_deref() {
            Some(value) if !known.contains(&value) => Err(unfit(format!("its {key} {value:?} is none of {known:?}"))),
            _ => Ok(()),
        };
        expect("model_type", &published.model_type, &["bert", "roberta", "xlm-roberta", "camembert"])?;
        expect("hidden_act", &published.hidden_act, &["gelu"])?;
        expect("position_embedding_type", &published.position_embedding_type, &["absolute"])?;

        let table = |name: &str| match weights.shape(name) {
            Some(&[rows, columns]) => Ok((rows, columns)),
            _ => Err(unfit(format!("its weights have no matrix {name}"))),
        };
        let (vocabulary, hidden) = table("embeddings.word_embeddings.weight")?;
        let (positions, _) = table("embeddings.position_embeddings.weight")?;
        let (intermediate, _) = table("encoder.layer.0.intermediate.dense.weight")?;
        let layers =
            (0..).take_while(|n| weights.shape(&format!("encoder.layer.{n}.output.dense.weight")).is_some()).count();

        let padded = published.model_type.as_deref().is_some_and(|kind| kind != "bert");
        let first_position = if padded { published.pad_token_id.unwrap_or(1) + 1 } else { 0 };
        let room = positions.saturating_sub(first_position);
        let Prompts { mut prompts } = json(&directory.join("config_sentence_transformers.json"))?.unwrap_or_default();
        let mut prompt = |names: &[&str]| names.iter().find_map(|name| prompts.remove(*name)).unwrap_or_default();
        let sentence: Option<SentenceTransformer> = json(&directory.join("sentence_bert_config.json"))?;
        let config = Self {
            hidden,
            // Every published size from MiniLM to XLM-R large has heads of 32 or 64; the small ones have twelve of them.
            heads: published.num_attention_heads.unwrap_or(if hidden <= 768 { 12 } else { 16 }),
            intermediate,
            layers,
            vocabulary,
            positions,
            first_position,
            epsilon: published.layer_norm_eps.unwrap_or(1e-12),
            pooling: pooling(directory)?,
            max_tokens: sentence.and_then(|it| it.max_seq_length).unwrap_or(DEFAULT_MAX_TOKENS).min(room),
            query_prefix: prompt(&["query"]),
            passage_prefix: prompt(&["passage", "document"]),
        };
        if config.heads == 0 || !hidden.is_multiple_of(config.heads) {
            return Err(unfit(format!("{hidden} dimensions do not divide into {} heads", config.heads)));
        }
        if config.max_tokens < 3 {
            return Err(unfit("it has no room for a token between the special ones".into()));
        }
        Ok(config)
    }
}

/// Where the directory does not say: what the common sentence encoders were tuned with.
const DEFAULT_MAX_TOKENS: usize = 256;

/// Reads `modules.json` and the pooling it points to; mean where the directory is silent.
fn pooling(directory: &Path) -> Result<Pooling, OpenError> {
    let modules: Vec<Module> = json(&directory.join("modules.json"))?.unwrap_or_default();
    let path =
        modules.into_iter().find(|module| module.kind.ends_with(".Pooling")).map_or("1_Pooling".into(), |it| it.path);
    let path = directory.join(path).join("config.json");
    match json::<PublishedPooling>(&path)? {
        None => Ok(Pooling::Mean),
        Some(PublishedPooling { pooling_mode_mean_tokens: true, .. }) => Ok(Pooling::Mean),
        Some(PublishedPooling { pooling_mode_cls_token: true, .. }) => Ok(Pooling::First),
        Some(_) => Err(OpenError::Model { path, reason: "its pooling is neither mean nor first token".into() }),
    }
}

/// A JSON file, or `None` where there is no such file.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, OpenError> {
    let broken = |reason: String| OpenError::Model { path: path.to_path_buf(), reason };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| broken(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(broken(error.to_string())),
    }
}
