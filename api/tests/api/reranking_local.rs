//! Searches that the operator's own model ranks again, in the process.

use nvisy_embed::{Reranker, RerankerSettings, testing::TinyCrossEncoder};
use serde_json::{Value, json};

use crate::support::{RERANKED_FILES, Searched, TestApp, TestFile, hit_names, run, wait_until};

#[actix_web::test]
async fn hits_are_ordered_by_the_scores_of_the_local_model() {
    let folder = tempfile::tempdir().unwrap();
    TinyCrossEncoder { positions: 128, ..TinyCrossEncoder::default() }.write(folder.path()).unwrap();
    let directory = folder.path().display().to_string();
    let files = RERANKED_FILES.map(|(name, content)| TestFile::new(name, content));
    let searched = Searched::new_with(&[("NVISY_RERANKING_DIRECTORY", &directory)], &files).await;
    let settings = RerankerSettings { directory: folder.path().to_path_buf(), threads: 1 };
    let reranker = Reranker::open(&settings, &[]).await.unwrap();
    let query = "how often are the turbine blades cleaned";
    let mut expected = Vec::new();
    for (name, content) in RERANKED_FILES {
        let score = reranker.score(query, vec![content.to_owned()]).await.unwrap()[0];
        expected.push((name, score));
    }
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    for mode in ["text", "vector", "hybrid"] {
        let body = json!({ "query": query, "mode": mode, "rerank": { "model": "local" }, "explain": true });
        let found = searched.search(body).await;
        assert!(found["degraded"].is_null(), "{found}");
        let scored: Vec<(&str, f64)> =
            hit_names(&found).into_iter().zip(found["hits"].as_array().unwrap().iter().map(score_of)).collect();
        for ((name, score), (expected_name, expected_score)) in scored.iter().zip(&expected) {
            assert_eq!(name, expected_name, "{mode}: {scored:?} {expected:?}");
            assert!((score - expected_score).abs() < 1e-5, "{mode}: {scored:?} {expected:?}");
        }
        assert_eq!(scored.len(), 6);
    }

    let set = searched.post("query-sets", &json!({ "name": "Questions" })).await.expect(201);
    let set = format!("query-sets/{}", set["id"].as_str().unwrap());
    let best = RERANKED_FILES.iter().position(|(name, _)| *name == expected[0].0).unwrap();
    let judged = json!({ "query": query, "judgements": [{ "file": searched.files[best], "grade": 1 }] });
    searched.post(&format!("{set}/import"), &json!({ "jsonl": judged.to_string() })).await.expect(200);
    let rerank = json!({ "model": "local", "candidates": 100 });
    let body = json!({ "settings": { "mode": "hybrid", "rerank": rerank }, "fitWeights": true });
    let started = searched.post(&format!("{set}/evaluations"), &body).await.expect(202);
    let path = searched.path(&format!("evaluations/{}", started["id"].as_str().unwrap()));
    let evaluation = wait_until("the evaluation has ended", async || {
        let evaluation = searched.app.get(&searched.ada, &path).await.expect(200);
        (evaluation["state"] != "running").then_some(evaluation)
    })
    .await;
    assert_eq!((&evaluation["state"], &evaluation["settings"]["rerank"]), (&json!("done"), &rerank), "{evaluation}");
    assert_eq!(evaluation["metrics"]["mean"]["mrr"], 1.0, "{evaluation}");
    searched.app.stop().await;
}

fn score_of(hit: &Value) -> f64 {
    hit["scores"]["rerank"].as_f64().unwrap_or(f64::NAN)
}

#[actix_web::test]
async fn model_that_is_no_reranker_stops_the_start_with_its_fault() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let settings = [("NVISY_RERANKING_DIRECTORY", directory.as_str())];
    for program in ["nvisy-api", "nvisy-worker"] {
        let output = run(program, &[], &app.deployment, &settings).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains("reranking model cannot be opened"), "{text}");
        assert!(text.contains("NVISY_RERANKING_DIRECTORY") && text.contains("model.safetensors is missing"), "{text}");
    }
    TinyCrossEncoder { outputs: 2, ..TinyCrossEncoder::default() }.write(folder.path()).unwrap();
    let output = run("nvisy-api", &["doctor"], &app.deployment, &settings).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("reranking model")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("WRONG") && line.contains("it has 2 outputs"), "{line}");
    app.stop().await;
}
