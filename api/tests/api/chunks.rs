//! Chunks as a resource: lists and exports with origin, disabled and edited chunks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Searched, TestFile, TestResponse, wait_until};

/// A document of sections, each a passage of its own about a subject.
fn sections(subjects: &[&str]) -> String {
    let filler = "The record lists dates, crews, tools and the weather of each day of work.";
    let section =
        |(number, subject): (usize, &&str)| format!("## Part {number}\n\n{subject} {}\n\n", [filler; 6].join(" "));
    format!("# Turbine\n\n{}", subjects.iter().enumerate().map(section).collect::<String>())
}

const SUBJECTS: [&str; 4] = [
    "Barnacles are scraped from the blades in summer.",
    "The gearbox oil is changed in autumn.",
    "Seals rest on the sandbank beside the cable.",
    "The control cabinet has a fuse of forty amperes.",
];

async fn start() -> Searched {
    let content = sections(&SUBJECTS);
    Searched::new(&[TestFile::new("turbine.md", &content), TestFile::new("other.txt", "A gauge at the weir.")]).await
}

impl Searched {
    async fn get(&self, path: &str) -> TestResponse {
        self.app.get(&self.ada, &self.path(path)).await
    }

    async fn patch(&self, chunk: &Value, body: Value, tag: Option<&str>) -> TestResponse {
        let path = self.path(&format!("chunks/{}", chunk["id"].as_str().unwrap()));
        self.app.patch_if(&self.ada, &path, &body, tag).await
    }

    /// All chunks of a list, page by page.
    async fn chunks(&self, query: &str) -> Vec<Value> {
        let (mut chunks, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("chunks?limit=2&{query}{cursor}")).await.expect(200);
            let items = page["items"].as_array_mut().unwrap();
            assert!(items.len() <= 2);
            chunks.append(items);
            let Some(next) = page["nextCursor"].as_str() else { return chunks };
            cursor = format!("&cursor={next}");
        }
    }

    /// Waits until a worker has computed the vector of a chunk.
    async fn wait_for_vector(&self, chunk: &Value) {
        let all = json!({ "query": "work", "mode": "vector", "limit": 50 });
        wait_until("the chunk has a vector", async || self.found(all.clone()).await.contains(&id(chunk)).then_some(()))
            .await;
    }

    /// The ids of the chunks that a search finds.
    async fn found(&self, body: Value) -> BTreeSet<String> {
        let response = self.search(body).await;
        let hits = response["hits"].as_array().unwrap().iter();
        hits.map(|hit| hit["chunkId"].as_str().unwrap().to_owned()).collect()
    }
}

fn id(chunk: &Value) -> String {
    chunk["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn chunks_are_listed_page_by_page_with_their_origin() {
    let searched = start().await;
    let file = &searched.files[0];
    let text = searched.text(file).await;
    let chunks = searched.chunks(&format!("file={file}")).await;
    assert!(chunks.len() > 2, "{chunks:?}");
    assert_eq!(chunks.iter().map(id).collect::<BTreeSet<_>>().len(), chunks.len());
    for (place, chunk) in chunks.iter().enumerate() {
        let at = |field: &str| usize::try_from(chunk[field].as_u64().unwrap()).unwrap();
        assert_eq!(text[at("start")..at("end")], *chunk["text"].as_str().unwrap());
        assert_eq!((at("ordinal"), &chunk["file"]["id"], &chunk["file"]["version"]), (place, &json!(file), &json!(1)));
        assert_eq!((&chunk["collection"]["name"], &chunk["node"]), (&json!("default"), &json!("index")));
        assert_eq!((&chunk["language"], &chunk["disabled"]), (&json!("en"), &json!(false)));
        assert_eq!(chunk["headingPath"][0], "Turbine");
        assert!(chunk["tokens"].as_u64().unwrap() > 10 && chunk["pipelineId"].is_string(), "{chunk}");
        let read = searched.get(&format!("chunks/{}", id(chunk))).await;
        assert_eq!(read.header("etag"), "\"1\"");
        assert_eq!(read.expect(200), *chunk);
    }
    let all = searched.chunks("").await;
    assert_eq!(all.len(), chunks.len() + 1);
    let collection = chunks[0]["collection"]["id"].as_str().unwrap();
    assert_eq!(searched.chunks(&format!("collection={collection}")).await, all);
    let unknown = nvisy_shared::id::new();
    for query in [format!("collection={unknown}"), format!("file={unknown}"), "disabled=true".to_owned()] {
        assert!(searched.chunks(&query).await.is_empty(), "{query}");
    }
    let hit = searched.search(json!({ "query": "gearbox oil", "limit": 1 })).await["hits"][0].clone();
    let chunk = searched.get(&format!("chunks/{}", hit["chunkId"].as_str().unwrap())).await.expect(200);
    assert!(chunk["text"].as_str().unwrap().contains(SUBJECTS[1]));
    for query in ["limit=0", "disabled=perhaps", "file=x", "colour=blue"] {
        searched.get(&format!("chunks?{query}")).await.problem(400, "invalid_query");
    }
    searched.get("chunks?cursor=x").await.problem(400, "invalid_cursor");
    searched.get(&format!("chunks/{unknown}")).await.problem(404, "not_found");
    searched.get("chunks/none").await.problem(404, "not_found");
    // Chunks of deleted collections are in no list.
    searched.app.sql("update collection set deleted_at = now() where name = 'default'").await;
    assert!(searched.chunks("").await.is_empty());
    searched.get(&format!("chunks/{}", id(&chunks[0]))).await.problem(404, "not_found");
    searched.app.stop().await;
}

#[actix_web::test]
async fn disabled_chunk_is_no_hit_until_it_is_enabled() {
    let searched = start().await;
    let file = &searched.files[0];
    let chunks = searched.chunks(&format!("file={file}")).await;
    let chunk = chunks.iter().find(|chunk| chunk["text"].as_str().unwrap().contains("gearbox")).unwrap();
    let bodies = || {
        let modes = ["text", "vector", "hybrid"].into_iter();
        let searches = modes.map(|mode| json!({ "query": "gearbox oil record", "mode": mode, "limit": 50 }));
        searches.chain([json!({ "query": "gearbox oil record", "rerank": "neighbours", "limit": 50 })])
    };
    for body in bodies() {
        assert!(searched.found(body).await.contains(&id(chunk)));
    }
    searched.patch(chunk, json!({ "disabled": true }), Some("\"7\"")).await.problem(412, "precondition_failed");
    let changed = searched.patch(chunk, json!({ "disabled": true }), Some("\"1\"")).await;
    assert_eq!(changed.header("etag"), "\"2\"");
    let changed = changed.expect(200);
    assert_eq!((&changed["disabled"], &changed["text"]), (&json!(true), &chunk["text"]));
    for body in bodies() {
        let found = searched.found(body.clone()).await;
        assert!(!found.contains(&id(chunk)), "{body}");
        if body["mode"] == "vector" {
            assert_eq!(found.len(), chunks.len(), "all others, and the other file: {body}");
        }
    }
    searched.post("search/similar", &json!({ "chunk": chunk["id"] })).await.problem(404, "not_found");
    let similar = searched.post("search/similar", &json!({ "file": searched.files[1], "limit": 50 })).await.expect(200);
    assert!(!similar.to_string().contains("gearbox"), "{similar}");
    let whole = json!({ "query": "barnacles", "mode": "text", "expand": { "neighbours": 3 } });
    assert!(!searched.search(whole).await.to_string().contains("gearbox"));
    // The lists have it.
    assert_eq!(searched.chunks("disabled=true").await, std::slice::from_ref(&changed));
    assert_eq!(searched.chunks(&format!("file={file}&disabled=false")).await.len(), chunks.len() - 1);
    assert_eq!(searched.chunks(&format!("file={file}")).await.len(), chunks.len());
    // Nothing changes.
    for body in [json!({}), json!({ "disabled": true })] {
        assert_eq!(searched.patch(chunk, body, None).await.header("etag"), "\"2\"");
    }
    assert_eq!(searched.patch(chunk, json!({ "disabled": false }), None).await.header("etag"), "\"3\"");
    for body in bodies() {
        assert!(searched.found(body).await.contains(&id(chunk)));
    }
    assert_eq!(searched.app.count("chunk_change").await, 0);
    let log = searched.get("activities?type=chunk.updated").await.expect(200);
    let entries = log["items"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let details = |disabled: bool| {
        let collection = &chunk["collection"]["id"];
        json!({ "fileId": file, "collectionId": collection, "fields": ["disabled"], "disabled": disabled, "edited": false })
    };
    assert_eq!((&entries[0]["details"], &entries[1]["details"]), (&details(false), &details(true)));
    assert_eq!(entries[0]["object"], json!({ "kind": "chunk", "id": chunk["id"] }));
    assert_eq!(searched.app.count("event where type = 'chunk.updated'").await, 2);
    for bad in [json!({ "disabled": null }), json!({ "disabled": "yes" }), json!({ "colour": "blue" })] {
        searched.patch(chunk, bad, None).await.problem(422, "invalid_body");
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn export_has_each_chunk_once_and_vectors_on_request() {
    let searched = start().await;
    let chunks = searched.chunks("").await;
    let export = async |query: &str| -> Vec<Value> {
        let response = searched.get(&format!("collections/default/chunks/export{query}")).await;
        assert_eq!((response.status.as_u16(), response.header("content-type")), (200, "application/jsonl"));
        response.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(export("").await, chunks);
    let mut with_vectors = export("?include=vector").await;
    for chunk in &mut with_vectors {
        let vector = chunk.as_object_mut().unwrap().remove("vector").unwrap();
        let vector: Vec<f64> = serde_json::from_value(vector).unwrap();
        let length: f64 = vector.iter().map(|x| x * x).sum();
        assert!(vector.len() == 384 && (length - 1.0).abs() < 0.01, "{} {length}", vector.len());
    }
    assert_eq!(with_vectors, chunks);
    let file = &searched.files[0];
    assert_eq!(export(&format!("?file={file}")).await, searched.chunks(&format!("file={file}")).await);
    // More chunks than one statement reads, of several targets.
    searched
        .app
        .sql(
            "insert into chunk (workspace_id, id, target_id, file_id, version_id, ordinal, text, start_byte, end_byte, tokens)
                 select workspace_id, gen_random_uuid(), target_id, file_id, version_id, ordinal + 1000 * n, text, start_byte,
                     end_byte, tokens
                 from chunk, generate_series(1, 70) n",
        )
        .await;
    let all = export("").await;
    assert_eq!(all.len(), 71 * chunks.len());
    assert_eq!(all.iter().map(id).collect::<BTreeSet<_>>().len(), all.len());
    searched.patch(&chunks[0], json!({ "disabled": true }), None).await.expect(200);
    assert_eq!(export("?disabled=true").await.len(), 71, "all chunks with this text");
    assert_eq!(export("?disabled=false").await.len(), 71 * (chunks.len() - 1));
    let path = |path: &str| format!("collections/{path}/chunks/export");
    searched.get(&path("none")).await.problem(404, "not_found");
    searched.get(&(path("default") + "?include=text")).await.problem(400, "invalid_query");
    searched.get(&(path("default") + "?cursor=x")).await.problem(400, "invalid_query");
    searched.post("collections", &json!({ "name": "empty" })).await.expect(201);
    assert_eq!(searched.get(&path("empty")).await.text, "");
    searched.app.stop().await;
}

#[actix_web::test]
async fn decision_about_a_text_survives_new_versions_of_its_file() {
    let searched = start().await;
    let (app, ada, workspace) = (&searched.app, &searched.ada, &searched.workspace);
    let upload = async |content: &str| -> String {
        let accepted = app.upload_as(ada, workspace, "manual", content).await;
        let file = app.finished_file(ada, workspace, accepted["id"].as_str().unwrap()).await;
        assert_eq!(file["state"], "ready", "{file}");
        id(&file)
    };
    let text = |subject: &str| format!("{subject} {}", "The pump of the bilge is tested each spring. ".repeat(3));
    let file = upload(&text("Valves are greased.")).await;
    let old = searched.chunks(&format!("file={file}")).await;
    assert_eq!(old.len(), 1);
    searched.patch(&old[0], json!({ "disabled": true }), None).await.expect(200);
    let bilge = || json!({ "query": "bilge pump", "mode": "text" });
    assert!(searched.found(bilge()).await.is_empty());
    // Another text is another decision; the first one holds again for its own.
    upload(&text("Hinges are oiled.")).await;
    assert_eq!(searched.found(bilge()).await.len(), 1);
    upload(&text("Valves are greased.")).await;
    let new = searched.chunks(&format!("file={file}")).await;
    assert_eq!((new.len(), &new[0]["disabled"], &new[0]["file"]["version"]), (1, &json!(true), &json!(3)));
    assert_ne!(id(&old[0]), id(&new[0]));
    assert!(searched.found(bilge()).await.is_empty());
    searched.get(&format!("chunks/{}", id(&old[0]))).await.problem(404, "not_found");
    searched.patch(&old[0], json!({ "disabled": false }), None).await.problem(404, "not_found");
    // The same text in another file is not disabled.
    let accepted = app.upload_as(ada, workspace, "copy", &text("Valves are greased.")).await;
    app.finished_file(ada, workspace, accepted["id"].as_str().unwrap()).await;
    assert_eq!(searched.found(bilge()).await.len(), 1);
    let path = searched.path(&format!("files/{file}"));
    assert_eq!(app.delete(ada, &path).await.status, 204);
    assert_eq!(app.count("chunk_change").await, 0);
    searched.app.stop().await;
}

#[actix_web::test]
async fn edited_text_takes_the_place_of_the_source_in_search() {
    let searched = start().await;
    let file = &searched.files[1];
    let chunk = searched.chunks(&format!("file={file}")).await.remove(0);
    let words = |query: &str| json!({ "query": query, "mode": "text" });
    assert!(searched.found(words("weir")).await.contains(&id(&chunk)));
    let new = "The brewery ferments barley in copper kettles.";
    searched.patch(&chunk, json!({ "text": new }), Some("\"3\"")).await.problem(412, "precondition_failed");
    let edited = searched.patch(&chunk, json!({ "text": new }), Some("\"1\"")).await;
    assert_eq!(edited.header("etag"), "\"2\"");
    let edited = edited.expect(200);
    assert_eq!((&edited["text"], &edited["originalText"]), (&json!(new), &chunk["text"]));
    assert_eq!((&edited["edited"], &edited["start"], &edited["end"]), (&json!(true), &chunk["start"], &chunk["end"]));
    // Words at once, vectors soon.
    assert!(searched.found(words("weir")).await.is_empty());
    let found = searched.search(words("barley kettle")).await;
    let hit = &found["hits"][0];
    assert_eq!((&hit["chunkId"], &hit["edited"]), (&chunk["id"], &json!(true)));
    assert_eq!(hit["snippet"]["text"], new);
    searched.wait_for_vector(&chunk).await;
    let nearest = searched.search(json!({ "query": "beer is made of malt", "mode": "vector", "limit": 1 })).await;
    assert_eq!(nearest["hits"][0]["chunkId"], chunk["id"], "{nearest}");
    let collection = searched.get("collections/default").await.expect(200);
    assert_eq!(collection["usage"]["vectors"], collection["usage"]["chunks"]);
    assert_eq!(searched.chunks("edited=true").await, std::slice::from_ref(&edited));
    assert!(!searched.chunks("edited=false").await.contains(&edited));
    // Again, and back.
    let other = "The lighthouse keeper polishes the lens.";
    searched.patch(&chunk, json!({ "text": other, "disabled": true }), None).await.expect(200);
    assert!(searched.found(words("lighthouse")).await.is_empty());
    let changed = searched.patch(&chunk, json!({ "disabled": false }), None).await.expect(200);
    assert_eq!((&changed["text"], &changed["originalText"]), (&json!(other), &chunk["text"]));
    assert!(searched.found(words("lighthouse")).await.contains(&id(&chunk)));
    assert!(searched.found(words("brewery")).await.is_empty());
    let restored = searched.patch(&chunk, json!({ "text": null }), None).await.expect(200);
    assert_eq!(restored, chunk);
    assert!(searched.found(words("weir")).await.contains(&id(&chunk)));
    assert!(searched.found(words("lighthouse")).await.is_empty());
    assert_eq!(searched.app.count("chunk_change").await, 0);
    searched.wait_for_vector(&chunk).await;
    // The text of the source is no edit.
    let same = searched.patch(&chunk, json!({ "text": chunk["text"] }), None).await.expect(200);
    assert_eq!(same, chunk);
    let log = searched.get("activities?type=chunk.updated&limit=1").await.expect(200);
    let collection = &chunk["collection"]["id"];
    let details = json!({
        "fileId": file, "collectionId": collection, "fields": ["text"], "disabled": false, "edited": false,
    });
    assert_eq!(log["items"][0]["details"], details);
    for bad in
        [json!({ "text": "" }), json!({ "text": " \n" }), json!({ "text": 7 }), json!({ "text": "x".repeat(20_001) })]
    {
        searched.patch(&chunk, bad, None).await.problem(422, "invalid_body");
    }
    searched.app.wait_until_no_jobs_are_left().await;
    searched.app.stop().await;
}

#[actix_web::test]
async fn edited_text_survives_new_versions_of_its_file() {
    let searched = start().await;
    let (app, ada, workspace) = (&searched.app, &searched.ada, &searched.workspace);
    let upload = async |content: &str| -> String {
        let accepted = app.upload_as(ada, workspace, "manual", content).await;
        let file = app.finished_file(ada, workspace, accepted["id"].as_str().unwrap()).await;
        assert_eq!(file["state"], "ready", "{file}");
        id(&file)
    };
    let first = "The hatch is closed by hand each evening of the week.";
    let file = upload(first).await;
    let chunk = searched.chunks(&format!("file={file}")).await.remove(0);
    searched.patch(&chunk, json!({ "text": "Orchids bloom in the greenhouse." }), None).await.expect(200);
    upload("Nothing else happens in the harbour on that day of the week.").await;
    upload(first).await;
    let chunk = searched.chunks(&format!("file={file}")).await.remove(0);
    assert_eq!((&chunk["edited"], &chunk["originalText"]), (&json!(true), &json!(first)));
    assert_eq!(chunk["file"]["version"], 3);
    let orchids = json!({ "query": "orchids", "mode": "text" });
    assert!(searched.found(orchids.clone()).await.contains(&id(&chunk)));
    assert!(searched.found(json!({ "query": "hatch", "mode": "text" })).await.is_empty());
    let nearest = json!({ "query": "flowers under glass", "mode": "vector", "limit": 1 });
    searched.wait_for_vector(&chunk).await;
    assert!(searched.found(nearest).await.contains(&id(&chunk)));
    // A chunk that was indexed with the edited text gets that of the source back, and another one.
    searched.patch(&chunk, json!({ "text": "The anchor is painted." }), None).await.expect(200);
    assert!(searched.found(orchids.clone()).await.is_empty());
    assert!(searched.found(json!({ "query": "anchor", "mode": "text" })).await.contains(&id(&chunk)));
    let restored = searched.patch(&chunk, json!({ "text": null }), None).await.expect(200);
    assert_eq!((&restored["text"], &restored["edited"]), (&json!(first), &json!(false)));
    assert!(searched.found(json!({ "query": "hatch", "mode": "text" })).await.contains(&id(&chunk)));
    assert!(searched.found(json!({ "query": "anchor", "mode": "text" })).await.is_empty());
    app.wait_until_no_jobs_are_left().await;
    searched.app.stop().await;
}

#[actix_web::test]
async fn changed_texts_of_a_workspace_are_limited() {
    let searched = start().await;
    let chunks = searched.chunks(&format!("file={}", searched.files[0])).await;
    searched
        .app
        .sql(&format!(
            "insert into chunk_change (workspace_id, collection_id, file_id, text_hash, disabled)
                 select workspace_id, '{}', id, gen_random_uuid(), true from file, generate_series(1, 9999)
                 where id = '{}'",
            chunks[0]["collection"]["id"].as_str().unwrap(),
            searched.files[0]
        ))
        .await;
    searched.patch(&chunks[0], json!({ "disabled": true }), None).await.expect(200);
    let problem = searched.patch(&chunks[1], json!({ "disabled": true }), None).await.problem(409, "quota_exceeded");
    assert_eq!(problem["errors"][0]["field"], "chunks");
    assert_eq!(searched.chunks("disabled=true").await.len(), 1);
    searched.patch(&chunks[0], json!({ "disabled": false }), None).await.expect(200);
    searched.patch(&chunks[1], json!({ "disabled": true }), None).await.expect(200);
    searched.app.stop().await;
}
