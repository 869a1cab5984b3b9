//! Searches that the reranker of a connection ranks again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    RERANKED_FILES, ReceivedRequest, Reranked, Searched, TestFile, by_priority, hit_names, wait_until,
};

#[actix_web::test]
async fn best_hits_of_every_mode_are_ordered_by_the_scores_of_the_server() {
    let setup = Reranked::new(&json!({ "pricePerMillion": 100_000 })).await;
    let check = setup.searched.path(&format!("connections/{}/check", setup.connection));
    let checked = setup.searched.app.post(&setup.searched.ada, &check, &json!({})).await.expect(200);
    assert_eq!(checked["check"]["state"], "ok", "{checked}");
    let checks = setup.server.requests().len();
    for mode in ["text", "vector", "hybrid"] {
        for candidates in [100, 3, 1] {
            // Scores of another query are not known.
            let query = format!("turbine {mode} {candidates}");
            let plain = setup.search(json!({ "query": query, "mode": mode })).await;
            let rerank = json!({ "connection": "reranker", "candidates": candidates });
            let body = json!({ "query": query, "mode": mode, "rerank": rerank, "explain": true });
            let found = setup.search(body).await;
            assert!(found["degraded"].is_null(), "{found}");
            assert_eq!(hit_names(&found), by_priority(&plain, candidates), "{mode} {candidates}");
            let hits = found["hits"].as_array().unwrap();
            assert!(hits.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()), "{found}");
            assert_eq!(hits.iter().filter(|hit| hit["scores"]["rerank"].is_f64()).count(), candidates.min(6));
            let before = hit_names(&plain).iter().position(|name| *name == hits[0]["file"]["name"]).unwrap() + 1;
            assert_eq!(hits[0]["explanation"]["rankBeforeRerank"], before, "{mode} {candidates} {found}");
            assert!(hits[0]["explanation"]["reasons"].as_array().unwrap().contains(&json!("model")), "{found}");
            assert!(found["explanation"]["timings"]["rerankingMs"].as_f64() > Some(0.0), "{found}");
        }
    }
    let requests = setup.server.requests();
    assert_eq!(requests.len() - checks, 9);
    let request = requests.last().unwrap();
    assert!(request.head.starts_with("post /v1/rerank ") && request.head.contains("authorization: bearer hunter2"));
    assert_eq!((&request.body["model"], &request.body["query"]), (&json!("rerank-1"), &json!("turbine hybrid 1")));
    assert_eq!(request.body["documents"].as_array().unwrap().len(), 1);

    let rerank = json!({ "connection": setup.connection, "model": "rerank-2" });
    let found = setup.search(json!({ "query": "turbine -garage \"Notes of\"", "rerank": rerank })).await;
    assert_eq!(hit_names(&found)[0], "c.txt");
    let request = setup.server.requests().pop().unwrap();
    assert_eq!(request.body["model"], "rerank-2");
    let query = request.body["query"].as_str().unwrap();
    assert!(
        query.contains("Notes of") && !query.contains('-') && !query.contains('"'),
        "the model reads words: {query}"
    );
    // A query without a word has no hits, and nothing is sent.
    let none = setup.search(json!({ "query": "-garage", "rerank": { "connection": "reranker" } })).await;
    assert_eq!((hit_names(&none), setup.server.requests().len() - checks), (Vec::<&str>::new(), 10));

    let usage = setup.searched.app.get(&setup.searched.ada, &setup.searched.path("model-usage")).await.expect(200);
    let of_model = |model: &str| {
        let items = usage["items"].as_array().unwrap();
        items.iter().find(|item| item["model"] == model).unwrap_or_else(|| panic!("{usage}")).clone()
    };
    assert_eq!((&of_model("rerank-1")["calls"], &of_model("rerank-1")["inputTokens"]), (&json!(9), &json!(630)));
    assert!((of_model("rerank-2")["cost"].as_f64().unwrap() - 7.0).abs() < 1e-9, "{usage}");
    setup.searched.app.stop().await;
}

/// The hits, or the files with their hits, of all pages.
async fn pages(setup: &Reranked, body: Value, field: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut body = setup.body(body.clone());
        if !cursor.is_null() {
            body["cursor"] = cursor;
        }
        let page = setup.searched.search(body).await;
        assert!(page["degraded"].is_null(), "{page}");
        all.extend(page[field].as_array().unwrap().clone());
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            return all;
        }
    }
}

#[actix_web::test]
async fn pages_are_the_parts_of_one_ranking() {
    let setup = Reranked::new(&json!({ "requestTexts": 3 })).await;
    for (candidates, limit) in [(4, 1), (4, 3), (50, 4), (2, 5)] {
        let rerank = json!({ "connection": "reranker", "candidates": candidates });
        let whole = setup.search(json!({ "rerank": rerank })).await;
        let paged = pages(&setup, json!({ "rerank": rerank, "limit": limit }), "hits").await;
        assert_eq!(paged.len(), RERANKED_FILES.len());
        for (paged, whole) in paged.iter().zip(whole["hits"].as_array().unwrap()) {
            assert_eq!(
                (&paged["chunkId"], &paged["scores"]),
                (&whole["chunkId"], &whole["scores"]),
                "{candidates} {limit}"
            );
        }
    }
    let sent: Vec<usize> =
        setup.server.requests().iter().map(|request| request.body["documents"].as_array().unwrap().len()).collect();
    assert_eq!(sent, [3, 1, 2], "each passage is scored once, in requests of the size that the connection says");

    // A file that comes between two pages is found on a later one, and no hit twice.
    let rerank = json!({ "connection": "reranker", "candidates": 3 });
    let first = setup.search(json!({ "rerank": rerank, "limit": 3 })).await;
    let mut setup = setup;
    setup
        .searched
        .add(&[TestFile::new("new.txt", "turbine turbine turbine turbine turbine turbine. Priority 9.")])
        .await;
    let rest = setup.search(json!({ "rerank": rerank, "limit": 10, "cursor": first["nextCursor"] })).await;
    let mut names = [hit_names(&first), hit_names(&rest)].concat();
    names.sort_unstable();
    assert_eq!(names, ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt", "new.txt"]);
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn groups_are_in_the_order_of_their_best_passages() {
    let filler = "The record lists dates, crews, tools and the weather of each day of work.";
    let document = |priorities: &[u32]| {
        let section = |(number, priority): (usize, &u32)| {
            format!("## Part {number}\n\nThe turbine runs. Priority {priority}. {}\n\n", [filler; 6].join(" "))
        };
        format!("# Log\n\n{}", priorities.iter().enumerate().map(section).collect::<String>())
    };
    let (one, two, three) = (document(&[1, 4, 2]), document(&[3, 3]), document(&[2, 1, 6, 5]));
    let files = [TestFile::new("one.md", &one), TestFile::new("two.md", &two), TestFile::new("three.md", &three)];
    let setup = Reranked::with(Searched::new(&files).await, &json!({})).await;
    let scores = |groups: &[Value]| -> Vec<(String, Vec<u32>)> {
        let of_group = |group: &Value| {
            let hits = group["hits"].as_array().unwrap().iter();
            let scores = hits.map(|hit| (hit["scores"]["rerank"].as_f64().unwrap() * 10.0).round() as u32);
            (group["file"]["name"].as_str().unwrap().to_owned(), scores.collect())
        };
        groups.iter().map(of_group).collect()
    };
    let expected = [("three.md", vec![6, 5]), ("one.md", vec![4, 2]), ("two.md", vec![3, 3])]
        .map(|(name, scores)| (name.to_owned(), scores));
    for mode in ["text", "vector", "hybrid"] {
        let body = json!({
            "mode": mode, "groupBy": "file", "perFile": 2, "rerank": { "connection": "reranker" },
            "expand": { "neighbours": 1 },
        });
        let found = setup.search(body.clone()).await;
        assert_eq!(scores(found["groups"].as_array().unwrap()), expected, "{mode}");
        assert!(found["groups"][0]["hits"][0]["context"]["passages"].is_array(), "{found}");
        let mut paged = body;
        paged["limit"] = json!(1);
        assert_eq!(scores(&pages(&setup, paged, "groups").await), expected, "{mode}");
    }
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn pinned_files_thresholds_and_age_hold_beside_the_scores() {
    let setup = Reranked::new(&json!({})).await;
    let rerank = json!({ "connection": "reranker" });
    let pinned = setup.search(json!({ "rerank": rerank, "pinned": [setup.searched.files[1]] })).await;
    assert_eq!(hit_names(&pinned), ["b.txt", "c.txt", "e.txt", "f.txt", "a.txt", "d.txt"]);
    assert!(pinned["hits"][0]["scores"]["rerank"].is_null(), "{pinned}");
    let hidden = setup.search(json!({ "rerank": rerank, "hidden": [setup.searched.files[2]] })).await;
    assert_eq!(hit_names(&hidden)[0], "e.txt");

    let plain = setup.search(json!({})).await;
    let least = plain["hits"][2]["scores"]["text"].as_f64().unwrap();
    let above = setup.search(json!({ "rerank": rerank, "threshold": { "text": least } })).await;
    assert_eq!(hit_names(&above), ["c.txt", "a.txt", "b.txt"]);

    let old = &setup.searched.files[2];
    setup
        .searched
        .app
        .sql(&format!("update file set created_at = now() - interval '90 days' where id = '{old}'"))
        .await;
    let recency = json!({ "halfLifeDays": 30, "weight": 0.9 });
    let recent = setup.search(json!({ "rerank": rerank, "recency": recency })).await;
    assert_eq!(hit_names(&recent), ["e.txt", "f.txt", "a.txt", "d.txt", "c.txt", "b.txt"], "0.6 becomes less than 0.2");

    let searches = json!({ "searches": [
        setup.body(json!({ "rerank": rerank })), setup.body(json!({ "rerank": { "connection": "none" } })), setup.body(json!({})),
    ]});
    let batch = setup.searched.post("search/batch", &searches).await.expect(200);
    assert_eq!(hit_names(&batch["results"][0]["response"])[0], "c.txt");
    assert_eq!((&batch["results"][1]["status"], &batch["results"][2]["status"]), (&json!(404), &json!(200)), "{batch}");
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn evaluation_measures_searches_that_a_connection_reranks() {
    let setup = Reranked::new(&json!({})).await;
    let set = setup.searched.post("query-sets", &json!({ "name": "Questions" })).await.expect(201);
    let set = format!("query-sets/{}", set["id"].as_str().unwrap());
    let judged = json!({ "query": "turbine", "judgements": [{ "file": setup.searched.files[2], "grade": 1 }] });
    setup.searched.post(&format!("{set}/import"), &json!({ "jsonl": judged.to_string() })).await.expect(200);
    let evaluate = async |settings: Value| {
        let body = json!({ "settings": settings });
        let started = setup.searched.post(&format!("{set}/evaluations"), &body).await.expect(202);
        let path = setup.searched.path(&format!("evaluations/{}", started["id"].as_str().unwrap()));
        wait_until("the evaluation has ended", async || {
            let evaluation = setup.searched.app.get(&setup.searched.ada, &path).await.expect(200);
            (evaluation["state"] != "running").then_some(evaluation)
        })
        .await
    };
    let plain = evaluate(json!({ "mode": "text" })).await;
    let reranked = evaluate(json!({ "mode": "text", "rerank": { "connection": "reranker", "candidates": 5 } })).await;
    let mrr = |evaluation: &Value| evaluation["metrics"]["mean"]["mrr"].as_f64().unwrap();
    assert!((mrr(&plain) - 1.0 / 3.0).abs() < 1e-9, "{plain}");
    assert!((mrr(&reranked) - 1.0).abs() < 1e-9, "{reranked}");
    assert_eq!(reranked["settings"]["rerank"], json!({ "connection": setup.connection, "candidates": 5 }));
    assert_eq!(setup.server.requests().len(), 1);

    // One that cannot be reranked is not measured without it.
    setup.server.fail(400, "no such model");
    let failed = evaluate(json!({ "mode": "text", "rerank": { "connection": "reranker" } })).await;
    assert_eq!(
        (&failed["state"], &failed["failure"]["code"]),
        (&json!("failed"), &json!("provider_rejected")),
        "{failed}"
    );
    let unknown = json!({ "settings": { "rerank": { "connection": "none" } } });
    setup.searched.post(&format!("{set}/evaluations"), &unknown).await.problem(404, "not_found");
    let local = json!({ "settings": { "rerank": { "model": "local" } } });
    setup.searched.post(&format!("{set}/evaluations"), &local).await.problem(409, "no_reranker");
    setup.searched.app.stop().await;
}

#[actix_web::test]
async fn call_of_the_server_ends_when_the_client_closes_the_connection() {
    let setup = Reranked::new(&json!({})).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = json!({
        "model": "m", "baseUrl": format!("http://{}", server.local_addr().unwrap()), "timeoutSeconds": 60,
    });
    let body = json!({ "name": "slow", "provider": "tei", "settings": settings });
    setup.searched.post("connections", &body).await.expect(201);
    let body = setup.body(json!({ "rerank": { "connection": "slow" } })).to_string();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        setup.searched.path("search"),
        setup.searched.ada.token,
        body.len()
    );
    let mut client = TcpStream::connect(setup.searched.app.address).await.unwrap();
    client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut call = BufReader::new(server.accept().await.unwrap().0);
    let ReceivedRequest { head, .. } = ReceivedRequest::read(&mut call).await.expect("a whole request");
    assert!(head.starts_with("POST /rerank "), "{head}");
    drop(client);
    let mut byte = [0];
    let ended = tokio::time::timeout(Duration::from_secs(30), call.read(&mut byte)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "before the time limit of the connection: {ended:?}");
    setup.searched.app.stop().await;
}
