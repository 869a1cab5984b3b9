//! `just bench-quality`: how good the hits of each mode are, on judged queries.
//!
//! The collection in `quality/collection.txt` is searched twice: each passage as a file, and in reports of passages about different
//! subjects, which are cut into chunks. With a folder in the format of BEIR (`corpus.jsonl`, `queries.jsonl`, `qrels.tsv`), that
//! is searched, too.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use nvisy_shared::domain::evaluation::measure;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, part};

const COLLECTION: &str = include_str!("quality/collection.txt");
/// Reports of the passages; each has every twelfth.
const REPORTS: usize = 12;
/// Files of an upload.
const UPLOAD_FILES: usize = 50;
/// Hits of a search.
const HITS: usize = 100;
/// The settings that are compared: name, and fields of the request.
const SETTINGS: [(&str, &str); 5] = [
    ("text", r#"{"mode":"text"}"#),
    ("vector", r#"{"mode":"vector"}"#),
    ("hybrid", r#"{"mode":"hybrid"}"#),
    ("vector, neighbours", r#"{"mode":"vector","rerank":"neighbours"}"#),
    ("hybrid, neighbours", r#"{"mode":"hybrid","rerank":"neighbours"}"#),
];

/// A query, and the documents that answer it.
struct Judged {
    text: String,
    relevant: HashSet<String>,
}

/// Documents by name, and queries by kind.
#[derive(Default)]
struct Collection {
    documents: Vec<(String, String)>,
    topical: Vec<Judged>,
    known: Vec<Judged>,
}

#[actix_web::main]
pub async fn run() {
    let own = own_collection();
    println!(
        "{} passages, {} topical and {} known-item queries",
        own.documents.len(),
        own.topical.len(),
        own.known.len()
    );
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let whole = Searched::new(&app, &ada, "Whole", own.documents.clone(), HashMap::new()).await;
    whole.report("topical, whole", &own.topical).await;
    whole.report("known item, whole", &own.known).await;
    let folder = std::env::args().skip(2).find(|argument| !argument.is_empty() && !argument.starts_with("--"));
    if let Some(folder) = folder {
        let collection = beir_collection(Path::new(&folder));
        let searched = Searched::new(&app, &ada, "Folder", collection.documents, HashMap::new()).await;
        searched.report(&folder, &collection.topical).await;
    }
    app.stop().await;
    // Chunks of two or three passages.
    let app = TestApp::start_with_worker(&[("NVISY_CHUNK_MAX_TOKENS", "96")]).await;
    let ada = app.create_account("ada").await;
    let (reports, ranges) = reports(&own.documents);
    let chunked = Searched::new(&app, &ada, "Chunked", reports, ranges).await;
    chunked.report("topical, chunked", &own.topical).await;
    chunked.report("known item, chunked", &own.known).await;
    app.stop().await;
}

fn own_collection() -> Collection {
    let mut collection = Collection::default();
    let (mut topic, mut passages) = (String::new(), 0);
    let mut topics: Vec<(String, String)> = Vec::new();
    for line in COLLECTION.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_at(2) {
            ("= ", name) => (topic, passages) = (name.to_owned(), 0),
            ("? ", text) => topics.push((text.to_owned(), topic.clone())),
            ("! ", rest) => {
                let (number, text) = rest.split_once(' ').unwrap();
                let relevant = HashSet::from([format!("{topic}-{number}")]);
                collection.known.push(Judged { text: text.to_owned(), relevant });
            }
            _ => {
                passages += 1;
                collection.documents.push((format!("{topic}-{passages}"), line.to_owned()));
            }
        }
    }
    collection.topical.extend(topics.into_iter().map(|(text, topic)| {
        let names = collection.documents.iter().map(|(name, _)| name);
        let relevant = names.filter(|name| name.rsplit_once('-').is_some_and(|(of, _)| of == topic)).cloned().collect();
        Judged { text, relevant }
    }));
    collection
}

/// The byte ranges of passages in the files that contain them.
type Ranges = HashMap<String, Vec<(usize, usize, String)>>;

fn reports(documents: &[(String, String)]) -> (Vec<(String, String)>, Ranges) {
    let mut reports: Vec<(String, String)> = (0..REPORTS).map(|n| (format!("report-{n}"), String::new())).collect();
    let mut ranges = Ranges::new();
    for (number, (name, text)) in documents.iter().enumerate() {
        let (report, content) = &mut reports[number % REPORTS];
        let start = content.len();
        content.push_str(text);
        ranges.entry(report.clone()).or_default().push((start, content.len(), name.clone()));
        content.push_str("\n\n");
    }
    (reports, ranges)
}

fn beir_collection(folder: &Path) -> Collection {
    let lines = |name: &str| -> Vec<String> {
        fs::read_to_string(folder.join(name)).unwrap().lines().map(str::to_owned).collect()
    };
    let objects =
        |name: &str| -> Vec<Value> { lines(name).iter().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let mut relevant: HashMap<String, HashSet<String>> = HashMap::new();
    for line in lines("qrels.tsv") {
        if let [query, document, grade] = line.split('\t').collect::<Vec<_>>()[..]
            && grade.parse().unwrap_or(0) > 0
        {
            relevant.entry(query.to_owned()).or_default().insert(document.to_owned());
        }
    }
    let document =
        |object: Value| (text(&object, "_id"), format!("{}\n\n{}", text(&object, "title"), text(&object, "text")));
    let queries = objects("queries.jsonl").into_iter();
    let topical = queries.filter_map(|query| {
        Some(Judged { text: text(&query, "text"), relevant: relevant.remove(&text(&query, "_id"))? })
    });
    Collection {
        topical: topical.collect(),
        documents: objects("corpus.jsonl").into_iter().map(document).collect(),
        known: Vec::new(),
    }
}

/// A workspace with a collection.
struct Searched<'a> {
    app: &'a TestApp,
    ada: &'a TestAccount,
    path: String,
    ranges: Ranges,
}

impl<'a> Searched<'a> {
    async fn new(
        app: &'a TestApp,
        ada: &'a TestAccount,
        name: &str,
        documents: Vec<(String, String)>,
        ranges: Ranges,
    ) -> Self {
        let workspace = app.create_workspace(ada, name).await;
        for batch in documents.chunks(UPLOAD_FILES) {
            let parts = batch.iter().map(|(name, text)| part(&format!("{name}.txt"), text.clone())).collect();
            let accepted = app.upload(ada, &workspace, parts).await.expect(202);
            for file in accepted["items"].as_array().unwrap() {
                let finished = app.finished_file(ada, &workspace, file["id"].as_str().unwrap()).await;
                // An empty document is one of the collection, and cannot be found.
                assert!(finished["state"] == "ready" || finished["failure"]["code"] == "empty", "{finished}");
            }
        }
        Self { app, ada, path: format!("/api/v1/workspaces/{workspace}/search"), ranges }
    }

    async fn report(&self, name: &str, queries: &[Judged]) {
        println!("{name:24} nDCG@10  recall@10  recall@100    MRR");
        for (setting, fields) in SETTINGS {
            let mut sums = [0.0; 4];
            for query in queries {
                let mut body: Value = serde_json::from_str(fields).unwrap();
                body["query"] = json!(query.text);
                body["limit"] = json!(HITS);
                let response = self.app.post(self.ada, &self.path, &body).await.expect(200);
                let ranked = self.ranked(&response);
                let metrics = metrics(&ranked, &query.relevant);
                sums.iter_mut().zip(metrics).for_each(|(sum, metric)| *sum += metric);
            }
            let [ndcg, recall_10, recall_100, mrr] = sums.map(|sum| sum / queries.len() as f64);
            println!("  {setting:22} {ndcg:7.4}  {recall_10:9.4}  {recall_100:10.4} {mrr:6.4}");
        }
    }

    /// The documents of the hits, each at its first place. A hit of a report stands for the passages of which it has at least a
    /// half.
    fn ranked(&self, response: &Value) -> Vec<String> {
        let mut ranked: Vec<String> = Vec::new();
        for hit in response["hits"].as_array().unwrap() {
            let name = hit["file"]["name"].as_str().unwrap().trim_end_matches(".txt");
            let at = |field: &str| usize::try_from(hit[field].as_u64().unwrap()).unwrap();
            let (start, end) = (at("start"), at("end"));
            let names: Vec<&str> = match self.ranges.get(name) {
                None => vec![name],
                Some(ranges) => ranges
                    .iter()
                    .filter(|(from, to, _)| 2 * end.min(*to).saturating_sub(start.max(*from)) >= to - from)
                    .map(|(_, _, passage)| passage.as_str())
                    .collect(),
            };
            for name in names {
                if !ranked.iter().any(|known| known == name) {
                    ranked.push(name.to_owned());
                }
            }
        }
        ranked
    }
}

/// nDCG@10, recall@10, recall@100 and the reciprocal rank of the first answer.
fn metrics(ranked: &[String], relevant: &HashSet<String>) -> [f64; 4] {
    let grades: Vec<Option<i16>> = ranked.iter().map(|name| Some(i16::from(relevant.contains(name)))).collect();
    let judged = vec![1; relevant.len()];
    let [at_10, at_100] = [10, 100].map(|k| measure(&grades, &judged, k).unwrap());
    [at_10.ndcg10, at_10.recall, at_100.recall, at_10.mrr]
}
