//! Small models with random weights, for tests: no registry of packages has a reranking model.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The sizes of a cross-encoder, and the layout of its file.
#[derive(Clone, Debug)]
pub struct TinyCrossEncoder {
    /// Decides all weights.
    pub seed: u64,
    /// Length of a token's vector.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward network.
    pub intermediate: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Tokens of the longest pair.
    pub positions: usize,
    /// Outputs of the classifier; a reranking model has one.
    pub outputs: usize,
    /// The prefix of the encoder's tensors, `bert.`, `roberta.` or none.
    pub prefix: &'static str,
    /// Whether there is a linear layer with tanh before the classifier of BERT.
    pub has_pooler: bool,
    /// Whether it has the layout of RoBERTa: one token type, the first positions unused, and a head of two layers.
    pub is_roberta: bool,
}

/// The unused rows of RoBERTa's positions: the padding token has the second one.
pub const ROBERTA_FIRST_POSITION: usize = 2;

impl Default for TinyCrossEncoder {
    fn default() -> Self {
        Self {
            seed: 1,
            hidden: 48,
            heads: 4,
            intermediate: 80,
            layers: 2,
            positions: 64,
            outputs: 1,
            prefix: "bert.",
            has_pooler: true,
            is_roberta: false,
        }
    }
}

/// The words that the tokenizer knows, behind its special tokens; it splits other words into their letters.
pub const WORDS: [&str; 24] = [
    "the", "tide", "turns", "twice", "a", "day", "seals", "rest", "on", "sand", "turbine", "blades", "are", "cleaned",
    "every", "year", "osprey", "nests", "tower", "cable", "carries", "current", "how", "often",
];
const SPECIALS: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// A tensor with its name in the file.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The name.
    pub name: String,
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// The numbers, row by row.
    pub values: Vec<f32>,
}

impl TinyCrossEncoder {
    /// The number of tokens of the tokenizer.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        vocabulary().len()
    }

    /// The tensors of the model.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut random = Random(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: &[usize], centre: f32, spread: f32| {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|_| centre + spread * random.next()).collect();
            tensors.push(Tensor { name, shape: shape.to_vec(), values });
        };
        let Self { hidden, intermediate, prefix, .. } = *self;
        let (positions, types) =
            if self.is_roberta { (self.positions + ROBERTA_FIRST_POSITION, 1) } else { (self.positions, 2) };
        for (name, rows) in [("word", self.vocabulary()), ("position", positions), ("token_type", types)] {
            add(format!("{prefix}embeddings.{name}_embeddings.weight"), &[rows, hidden], 0.0, 1.0);
        }
        let mut norms = vec![format!("{prefix}embeddings.LayerNorm")];
        let mut linears = Vec::new();
        for layer in 0..self.layers {
            let name = |part: &str| format!("{prefix}encoder.layer.{layer}.{part}");
            for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
            {
                linears.push((name(part), hidden, hidden));
            }
            linears.push((name("intermediate.dense"), hidden, intermediate));
            linears.push((name("output.dense"), intermediate, hidden));
            norms.extend([name("attention.output.LayerNorm"), name("output.LayerNorm")]);
        }
        if self.is_roberta {
            linears.push(("classifier.dense".to_owned(), hidden, hidden));
            linears.push(("classifier.out_proj".to_owned(), hidden, self.outputs));
        } else {
            if self.has_pooler {
                linears.push((format!("{prefix}pooler.dense"), hidden, hidden));
            }
            linears.push(("classifier".to_owned(), hidden, self.outputs));
        }
        for (name, inner, outer) in linears {
            let spread = 3.0 / (inner as f32).sqrt();
            add(format!("{name}.weight"), &[outer, inner], 0.0, spread);
            add(format!("{name}.bias"), &[outer], 0.0, 0.2);
        }
        for name in norms {
            add(format!("{name}.weight"), &[hidden], 1.0, 0.3);
            add(format!("{name}.bias"), &[hidden], 0.0, 0.3);
        }
        tensors
    }

    /// Writes the model into a directory, which exists.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        self.write_with(directory, &self.tensors())
    }

    /// Writes the model with other tensors.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_with(&self, directory: &Path, tensors: &[Tensor]) -> io::Result<()> {
        fs::write(directory.join("model.safetensors"), safetensors(tensors))?;
        let (model_type, architecture) = if self.is_roberta {
            ("xlm-roberta", "XLMRobertaForSequenceClassification")
        } else {
            ("bert", "BertForSequenceClassification")
        };
        let config = json!({
            "model_type": model_type, "hidden_act": "gelu", "position_embedding_type": "absolute", "pad_token_id": 1,
            "num_attention_heads": self.heads, "layer_norm_eps": 1e-12, "architectures": [architecture],
        });
        fs::write(directory.join("config.json"), config.to_string())?;
        fs::write(directory.join("tokenizer.json"), tokenizer(self.is_roberta).to_string())
    }
}

/// The tokens, by id.
fn vocabulary() -> Vec<String> {
    let letters = ('a'..='z').chain('0'..='9');
    let pieces = letters.clone().map(|letter| format!("##{letter}"));
    let known: Vec<String> = letters.map(String::from).collect();
    let mut tokens: Vec<String> = SPECIALS.iter().map(|token| (*token).to_owned()).chain(known).chain(pieces).collect();
    for word in WORDS {
        if !tokens.iter().any(|token| token == word) {
            tokens.push(word.to_owned());
        }
    }
    tokens
}

/// A published description of a tokenizer of BERT, which joins two texts as RoBERTa does if told so.
fn tokenizer(is_roberta: bool) -> Value {
    let vocabulary: Map<String, Value> =
        vocabulary().into_iter().enumerate().map(|(id, token)| (token, Value::from(id))).collect();
    let special = |token: &str, id: usize| {
        json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true,
        })
    };
    let template = |parts: &[(&str, usize)]| -> Vec<Value> {
        let part = |(id, kind): &(&str, usize)| match *id {
            "A" | "B" => json!({ "Sequence": { "id": id, "type_id": kind } }),
            _ => json!({ "SpecialToken": { "id": id, "type_id": kind } }),
        };
        parts.iter().map(part).collect()
    };
    let token = |token: &str, id: usize| json!({ "id": token, "ids": [id], "tokens": [token] });
    let pair = if is_roberta {
        template(&[("[CLS]", 0), ("A", 0), ("[SEP]", 0), ("[SEP]", 0), ("B", 0), ("[SEP]", 0)])
    } else {
        template(&[("[CLS]", 0), ("A", 0), ("[SEP]", 0), ("B", 1), ("[SEP]", 1)])
    };
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": SPECIALS.iter().enumerate().map(|(id, token)| special(token, id)).collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template(&[("[CLS]", 0), ("A", 0), ("[SEP]", 0)]),
            "pair": pair,
            "special_tokens": { "[CLS]": token("[CLS]", 2), "[SEP]": token("[SEP]", 3) },
        },
        "decoder": null,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    })
}

/// The bytes of a file of tensors.
fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for Tensor { name, shape, values } in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] }));
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.extend(data);
    file
}

/// Numbers from -1 to 1 that a seed decides (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 40) as f32 / (1_u64 << 23) as f32) - 1.0
    }
}
