//! A BERT-family encoder on the CPU of this process. It reads a published model directory directly, without a runtime library or a
//! conversion.

mod config;
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
use std::thread;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::tokenizer::Tokenizer;
use super::{Backend, EmbedError, InputType, LocalSettings, OpenEmbedderError, SpaceSpec};
use config::ModelConfig;
use encoder::{Encoder, Scratch};
use pool::ThreadPool;
use weights::Weights;

const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";

/// A loaded model and its threads.
pub(super) struct Local {
    pool: ThreadPool,
}

/// The encoder and its tokenizer; computes on the calling thread.
struct Model {
    encoder: Encoder,
    tokenizer: Tokenizer,
    max_tokens: usize,
}

impl Model {
    fn embed(&self, texts: &[String], scratch: &mut Scratch) -> Result<Vec<Vec<f32>>, EmbedError> {
        let sequences = texts
            .iter()
            .map(|text| self.tokenizer.ids(text, self.max_tokens))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| EmbedError::Rejected(format!("a text cannot be split into tokens: {error}")))?;
        Ok(self.encoder.encode(&sequences, scratch))
    }
}

impl Local {
    pub(super) async fn embed(&self, input_type: InputType, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.pool.embed(input_type, texts).await
    }
}

/// Loads the model and starts its threads. Blocks the calling thread.
pub(super) fn open(settings: &LocalSettings) -> Result<super::Model, OpenEmbedderError> {
    let started = Instant::now();
    let directory = &settings.directory;
    for file in [WEIGHTS, TOKENIZER] {
        if !directory.join(file).is_file() {
            return Err(OpenEmbedderError::Missing { directory: directory.clone(), file });
        }
    }
    let name = directory
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .ok_or_else(|| OpenEmbedderError::Setting("the model directory has no name".into()))?;
    let path = directory.join(WEIGHTS);
    let mut weights = Weights::open(&path, "embeddings.word_embeddings.weight")?;
    let config = ModelConfig::read(directory, &weights)?;
    let encoder = Encoder::load(&config, &mut weights)?;
    let tokenizer = Tokenizer::from_file(&directory.join(TOKENIZER))?;
    let space = SpaceSpec {
        provider: "local".into(),
        model: name,
        dimensions: u16::try_from(config.hidden)
            .map_err(|_| OpenEmbedderError::Setting(format!("{} dimensions are too many", config.hidden)))?,
        query_prefix: either(&settings.query_prefix, config.query_prefix),
        passage_prefix: either(&settings.passage_prefix, config.passage_prefix),
    };
    let taken = tokenizer.specials() + tokenizer.count(&space.passage_prefix);
    let max_tokens =
        config.max_tokens.checked_sub(taken).filter(|left| *left > 0).ok_or_else(|| OpenEmbedderError::Model {
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
    let threads = match settings.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let pool = ThreadPool::start(threads, model).map_err(OpenEmbedderError::Thread)?;
    let backend = Backend::Local(Local { pool });
    Ok(super::Model { space, truncatable: false, max_tokens, tokenizer, backend })
}

fn either(set: &str, published: String) -> String {
    if set.is_empty() { published } else { set.to_owned() }
}

/// The first 16 hex digits of the file's SHA-256; they identify the model in the log.
fn fingerprint(path: &Path) -> Result<String, OpenEmbedderError> {
    let invalid =
        |error: std::io::Error| OpenEmbedderError::Model { path: path.to_path_buf(), reason: error.to_string() };
    let mut file = File::open(path).map_err(invalid)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(invalid)? {
            0 => return Ok(hex::encode(&hash.finalize()[..8])),
            read => hash.update(&buffer[..read]),
        }
    }
}
