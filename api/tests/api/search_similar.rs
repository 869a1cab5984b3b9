//! Searches for passages that are similar to a file or a passage.

use serde_json::{Value, json};

use crate::support::{Searched, TestFile, hit_names, part};

const FILES: [(&str, &str); 4] = [
    ("seals.txt", "Grey seals rest on the sandbank. Observers count the pups in November."),
    ("whales.txt", "Harbour porpoises and whales pass the coast. Observers count the animals from a cliff."),
    ("fuse.txt", "Fault code E-417 means a blown fuse in the control cabinet."),
    ("cable.txt", "The electric cable and the fuses of the substation are rated for 33 kilovolts."),
];

async fn start() -> Searched {
    Searched::new(&FILES.map(|(name, content)| TestFile::new(name, content))).await
}

impl Searched {
    async fn similar(&self, body: Value) -> Value {
        self.post("search/similar", &body).await.expect(200)
    }
}

#[actix_web::test]
async fn nearest_passages_of_other_files_are_found_and_the_file_itself_is_not() {
    let searched = start().await;
    for (file, nearest) in [(0, "whales.txt"), (1, "seals.txt"), (2, "cable.txt"), (3, "fuse.txt")] {
        let found = searched.similar(json!({ "file": searched.files[file] })).await;
        let names = hit_names(&found);
        assert_eq!((names[0], names.len()), (nearest, 3), "{names:?}");
        assert!(!names.contains(&FILES[file].0) && found["mode"] == "vector", "{names:?}");
    }
    let hit = searched.search(json!({ "query": "E-417", "mode": "text" })).await["hits"][0].clone();
    let by_chunk = searched.similar(json!({ "chunk": hit["chunkId"], "limit": 2 })).await;
    assert_eq!(hit_names(&by_chunk)[0], "cable.txt");
    assert!(!hit_names(&by_chunk).contains(&"fuse.txt"));
    // The options of searches hold here, too.
    let filter = json!({ "field": "name", "op": "ne", "value": "cable.txt" });
    let body = json!({ "chunk": hit["chunkId"], "filter": filter, "groupBy": "file", "expand": { "neighbours": 1 } });
    let grouped = searched.similar(body).await;
    let groups = grouped["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{grouped}");
    assert!(groups.iter().all(|group| group["hits"][0]["context"]["passages"].is_array()));
    let first = searched.similar(json!({ "file": searched.files[0], "limit": 2 })).await;
    let next = json!({ "file": searched.files[0], "limit": 2, "cursor": first["nextCursor"] });
    let second = searched.similar(next).await;
    assert_eq!(hit_names(&second).len(), 1, "{second}");
    assert!(!hit_names(&first).contains(&hit_names(&second)[0]));
    let near = searched.similar(json!({ "file": searched.files[0], "threshold": { "vector": 0.99 } })).await;
    assert_eq!(hit_names(&near), [""; 0]);
    let body = json!({ "file": searched.files[0], "facets": ["mediaType"], "explain": true });
    let explained = searched.similar(body).await;
    assert_eq!(explained["facets"][0]["values"], json!([{ "value": "text/plain", "files": 4 }]), "{explained}");
    assert_eq!(
        (&explained["plan"], &explained["hits"][0]["explanation"]["vector"]["rank"]),
        (&json!("exact"), &json!(1))
    );
    let body = json!({ "file": searched.files[0], "facets": ["size"] });
    searched.post("search/similar", &body).await.problem(422, "invalid_body");
    let hidden = searched.similar(json!({ "file": searched.files[0], "hidden": [searched.files[1]] })).await;
    assert!(!hit_names(&hidden).contains(&"whales.txt"));
    searched.app.stop().await;
}

#[actix_web::test]
async fn unknown_files_and_those_of_other_workspaces_are_not_found() {
    let searched = start().await;
    let other = searched.app.create_account("other").await;
    let workspace = searched.app.create_workspace(&other, "Wind").await;
    let path = format!("/api/v1/workspaces/{workspace}/search/similar");
    let hit = searched.search(json!({ "query": "seals", "limit": 1 })).await["hits"][0].clone();
    for body in [json!({ "file": searched.files[0] }), json!({ "chunk": hit["chunkId"] })] {
        searched.app.post(&other, &path, &body).await.problem(404, "not_found");
    }
    let unknown = nvisy_shared::id::new();
    for body in [json!({ "file": unknown }), json!({ "chunk": unknown })] {
        searched.post("search/similar", &body).await.problem(404, "not_found");
    }
    for bad in
        [json!({}), json!({ "file": unknown, "chunk": unknown }), json!({ "file": "x" }), json!({ "file": null })]
    {
        searched.post("search/similar", &bad).await.problem(422, "invalid_body");
    }
    // A collection without passages.
    searched.post("collections", &json!({ "name": "empty" })).await.expect(201);
    let body = json!({ "file": searched.files[0], "collections": ["empty"] });
    assert_eq!(hit_names(&searched.similar(body).await), [""; 0]);
    let body = json!({ "file": searched.files[0], "collections": ["none"] });
    searched.post("search/similar", &body).await.problem(404, "not_found");
    let accepted = searched.app.upload(&searched.ada, &searched.workspace, vec![part("blank.txt", " \n ")]).await;
    let blank = accepted.expect(202)["items"][0]["id"].clone();
    searched.app.finished_file(&searched.ada, &searched.workspace, blank.as_str().unwrap()).await;
    searched.post("search/similar", &json!({ "file": blank })).await.problem(409, "not_embedded");
    searched.app.stop().await;
}
