//! The CPU time of this process for each call of a model, by node type, beside that of the bare client for a call with the same
//! request and response.

use std::{
    hint::black_box,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nvisy_extract::{Document, Element, ElementKind};
use nvisy_shared::{
    domain::{
        connection::{
            CallLimits,
            model::{ModelProvider, ModelSettings},
        },
        job::Lane,
    },
    id::{BlobId, ConnectionId, FileId, JobId, PipelineId, RunId, VersionId, WorkspaceId},
    pipeline::{content_key::ContentKey, node::Settings},
    store::{
        Conn as _,
        job::{Claim, Fence},
    },
};
use nvisy_worker::{
    context::Context,
    pipeline::{
        connections::ModelConnection,
        contract::{Call, FileFacts},
        element::{ChunkElement, DocumentElement, Elements, FileElement},
        model::ModelAccess,
        node::instantiate,
    },
    providers::ModelClient,
};
use serde_json::{Value, json};

use crate::{cpu_clock::CpuClock, model_server::ModelServer};

/// Calls in a round of a node, and of the bare client.
const CALLS: usize = 200;
const ROUNDS: usize = 3;
/// The size of a text that is asked about: a page.
const TEXT_BYTES: usize = 3_000;
/// The size of an image that is asked about.
const IMAGE_BYTES: usize = 100_000;

/// What a node type gets.
#[derive(Clone, Copy)]
enum Input {
    /// A document for each call.
    Document,
    /// A document with one table for each call.
    Table,
    /// An image for each call.
    Image,
    /// The chunks of one document, with a call for each.
    Chunks,
}

/// A node type, its settings, its input, and what the model answers.
type Case = (&'static str, Value, Input, Value);

fn cases() -> Vec<Case> {
    let schema = json!({
        "type": "object", "properties": { "total": { "type": "number" }, "by": { "type": ["string", "null"] } },
        "required": ["total", "by"],
    });
    let relation = json!({ "subject": "tide", "predicate": "stood at", "object": "gauge" });
    let column = json!({ "name": "gauge", "description": "The number of the gauge." });
    vec![
        ("extract.json", json!({ "schema": schema }), Input::Document, json!({ "total": 42, "by": "Ada" })),
        (
            "extract.entities",
            json!({ "types": ["thing", "person"] }),
            Input::Document,
            json!({ "entities": [{ "text": "tide", "type": "thing" }, { "text": "gauge", "type": "thing" }] }),
        ),
        ("extract.keywords", json!({ "method": "model" }), Input::Document, json!({ "keywords": ["tide", "gauge"] })),
        ("classify", json!({ "labels": ["report", "invoice"] }), Input::Document, json!({ "label": "report" })),
        ("sentiment", json!({}), Input::Document, json!({ "sentiment": "neutral", "score": 0.1 })),
        ("relations", json!({}), Input::Document, json!({ "relations": [relation] })),
        ("summarize", json!({}), Input::Document, json!({ "summary": "The tide was measured at many gauges." })),
        ("title", json!({}), Input::Document, json!({ "title": "Tides at many gauges" })),
        ("enrich.table", json!({}), Input::Table, json!({ "description": "Depths by gauge.", "columns": [column] })),
        ("enrich.image", json!({}), Input::Image, json!({ "description": "A gauge in a harbour." })),
        ("contextualize", json!({}), Input::Chunks, json!({ "context": "About the depths at the gauges." })),
    ]
}

/// Prints the cost of a call for each node type.
pub(crate) async fn run(cx: &Context, file: &FileFacts) {
    let server = ModelServer::start().await;
    let settings = json!({ "model": "m", "baseUrl": server.base_url() });
    let settings: ModelSettings = serde_json::from_value(settings).unwrap();
    let identity = settings.identity(ModelProvider::OpenAi);
    let workspace = WorkspaceId::new();
    let bench = ModelBench {
        cx,
        file,
        stored: store_file(cx, workspace).await,
        run: RunId::new(),
        claim: claim(workspace),
        connection: ModelConnection {
            id: ConnectionId::new(),
            name: "model".to_owned(),
            limits: CallLimits::default(),
            identity,
            client: ModelClient::new(cx.outbound.clone(), ModelProvider::OpenAi, settings, None),
        },
        server,
        questions: AtomicUsize::new(0),
    };
    println!("CPU time for each call of a model, in ms; the best of {ROUNDS} rounds of {CALLS} calls");
    println!("  {:18} {:>10} {:>10}  ratio  above the bare call  (target: under 2 ms)", "node", "node", "bare call");
    for case in cases() {
        bench.compare(case).await;
    }
}

struct ModelBench<'a> {
    cx: &'a Context,
    file: &'a FileFacts,
    /// The file with which answers are kept.
    stored: FileId,
    run: RunId,
    claim: Claim,
    connection: ModelConnection,
    server: ModelServer,
    /// Those that were made: each is another one, since an answer is found when it is asked for again.
    questions: AtomicUsize,
}

impl ModelBench<'_> {
    async fn compare(&self, (kind, mut settings, input, content): Case) {
        settings["connection"] = json!(self.connection.id);
        let Value::Object(settings) = settings else { panic!("settings are a map") };
        let settings = Settings::read(kind, settings).unwrap().unwrap();
        self.server.set_content(&content).await;
        // Opens connections and compiles the schema, as the first call of a worker does.
        self.run_node(&settings, self.inputs(input, 2)).await;
        let request = self.server.last().await;
        self.server.complete(&request).await;
        let mut cpu = CpuClock::default();
        let (mut best, mut best_bare) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            let inputs = self.inputs(input, CALLS);
            let began = cpu.now();
            self.run_node(&settings, inputs).await;
            let called = cpu.now();
            for _ in 0..CALLS {
                black_box(self.server.complete(&request).await);
            }
            best = best.min(called.saturating_sub(began));
            best_bare = best_bare.min(cpu.now().saturating_sub(called));
        }
        let millis = |time: Duration| time.as_secs_f64() * 1e3 / CALLS as f64;
        let (node, bare) = (millis(best), millis(best_bare));
        println!("  {kind:18} {node:10.2} {bare:10.2}  {:5.2}  {:.2}", node / bare, node - bare);
    }

    async fn run_node(&self, settings: &Settings, inputs: Vec<Elements>) {
        let node = instantiate(settings);
        for input in inputs {
            black_box(node.run(&self.call(), input).await.unwrap());
        }
    }

    fn call(&self) -> Call<'_> {
        let access = ModelAccess {
            connection: &self.connection,
            run: self.run,
            file: self.stored,
            claim: &self.claim,
            salt: None,
        };
        Call {
            cx: self.cx,
            workspace: self.claim.workspace_id,
            run: self.run,
            pipeline: PipelineId::new(),
            preview: false,
            node: "node",
            key: ContentKey([0; 32]),
            file: self.file,
            spaces: &[],
            model_access: Some(access),
            target_access: None,
        }
    }

    /// Inputs that lead to so many calls.
    fn inputs(&self, input: Input, calls: usize) -> Vec<Elements> {
        match input {
            Input::Document => (0..calls).map(|_| self.document(ElementKind::Paragraph)).collect(),
            Input::Table => (0..calls).map(|_| self.document(ElementKind::Table)).collect(),
            Input::Image => (0..calls).map(|_| Elements::Bytes(vec![self.image()])).collect(),
            Input::Chunks => vec![Elements::Chunks((0..calls).map(|place| self.chunk(place)).collect())],
        }
    }

    /// A text that no question had before.
    fn text(&self) -> String {
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        let mut text = format!("Report {number}\n");
        let mut depth = number;
        while text.len() < TEXT_BYTES {
            depth = (depth * 7 + 3) % 61;
            text.push_str(&format!("gauge {depth} | the tide stood {depth} metres high\n"));
        }
        text
    }

    fn document(&self, kind: ElementKind) -> Elements {
        let text = self.text();
        let elements = vec![Element::new(kind, 0..text.len(), Some(1))];
        let document = Document { text, elements, page_count: Some(1), ..Document::default() };
        let (origin, edits) = Default::default();
        Elements::Documents(vec![DocumentElement { document: Arc::new(document), origin, edits }])
    }

    fn chunk(&self, place: usize) -> ChunkElement {
        let text = self.text();
        let bytes = place as u64 * text.len() as u64;
        ChunkElement {
            ordinal: u32::try_from(place).unwrap(),
            bytes: bytes..bytes + text.len() as u64,
            text,
            page: None,
            place: None,
            headings: vec!["Tides".to_owned()],
            tokens: 100,
            prefix: None,
            language: None,
            origin: Arc::default(),
        }
    }

    /// An image in a file: not the file itself, whose description would be stored as its text.
    fn image(&self) -> FileElement {
        let mut content = b"\x89PNG\r\n\x1a\n".to_vec();
        content.extend(self.text().bytes().cycle().take(IMAGE_BYTES - content.len()));
        let mut staged = tempfile::tempfile().unwrap();
        staged.write_all(&content).unwrap();
        FileElement {
            blob: BlobId::new(),
            bytes: content.len() as u64,
            sha256: String::new(),
            name: "gauge.png".to_owned(),
            media_type: "image/png".to_owned(),
            origin: Arc::default(),
            staged: Some(Arc::new(staged)),
        }
    }
}

/// A job, as a worker holds it.
fn claim(workspace_id: WorkspaceId) -> Claim {
    Claim {
        id: JobId::new(),
        workspace_id,
        kind: "run.segment".to_owned(),
        version: 1,
        lane: Lane::Model,
        payload: json!({}),
        epoch: 1,
        attempts: 1,
        fence: Fence::default(),
        traceparent: None,
        waited_seconds: 0.0,
    }
}

/// A workspace with a file: without one, no answer is kept.
async fn store_file(cx: &Context, workspace: WorkspaceId) -> FileId {
    let (file, version, blob) = (FileId::new(), VersionId::new(), BlobId::new());
    let sql = format!(
        "insert into workspace (id, name) values ('{workspace}', 'Tides');
         insert into blob (workspace_id, id, sha256, bytes) values ('{workspace}', '{blob}', sha256('a'), 1);
         insert into file (workspace_id, id, name, version_id) values ('{workspace}', '{file}', 'a.txt', '{version}');
         insert into file_version
             (workspace_id, id, file_id, number, blob_id, bytes, sha256, media_type, state, chunk_count)
         values ('{workspace}', '{version}', '{file}', 1, '{blob}', 1, sha256('a'), 'text/plain', 'ready', 0)"
    );
    cx.db.execute_unprepared(&sql).await.unwrap();
    file
}
