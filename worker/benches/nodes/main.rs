//! `just bench-nodes`: the speed of each node type that runs on this machine, beside the bare library that it is built on, and the CPU
//! time of each call of a model. Ratios are of one run: node and library take turns.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark that prints a report")]

mod cpu_clock;
mod model_calls;
mod model_server;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use nvisy_embed::Tokenizer;
use nvisy_extract::{Document, Element, ElementKind};
use nvisy_shared::{
    id::{BlobId, FileId, PipelineId, RunId, WorkspaceId},
    pipeline::{
        content_key::ContentKey,
        expression::{Expected, Expression},
        node::Settings,
    },
    platform::Platform,
    testing::TestDeployment,
};
use nvisy_worker::{
    chunk::{CharacterLimits, ChunkModel, PageLimits, SectionLimits, by_characters, by_pages, by_sections},
    context::Context,
    pipeline::{
        contract::{Call, FileFacts},
        element::{ChunkElement, DocumentElement, Elements, FileElement},
        node::instantiate,
    },
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The size of the text that each node gets.
const TEXT_BYTES: usize = 2 * 1024 * 1024;
const ROUNDS: usize = 5;

/// The bare library on the same text.
type Bare<'a> = (&'static str, Box<dyn Fn() + 'a>);

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == model_server::ARGUMENT) {
        return model_server::serve().await;
    }
    let deployment = TestDeployment::new().await;
    let platform = Platform::open(deployment.config(&[("NVISY_EMBEDDING_PROVIDER", "local")])).await.unwrap();
    let bench =
        Bench { cx: Context::new(platform, "nvisy-worker".into(), None), workspace: WorkspaceId::new(), file: file() };
    let (document, table) = (document(), table());
    let chunks = chunks(&document);
    println!("{} MB of text, {} chunks; the best of {ROUNDS} rounds", TEXT_BYTES / 1024 / 1024, chunks.len());
    println!("  {:18} {:>10}  {:28} {:>10}  ratio", "node", "MB/s", "beside", "MB/s");

    let model =
        || ChunkModel { tokenizer: bench.cx.spaces.default().embedder.tokenizer(), max_tokens: 254, contextual: false };
    let text = document.text.as_str();
    let documents = || Elements::Documents(vec![element(&document)]);
    let all_chunks = || Elements::Chunks(chunks.clone());

    bench
        .compare(
            "chunk.section",
            json!({}),
            &documents,
            (
                "tokenizer, once",
                Box::new(|| {
                    black_box(model().tokenizer.count(text));
                }),
            ),
        )
        .await;
    let by_sections = || {
        drop(black_box(by_sections(
            &document,
            &model(),
            SectionLimits { max_tokens: 254, min_tokens: None, overlap_tokens: 0 },
        )))
    };
    bench.compare("chunk.section", json!({}), &documents, ("the chunker alone", Box::new(by_sections))).await;
    let by_characters = || {
        drop(black_box(by_characters(
            &document,
            &model(),
            CharacterLimits { max_characters: 1000, overlap_characters: 0 },
        )))
    };
    bench
        .compare(
            "chunk.characters",
            json!({ "maxCharacters": 1000 }),
            &documents,
            ("the chunker alone", Box::new(by_characters)),
        )
        .await;
    let by_pages = || drop(black_box(by_pages(&document, &model(), PageLimits { pages: 1, overlap_pages: 0 })));
    bench.compare("chunk.page", json!({}), &documents, ("the chunker alone", Box::new(by_pages))).await;
    bench
        .compare(
            "language",
            json!({}),
            &all_chunks,
            (
                "whatlang on each chunk",
                Box::new(|| {
                    for chunk in &chunks {
                        black_box(whatlang::detect(&chunk.text));
                    }
                }),
            ),
        )
        .await;
    let expression = Expression::parse("item.text.contains('tide')", Expected::Bool).unwrap();
    let call = bench.call("expression");
    bench
        .compare(
            "filter",
            json!({ "expression": "item.text.contains('tide')" }),
            &all_chunks,
            (
                "CEL on each chunk",
                Box::new(|| {
                    let elements = Elements::Chunks(chunks.clone());
                    for index in 0..chunks.len() {
                        black_box(expression.holds(&call.variables(&elements, index)).unwrap());
                    }
                }),
            ),
        )
        .await;
    let email = regex::Regex::new(r"(?i)[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,24}").unwrap();
    bench
        .compare(
            "redact",
            json!({ "find": ["email"] }),
            &documents,
            (
                "regex, one pattern",
                Box::new(|| {
                    black_box(email.find_iter(text).count());
                }),
            ),
        )
        .await;
    bench
        .compare(
            "redact",
            json!({}),
            &documents,
            (
                "regex, one pattern",
                Box::new(|| {
                    black_box(email.find_iter(text).count());
                }),
            ),
        )
        .await;
    let hashed = || {
        for chunk in &chunks {
            black_box(Sha256::digest(&chunk.text));
        }
    };
    bench.compare("deduplicate", json!({}), &all_chunks, ("SHA-256 of each chunk", Box::new(hashed))).await;
    bench
        .compare("deduplicate", json!({ "similarity": 0.8 }), &all_chunks, ("SHA-256 of each chunk", Box::new(hashed)))
        .await;
    bench
        .compare(
            "extract.keywords",
            json!({}),
            &all_chunks,
            (
                "yake-rust on each chunk",
                Box::new(|| {
                    let (words, config) =
                        (yake_rust::StopWords::predefined("en").unwrap(), yake_rust::Config::default());
                    for chunk in &chunks {
                        black_box(yake_rust::get_n_best(10, &chunk.text, &words, &config));
                    }
                }),
            ),
        )
        .await;
    let tables = || Elements::Documents(vec![element(&table)]);
    bench
        .compare(
            "convert.table",
            json!({ "format": "csv" }),
            &tables,
            (
                "csv, read and written",
                Box::new(|| {
                    let mut reader = csv::ReaderBuilder::new()
                        .delimiter(b'|')
                        .flexible(true)
                        .has_headers(false)
                        .from_reader(table.text.as_bytes());
                    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
                    for record in reader.records() {
                        writer.write_record(&record.unwrap()).unwrap();
                    }
                    black_box(writer.into_inner().unwrap());
                }),
            ),
        )
        .await;
    bench.expressions(&chunks[..1]).await;
    model_calls::run(&bench.cx, &bench.file).await;
    drop(bench);
    deployment.close().await;
}

struct Bench {
    cx: Context,
    workspace: WorkspaceId,
    file: FileFacts,
}

impl Bench {
    fn call<'a>(&'a self, node: &'a str) -> Call<'a> {
        Call {
            cx: &self.cx,
            workspace: self.workspace,
            run: RunId::new(),
            pipeline: PipelineId::new(),
            preview: false,
            node,
            key: ContentKey([0; 32]),
            file: &self.file,
            spaces: &[],
            model_access: None,
            target_access: None,
        }
    }

    /// The time of a filter with one element, whose expression is parsed once, and that of parsing it at each call.
    async fn expressions(&self, chunks: &[ChunkElement]) {
        const CALLS: u32 = 2_000;
        let source = "item.text.contains('tide') || has(metadata.state) && metadata.state == 'final'";
        let settings = Map::from_iter([("expression".to_owned(), json!(source))]);
        let node = instantiate(&Settings::read("filter", settings).unwrap().unwrap());
        let started = Instant::now();
        for _ in 0..CALLS {
            black_box(node.run(&self.call("node"), Elements::Chunks(chunks.to_vec())).await.unwrap());
        }
        let call = started.elapsed() / CALLS;
        let started = Instant::now();
        for _ in 0..CALLS {
            black_box(Expression::parse(source, Expected::Bool).unwrap());
        }
        println!(
            "  a filter with one element takes {call:?}; parsing its expression, once in a worker, {:?}",
            started.elapsed() / CALLS
        );
    }

    async fn compare(&self, kind: &str, settings: Value, input: &impl Fn() -> Elements, (name, bare): Bare<'_>) {
        let Value::Object(settings) = settings else { panic!("settings are a map") };
        let node = instantiate(&Settings::read(kind, settings).unwrap().unwrap());
        let (mut best, mut best_bare) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            let input = input();
            let started = Instant::now();
            black_box(node.run(&self.call("node"), input).await.unwrap());
            best = best.min(started.elapsed());
            let started = Instant::now();
            bare();
            best_bare = best_bare.min(started.elapsed());
        }
        let speed = |time: Duration| TEXT_BYTES as f64 / 1e6 / time.as_secs_f64();
        let ratio = best.as_secs_f64() / best_bare.as_secs_f64();
        println!("  {kind:18} {:10.1}  {name:28} {:10.1}  {ratio:5.2}", speed(best), speed(best_bare));
    }
}

fn file() -> FileFacts {
    let content = FileElement {
        blob: BlobId::new(),
        bytes: 0,
        sha256: String::new(),
        name: "a.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        origin: Arc::default(),
        staged: None,
    };
    let declared = json!({ "name": "a.txt", "mediaType": "text/plain", "size": 1, "tags": [] });
    let (metadata, declared_key) = (Map::new(), ContentKey([0; 32]));
    FileFacts { id: FileId::new(), content, declared, found: Default::default(), metadata, declared_key }
}

fn element(document: &Document) -> DocumentElement {
    DocumentElement { document: Arc::new(document.clone()), origin: Arc::default(), edits: Arc::default() }
}

/// Paragraphs of different sentences, with an address in some of them.
fn document() -> Document {
    let mut document = Document { page_count: Some(1), ..Document::default() };
    let mut number: u64 = 1;
    while document.text.len() < TEXT_BYTES {
        let start = document.text.len();
        for _ in 0..6 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (gauge, depth) = (number >> 50, number >> 44 & 63);
            document.text.push_str(&format!(
                "The tide at gauge {gauge} stood {depth} metres high when divers cleaned the blades. "
            ));
        }
        if number.is_multiple_of(4) {
            document.text.push_str("Write to ada@example.org. ");
        }
        document.elements.push(Element::new(ElementKind::Paragraph, start..document.text.len(), Some(1)));
        document.text.push_str("\n\n");
    }
    document
}

fn table() -> Document {
    let mut text = String::from("gauge | depth | note\n");
    let mut row = 0;
    while text.len() < TEXT_BYTES {
        text.push_str(&format!("{row} | {} | cleaned at slack water\n", row % 17));
        row += 1;
    }
    let elements = vec![Element::new(ElementKind::Table, 0..text.len(), None)];
    Document { text, elements, ..Document::default() }
}

/// Chunks of a thousand characters.
fn chunks(document: &Document) -> Vec<ChunkElement> {
    let model = ChunkModel { tokenizer: Tokenizer::estimate(), max_tokens: 500, contextual: false };
    let pieces = by_characters(document, &model, CharacterLimits { max_characters: 1000, overlap_characters: 0 });
    let chunk = |(piece, ordinal): (nvisy_worker::chunk::Piece, u32)| ChunkElement {
        ordinal,
        text: document.text[piece.bytes.clone()].to_owned(),
        bytes: piece.bytes.start as u64..piece.bytes.end as u64,
        page: None,
        place: None,
        headings: Vec::new(),
        tokens: piece.tokens,
        prefix: None,
        language: None,
        origin: Arc::default(),
    };
    pieces.into_iter().zip(0..).map(chunk).collect()
}
