//! Random graphs: a run writes exactly what a naive evaluation of the graph in memory gives, whatever is killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    strategy::ValueTree,
    test_runner::{RngSeed, TestRunner},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, part, send, spawn, wait_until};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");
/// Small units, so that each item has several.
const BATCH: (&str, &str) = ("NVISY_WORKER_BATCH_CHUNKS", "2");
const LEASE: (&str, &str) = ("NVISY_QUEUE_LEASE_SECONDS", "2");
/// A kill costs the job in progress an attempt.
const ATTEMPTS: (&str, &str) = ("NVISY_QUEUE_ATTEMPTS", "50");
const COLLECTIONS: usize = 3;
/// The files and their lines: sizes on both sides of every limit.
const FILES: [(&str, usize); 4] = [("one.txt", 1), ("few.txt", 6), ("some.txt", 11), ("many.txt", 17)];
/// The files of a source: a bit for each.
const ALL_FILES: u8 = 0b1111;
/// Graphs that run at the same time: while one waits, the worker runs others.
const CONCURRENT_GRAPHS: usize = 4;

/// A flow, with what an item has of it: the number of files or documents, or the texts of chunks.
#[derive(Clone, Debug, PartialEq)]
enum Data {
    Bytes(usize),
    Documents(usize),
    Chunks(Vec<String>),
    Vectors(Vec<String>),
}

impl Data {
    /// Nothing of the same flow.
    fn none(&self) -> Self {
        match self {
            Self::Bytes(_) => Self::Bytes(0),
            Self::Documents(_) => Self::Documents(0),
            Self::Chunks(_) => Self::Chunks(Vec::new()),
            Self::Vectors(_) => Self::Vectors(Vec::new()),
        }
    }

    fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Bytes(n), Self::Bytes(more)) | (Self::Documents(n), Self::Documents(more)) => *n += more,
            (Self::Chunks(texts), Self::Chunks(more)) | (Self::Vectors(texts), Self::Vectors(more)) => {
                texts.extend(more);
            }
            (flow, other) => panic!("{other:?} cannot follow {flow:?}"),
        }
    }

    fn is_same_flow(&self, other: &Self) -> bool {
        self.none() == other.none()
    }
}

/// A condition: on the file, or on each chunk.
#[derive(Clone, Debug)]
enum Condition {
    Larger(usize),
    Contains(char),
}

impl Condition {
    fn of(choice: u16, flow: &Data) -> Self {
        match flow {
            Data::Chunks(_) if !choice.is_multiple_of(3) => {
                Self::Contains(char::from(b'0' + u8::try_from(choice % 10).unwrap()))
            }
            _ => Self::Larger(usize::from(choice % 4) * 200),
        }
    }

    fn expression(&self) -> String {
        match self {
            Self::Larger(size) => format!("file.size > {size}"),
            Self::Contains(digit) => format!("item.text.contains('{digit}')"),
        }
    }

    /// The part for which the condition holds, and the rest.
    fn divide(&self, size: usize, data: Data) -> (Data, Data) {
        let none = data.none();
        match (self, data) {
            (Self::Larger(limit), data) if size > *limit => (data, none),
            (Self::Larger(_), data) => (none, data),
            (Self::Contains(digit), Data::Chunks(texts)) => {
                let (with, without) = texts.into_iter().partition(|text| text.contains(*digit));
                (Data::Chunks(with), Data::Chunks(without))
            }
            (Self::Contains(_), data) => panic!("{data:?} has no texts"),
        }
    }
}

#[derive(Clone, Debug)]
enum Kind {
    /// With the files that it takes.
    Source(u8),
    Partition,
    Cut,
    Embed,
    Filter(Condition),
    Switch(Condition),
    Collection(usize),
    File,
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    /// Node and output.
    inputs: Vec<(usize, usize)>,
}

/// A valid graph of nodes in topological order, with two sources that take some files both.
#[derive(Debug)]
struct Graph(Vec<Node>);

impl Graph {
    fn random(choices: Vec<(u8, u16, u16)>, files: u8) -> Self {
        let source = |files: u8| Node { kind: Kind::Source(files), inputs: Vec::new() };
        let mut nodes = vec![source(ALL_FILES), source(1 + files % ALL_FILES)];
        // Each output, with its flow.
        let mut outputs = vec![((0, 0), Data::Bytes(0)), ((1, 0), Data::Bytes(0))];
        let mut used = BTreeSet::new();
        for (choice, first, second) in choices {
            // The newest ones more often: chains and fans of some depth.
            let place = outputs.len() - 1 - usize::from(first) % outputs.len().min(4);
            let (from, flow) = outputs[place].clone();
            let others: Vec<_> =
                outputs.iter().filter(|(output, other)| *output != from && flow.is_same_flow(other)).collect();
            let mut inputs = vec![from];
            if let Some((other, _)) = others.get(usize::from(second) % others.len().max(1)) {
                inputs.push(*other);
            }
            let condition = Condition::of(second, &flow);
            let (kind, flows) = match (&flow, choice % 4) {
                (_, 0) => (Kind::Filter(condition), vec![flow]),
                (Data::Bytes(_) | Data::Documents(_) | Data::Chunks(_), 1) => {
                    (Kind::Switch(condition), vec![flow.clone(), flow])
                }
                (Data::Bytes(_), _) => (Kind::Partition, vec![Data::Documents(0)]),
                (Data::Documents(_), _) => (Kind::Cut, vec![Data::Chunks(Vec::new())]),
                (Data::Chunks(_), _) => (Kind::Embed, vec![Data::Vectors(Vec::new())]),
                (Data::Vectors(_), _) => (Kind::Collection(usize::from(second)), Vec::new()),
            };
            used.extend(inputs.iter().copied());
            outputs.extend(flows.into_iter().enumerate().map(|(output, flow)| ((nodes.len(), output), flow)));
            nodes.push(Node { kind, inputs });
        }
        // Every loose end gets a sink.
        for (place, (from, flow)) in outputs.into_iter().enumerate().filter(|(_, (from, _))| !used.contains(from)) {
            let kind = match flow {
                Data::Chunks(_) | Data::Vectors(_) => Kind::Collection(place),
                Data::Bytes(_) | Data::Documents(_) => Kind::File,
            };
            nodes.push(Node { kind, inputs: vec![from] });
        }
        Self(nodes)
    }

    fn definition(&self) -> Value {
        let nodes: Vec<Value> = self.0.iter().enumerate().map(|(place, node)| settings(place, &node.kind)).collect();
        let mut edges = Vec::new();
        for (place, node) in self.0.iter().enumerate() {
            for (from, output) in &node.inputs {
                let from = match (&self.0[*from].kind, output) {
                    (Kind::Switch(_), 0) => format!("n{from}.yes"),
                    (Kind::Switch(_), _) => format!("n{from}.else"),
                    _ => format!("n{from}"),
                };
                edges.push(json!({ "from": from, "to": format!("n{place}") }));
            }
        }
        json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges })
    }

    /// The sources that take a file.
    fn sources_of(&self, file: usize) -> Vec<usize> {
        let sources = self.0.iter().enumerate();
        sources
            .filter_map(|(place, node)| match node.kind {
                Kind::Source(files) if takes(files, file) => Some(place),
                _ => None,
            })
            .collect()
    }

    /// The nodes behind one.
    fn behind(&self, first: usize) -> BTreeSet<usize> {
        let mut behind = BTreeSet::from([first]);
        for (place, node) in self.0.iter().enumerate() {
            if node.inputs.iter().any(|(from, _)| behind.contains(from)) {
                behind.insert(place);
            }
        }
        behind
    }

    /// What the sinks may have of a file: the sinks behind several sources have it of the one whose item ended last.
    fn alternatives(&self, number: usize, file: &SourceFile) -> Vec<Written> {
        let sources = self.sources_of(number);
        let last = sources.iter().map(|&last| {
            let mut by_sink: BTreeMap<usize, Written> = BTreeMap::new();
            let others = sources.iter().filter(|&&source| source != last);
            for &source in others.chain([&last]) {
                let behind = self.behind(source);
                by_sink.retain(|sink, _| !behind.contains(sink));
                by_sink.extend(self.evaluate(file, source));
            }
            let mut written = Written::default();
            for of_sink in by_sink.into_values() {
                written.chunks.extend(of_sink.chunks);
                written.files.extend(of_sink.files);
            }
            written.sorted()
        });
        last.collect()
    }

    /// What each sink gets of a file from one source.
    fn evaluate(&self, file: &SourceFile, source: usize) -> BTreeMap<usize, Written> {
        let mut outputs: Vec<Vec<Data>> = Vec::new();
        let mut by_sink: BTreeMap<usize, Written> = BTreeMap::new();
        for (place, node) in self.0.iter().enumerate() {
            let mut inputs = node.inputs.iter().map(|(from, output)| outputs[*from][*output].clone());
            let mut input = inputs.next().unwrap_or(Data::Bytes(usize::from(place == source)));
            inputs.for_each(|more| input.append(more));
            outputs.push(match (&node.kind, input) {
                (Kind::Source(_), input) => vec![input],
                (Kind::Partition, Data::Bytes(files)) => vec![Data::Documents(files)],
                (Kind::Cut, Data::Documents(documents)) => {
                    vec![Data::Chunks((0..documents).flat_map(|_| file.chunks.clone()).collect())]
                }
                (Kind::Embed, Data::Chunks(texts)) => vec![Data::Vectors(texts)],
                (Kind::Filter(condition), input) => vec![condition.divide(file.text.len(), input).0],
                (Kind::Switch(condition), input) => {
                    let (yes, otherwise) = condition.divide(file.text.len(), input);
                    vec![yes, otherwise]
                }
                (Kind::Collection(choice), Data::Chunks(texts) | Data::Vectors(texts)) => {
                    let collection = collection(*choice);
                    let written = by_sink.entry(place).or_default();
                    written.chunks.extend(texts.into_iter().map(|text| (collection.clone(), text)));
                    Vec::new()
                }
                (Kind::File, Data::Bytes(copies) | Data::Documents(copies)) => {
                    let suffix = suffix(place);
                    let written = by_sink.entry(place).or_default();
                    written.files.extend((0..copies).map(|copy| match copy {
                        0 => format!("{}{suffix}", file.name),
                        copy => format!("{} ({}){suffix}", file.name, copy + 1),
                    }));
                    Vec::new()
                }
                (kind, input) => panic!("{kind:?} cannot take {input:?}"),
            });
        }
        by_sink
    }
}

/// Whether a file is among those of a source.
fn takes(files: u8, file: usize) -> bool {
    (files >> file) & 1 == 1
}

fn collection(choice: usize) -> String {
    format!("c{}", choice % COLLECTIONS)
}

fn suffix(place: usize) -> String {
    format!(".n{place}")
}

fn settings(place: usize, kind: &Kind) -> Value {
    let mut settings = match kind {
        Kind::Source(ALL_FILES) => json!({ "type": "source.files", "trigger": "manual" }),
        Kind::Source(files) => {
            let names: Vec<_> = (0..FILES.len()).filter(|n| takes(*files, *n)).map(|n| FILES[n].0).collect();
            let filter = json!({ "field": "name", "op": "in", "value": names });
            json!({ "type": "source.files", "trigger": "manual", "filter": filter })
        }
        Kind::Partition => json!({ "type": "partition" }),
        Kind::Cut => cut(),
        Kind::Embed => json!({ "type": "embed" }),
        Kind::Filter(condition) => json!({ "type": "filter", "expression": condition.expression() }),
        Kind::Switch(condition) => {
            json!({ "type": "switch.when", "branches": [{ "port": "yes", "expression": condition.expression() }] })
        }
        Kind::Collection(choice) => json!({ "type": "sink.collection", "collection": collection(*choice) }),
        Kind::File => json!({ "type": "sink.file", "suffix": suffix(place) }),
    };
    settings["id"] = format!("n{place}").into();
    settings
}

fn cut() -> Value {
    json!({ "type": "chunk.characters", "maxCharacters": 80 })
}

struct SourceFile {
    id: String,
    name: String,
    text: String,
    /// The texts of its chunks, as a pipeline without branches gives them.
    chunks: Vec<String>,
}

/// The output of sinks for a file, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Written {
    /// Collections and texts.
    chunks: Vec<(String, String)>,
    /// Names of derived files.
    files: Vec<String>,
}

struct Setup {
    app: TestApp,
    ada: TestAccount,
    path: String,
    files: Vec<SourceFile>,
}

impl Setup {
    async fn new() -> Self {
        let app = TestApp::start_with(&[LOCAL]).await;
        let ada = app.create_account("ada").await;
        let path = format!("/api/v1/workspaces/{}", app.create_workspace(&ada, "Tidal energy").await);
        let mut setup = Self { app, ada, path, files: Vec::new() };
        let list = setup.app.get(&setup.ada, &format!("{}/pipelines", setup.path)).await.expect(200);
        setup.set_state(list["items"][0]["id"].as_str().unwrap(), "disabled").await;
        for name in ["base".to_owned()].into_iter().chain((0..COLLECTIONS).map(collection)) {
            setup
                .app
                .post(&setup.ada, &format!("{}/collections", setup.path), &json!({ "name": name }))
                .await
                .expect(201);
        }
        for (name, lines) in FILES {
            let text: String =
                (0..lines).map(|n| format!("Gauge {n} of {name} stood at {} cm.\n", (n * 37 + lines) % 911)).collect();
            let form = reqwest::multipart::Form::new().part("file", part(name, text.clone()));
            let request = setup.app.request(Method::POST, &format!("{}/files", setup.path));
            let accepted = send(request.bearer_auth(&setup.ada.token).multipart(form)).await.expect(202);
            let id = accepted["items"][0]["id"].as_str().unwrap().to_owned();
            setup.files.push(SourceFile { id, name: name.to_owned(), text, chunks: Vec::new() });
        }
        setup.cut_files().await;
        setup
    }

    /// Finds the chunks of each file with a pipeline without branches.
    async fn cut_files(&mut self) {
        let nodes = [
            json!({ "id": "in", "type": "source.files", "trigger": "manual" }),
            json!({ "id": "read", "type": "partition" }),
            {
                let mut node = cut();
                node["id"] = "cut".into();
                node
            },
            json!({ "id": "out", "type": "sink.collection", "collection": "base" }),
        ];
        let edges: Vec<Value> =
            nodes.windows(2).map(|pair| json!({ "from": pair[0]["id"], "to": pair[1]["id"] })).collect();
        let definition = json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges });
        let pipeline = self.create("Base", &definition).await;
        let run = self.start(&pipeline).await;
        let worker = self.worker();
        self.ended(&run, self.files.len()).await;
        drop(worker);
        for n in 0..self.files.len() {
            let sql = format!(
                "select c.text from chunk c
                 join target t on t.workspace_id = c.workspace_id and t.id = c.target_id
                 where t.file_id = '{}' and t.live order by c.ordinal",
                self.files[n].id
            );
            let rows = self.app.rows(&sql).await;
            self.files[n].chunks = rows.iter().map(|row| row.try_get("", "text").unwrap()).collect();
        }
        assert!(self.files.last().unwrap().chunks.len() > 4, "a file has several units");
    }

    fn worker(&self) -> tokio::process::Child {
        spawn("nvisy-worker", &self.app.deployment, &[LOCAL, BATCH, LEASE, ATTEMPTS])
    }

    async fn set_state(&self, pipeline: &str, state: &str) {
        self.app
            .patch(&self.ada, &format!("{}/pipelines/{pipeline}", self.path), &json!({ "state": state }))
            .await
            .expect(200);
    }

    async fn create(&self, name: &str, definition: &Value) -> String {
        let body = json!({ "name": name, "definition": definition });
        let created = self.app.post(&self.ada, &format!("{}/pipelines", self.path), &body).await.expect(201);
        let id = created["id"].as_str().unwrap().to_owned();
        self.set_state(&id, "enabled").await;
        id
    }

    /// Starts a run over the uploaded files.
    async fn start(&self, pipeline: &str) -> String {
        let files: Vec<_> = self.files.iter().map(|file| &file.id).collect();
        let path = format!("{}/pipelines/{pipeline}/runs", self.path);
        let run = self.app.post(&self.ada, &path, &json!({ "files": files })).await.expect(202);
        format!("{}/runs/{}", self.path, run["id"].as_str().unwrap())
    }

    async fn has_ended(&self, run: &str) -> Option<Value> {
        let run = self.app.get(&self.ada, run).await.expect(200);
        run["finishedAt"].is_string().then_some(run)
    }

    async fn ended(&self, run: &str, items: usize) {
        let run = wait_until("the run has ended", async || self.has_ended(run).await).await;
        assert_eq!((&run["state"], &run["items"]), (&json!("completed"), &json!(items)), "{run}");
    }

    /// Kills a worker each time that the run has advanced, until it has ended. Returns the number of killed workers.
    async fn kill_until_ended(&self, run: &str, items: usize) -> usize {
        for killed in 0.. {
            let mut worker = self.worker();
            let before = self.progress().await;
            let ended = wait_until("the run has advanced", async || {
                let ended = self.has_ended(run).await.is_some();
                (ended || self.progress().await != before).then_some(ended)
            })
            .await;
            worker.kill().await.expect("a killed worker");
            if ended {
                self.ended(run, items).await;
                return killed;
            }
            // As if the leases had expired: other tests wait for that.
            self.app
                .sql(
                    "update job set state = 'waiting', run_at = now(), holder = null, heartbeat_at = null, stream_seq = null
                     where state = 'running'",
                )
                .await;
        }
        unreachable!("the loop has no end")
    }

    /// The progress of all items.
    async fn progress(&self) -> Option<String> {
        let sql = "select md5(string_agg(state || progress::text, '' order by id)) as progress from run_item";
        self.app.rows(sql).await[0].try_get("", "progress").unwrap()
    }

    /// What the pipeline has written, by the ids of the files.
    async fn written(&self, pipeline: &str) -> BTreeMap<String, Written> {
        let sql = format!(
            "select t.file_id::text as file, col.name, c.text from chunk c
             join target t on t.workspace_id = c.workspace_id and t.id = c.target_id
             join collection col on col.workspace_id = t.workspace_id and col.id = t.collection_id
             where t.pipeline_id = '{pipeline}' and t.live"
        );
        let mut written: BTreeMap<String, Written> = BTreeMap::new();
        for row in self.app.rows(&sql).await {
            let of_file = written.entry(row.try_get("", "file").unwrap()).or_default();
            of_file.chunks.push((row.try_get("", "name").unwrap(), row.try_get("", "text").unwrap()));
        }
        let sql = format!("select parent_id::text as file, name from file where source = 'pipeline:{pipeline}'");
        for row in self.app.rows(&sql).await {
            let of_file = written.entry(row.try_get("", "file").unwrap()).or_default();
            of_file.files.push(row.try_get("", "name").unwrap());
        }
        written.into_iter().map(|(file, written)| (file, written.sorted())).collect()
    }

    async fn delete(&self, pipeline: &str) {
        let path = format!("{}/pipelines/{pipeline}", self.path);
        assert_eq!(self.app.delete(&self.ada, &path).await.status, 204);
        // Derived files follow when the worker collects garbage.
        let written = self.written(pipeline).await;
        assert!(
            written.values().all(|of_file| of_file.chunks.is_empty()),
            "a deleted pipeline leaves no chunks: {written:?}"
        );
    }
}

impl Written {
    fn sorted(mut self) -> Self {
        self.chunks.sort();
        self.files.sort();
        self
    }
}

/// Runs a graph, and compares with the naive evaluation. `kill`: workers are killed while it runs. Returns their number, and
/// whether the graph writes chunks.
async fn assert_run_writes_what_graph_says(setup: &Setup, name: &str, graph: &Graph, kill: bool) -> (usize, bool) {
    let items: usize = (0..setup.files.len()).map(|file| graph.sources_of(file).len()).sum();
    let pipeline = setup.create(name, &graph.definition()).await;
    let run = setup.start(&pipeline).await;
    let killed = if kill { setup.kill_until_ended(&run, items).await } else { 0 };
    setup.ended(&run, items).await;
    let mut written = setup.written(&pipeline).await;
    let mut writes_chunks = false;
    for (number, file) in setup.files.iter().enumerate() {
        let alternatives = graph.alternatives(number, file);
        let of_file = written.remove(&file.id).unwrap_or_default();
        assert!(alternatives.contains(&of_file), "{of_file:?}, not {alternatives:?}: {}", graph.definition());
        writes_chunks |= !of_file.chunks.is_empty();
    }
    setup.delete(&pipeline).await;
    (killed, writes_chunks)
}

/// Runs random graphs: one after the other where workers are killed, otherwise some at the same time.
async fn assert_runs_write_what_graphs_say(graphs: usize, seed: u64, kill: bool) {
    let setup = Setup::new().await;
    let config = proptest::test_runner::Config { rng_seed: RngSeed::Fixed(seed), ..Default::default() };
    let mut runner = TestRunner::new(config);
    let mut random = || {
        let choices = vec((any::<u8>(), any::<u16>(), any::<u16>()), 4..14);
        let (choices, files) = (choices, any::<u8>()).new_tree(&mut runner).unwrap().current();
        Graph::random(choices, files)
    };
    let named: Vec<_> = (0..graphs).map(|n| (format!("Graph {n}"), random())).collect();
    let mut worker = (!kill).then(|| setup.worker());
    let (mut killed, mut some_write_chunks) = (0, false);
    for group in named.chunks(if kill { 1 } else { CONCURRENT_GRAPHS }) {
        let runs = group.iter().map(|(name, graph)| assert_run_writes_what_graph_says(&setup, name, graph, kill));
        for (of_graph, writes_chunks) in futures::future::join_all(runs).await {
            killed += of_graph;
            some_write_chunks |= writes_chunks;
        }
    }
    assert!(some_write_chunks, "graphs that write chunks were among them");
    assert!(!kill || killed >= graphs, "only {killed} workers were killed");
    worker.take();
    setup.app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn runs_of_random_graphs_write_what_a_naive_evaluation_gives() {
    assert_runs_write_what_graphs_say(24, 20, false).await;
}

#[actix_web::test]
async fn runs_of_random_graphs_write_the_same_when_a_worker_dies_after_each_step_forward() {
    assert_runs_write_what_graphs_say(4, 3, true).await;
}
