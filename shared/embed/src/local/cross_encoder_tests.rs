//! Cross-encoders of random weights against a direct computation in 64-bit arithmetic, and models that cannot be used.

use std::collections::HashMap;
use std::fs;

use tempfile::TempDir;

use super::TOKENIZER;
use crate::testing::{ROBERTA_FIRST_POSITION, Tensor, TinyCrossEncoder};
use crate::tokenizer::Tokenizer;
use crate::{OpenModelError, Reranker, RerankerSettings};

const QUERY: &str = "How often are the turbine blades cleaned?";
const PASSAGES: [&str; 5] = [
    "The turbine blades are cleaned every year.",
    "Seals rest on the sand.",
    "",
    "The tide turns twice a day, the cable carries current, the osprey nests on a tower.",
    "Ästuar 水 42",
];

fn written(model: &TinyCrossEncoder) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    model.write(directory.path()).unwrap();
    directory
}

async fn open(directory: &TempDir) -> Result<Reranker, OpenModelError> {
    let settings = RerankerSettings { directory: directory.path().to_path_buf(), threads: 2 };
    Reranker::open(&settings, &[]).await
}

async fn error(directory: &TempDir) -> String {
    open(directory).await.err().unwrap().to_string()
}

/// A model in the form of its definition: one token after the other, one number after the other.
struct Reference<'a> {
    model: &'a TinyCrossEncoder,
    tensors: HashMap<String, Tensor>,
}

impl<'a> Reference<'a> {
    fn new(model: &'a TinyCrossEncoder) -> Self {
        let tensors = model.tensors().into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        Self { model, tensors }
    }

    fn values(&self, name: &str) -> Vec<f64> {
        self.tensors[name].values.iter().map(|value| f64::from(*value)).collect()
    }

    fn row(&self, name: &str, row: usize) -> Vec<f64> {
        let hidden = self.model.hidden;
        self.values(&format!("{}embeddings.{name}_embeddings.weight", self.model.prefix))[row * hidden..][..hidden]
            .to_vec()
    }

    fn linear(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.values(&format!("{name}.weight")), self.values(&format!("{name}.bias")));
        let rows = weight.chunks_exact(input.len());
        rows.zip(bias).map(|(row, bias)| dot(row, input) + bias).collect()
    }

    fn normalised(&self, name: &str, values: &[f64]) -> Vec<f64> {
        let (gain, shift) = (self.values(&format!("{name}.weight")), self.values(&format!("{name}.bias")));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let scale = (variance + 1e-12).sqrt().recip();
        values.iter().zip(gain).zip(shift).map(|((value, gain), shift)| (value - mean) * scale * gain + shift).collect()
    }

    /// The output for tokens with their types.
    fn score(&self, tokens: &[(u32, u32)]) -> f64 {
        let prefix = self.model.prefix;
        let first_position = if self.model.is_roberta { ROBERTA_FIRST_POSITION } else { 0 };
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for (place, (token, kind)) in tokens.iter().enumerate() {
            let parts =
                [("word", *token as usize), ("position", first_position + place), ("token_type", *kind as usize)];
            let sum =
                parts.iter().fold(vec![0.0; self.model.hidden], |sum, (name, row)| add(&sum, &self.row(name, *row)));
            rows.push(self.normalised(&format!("{prefix}embeddings.LayerNorm"), &sum));
        }
        for layer in 0..self.model.layers {
            let name = |part: &str| format!("{prefix}encoder.layer.{layer}.{part}");
            let attended = self.attend(&name("attention"), &rows);
            let mut next = Vec::new();
            for (row, attended) in rows.iter().zip(attended) {
                let mixed = self.normalised(&name("attention.output.LayerNorm"), &add(row, &attended));
                let inner: Vec<f64> = self.linear(&name("intermediate.dense"), &mixed).into_iter().map(gelu).collect();
                let out = self.linear(&name("output.dense"), &inner);
                next.push(self.normalised(&name("output.LayerNorm"), &add(&mixed, &out)));
            }
            rows = next;
        }
        let mut first = rows.swap_remove(0);
        let (dense, classifier) = if self.model.is_roberta {
            (Some("classifier.dense".to_owned()), "classifier.out_proj")
        } else {
            (self.model.has_pooler.then(|| format!("{prefix}pooler.dense")), "classifier")
        };
        if let Some(dense) = dense {
            first = self.linear(&dense, &first).into_iter().map(f64::tanh).collect();
        }
        self.linear(classifier, &first)[0]
    }

    fn attend(&self, name: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let size = self.model.hidden / self.model.heads;
        let of = |part: &str| -> Vec<Vec<f64>> {
            rows.iter().map(|row| self.linear(&format!("{name}.self.{part}"), row)).collect()
        };
        let (queries, keys, values) = (of("query"), of("key"), of("value"));
        let mut out = Vec::new();
        for query in &queries {
            let mut context: Vec<f64> = Vec::new();
            for head in (0..self.model.hidden).step_by(size) {
                let scores =
                    keys.iter().map(|key| dot(&query[head..][..size], &key[head..][..size]) / (size as f64).sqrt());
                let scores: Vec<f64> = scores.map(f64::exp).collect();
                let total: f64 = scores.iter().sum();
                for at in head..head + size {
                    context.push(scores.iter().zip(&values).map(|(score, value)| score / total * value[at]).sum());
                }
            }
            out.push(self.linear(&format!("{name}.output.dense"), &context));
        }
        out
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The exact function, with the error function by its series of positive terms.
fn gelu(x: f64) -> f64 {
    let z = x.abs() / 2.0_f64.sqrt();
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= 2.0 * z * z / f64::from(2 * n + 1);
        sum += term;
    }
    let erf = (2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum).min(1.0);
    x * 0.5 * (1.0 + erf.copysign(x))
}

/// The tokens of a pair, joined here and cut from the longer text.
fn tokens(tokenizer: &Tokenizer, query: &str, passage: &str, model: &TinyCrossEncoder) -> Vec<(u32, u32)> {
    let ids = |text: &str| -> Vec<u32> {
        let with_specials = tokenizer.ids(text, 10_000).unwrap();
        with_specials[1..with_specials.len() - 1].to_vec()
    };
    let (mut query, mut passage) = (ids(query), ids(passage));
    // RoBERTa has a second separator in place of a second type.
    let (separators, kind) = if model.is_roberta { (2, 0) } else { (1, 1) };
    while query.len() + passage.len() + separators + 2 > model.positions {
        let longer = if passage.len() > query.len() { &mut passage } else { &mut query };
        longer.pop();
    }
    let (cls, sep) = (2, 3);
    let first = std::iter::once(cls).chain(query).chain(std::iter::repeat_n(sep, separators)).map(|id| (id, 0));
    first.chain(passage.into_iter().chain([sep]).map(|id| (id, kind))).collect()
}

#[tokio::test]
async fn scores_are_those_of_the_definition_in_every_layout() {
    let variants = [
        TinyCrossEncoder::default(),
        TinyCrossEncoder { seed: 7, prefix: "", ..TinyCrossEncoder::default() },
        TinyCrossEncoder { seed: 8, has_pooler: false, layers: 3, ..TinyCrossEncoder::default() },
        TinyCrossEncoder { seed: 9, hidden: 30, heads: 3, intermediate: 17, ..TinyCrossEncoder::default() },
        TinyCrossEncoder { seed: 10, prefix: "roberta.", is_roberta: true, ..TinyCrossEncoder::default() },
    ];
    for model in variants {
        let directory = written(&model);
        let reranker = open(&directory).await.unwrap();
        let tokenizer = Tokenizer::from_file(&directory.path().join(TOKENIZER)).unwrap();
        let reference = Reference::new(&model);
        let passages = PASSAGES.map(str::to_owned).to_vec();
        let scores = reranker.model.score(&reranker.threads, QUERY, passages.clone()).await.unwrap();
        let relevances = reranker.score(QUERY, passages).await.unwrap();
        assert_eq!(scores.len(), PASSAGES.len());
        let mut distinct = Vec::new();
        for ((passage, score), relevance) in PASSAGES.iter().zip(scores).zip(relevances) {
            let expected = reference.score(&tokens(&tokenizer, QUERY, passage, &model));
            assert!((f64::from(score) - expected).abs() < 1e-3, "{model:?} {passage:?}: {score} {expected}");
            assert!((relevance - 1.0 / (1.0 + (-expected).exp())).abs() < 1e-3, "{passage:?}: {relevance}");
            distinct.push((expected * 1e4).round() as i64);
        }
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), PASSAGES.len(), "the scores differ: {distinct:?}");
    }
}

#[tokio::test]
async fn long_pairs_are_cut_from_the_longer_text() {
    cuts_long_pairs(&TinyCrossEncoder { positions: 24, ..TinyCrossEncoder::default() }).await;
    let roberta = TinyCrossEncoder { positions: 24, prefix: "", is_roberta: true, ..TinyCrossEncoder::default() };
    cuts_long_pairs(&roberta).await;
}

async fn cuts_long_pairs(model: &TinyCrossEncoder) {
    let directory = written(model);
    let reranker = open(&directory).await.unwrap();
    let tokenizer = Tokenizer::from_file(&directory.path().join(TOKENIZER)).unwrap();
    let reference = Reference::new(model);
    let long = "the tide turns twice a day ".repeat(40);
    for (query, passage) in [(QUERY, long.as_str()), (&long, QUERY), (&long, &long), ("tide", &long), (&long, "")] {
        let pair = tokenizer.pair(query, passage, 24).unwrap();
        let expected = tokens(&tokenizer, query, passage, model);
        assert_eq!(pair.ids, expected.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "{query} | {passage}");
        let second = expected.iter().position(|(_, kind)| *kind == 1).unwrap_or(expected.len());
        assert_eq!(pair.second, second);
        let scores = reranker.model.score(&reranker.threads, query, vec![passage.to_owned()]).await.unwrap();
        assert!((f64::from(scores[0]) - reference.score(&expected)).abs() < 1e-3, "{scores:?}");
    }
}

#[tokio::test]
async fn score_is_independent_of_the_other_passages() {
    let directory = written(&TinyCrossEncoder::default());
    let reranker = open(&directory).await.unwrap();
    let many: Vec<String> = (0..40).map(|n| format!("{} {n}", PASSAGES[n % PASSAGES.len()])).collect();
    let together = reranker.score(QUERY, many.clone()).await.unwrap();
    assert_eq!(together.len(), many.len());
    for (passage, together) in many.into_iter().zip(together) {
        let alone = reranker.score(QUERY, vec![passage]).await.unwrap()[0];
        assert!((alone - together).abs() < 1e-5, "{alone} {together}");
    }
    assert_eq!(reranker.score(QUERY, Vec::new()).await.unwrap(), Vec::<f64>::new());
}

#[tokio::test]
async fn models_that_are_no_rerankers_are_named_with_the_fault() {
    let with = |model: TinyCrossEncoder, change: fn(&mut Vec<Tensor>)| {
        let directory = tempfile::tempdir().unwrap();
        let mut tensors = model.tensors();
        change(&mut tensors);
        model.write_with(directory.path(), &tensors).unwrap();
        directory
    };
    let default = TinyCrossEncoder::default;
    let found = error(&with(TinyCrossEncoder { outputs: 2, ..default() }, |_| {})).await;
    assert!(found.contains("it has 2 outputs"), "{found}");
    for name in
        ["classifier.weight", "classifier.bias", "bert.pooler.dense.bias", "bert.encoder.layer.1.output.dense.bias"]
    {
        let directory = with(default(), |_| {});
        let tensors: Vec<Tensor> = default().tensors().into_iter().filter(|tensor| tensor.name != name).collect();
        default().write_with(directory.path(), &tensors).unwrap();
        let found = error(&directory).await;
        assert!(found.contains(name) && found.contains("it is missing"), "{found}");
    }
    let narrow = |tensors: &mut Vec<Tensor>| {
        let classifier = tensors.iter_mut().find(|tensor| tensor.name == "classifier.weight").unwrap();
        classifier.shape = vec![1, 40];
        classifier.values.truncate(40);
    };
    let found = error(&with(default(), narrow)).await;
    assert!(found.contains("its shape is [1, 40], not [1, 48]"), "{found}");
    let one_type = |tensors: &mut Vec<Tensor>| {
        let types = tensors.iter_mut().find(|tensor| tensor.name.contains("token_type")).unwrap();
        types.shape[0] = 1;
        types.values.truncate(48);
    };
    assert!(error(&with(default(), one_type)).await.contains("no second row"));
    let few_words = |tensors: &mut Vec<Tensor>| {
        let words = tensors.iter_mut().find(|tensor| tensor.name.contains("word")).unwrap();
        words.shape[0] = 10;
        words.values.truncate(480);
    };
    let found = error(&with(default(), few_words)).await;
    assert!(found.contains("its tokenizer has") && found.contains("its weights have 10"), "{found}");

    let directory = written(&default());
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::remove_file(directory.path().join(file)).unwrap();
        let found = error(&directory).await;
        assert!(found.contains(&format!("{file} is missing")), "{found}");
    }
    let directory = written(&default());
    let roberta = r#"{"model_type": "roberta", "num_attention_heads": 4}"#;
    fs::write(directory.path().join("config.json"), roberta).unwrap();
    assert!(error(&directory).await.contains("classifier.dense.weight"));
    let roberta = TinyCrossEncoder { prefix: "roberta.", is_roberta: true, outputs: 3, ..default() };
    let found = error(&written(&roberta)).await;
    assert!(found.contains("it has 3 outputs"), "{found}");
    let single =
        fs::read_to_string(directory.path().join("tokenizer.json")).unwrap().replace("\"type_id\":1", "\"type_id\":0");
    let directory = written(&default());
    fs::write(directory.path().join("tokenizer.json"), single).unwrap();
    assert!(error(&directory).await.contains("does not join two texts"));
}

#[tokio::test]
async fn weights_that_give_no_number_are_an_error() {
    let model = TinyCrossEncoder::default();
    let directory = tempfile::tempdir().unwrap();
    let mut tensors = model.tensors();
    tensors.iter_mut().find(|tensor| tensor.name == "classifier.bias").unwrap().values[0] = f32::NAN;
    model.write_with(directory.path(), &tensors).unwrap();
    let reranker = open(&directory).await.unwrap();
    assert_eq!(reranker.score(QUERY, vec!["a".to_owned()]).await, Err(crate::RerankError::NotANumber));
}
