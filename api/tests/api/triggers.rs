//! Triggers of pipelines: the events that start runs, and the files of these runs.

use serde_json::{Value, json};

use crate::support::{QuickWorker, Setup, TestApp, definition, wait_until};

const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

/// Writes the words of files into a collection.
fn indexing(source: &Value, collection: &str) -> Value {
    let nodes = json!([
        source,
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "out", "type": "sink.collection", "collection": collection },
    ]);
    definition(&nodes, &["in > read", "read > cut", "cut > out"])
}

fn source(trigger: &Value) -> Value {
    json!({ "id": "in", "type": "source.files", "trigger": trigger })
}

/// The runs with a trigger, newest first, once there are `number` and all have ended.
async fn ended_runs(setup: &Setup, trigger: &str, number: usize) -> Vec<Value> {
    let path = format!("runs?trigger={trigger}");
    wait_until(&format!("{number} runs have ended: {trigger}"), async || {
        let runs = setup.get(&path).await["items"].as_array().unwrap().clone();
        (runs.len() == number && runs.iter().all(|run| run["finishedAt"].is_string())).then_some(runs)
    })
    .await
}

#[actix_web::test]
async fn change_of_a_file_that_matches_starts_a_run_of_that_file() {
    let setup = Setup::with_worker().await;
    setup.collection("final").await;
    let mut source = source(&json!("change"));
    source["filter"] = json!({ "field": "tags", "op": "eq", "value": "final" });
    setup.pipeline("Final", &indexing(&source, "final")).await;
    let files = setup.upload(&[("a.txt", "The tide turns."), ("b.txt", "The moon rises.")]).await;
    let file = format!("files/{}", files["a.txt"]["id"].as_str().unwrap());
    for tags in [json!(["draft"]), json!(["draft", "final"])] {
        setup.patch(&file, &json!({ "tags": tags })).await;
    }
    let runs = ended_runs(&setup, "change", 1).await;
    assert_eq!((&runs[0]["state"], &runs[0]["items"]), (&json!("completed"), &json!(1)), "{runs:?}");
    assert_eq!(setup.live_chunks().await["final"], ["The tide turns."]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn pipeline_starts_after_another_for_the_files_of_its_run() {
    let setup = Setup::with_worker().await;
    for name in ["first", "second"] {
        setup.collection(name).await;
    }
    let first = setup.pipeline("First", &indexing(&source(&json!("upload")), "first")).await;
    let after = source(&json!({ "after": { "pipeline": "First" } }));
    setup.pipeline("Second", &indexing(&after, "second")).await;
    setup.upload(&[("a.txt", "The tide turns.")]).await;
    ended_runs(&setup, "after", 1).await;
    setup.upload(&[("b.txt", "The moon rises.")]).await;
    let runs = ended_runs(&setup, "after", 2).await;
    assert!(runs.iter().all(|run| run["items"] == 1), "each upload is followed for its file alone: {runs:?}");
    assert_eq!(setup.live_chunks().await["second"], ["The moon rises.", "The tide turns."]);

    let path = setup.path(&format!("{first}/runs"));
    setup.app.post(&setup.ada, &path, &json!({})).await.expect(202);
    let runs = ended_runs(&setup, "after", 3).await;
    assert_eq!(runs[0]["items"], 2, "{runs:?}");
    let one = json!({ "filter": { "field": "name", "op": "eq", "value": "b.txt" } });
    setup.app.post(&setup.ada, &path, &one).await.expect(202);
    let runs = ended_runs(&setup, "after", 4).await;
    assert_eq!(runs[0]["items"], 1, "a run of a selection is followed for that alone: {runs:?}");
    assert_eq!(setup.live_chunks().await["second"], ["The moon rises.", "The tide turns."]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn pipeline_starts_after_the_change_of_a_file_for_that_file() {
    let setup = Setup::with_worker().await;
    for name in ["first", "second"] {
        setup.collection(name).await;
    }
    let files = setup.upload(&[("a.txt", "The tide turns."), ("b.txt", "The moon rises.")]).await;
    setup.pipeline("First", &indexing(&source(&json!("change")), "first")).await;
    let after = source(&json!({ "after": { "pipeline": "First" } }));
    setup.pipeline("Second", &indexing(&after, "second")).await;
    let file = format!("files/{}", files["a.txt"]["id"].as_str().unwrap());
    setup.patch(&file, &json!({ "tags": ["final"] })).await;
    let runs = ended_runs(&setup, "after", 1).await;
    assert_eq!(runs[0]["items"], 1, "{runs:?}");
    assert_eq!(setup.live_chunks().await["second"], ["The tide turns."]);
    setup.app.stop().await;
}

#[actix_web::test]
async fn missed_time_starts_a_run_once_or_none_by_policy() {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    for policy in ["once", "skip"] {
        setup.collection(policy).await;
        let schedule = json!({ "schedule": { "cron": "30 3 * * *", "missed": policy } });
        setup.pipeline(policy, &indexing(&source(&schedule), policy)).await;
    }
    setup.upload(&[("a.txt", "The tide turns.")]).await;
    // A worker takes the pipeline first that waits longer.
    let missed =
        "update pipeline set next_run_at = now() - interval '1 day' * (case name when 'skip' then 2 else 1 end)
                  where next_run_at is not null";
    setup.app.sql(missed).await;
    let worker = QuickWorker::start(&setup.app).await;
    ended_runs(&setup, "schedule", 1).await;
    assert_eq!(setup.app.count("pipeline where next_run_at > now()").await, 2, "both are due the next time");
    let chunks = setup.live_chunks().await;
    assert_eq!((chunks.get("once").map(Vec::len), chunks.get("skip")), (Some(1), None));
    // A time that is not missed starts a run of either.
    setup.app.sql("update pipeline set next_run_at = now() where name = 'skip'").await;
    ended_runs(&setup, "schedule", 2).await;
    assert_eq!(setup.live_chunks().await["skip"], ["The tide turns."]);
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn schedule_starts_a_run_of_all_files_at_its_time_of_day() {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    setup.collection("nightly").await;
    let schedule = json!({ "schedule": { "cron": "30 3 * * *", "timeZone": "Europe/Berlin" } });
    setup.pipeline("Nightly", &indexing(&source(&schedule), "nightly")).await;
    setup.upload(&[("a.txt", "The tide turns."), ("b.txt", "The moon rises.")]).await;
    let due = "pipeline where next_run_at > now()
               and to_char(next_run_at at time zone 'Europe/Berlin', 'HH24:MI') = '03:30'";
    assert_eq!(setup.app.count(due).await, 1);
    setup.app.sql("update pipeline set next_run_at = now() where next_run_at is not null").await;
    let worker = QuickWorker::start(&setup.app).await;
    let runs = ended_runs(&setup, "schedule", 1).await;
    assert_eq!((&runs[0]["state"], &runs[0]["items"]), (&json!("completed"), &json!(2)), "{runs:?}");
    assert_eq!(setup.live_chunks().await["nightly"], ["The moon rises.", "The tide turns."]);
    assert_eq!(setup.app.count(due).await, 1, "it is due again the next time");
    worker.stop().await;
    setup.app.stop().await;
}

/// Two sources, each of which writes the words of its files into a collection of its own.
fn two_sources(sources: [(&Value, &str); 2]) -> Value {
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for (trigger, collection) in sources {
        let id = |step: &str| format!("{collection}-{step}");
        nodes.extend([
            json!({ "id": id("in"), "type": "source.files", "trigger": trigger }),
            json!({ "id": id("read"), "type": "partition" }),
            json!({ "id": id("cut"), "type": "chunk.section" }),
            json!({ "id": id("out"), "type": "sink.collection", "collection": collection }),
        ]);
        for (from, to) in [("in", "read"), ("read", "cut"), ("cut", "out")] {
            edges.push(format!("{} > {}", id(from), id(to)));
        }
    }
    let edges: Vec<_> = edges.iter().map(String::as_str).collect();
    definition(&json!(nodes), &edges)
}

#[actix_web::test]
async fn scheduled_run_takes_files_of_scheduled_sources_only() {
    let setup = Setup::of(TestApp::start_with(&[LOCAL]).await).await;
    setup.upload(&[("a.txt", "The tide turns."), ("b.txt", "The moon rises.")]).await;
    for name in ["uploads", "nightly"] {
        setup.collection(name).await;
    }
    let (upload, schedule) = (json!("upload"), json!({ "schedule": { "cron": "30 3 * * *" } }));
    let pipeline = setup.pipeline("Both", &two_sources([(&upload, "uploads"), (&schedule, "nightly")])).await;
    setup.app.sql("update pipeline set next_run_at = now() where next_run_at is not null").await;
    let worker = QuickWorker::start(&setup.app).await;
    let runs = ended_runs(&setup, "schedule", 1).await;
    assert_eq!((&runs[0]["state"], &runs[0]["items"]), (&json!("completed"), &json!(2)), "{runs:?}");
    let chunks = setup.live_chunks().await;
    assert_eq!((chunks.get("nightly").map(Vec::len), chunks.get("uploads")), (Some(2), None));

    setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &json!({})).await.expect(202);
    let runs = ended_runs(&setup, "manual", 1).await;
    assert_eq!(runs[0]["items"], 4, "a request starts every source: {runs:?}");
    assert_eq!(setup.live_chunks().await["uploads"].len(), 2);
    worker.stop().await;
    setup.app.stop().await;
}

#[actix_web::test]
async fn run_after_a_pipeline_takes_files_of_the_source_that_follows_it() {
    let setup = Setup::with_worker().await;
    for name in ["base", "first", "other"] {
        setup.collection(name).await;
    }
    setup.pipeline("First", &indexing(&source(&json!("upload")), "base")).await;
    setup.pipeline("Other", &indexing(&source(&json!("manual")), "base")).await;
    let [first, other] = ["First", "Other"].map(|name| json!({ "after": { "pipeline": name } }));
    setup.pipeline("Second", &two_sources([(&first, "first"), (&other, "other")])).await;
    setup.upload(&[("a.txt", "The tide turns.")]).await;
    let runs = ended_runs(&setup, "after", 1).await;
    assert_eq!(runs[0]["items"], 1, "{runs:?}");
    let chunks = setup.live_chunks().await;
    assert_eq!((chunks.get("first").map(Vec::len), chunks.get("other")), (Some(1), None));
    setup.app.stop().await;
}
