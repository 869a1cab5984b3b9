//! A BERT-family encoder on the CPU of this process. It reads a published model directory directly, without a runtime library or a
//! conversion.

mod config;
pub(super) mod cross_encoder;
#[cfg(test)]
mod cross_encoder_tests;
mod encoder;
mod matmul;
mod pool;
mod rowwise;
#[cfg(test)]
mod tests;
mod weights;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::tokenizer::Tokenizer;
use super::{Backend, EmbedError, InputType, LocalSettings, OpenModelError, SpaceSpec};
use config::ModelConfig;
use encoder::{Encoder, Scratch};
use pool::PoolError;
pub(crate) use pool::ThreadPool;
use weights::Weights;

const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";

/// A loaded model and its threads.
pub(super) struct Local {
    pub(super) pool: Arc<ThreadPool>,
    model: Arc<Model>,
}

/// The encoder and its tokenizer; computes on the calling thread.
struct Model {
    encoder: Encoder,
    tokenizer: Tokenizer,
    max_tokens: usize,
}

impl Model {
    fn embed(&self, texts: &[String], scratch: &mut Scratch) -> Result<Vec<Vec<f32>>, String> {
        let sequences = texts
            .iter()
            .map(|text| self.tokenizer.ids(text, self.max_tokens))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        Ok(self.encoder.encode(&sequences, scratch))
    }
}

impl Local {
    pub(super) async fn embed(&self, input_type: InputType, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let model = Arc::clone(&self.model);
        let vectors =
            self.pool.run(input_type, texts, String::len, move |texts, scratch| model.embed(texts, scratch)).await;
        vectors.map_err(|error| match error {
            PoolError::Panicked => EmbedError::Unavailable("the encoder panicked".into()),
            PoolError::Rejected(reason) => {
                EmbedError::Rejected(format!("a text cannot be split into tokens: {reason}"))
            }
        })
    }
}

/// Loads the model and starts its threads. Blocks the calling thread.
pub(super) fn open(settings: &LocalSettings) -> Result<super::Model, OpenModelError> {
    let started = Instant::now();
    let directory = &settings.directory;
    for file in [WEIGHTS, TOKENIZER] {
        if !directory.join(file).is_file() {
            return Err(OpenModelError::Missing { directory: directory.clone(), file });
        }
    }
    let name = name(directory)?;
    let path = directory.join(WEIGHTS);
    let mut weights = Weights::open(&path, "embeddings.word_embeddings.weight")?;
    let config = ModelConfig::read(directory, &weights)?;
    let encoder = Encoder::load(&config, &mut weights)?;
    let tokenizer = Tokenizer::from_file(&directory.join(TOKENIZER))?;
    let space = SpaceSpec {
        provider: "local".into(),
        model: name,
        dimensions: u16::try_from(config.hidden)
            .map_err(|_| OpenModelError::Setting(format!("{} dimensions are too many", config.hidden)))?,
        query_prefix: either(&settings.query_prefix, config.query_prefix),
        passage_prefix: either(&settings.passage_prefix, config.passage_prefix),
    };
    let taken = tokenizer.specials() + tokenizer.count(&space.passage_prefix);
    let max_tokens =
        config.max_tokens.checked_sub(taken).filter(|left| *left > 0).ok_or_else(|| OpenModelError::Model {
            path: directory.clone(),
            reason: format!("special tokens and prefix take all of its {} tokens", config.max_tokens),
        })?;
    tracing::info!(
        embedding.model = %space.model,
        embedding.dimensions = space.dimensions,
        embedding.sha256 = %fingerprint(&path)?,
        duration = started.elapsed().as_secs_f64(),
        "embedding model loaded"
    );
    let model = Model { encoder, tokenizer: tokenizer.clone(), max_tokens: config.max_tokens };
    let pool = ThreadPool::start(settings.threads).map_err(OpenModelError::Thread)?;
    let local = Local { pool: Arc::new(pool), model: Arc::new(model) };
    Ok(super::Model { space, truncatable: false, max_tokens, tokenizer, backend: Backend::Local(local) })
}

/// The name of a model: that of its directory.
fn name(directory: &Path) -> Result<String, OpenModelError> {
    directory
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .ok_or_else(|| OpenModelError::Setting("the model directory has no name".into()))
}

fn either(set: &str, published: String) -> String {
    if set.is_empty() { published } else { set.to_owned() }
}

/// The first 16 hex digits of the file's SHA-256; they identify the model in the log.
fn fingerprint(path: &Path) -> Result<String, OpenModelError> {
    let invalid = |error: std::io::Error| OpenModelError::Model { path: path.to_path_buf(), reason: error.to_string() };
    let mut file = File::open(path).map_err(invalid)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(invalid)? {
            0 => return Ok(hex::encode(&hash.finalize()[..8])),
            read => hash.update(&buffer[..read]),
        }
    }
}
