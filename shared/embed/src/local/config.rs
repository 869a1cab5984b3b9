//! Reads the description of a model from its published directory.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::weights::Weights;
use crate::OpenModelError;

/// How token vectors are combined into the vector of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The mean of all token vectors.
    Mean,
    /// The vector of the first token.
    First,
}

/// The sizes and conventions of one encoder.
#[derive(Debug)]
pub(super) struct ModelConfig {
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
    /// RowView of the position table.
    pub(super) positions: usize,
    /// Row of the first token in the position table: 0, but one past the padding id for RoBERTa.
    pub(super) first_position: usize,
    /// The constant that layer normalisation adds to the variance.
    pub(super) epsilon: f32,
    /// How token vectors are combined.
    pub(super) pooling: Pooling,
    /// The longest sequence that the model was trained for, special tokens included.
    pub(super) max_tokens: usize,
    /// The text before a query.
    pub(super) query_prefix: String,
    /// The text before a passage.
    pub(super) passage_prefix: String,
}

/// `config.json`. Every field has a default: weights and tokenizer alone imply all but the number of heads.
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

/// `config_sentence_transformers.json`: the model's prefixes of queries and passages, by name.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Prompts {
    prompts: HashMap<String, String>,
}

impl ModelConfig {
    /// Reads the directory's description. Sizes come from the weights, which are the authority on them.
    pub(super) fn read(directory: &Path, weights: &Weights) -> Result<Self, OpenModelError> {
        let published: Published = json(&directory.join("config.json"))?.unwrap_or_default();
        let unsupported = |reason: String| OpenModelError::Model { path: directory.to_path_buf(), reason };
        let expect = |key: &str, value: &Option<String>, known: &[&str]| match value.as_deref() {
            Some(value) if !known.contains(&value) => {
                Err(unsupported(format!("its {key} {value:?} is not one of {known:?}")))
            }
            _ => Ok(()),
        };
        expect("model_type", &published.model_type, &["bert", "roberta", "xlm-roberta", "camembert"])?;
        expect("hidden_act", &published.hidden_act, &["gelu"])?;
        expect("position_embedding_type", &published.position_embedding_type, &["absolute"])?;

        let table = |name: &str| match weights.shape(name) {
            Some(&[rows, columns]) => Ok((rows, columns)),
            _ => Err(unsupported(format!("its weights have no matrix {name}"))),
        };
        let (vocabulary, hidden) = table("embeddings.word_embeddings.weight")?;
        let (positions, _) = table("embeddings.position_embeddings.weight")?;
        let (intermediate, _) = table("encoder.layer.0.intermediate.dense.weight")?;
        let layers =
            (0..).take_while(|n| weights.shape(&format!("encoder.layer.{n}.output.dense.weight")).is_some()).count();

        let padded = published.model_type.as_deref().is_some_and(|kind| kind != "bert");
        let first_position = if padded { published.pad_token_id.unwrap_or(1) + 1 } else { 0 };
        let usable_positions = positions.saturating_sub(first_position);
        let Prompts { mut prompts } = json(&directory.join("config_sentence_transformers.json"))?.unwrap_or_default();
        let mut prompt = |names: &[&str]| names.iter().find_map(|name| prompts.remove(*name)).unwrap_or_default();
        let sentence: Option<SentenceTransformer> = json(&directory.join("sentence_bert_config.json"))?;
        let config = Self {
            hidden,
            // Published models from MiniLM to XLM-R large have heads of 32 or 64 dimensions; the small ones have twelve heads.
            heads: published.num_attention_heads.unwrap_or(if hidden <= 768 { 12 } else { 16 }),
            intermediate,
            layers,
            vocabulary,
            positions,
            first_position,
            epsilon: published.layer_norm_eps.unwrap_or(1e-12),
            pooling: pooling(directory)?,
            max_tokens: sentence.and_then(|it| it.max_seq_length).unwrap_or(DEFAULT_MAX_TOKENS).min(usable_positions),
            query_prefix: prompt(&["query"]),
            passage_prefix: prompt(&["passage", "document"]),
        };
        if config.heads == 0 || !hidden.is_multiple_of(config.heads) {
            return Err(unsupported(format!("{hidden} dimensions do not divide into {} heads", config.heads)));
        }
        if config.max_tokens < 3 {
            return Err(unsupported("its sequences are too short for a token between the special ones".into()));
        }
        Ok(config)
    }
}

/// The default, with which the common sentence encoders were trained.
const DEFAULT_MAX_TOKENS: usize = 256;

/// Reads `modules.json` and the pooling it points to; the default is the mean.
fn pooling(directory: &Path) -> Result<Pooling, OpenModelError> {
    let modules: Vec<Module> = json(&directory.join("modules.json"))?.unwrap_or_default();
    let path =
        modules.into_iter().find(|module| module.kind.ends_with(".Pooling")).map_or("1_Pooling".into(), |it| it.path);
    let path = directory.join(path).join("config.json");
    match json::<PublishedPooling>(&path)? {
        None => Ok(Pooling::Mean),
        Some(PublishedPooling { pooling_mode_mean_tokens: true, .. }) => Ok(Pooling::Mean),
        Some(PublishedPooling { pooling_mode_cls_token: true, .. }) => Ok(Pooling::First),
        Some(_) => Err(OpenModelError::Model { path, reason: "its pooling is neither mean nor first token".into() }),
    }
}

/// Reads a JSON file; `None` if it does not exist.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, OpenModelError> {
    let invalid = |reason: String| OpenModelError::Model { path: path.to_path_buf(), reason };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| invalid(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(invalid(error.to_string())),
    }
}
