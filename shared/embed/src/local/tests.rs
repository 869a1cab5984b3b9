//! The published model against vectors that an unoptimised implementation computed in 64-bit arithmetic.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{EmbedSettings, Embedder, InputType, LocalSettings, OpenModelError, Provider};

#[derive(Deserialize)]
struct Golden {
    text: String,
    /// Number of tokens with the two special ones, truncated to 256.
    tokens: usize,
    vector: Vec<f32>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("../golden.json")).unwrap()
}

/// The model directory: the programs' variable, or the place where `just model` installs it.
fn directory() -> PathBuf {
    let usual = ".local/models/all-MiniLM-L6-v2";
    std::env::var_os("NVISY_EMBEDDING_DIRECTORY")
        .map(PathBuf::from)
        .or_else(|| {
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join(usual)).find(|path| path.is_dir())
        })
        .unwrap_or_else(|| panic!("this test needs the embedding model in {usual}: fetch it with `just model`"))
}

fn settings(directory: PathBuf) -> EmbedSettings {
    let provider = LocalSettings { directory, threads: 2, query_prefix: String::new(), passage_prefix: String::new() };
    EmbedSettings { truncatable: false, dimensions: None, provider: Provider::Local(provider) }
}

async fn embedder() -> Embedder {
    Embedder::open(&settings(directory())).await.unwrap_or_else(|error| panic!("{error}"))
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[tokio::test]
async fn vectors_match_those_of_the_published_model() {
    let (embedder, golden) = (embedder().await, golden());
    let vectors = embedder.embed(InputType::Passage, golden.iter().map(|it| it.text.clone()).collect()).await.unwrap();
    assert_eq!(vectors.len(), golden.len());
    for (Golden { text, vector, .. }, computed) in golden.iter().zip(&vectors) {
        assert!((cosine(computed, computed) - 1.0).abs() < 1e-5, "length of {text:?}");
        assert!(cosine(computed, vector) >= 0.99999, "{text:?}: {}", cosine(computed, vector));
    }
}

#[tokio::test]
async fn vector_is_independent_of_the_other_texts_in_its_batch() {
    let (embedder, golden) = (embedder().await, golden());
    let texts: Vec<_> = golden.into_iter().map(|it| it.text).collect();
    let together = embedder.embed(InputType::Passage, texts.clone()).await.unwrap();
    for (text, together) in texts.into_iter().zip(together) {
        let alone = embedder.embed(InputType::Query, vec![text.clone()]).await.unwrap().remove(0);
        for (alone, together) in alone.iter().zip(&together) {
            assert!((alone - together).abs() < 1e-5, "{text:?}: {alone} {together}");
        }
    }
}

#[tokio::test]
async fn token_counts_and_offsets_match_those_of_the_model() {
    let (embedder, golden) = (embedder().await, golden());
    assert_eq!(embedder.max_tokens(), 254);
    for Golden { text, tokens, .. } in golden {
        let (count, offsets) = (embedder.tokenizer().count(&text), embedder.tokenizer().offsets(&text));
        assert_eq!(count.min(254) + 2, tokens, "{text:?}");
        assert_eq!(offsets.len(), count);
        assert!(offsets.iter().all(|(start, end)| text.get(*start..*end).is_some()), "{text:?}: {offsets:?}");
    }
}

#[tokio::test]
async fn space_names_the_model() {
    let space = embedder().await.space().clone();
    assert_eq!((space.provider.as_str(), space.dimensions), ("local", 384));
    assert_eq!(Some(space.model.as_str()), directory().canonicalize().unwrap().file_name().unwrap().to_str());
}

#[tokio::test]
async fn truncated_vectors_are_the_first_numbers_of_whole_ones() {
    let whole = embedder().await;
    let settings = EmbedSettings { truncatable: true, dimensions: Some(64), ..settings(directory()) };
    let short = Embedder::open(&settings).await.unwrap();
    assert_eq!((short.space().dimensions, short.model_dimensions()), (64, 384));
    let vector =
        async |embedder: &Embedder| embedder.embed(InputType::Query, vec!["wind".into()]).await.unwrap().remove(0);
    let (whole, short) = (vector(&whole).await, vector(&short).await);
    assert_eq!(short.len(), 64);
    assert!((cosine(&short, &short) - 1.0).abs() < 1e-5);
    let length = cosine(&whole[..64], &whole[..64]).sqrt();
    assert!((cosine(&whole[..64], &short) / length - 1.0).abs() < 1e-5);
}

#[tokio::test]
async fn query_overtakes_passages_and_dropped_batch_is_skipped() {
    let embedder = embedder().await;
    let text = golden().swap_remove(5).text;
    // Minutes of work, so that no assertion below can succeed by waiting for it.
    let flood = {
        let embedder = embedder.clone();
        tokio::spawn(async move { embedder.embed(InputType::Passage, vec![text; 20_000]).await })
    };
    tokio::task::yield_now().await;
    embedder.embed(InputType::Query, vec!["wind".into()]).await.unwrap();
    assert!(!flood.is_finished());
    flood.abort();
    assert!(flood.await.unwrap_err().is_cancelled());
    embedder.embed(InputType::Passage, vec!["wind".into()]).await.unwrap();
}

#[tokio::test]
async fn error_names_the_missing_model_and_the_remedy() {
    let nowhere = PathBuf::from("no-such-directory");
    let error = Embedder::open(&settings(nowhere.clone())).await.err().unwrap();
    assert!(matches!(&error, OpenModelError::Missing { directory, .. } if *directory == nowhere));
    assert!(error.to_string().contains("no-such-directory") && error.to_string().contains("just model"), "{error}");
}
