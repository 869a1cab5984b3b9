//! Tests of definitions that are refused, and of the problems that say why.

use std::collections::BTreeSet;

use super::*;
use crate::id::ConnectionId;

#[test]
fn each_mistake_names_node_and_field() {
    use ProblemCode::*;
    let valid = languages();
    assert!(compile(&valid).is_ok());
    for (pointer, value, code, node, field) in [
        ("/schemaVersion", json!(2), UnknownSchemaVersion, "", "schemaVersion"),
        ("/schemaVersion", json!("1"), InvalidShape, "", "schemaVersion"),
        ("/colour", json!("blue"), UnknownField, "", "colour"),
        ("/nodes", json!({}), InvalidShape, "", "nodes"),
        ("/nodes/6", json!("x"), InvalidShape, "", "nodes[6]"),
        ("/nodes/6", json!({ "type": "embed" }), InvalidShape, "", "nodes[6].id"),
        ("/nodes/1/id", json!("lang"), DuplicateId, "lang", "id"),
        ("/nodes/1/id", json!("a.b"), InvalidId, "a.b", "id"),
        ("/nodes/1/type", json!("paint"), UnknownType, "read", "type"),
        ("/nodes/1/colour", json!("blue"), UnknownField, "read", "colour"),
        ("/nodes/1/ocr", json!("maybe"), InvalidSetting, "read", "ocr"),
        ("/nodes/1/languages", json!(["en", "ru"]), InvalidSetting, "read", "languages[1]"),
        ("/nodes/0/filter/op", json!("like"), InvalidFilter, "in", "filter.op"),
        ("/nodes/3/maxTokens", json!(15), InvalidSetting, "cut", "maxTokens"),
        ("/nodes/3/maxTokens", json!("many"), InvalidSetting, "cut", "maxTokens"),
        ("/nodes/3/overlapTokens", json!(121), InvalidSetting, "cut", "overlapTokens"),
        ("/nodes/3/retry/attempts", json!(0), InvalidSetting, "cut", "retry.attempts"),
        ("/nodes/3/retry/colour", json!(0), InvalidSetting, "cut", "retry.colour"),
        ("/nodes/3/onError", json!("panic"), InvalidSetting, "cut", "onError"),
        ("/nodes/2/branches", json!({}), InvalidSetting, "lang", "branches"),
        ("/nodes/2/branches/english", json!(["de"]), InvalidSetting, "lang", "branches"),
        ("/nodes/2/branches/else", json!(["fr"]), InvalidId, "lang", "branches"),
        ("/nodes/2/minConfidence", json!(2), InvalidSetting, "lang", "minConfidence"),
        ("/nodes/5/collection", json!("A b"), InvalidSetting, "out", "collection"),
        ("/nodes/6", json!({ "id": "lone", "type": "embed" }), NoInput, "lone", "edges"),
        ("/edges/0/from", json!("ghost"), UnknownNode, "ghost", "edges[0].from"),
        ("/edges/0/colour", json!(1), InvalidShape, "", "edges[0].colour"),
        ("/edges/2/from", json!("lang"), PortMissing, "lang", "edges[2].from"),
        ("/edges/2/from", json!("lang.french"), UnknownPort, "lang", "edges[2].from"),
        ("/edges/6", json!({ "from": "out", "to": "cut" }), UnknownPort, "out", "edges[6].from"),
        ("/edges/6", json!({ "from": "cut", "to": "in" }), UnknownPort, "in", "edges[6].to"),
        ("/edges/6", json!({ "from": "in", "to": "read" }), DuplicateEdge, "read", "edges[6]"),
        ("/edges/6", json!({ "from": "read", "to": "vec" }), WrongFlow, "vec", "edges"),
        ("/edges/6", json!({ "from": "cut", "to": "out" }), MixedFlows, "out", "edges"),
        ("/edges/6", json!({ "from": "cut", "to": "lang" }), Cycle, "lang", "edges"),
    ] {
        let found = found(&set(valid.clone(), pointer, value.clone()));
        let expected = (code, node.to_owned(), field.to_owned());
        assert!(found.contains(&expected), "{pointer} = {value}: {found:?}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let json = graph(
        &[
            json!({ "id": "in", "type": "source.files", "trigger": "never", "colour": "blue", "shape": 1 }),
            json!({ "id": "cut", "type": "chunk.section", "maxTokens": "many", "overlapTokens": "few" }),
            json!({ "id": "keep", "type": "filter", "expression": "files.size > 'x'" }),
            json!({ "id": "test", "type": "check" }),
        ],
        &["in cut", "cut keep", "keep ghost", "ghost test"],
    );
    let found = found(&json);
    for (node, field) in [
        ("in", "trigger"),
        ("in", "colour"),
        ("in", "shape"),
        ("cut", "maxTokens"),
        ("cut", "overlapTokens"),
        ("keep", "expression"),
        ("test", "expression"),
        ("ghost", "edges[2].to"),
        ("ghost", "edges[3].from"),
    ] {
        assert!(
            found.iter().any(|problem| (problem.1.as_str(), problem.2.as_str()) == (node, field)),
            "{node}.{field}: {found:?}"
        );
    }
    assert!(problems(&json).iter().all(|problem| !problem.message.is_empty() && !problem.remedy.is_empty()));
}

#[test]
fn cycle_is_named() {
    let expression = json!({ "id": "b", "type": "filter", "expression": "true" });
    let mut nodes = vec![node("in", "source.files"), expression.clone(), expression.clone(), expression];
    for (node, id) in nodes[1..].iter_mut().zip(["a", "b", "c"]) {
        node["id"] = json!(id);
    }
    let json = graph(&nodes, &["in a", "a b", "b c", "c a"]);
    let problem = problems(&json).into_iter().find(|problem| problem.code == ProblemCode::Cycle).unwrap();
    assert_eq!(problem.message, "depends on itself: a -> b -> c -> a");
    let own = graph(&nodes[..2], &["in a", "a a"]);
    let own = problems(&own).into_iter().find(|problem| problem.code == ProblemCode::Cycle).unwrap();
    assert_eq!(own.message, "depends on itself: a -> a");
}

#[test]
fn large_definitions_are_refused_before_they_are_read() {
    let many: Vec<_> = (0..10_001).map(|index| node(&format!("n{index}"), "embed")).collect();
    assert_eq!(found(&graph(&many, &[])), [(ProblemCode::TooLarge, String::new(), "nodes".to_owned())]);
    let large = set(languages(), "/nodes/0/filter/value", json!("x".repeat(MAX_BYTES)));
    assert_eq!(found(&large), [(ProblemCode::TooLarge, String::new(), String::new())]);
    for json in [json!(null), json!([]), json!("x"), json!({}), json!({ "nodes": [null, [], {}], "edges": [null, 1] })]
    {
        assert!(!problems(&json).is_empty(), "{json}");
    }
}

#[test]
fn slots_cannot_multiply_edges_beyond_the_limit() {
    let mut nodes = vec![node("in", "source.files")];
    let mut edges = vec!["in a0".to_owned()];
    for index in 0..200 {
        nodes.push(json!({ "id": format!("a{index}"), "type": "filter", "expression": "true" }));
        nodes.push(json!({ "id": format!("b{index}"), "type": "sink.file", "suffix": ".txt" }));
        edges.extend([format!("in a{index}"), format!("a{index} all"), format!("all b{index}")]);
    }
    edges.remove(0);
    let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
    let mut json = graph(&nodes, &edges);
    json["slots"] = json!([{ "id": "all" }]);
    assert!(found(&json).contains(&(ProblemCode::TooLarge, String::new(), "edges".to_owned())));
}

#[test]
fn collections_and_pipelines_that_do_not_exist_are_named() {
    let default = builtin::definition(None, 0).to_json();
    let after = set(default.clone(), "/nodes/0/trigger", json!({ "after": { "pipeline": "first" } }));
    let json = set(after, "/nodes/5/collection", json!("other"));
    let missing = |collections: &[&str], pipelines: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let found =
            references::missing(&compile(&json).unwrap(), &names(collections), &names(pipelines), &BTreeMap::new());
        found.into_iter().map(|problem| (problem.code, problem.node.unwrap_or_default())).collect::<Vec<_>>()
    };
    assert_eq!(
        missing(&["default"], &["second"]),
        [(ProblemCode::UnknownPipeline, "upload".to_owned()), (ProblemCode::UnknownCollection, "index".to_owned())]
    );
    assert_eq!(missing(&["other"], &["first"]), []);
}

#[test]
fn connection_that_cannot_do_what_its_node_needs_is_named() {
    let id = ConnectionId("018f2f1e-5a0c-7c3e-9b1a-2f4d6e8a0b1c".parse().unwrap());
    let source = json!({ "id": "in", "type": "source.connection", "connection": id });
    let sink = json!({ "id": "out", "type": "sink.connection", "connection": id, "into": "a" });
    let compiled = compile(&graph(&[source, sink], &["in out"])).unwrap();
    let none = BTreeSet::new();
    let found = |provider: &str| {
        let connections = BTreeMap::from([(id, provider.to_owned())]);
        let problems = references::missing(&compiled, &none, &none, &connections);
        assert!(problems.iter().all(|problem| problem.code == ProblemCode::WrongProvider), "{problems:?}");
        problems.into_iter().filter_map(|problem| problem.node).collect::<Vec<_>>()
    };
    assert_eq!(found("s3"), Vec::<String>::new());
    assert_eq!(found("imap"), ["out"]);
    assert_eq!(found("qdrant"), ["in"]);
    assert_eq!(found("openai"), ["in", "out"]);
}
