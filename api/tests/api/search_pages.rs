//! The form of search results: groups, surroundings of hits, pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Searched, Setup, TestFile, definition, hit_names};

/// A document of sections, each a passage of its own about a subject.
fn sections(title: &str, subjects: &[&str]) -> String {
    let filler = "The record lists dates, crews, tools and the weather of each day of work.";
    let section =
        |(number, subject): (usize, &&str)| format!("## Part {number}\n\n{subject} {}\n\n", [filler; 6].join(" "));
    format!("# {title}\n\n{}", subjects.iter().enumerate().map(section).collect::<String>())
}

fn groups(response: &Value) -> Vec<(&str, usize)> {
    let groups = response["groups"].as_array().unwrap().iter();
    groups.map(|group| (group["file"]["name"].as_str().unwrap(), group["hits"].as_array().unwrap().len())).collect()
}

#[actix_web::test]
async fn groups_have_each_file_once_although_one_file_has_the_best_hits() {
    let turbine = sections("Turbine", &["The turbine turbine turbine is inspected."; 40]);
    let others: Vec<(String, String)> = (0..6)
        .map(|n| (format!("other-{n}.md"), sections("Other", &["A turbine is mentioned once.", "Nothing of it here."])))
        .collect();
    let mut files = vec![TestFile::new("turbine.md", &turbine)];
    files.extend(others.iter().map(|(name, content)| TestFile::new(name, content)));
    let searched = Searched::new(&files).await;
    for mode in ["text", "vector", "hybrid"] {
        let flat = searched.search(json!({ "query": "turbine", "mode": mode, "limit": 7 })).await;
        assert!(hit_names(&flat).iter().filter(|name| **name == "turbine.md").count() > 3, "{mode} {flat}");
        let body = json!({ "query": "turbine", "mode": mode, "limit": 7, "groupBy": "file", "perFile": 3 });
        let grouped = searched.search(body).await;
        assert!(hit_names(&grouped).is_empty() && grouped["nextCursor"].is_null(), "{mode} {grouped}");
        let found = groups(&grouped);
        let names: BTreeSet<_> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!((found.len(), names.len()), (7, 7), "{mode} {found:?}");
        assert_eq!(found.iter().find(|(name, _)| *name == "turbine.md"), Some(&("turbine.md", 3)), "{mode}");
        for group in grouped["groups"].as_array().unwrap() {
            let hits = group["hits"].as_array().unwrap();
            assert!(hits.iter().all(|hit| hit["file"]["id"] == group["file"]["id"]));
            assert!(hits.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()), "{mode}");
        }
        let single = searched.search(json!({ "query": "turbine", "mode": mode, "groupBy": "file", "limit": 2 })).await;
        assert!(groups(&single).iter().all(|(_, hits)| *hits == 1) && groups(&single).len() == 2, "{mode}");
    }
    for bad in [json!({ "perFile": 2 }), json!({ "groupBy": "file", "perFile": 0 }), json!({ "groupBy": "tag" })] {
        let mut body = json!({ "query": "turbine" });
        body.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        searched.post("search", &body).await.problem(422, "invalid_body");
    }
    searched.app.stop().await;
}

#[actix_web::test]
async fn files_are_found_behind_a_file_that_fills_the_largest_round() {
    let searched =
        Searched::new(&[TestFile::new("one.txt", "A gauge."), TestFile::new("two.txt", "Another gauge.")]).await;
    // More copies of a passage than the largest round reads.
    let copied = format!(
        "with own as (select * from chunk where file_id = '{file}' limit 1),
         copies as (
             insert into chunk (workspace_id, id, target_id, file_id, version_id, ordinal, text, start_byte, end_byte,
                 heading_path, tokens)
             select workspace_id, gen_random_uuid(), target_id, file_id, version_id, 1 + n, text, start_byte, end_byte,
                 heading_path, tokens from own, generate_series(1, 4200) n
             returning workspace_id, id, target_id)
         insert into embedding (workspace_id, space_id, target_id, chunk_id, input_hash, vector)
         select c.workspace_id, e.space_id, c.target_id, c.id, e.input_hash, e.vector
         from copies c join embedding e on e.workspace_id = c.workspace_id and e.target_id = c.target_id",
        file = searched.files[0]
    );
    searched.app.sql(&copied).await;
    let body = json!({ "query": "gauge", "mode": "vector", "groupBy": "file", "explain": true });
    let found = searched.search(body).await;
    assert_eq!(groups(&found), [("one.txt", 1), ("two.txt", 1)]);
    assert!(found["explanation"]["rounds"].as_u64() > Some(1), "{found}");
    searched.app.stop().await;
}

#[actix_web::test]
async fn context_is_the_text_around_a_hit_and_shows_no_part_twice() {
    let subjects =
        ["Seals rest on the sandbank.", "Divers scrape barnacles off the rotor.", "The cable carries current."];
    let content = sections("Log", &subjects);
    let searched = Searched::new(&[TestFile::new("log.md", &content)]).await;
    let text = searched.text(&searched.files[0]).await;
    let search = async |expand: Value, limit: usize| {
        let body = json!({ "query": "barnacles on the rotor", "mode": "vector", "limit": limit, "expand": expand });
        searched.search(body).await["hits"].as_array().unwrap().clone()
    };
    let passages = |hit: &Value| -> Vec<String> {
        let mut end = 0;
        let passages = hit["context"]["passages"].as_array().unwrap().iter().map(|passage| {
            let at = |name: &str| usize::try_from(passage[name].as_u64().unwrap()).unwrap();
            assert_eq!(passage["text"], text[at("start")..at("end")], "{passage}");
            assert!(at("start") >= end, "passages do not overlap");
            end = at("end");
            passage["text"].as_str().unwrap().to_owned()
        });
        passages.collect()
    };
    let hit = &search(json!({ "neighbours": 0 }), 1).await[0];
    assert!(passages(hit).concat().contains("barnacles") && !passages(hit).concat().contains("Seals"), "{hit}");
    let hit = &search(json!({ "neighbours": 1 }), 1).await[0];
    let all = passages(hit).concat();
    assert!(subjects.iter().all(|subject| all.contains(subject)), "{all}");
    assert_eq!(hit["context"]["truncated"], false);
    let hit = &search(json!({ "section": true }), 1).await[0];
    assert!(passages(hit).concat().contains("barnacles") && !passages(hit).concat().contains("current"), "{hit}");
    // Three hits with overlapping surroundings: each part of the text is in one of them.
    let hits = search(json!({ "neighbours": 3 }), 3).await;
    let parts: Vec<String> = hits.iter().flat_map(&passages).collect();
    for subject in subjects {
        assert_eq!(parts.iter().filter(|part| part.contains(subject)).count(), 1, "{subject}");
    }
    assert!(search(json!({ "section": false }), 1).await[0]["context"].is_null());
    for bad in [
        json!({}),
        json!({ "neighbours": 4 }),
        json!({ "neighbours": 1, "section": true }),
        json!("section"),
        Value::Null,
    ] {
        searched.post("search", &json!({ "query": "rotor", "expand": bad })).await.problem(422, "invalid_body");
    }
    searched.app.stop().await;
}

/// All pages of a search; `between` runs after each.
async fn pages(
    searched: &mut Searched,
    body: &Value,
    mut between: impl AsyncFnMut(&mut Searched, usize),
) -> Vec<Value> {
    let (mut pages, mut cursor) = (Vec::new(), None::<Value>);
    loop {
        let mut body = body.clone();
        if let Some(cursor) = cursor {
            body["cursor"] = cursor;
        }
        let page = searched.search(body).await;
        let next = page["nextCursor"].clone();
        pages.push(page);
        between(searched, pages.len()).await;
        if next.is_null() {
            return pages;
        }
        cursor = Some(next);
    }
}

#[actix_web::test]
async fn pages_repeat_and_miss_no_hit_while_files_come_and_go() {
    let contents: Vec<(String, String)> =
        (0..12).map(|n| (format!("{n:02}.txt"), format!("Note {n}: the osprey nests near gauge {n}."))).collect();
    let files: Vec<TestFile<'_>> = contents.iter().map(|(name, content)| TestFile::new(name, content)).collect();
    let mut searched = Searched::new(&files).await;
    for (mode, group) in [("hybrid", false), ("text", true)] {
        let mut body = json!({ "query": "osprey nests", "mode": mode, "limit": 5 });
        if group {
            body["groupBy"] = json!("file");
        }
        let name = format!("new-{mode}.txt");
        let pages = pages(&mut searched, &body, async |searched, page| {
            if page == 1 {
                // It ranks before all others.
                searched.add(&[TestFile::new(&name, "Osprey nests, osprey nests.")]).await;
            }
        })
        .await;
        let list = if group { "groups" } else { "hits" };
        let names: Vec<&str> = pages
            .iter()
            .flat_map(|page| page[list].as_array().unwrap())
            .map(|hit| hit["file"]["name"].as_str().unwrap())
            .collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), unique.len(), "{mode}: a hit is repeated: {names:?}");
        assert!(contents.iter().all(|(name, _)| unique.contains(name.as_str())), "{mode}: a hit is missing: {names:?}");
        assert!(names[5..].contains(&name.as_str()), "{mode}: a new hit is on a later page: {names:?}");
    }
    // A deleted file is not on the next page.
    let body = json!({ "query": "osprey", "mode": "text", "limit": 10 });
    let first = searched.search(body.clone()).await;
    let shown: BTreeSet<&str> = hit_names(&first).into_iter().collect();
    let left = contents.iter().position(|(name, _)| !shown.contains(name.as_str())).unwrap();
    let path = searched.path(&format!("files/{}", searched.files[left]));
    assert_eq!(searched.app.delete(&searched.ada, &path).await.status, 204);
    let mut next = body.clone();
    next["cursor"] = first["nextCursor"].clone();
    let second = searched.search(next.clone()).await;
    assert!(!hit_names(&second).contains(&contents[left].0.as_str()), "{second}");
    assert!(hit_names(&second).len() == 3 && second["nextCursor"].is_null(), "{second}");
    // A cursor belongs to its search.
    next["query"] = json!("gauge");
    searched.post("search", &next).await.problem(400, "invalid_cursor");
    searched.post("search", &json!({ "query": "osprey", "cursor": "AAAA" })).await.problem(400, "invalid_cursor");
    searched.post("search", &json!({ "query": "osprey", "cursor": "" })).await.problem(422, "invalid_body");
    searched.app.stop().await;
}

#[actix_web::test]
async fn passage_in_two_collections_is_one_hit_and_takes_no_place_of_others() {
    let setup = Setup::with_worker().await;
    setup.collection("copies").await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.section" },
        { "id": "vec", "type": "embed" },
        { "id": "one", "type": "sink.collection", "collection": "default" },
        { "id": "other", "type": "sink.collection", "collection": "copies" },
    ]);
    let twice = definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > one", "vec > other"]);
    setup.pipeline("Twice", &twice).await;
    let files = [1, 2, 3].map(|n| (format!("{n}.txt"), format!("The turbine number {n} is inspected.")));
    let uploads: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    setup.upload(&uploads).await;
    let search = async |body: Value| setup.app.post(&setup.ada, &setup.path("search"), &body).await.expect(200);
    for mode in ["text", "vector", "hybrid"] {
        let all = search(json!({ "query": "turbine", "mode": mode, "limit": 3, "verify": true })).await;
        let names: BTreeSet<_> = hit_names(&all).into_iter().collect();
        assert_eq!((hit_names(&all).len(), names.len()), (3, 3), "{mode} {all}");
        assert!(all["nextCursor"].is_null() && all["recall"] == 1.0, "{mode} {all}");
        // Page by page.
        let (mut shown, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let mut body = json!({ "query": "turbine", "mode": mode, "limit": 1 });
            if !cursor.is_null() {
                body["cursor"] = cursor;
            }
            let mut page = search(body).await;
            shown.extend(hit_names(&page).into_iter().map(str::to_owned));
            cursor = page["nextCursor"].take();
            if cursor.is_null() {
                break;
            }
        }
        let names: BTreeSet<_> = shown.iter().collect();
        assert_eq!((shown.len(), names.len()), (3, 3), "{mode} {shown:?}");
        let grouped = search(json!({ "query": "turbine", "mode": mode, "groupBy": "file", "perFile": 5 })).await;
        let found = groups(&grouped);
        assert!(found.len() == 3 && found.iter().all(|(_, hits)| *hits == 1), "{mode} {found:?}");
        let copies = search(json!({ "query": "turbine", "mode": mode, "collections": ["copies"] })).await;
        assert_eq!(hit_names(&copies).len(), 3, "{mode} {copies}");
    }
    // A passage is not similar to itself in the other collection.
    let hit = search(json!({ "query": "number 1", "mode": "text" })).await["hits"][0].clone();
    let body = json!({ "chunk": hit["chunkId"] });
    let similar = setup.app.post(&setup.ada, &setup.path("search/similar"), &body).await.expect(200);
    let names: BTreeSet<_> = hit_names(&similar).into_iter().collect();
    assert_eq!((hit_names(&similar).len(), names.len()), (2, 2), "{similar}");
    assert!(!names.contains(hit["file"]["name"].as_str().unwrap()), "{similar}");
    setup.app.stop().await;
}
