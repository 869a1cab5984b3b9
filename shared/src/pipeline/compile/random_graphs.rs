//! Random graphs: valid ones compile to a plan that holds them, and damaged ones give problems that name the place.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::*;
use crate::pipeline::port::{Border, Flow};

/// A node with its settings, and the flow and name of each output.
struct Made {
    json: Value,
    outputs: Vec<(String, Flow)>,
}

/// The types that may follow a flow, with their settings and outputs.
fn node_after(choice: u8, id: &str, flow: Flow) -> Made {
    let same = |json: Value| Made { json, outputs: vec![(id.to_owned(), flow)] };
    let to = |json: Value, flow| Made { json, outputs: vec![(id.to_owned(), flow)] };
    let switch = |json: Value, ports: &[&str]| Made {
        json,
        outputs: ports.iter().map(|port| (format!("{id}.{port}"), flow)).collect(),
    };
    let filter = json!({ "id": id, "type": "filter", "expression": "file.size > 1" });
    let when = || {
        let branches = json!([{ "port": "large", "expression": "file.size > 9" }]);
        switch(json!({ "id": id, "type": "switch.when", "branches": branches }), &["large", "else"])
    };
    match (flow, choice % 5) {
        (Flow::Bytes, 0 | 1) => to(json!({ "id": id, "type": "partition" }), Flow::Document),
        (Flow::Bytes, 2) => Made {
            json: json!({ "id": id, "type": "unpack" }),
            outputs: ["members", "else"].map(|port| (format!("{id}.{port}"), Flow::Bytes)).into(),
        },
        (Flow::Document, 0) => to(json!({ "id": id, "type": "chunk.section" }), Flow::Chunks),
        (Flow::Document, 1) => to(json!({ "id": id, "type": "chunk.similarity" }), Flow::Chunks),
        (Flow::Document, 2) => switch(
            json!({ "id": id, "type": "switch.language", "branches": { "german": ["de"], "other": ["fr", "it"] } }),
            &["german", "other", "else"],
        ),
        (Flow::Chunks, 0 | 1) => to(json!({ "id": id, "type": "embed" }), Flow::Vectors),
        (Flow::Chunks, 2) => same(json!({ "id": id, "type": "language" })),
        (Flow::Bytes | Flow::Document | Flow::Chunks | Flow::Records, 3) => when(),
        _ => same(filter),
    }
}

/// A valid definition: each step takes some outputs of one flow; every loose end gets a sink.
fn valid_graph() -> impl Strategy<Value = Value> {
    vec((any::<u8>(), any::<u16>(), any::<u16>()), 1..30).prop_map(|choices| {
        let mut nodes = vec![
            json!({ "id": "s0", "type": "source.files" }),
            json!({ "id": "s1", "type": "source.search", "query": "tides" }),
        ];
        let mut outputs = vec![("s0".to_owned(), Flow::Bytes), ("s1".to_owned(), Flow::Bytes)];
        let (mut edges, mut used) = (Vec::new(), std::collections::HashSet::new());
        for (index, (choice, first, second)) in choices.into_iter().enumerate() {
            let id = format!("n{index}");
            let (from, flow) = outputs[usize::from(first) % outputs.len()].clone();
            let same: Vec<_> = outputs.iter().filter(|output| output.1 == flow && output.0 != from).collect();
            let mut inputs = vec![from];
            if !same.is_empty() && second % 2 == 0 {
                inputs.push(same[usize::from(second) % same.len()].0.clone());
            }
            let made = node_after(choice, &id, flow);
            nodes.push(made.json);
            outputs.extend(made.outputs);
            for from in inputs {
                edges.push(json!({ "from": from, "to": id }));
                used.insert(from);
            }
        }
        for (index, (from, flow)) in outputs.iter().enumerate().filter(|(_, output)| !used.contains(&output.0)) {
            let id = format!("k{index}");
            nodes.push(match flow {
                Flow::Vectors => json!({ "id": id, "type": "sink.collection" }),
                _ => json!({ "id": id, "type": "sink.file", "suffix": ".json" }),
            });
            edges.push(json!({ "from": from, "to": id }));
        }
        json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges })
    })
}

/// The segments that an item comes through which enters at one of them. Members of its file are other items.
fn item_segments(plan: &Plan, entry: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([entry]);
    for segment in entry + 1..plan.segments.len() {
        let is_reached = plan.inputs(segment).iter().any(|origin| {
            let ports = plan.segments[origin.segment].steps[origin.step].settings.ports();
            reached.contains(&origin.segment) && ports.outputs[origin.output].border != Some(Border::Items)
        });
        if is_reached {
            reached.insert(segment);
        }
    }
    reached
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn valid_graph_compiles_and_item_comes_through_one_step_of_each_node(json in valid_graph()) {
        let Compiled { definition, plan } = match compile(&json) {
            Ok(compiled) => compiled,
            Err(error) => return Err(TestCaseError::fail(format!("{error}: {json}"))),
        };
        prop_assert_eq!(&definition.to_json(), &json);
        for (segment, of) in plan.segments.iter().enumerate() {
            for (step, node) in of.steps.iter().enumerate() {
                for origin in &node.origins {
                    let before = (origin.segment, origin.step);
                    prop_assert!(before < (segment, step), "{} runs before its input", node.id);
                }
            }
        }
        prop_assert_eq!(plan.nodes().count(), definition.nodes.len());
        let mut edges: BTreeSet<(String, String)> = BTreeSet::new();
        for step in plan.segments.iter().flat_map(|segment| &segment.steps) {
            edges.extend(step.origins.iter().map(|origin| (plan.output_name(*origin), step.id.clone())));
        }
        let expected: BTreeSet<_> = definition.edges.iter().map(|edge| (edge.from.clone(), edge.to.clone())).collect();
        prop_assert_eq!(edges, expected, "the plan has the edges of the definition");
        for index in 0..plan.segments.len() {
            prop_assert!(plan.inputs(index).iter().all(|origin| origin.segment < index));
            prop_assert!(plan.exports(index).iter().all(|origin| origin.segment == index));
            let mut known = BTreeSet::new();
            for segment in item_segments(&plan, index) {
                for step in &plan.segments[segment].steps {
                    prop_assert!(known.insert(&step.id), "an item comes through {} twice", step.id);
                }
            }
        }
    }

    #[test]
    fn damaged_graph_gives_problems_that_name_the_place(
        json in valid_graph(),
        kind in 0_u8..8,
        place: prop::sample::Index,
    ) {
        let mut broken = json.clone();
        let nodes = json["nodes"].as_array().unwrap();
        let node = place.index(nodes.len());
        let edge = place.index(json["edges"].as_array().unwrap().len());
        let id = nodes[node]["id"].as_str().unwrap().to_owned();
        let to = json["edges"][edge]["to"].as_str().unwrap().to_owned();
        let expected = match kind {
            0 => {
                broken["nodes"][node]["colour"] = json!("blue");
                (Some(id), "colour".to_owned())
            }
            1 => {
                broken["nodes"][node]["type"] = json!("paint");
                (Some(id), "type".to_owned())
            }
            2 => {
                broken["edges"][edge]["to"] = json!("ghost");
                (Some("ghost".to_owned()), format!("edges[{edge}].to"))
            }
            3 => {
                broken["edges"][edge]["from"] = json!("s0.side");
                (Some("s0".to_owned()), format!("edges[{edge}].from"))
            }
            4 => {
                broken["nodes"][node]["timeoutSeconds"] = json!(0);
                (Some(id), "timeoutSeconds".to_owned())
            }
            5 => {
                let copy = broken["edges"][edge].clone();
                let last = json["edges"].as_array().unwrap().len();
                broken["edges"].as_array_mut().unwrap().push(copy);
                (Some(to), format!("edges[{last}]"))
            }
            6 => {
                broken["nodes"].as_array_mut().unwrap().push(json!({ "id": id, "type": "embed" }));
                (Some(id), "id".to_owned())
            }
            _ => {
                broken["nodes"].as_array_mut().unwrap().push(json!({ "id": "lone", "type": "partition" }));
                (Some("lone".to_owned()), "edges".to_owned())
            }
        };
        let problems = compile(&broken).expect_err("the definition is damaged").0;
        let named = problems.iter().any(|problem| (problem.node.clone(), problem.field.clone()) == expected);
        prop_assert!(named, "{:?} is not among {:?}", expected, problems);
    }

    #[test]
    fn arbitrary_change_of_a_value_is_handled(
        json in valid_graph(),
        place: prop::sample::Index,
        value in prop_oneof![
            Just(json!(null)), Just(json!(-1)), Just(json!(1e300)), Just(json!("")), Just(json!("x.y.z")), Just(json!([])),
            Just(json!({})), Just(json!([[{}]])), Just(json!(true)), "\\PC{0,20}".prop_map(Value::from),
        ],
    ) {
        let mut pointers = Vec::new();
        collect(&json, String::new(), &mut pointers);
        let mut broken = json.clone();
        *broken.pointer_mut(&pointers[place.index(pointers.len())]).unwrap() = value;
        if let Err(InvalidDefinition(problems)) = compile(&broken) {
            prop_assert!(!problems.is_empty());
        }
    }
}

/// The pointers of all values.
fn collect(json: &Value, at: String, pointers: &mut Vec<String>) {
    match json {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, format!("{at}/{index}"), pointers));
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| collect(value, format!("{at}/{key}"), pointers));
        }
        _ => {}
    }
    pointers.push(at);
}
