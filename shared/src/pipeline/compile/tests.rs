use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{
    domain::run::Units,
    id::ArtifactId,
    pipeline::{
        builtin,
        content_key::ContentKey,
        diff, node,
        plan::Start,
        problem::{Problem, ProblemCode},
        progress::{Progress, StoredOutput},
        references, render, schema,
    },
};

mod mistakes;

fn node(id: &str, kind: &str) -> Value {
    json!({ "id": id, "type": kind })
}

/// A definition of these nodes and edges (`from to`).
fn graph(nodes: &[Value], edges: &[&str]) -> Value {
    let edge = |edge: &&str| {
        let (from, to) = edge.split_once(' ').unwrap();
        json!({ "from": from, "to": to })
    };
    json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges.iter().map(edge).collect::<Vec<_>>() })
}

/// The definition of PIPELINES' documentation: a switch whose branches meet again.
fn languages() -> Value {
    graph(
        &[
            json!({ "id": "in", "type": "source.files", "filter": { "field": "mediaType", "op": "eq", "value": "application/pdf" } }),
            json!({ "id": "read", "type": "partition", "ocr": "auto" }),
            json!({ "id": "lang", "type": "switch.language", "branches": { "german": ["de"] }, "minConfidence": 0.8 }),
            json!({ "id": "cut", "type": "chunk.section", "maxTokens": 240, "retry": { "attempts": 3 } }),
            node("vec", "embed"),
            json!({ "id": "out", "type": "sink.collection", "collection": "default" }),
        ],
        &["in read", "read lang", "lang.german cut", "lang.else cut", "cut vec", "vec out"],
    )
}

fn problems(json: &Value) -> Vec<Problem> {
    compile(json).expect_err("the definition is not valid").0
}

/// Code, node and field of each problem.
fn found(json: &Value) -> Vec<(ProblemCode, String, String)> {
    problems(json).into_iter().map(|all| (all.code, all.node.unwrap_or_default(), all.field)).collect()
}

fn segments(json: &Value) -> Vec<(Start, Vec<String>)> {
    let plan = compile(json).unwrap_or_else(|error| panic!("{error}")).plan;
    let ids = |segment: &crate::pipeline::plan::Segment| segment.steps.iter().map(|step| step.id.clone()).collect();
    plan.segments.iter().map(|segment| (segment.start, ids(segment))).collect()
}

fn set(mut json: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap();
    match key.parse::<usize>() {
        Ok(index) if parent.is_array() && parent.as_array().unwrap().len() == index => {
            parent.as_array_mut().unwrap().push(value);
        }
        Ok(index) if parent.is_array() => parent[index] = value,
        _ => parent[key] = value,
    }
    json
}

#[test]
fn builtin_pipeline_starts_a_segment_at_members_and_at_embedding() {
    let compiled = compile_definition(&builtin::definition(None, 0)).unwrap();
    let plan = &compiled.plan;
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        segments(&compiled.definition.to_json()),
        [
            (Start::Source, ids(&["upload", "unpack", "partition", "chunk"])),
            (Start::Items, ids(&["partition", "chunk"])),
            (Start::Units, ids(&["embed", "index"])),
        ]
    );
    assert_eq!((plan.stage(0), plan.stage(1), plan.stage(2)), ("upload", "partition", "embed"));
    let lanes: Vec<_> = plan.segments.iter().map(|segment| segment.lane.name()).collect();
    assert_eq!(lanes, ["extract", "extract", "model"]);
    assert_eq!(plan.after(0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(plan.after(1).collect::<Vec<_>>(), [2]);
    assert_eq!(plan.after(2).count(), 0);
    let collections = [builtin::NAME.to_owned()].into();
    assert_eq!(references::missing(&compiled, &collections, &collections, &BTreeMap::new()), []);
}

#[test]
fn file_that_is_no_archive_has_no_job_for_members() {
    let plan = compile_definition(&builtin::definition(None, 0)).unwrap().plan;
    let run = |entry: usize| {
        let (mut progress, first) = Progress::begin(entry);
        // What the chunker gives crosses to the segment of the model.
        let chunks = plan.inputs(2).into_iter().find(|origin| origin.segment == entry).unwrap();
        let stored = StoredOutput { artifact: ArtifactId::new(), elements: 3, key: ContentKey([7; 32]) };
        progress.outputs.insert(chunks, stored);
        progress.advance(first.segment, first.units);
        let next: Vec<_> = progress.start_ready(&plan, entry, |_| 8).iter().map(|job| job.segment).collect();
        progress.advance(2, Some(Units { first: 0, end: 3 }));
        (next, progress.is_complete(&plan, entry))
    };
    assert_eq!(run(0), (vec![2], true));
    assert_eq!(run(1), (vec![2], true), "a member");
}

#[test]
fn definition_survives_a_json_round_trip() {
    for json in [languages(), builtin::definition(Some(64), 8).to_json()] {
        let compiled = compile(&json).unwrap();
        assert_eq!(compiled.definition.to_json(), json);
        assert_eq!(compile_definition(&compiled.definition).unwrap(), compiled);
    }
}

#[test]
fn branches_that_meet_again_stay_in_one_segment_until_a_border() {
    let found = segments(&languages());
    assert_eq!(found[0].1, ["in", "read", "lang", "cut"]);
    assert_eq!(found[1], (Start::Units, vec!["vec".to_owned(), "out".to_owned()]));
}

#[test]
fn outputs_of_several_segments_meet_in_a_segment_of_their_own() {
    let json = graph(
        &[
            node("a", "source.files"),
            node("read", "partition"),
            node("cut1", "chunk.section"),
            node("cut2", "chunk.page"),
            node("vec1", "embed"),
            node("vec2", "embed"),
            node("out", "sink.collection"),
        ],
        &["a read", "read cut1", "read cut2", "cut1 vec1", "cut2 vec2", "vec1 out", "vec2 out"],
    );
    let plan = compile(&json).unwrap().plan;
    let starts: Vec<_> = plan.segments.iter().map(|segment| segment.start).collect();
    assert_eq!(starts, [Start::Source, Start::Units, Start::Units, Start::Join]);
    assert_eq!(plan.inputs(3).len(), 2);
    assert_eq!(plan.after(0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(plan.after(2).collect::<Vec<_>>(), [3]);
}

#[test]
fn members_of_archives_begin_a_segment_and_other_files_do_not() {
    let json = graph(
        &[
            node("a", "source.files"),
            node("open", "unpack"),
            node("read", "partition"),
            node("read2", "partition"),
            json!({ "id": "o1", "type": "sink.file", "suffix": ".txt" }),
            json!({ "id": "o2", "type": "sink.file", "suffix": ".txt" }),
        ],
        &["a open", "open.members read", "open.else read2", "read o1", "read2 o2"],
    );
    assert_eq!(
        segments(&json),
        [
            (Start::Source, vec!["a".to_owned(), "open".to_owned(), "read2".to_owned(), "o2".to_owned()]),
            (Start::Items, vec!["read".to_owned(), "o1".to_owned()]),
        ]
    );
}

#[test]
fn members_and_other_files_have_a_step_each_until_a_border() {
    let json = graph(
        &[
            node("a", "source.files"),
            node("open", "unpack"),
            node("inner", "unpack"),
            node("read", "partition"),
            node("cut", "chunk.section"),
            node("vec", "embed"),
            node("out", "sink.collection"),
            json!({ "id": "file", "type": "sink.file", "suffix": ".txt" }),
        ],
        &[
            "a open",
            "open.members inner",
            "open.else read",
            "inner.members read",
            "inner.else read",
            "read cut",
            "cut vec",
            "vec out",
            "read file",
        ],
    );
    let ids = |ids: &str| ids.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        segments(&json),
        [
            (Start::Source, ids("a open read cut file")),
            (Start::Items, ids("inner read cut file")),
            (Start::Items, ids("read cut file")),
            (Start::Units, ids("vec out")),
        ]
    );
    let plan = compile(&json).unwrap().plan;
    let shown = render::to_json(&plan);
    assert_eq!(shown["segments"][2]["inputs"], json!(["inner.members"]));
    assert_eq!(shown["segments"][3]["inputs"], json!(["cut"]));
    let text = render::to_mermaid(&plan);
    assert!(
        text.contains("n_open -->|\"else: bytes\"| n_read") && text.contains("s1_cut ==>|\"chunks\"| n_vec"),
        "{text}"
    );
}

#[test]
fn file_behind_units_is_written_when_all_of_them_are_done() {
    let json = graph(
        &[
            node("a", "source.files"),
            node("read", "partition"),
            node("cut", "chunk.section"),
            json!({ "id": "rate", "type": "sentiment", "connection": "01975c3e-8c1a-7d13-9b58-0242ac120002" }),
            json!({ "id": "out", "type": "sink.file", "suffix": ".jsonl" }),
        ],
        &["a read", "read cut", "cut rate", "rate out"],
    );
    assert_eq!(
        segments(&json),
        [
            (Start::Source, vec!["a".to_owned(), "read".to_owned(), "cut".to_owned()]),
            (Start::Units, vec!["rate".to_owned()]),
            (Start::Join, vec!["out".to_owned()]),
        ]
    );
}

#[test]
fn several_sources_join_where_they_meet() {
    let json = graph(
        &[
            node("a", "source.files"),
            json!({ "id": "b", "type": "source.search", "query": "tides" }),
            node("read", "partition"),
            json!({ "id": "out", "type": "sink.file", "suffix": ".txt" }),
        ],
        &["a read", "b read", "read out"],
    );
    let starts: Vec<_> = segments(&json).into_iter().map(|segment| segment.0).collect();
    assert_eq!(starts, [Start::Source, Start::Source, Start::Join]);
}

#[test]
fn slot_connects_every_writer_with_every_reader() {
    let mut json = graph(
        &[
            node("a", "source.files"),
            node("read", "partition"),
            node("cut", "chunk.section"),
            json!({ "id": "file", "type": "sink.file", "suffix": ".txt" }),
            node("out", "sink.collection"),
        ],
        &["a read", "read text", "text cut", "text file", "cut out"],
    );
    json["slots"] = json!([{ "id": "text" }]);
    let plan = compile(&json).unwrap().plan;
    let of = |id: &str| plan.segments[0].steps.iter().find(|step| step.id == id).unwrap().origins.clone();
    assert_eq!(of("cut"), of("file"));
    for (edge, message) in [(1, "no node writes"), (2, ""), (3, "")] {
        let mut broken = json.clone();
        broken["edges"].as_array_mut().unwrap().remove(edge);
        assert!(problems(&broken).iter().any(|problem| problem.message.contains(message)), "{edge}");
    }
    json["slots"] = json!([{ "id": "text" }, { "id": "unused" }]);
    assert_eq!(found(&json), [(ProblemCode::OneSidedSlot, "unused".to_owned(), "edges".to_owned())]);
}

#[test]
fn examples_and_defaults_of_every_node_type_are_valid() {
    for of in node::node_types() {
        let mut problems = Problems::default();
        of.example.validate(&mut problems.of("example"));
        of.defaults.validate(&mut problems.of("defaults"));
        assert!(problems.is_empty(), "{}: {problems:?}", of.name);
        assert_eq!(of.example.kind(), of.name);
        let json = of.example.to_json();
        let fields: std::collections::BTreeSet<&str> = of.fields().collect();
        let shown: std::collections::BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, shown, "{}: the example sets every field of the schema", of.name);
        assert_eq!(node::Settings::read(of.name, json.as_object().unwrap().clone()).unwrap().unwrap(), of.example);
        let schema = schema::node_schema(&of);
        assert_eq!(schema["additionalProperties"], false, "{}", of.name);
        for (name, property) in schema["properties"].as_object().unwrap() {
            let described = ["id", "type"].contains(&name.as_str()) || property["description"].is_string();
            assert!(described, "{}.{name} has no description", of.name);
        }
        assert!(!of.example.ports().outputs.iter().any(|output| output.name.is_empty()), "{}", of.name);
    }
    let names: std::collections::BTreeSet<_> = node::NAMES.iter().collect();
    assert_eq!(names.len(), node::NAMES.len());
    assert_eq!(
        schema::definition_schema()["properties"]["nodes"]["items"]["oneOf"].as_array().unwrap().len(),
        names.len()
    );
}

#[test]
fn plan_is_shown_as_json_and_mermaid() {
    let plan = compile(&languages()).unwrap().plan;
    let json = render::to_json(&plan);
    assert_eq!(json["segments"][1]["inputs"], json!(["cut"]));
    assert_eq!(json["segments"][0]["exports"], json!(["cut"]));
    assert_eq!(json["segments"][0]["steps"][3]["inputs"], json!(["lang.german", "lang.else"]));
    assert_eq!(json["segments"][0]["steps"][3]["options"]["retry"], json!({ "attempts": 3 }));
    let text = render::to_mermaid(&plan);
    assert!(text.contains("n_lang -->|\"german: document\"| n_cut"), "{text}");
    assert!(text.contains("n_cut ==>|\"chunks\"| n_vec"), "{text}");
}

#[test]
fn diff_names_nodes_fields_and_edges() {
    let old = compile(&languages()).unwrap().definition;
    assert!(diff::diff(&old, &old).is_empty());
    let mut json = languages();
    json["nodes"].as_array_mut().unwrap().reverse();
    let same = compile(&json).unwrap().definition;
    assert!(diff::diff(&old, &same).is_empty(), "the order makes no difference");
    let json = set(languages(), "/nodes/3/maxTokens", json!(200));
    let json = set(json, "/nodes/6", json!({ "id": "file", "type": "sink.file", "suffix": ".txt" }));
    let json = set(json, "/edges/6", json!({ "from": "read", "to": "file" }));
    let found = diff::diff(&old, &compile(&json).unwrap().definition);
    assert_eq!(
        serde_json::to_value(&found).unwrap(),
        json!({
            "nodesAdded": ["file"], "nodesRemoved": [],
            "nodesChanged": [{ "id": "cut", "fields": [{ "field": "maxTokens", "from": 240, "to": 200 }] }],
            "slotsAdded": [], "slotsRemoved": [],
            "edgesAdded": [{ "from": "read", "to": "file" }], "edgesRemoved": [],
        })
    );
}

#[test]
fn triggers_are_read_and_schedules_checked() {
    let default = builtin::definition(None, 0).to_json();
    for trigger in [
        json!("manual"),
        json!("change"),
        json!({ "schedule": { "cron": "0 3 * * *", "timeZone": "Europe/Berlin" } }),
        json!({ "after": { "pipeline": "first" } }),
    ] {
        let json = set(default.clone(), "/nodes/0/trigger", trigger);
        assert_eq!(compile(&json).unwrap().definition.to_json(), json);
    }
    for (trigger, code) in [
        (json!({ "schedule": { "cron": "every day", "timeZone": "UTC" } }), ProblemCode::InvalidSchedule),
        (json!({ "schedule": { "cron": "0 3 * * *", "timeZone": "Mars" } }), ProblemCode::InvalidSchedule),
        (json!("sometimes"), ProblemCode::InvalidSetting),
    ] {
        let problems = compile(&set(default.clone(), "/nodes/0/trigger", trigger)).unwrap_err().0;
        assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), [code]);
    }
}
