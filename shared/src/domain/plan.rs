//! Compiles a pipeline definition into a plan: segments of nodes that workers run.
//!
//! A segment runs in one process, as one job. Data between segments is stored durably, so a run resumes at a segment.

use std::collections::HashMap;

use super::pipeline::{Definition, Node, NodeKind, PortType};

/// Maximum number of tokens that a chunk may repeat of the one before; more would mostly store the same text twice.
const MAX_OVERLAP_TOKENS: u32 = 256;
/// Minimum number of tokens of a chunk; a shorter one has too little content to be found.
const MIN_CHUNK_TOKENS: u32 = 16;

/// A compiled definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first segment begins at the source; each other one begins where an earlier one ends.
    pub segments: Vec<Segment>,
}

/// Nodes that run together; each node comes after its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The index of the segment whose output this one takes; `None` for the segment that begins at the source.
    pub after: Option<usize>,
    /// The nodes.
    pub steps: Vec<Step>,
}

/// A node and the origin of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: Node,
    /// The index of the step in the same segment whose output this one takes; `None` for the input of the segment.
    pub input: Option<usize>,
}

impl Plan {
    /// The segments that begin where segment `index` ends.
    pub fn after(&self, index: usize) -> impl Iterator<Item = usize> {
        (0..self.segments.len()).filter(move |&other| self.segments[other].after == Some(index))
    }

    /// The id of the first node of segment `index`, which is the stage of a file that enters it.
    #[must_use]
    pub fn stage(&self, index: usize) -> &str {
        self.segments[index].steps[0].node.id.as_str()
    }
}

/// Why a definition is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{field}: {message}", node.as_ref().map(|id| format!("node `{id}`, ")).unwrap_or_default())]
pub struct InvalidDefinition {
    /// The invalid node; `None` if the definition as a whole is invalid.
    pub node: Option<String>,
    /// The invalid field.
    pub field: &'static str,
    /// The rule that it violates.
    pub message: String,
}

fn invalid(node: Option<&str>, field: &'static str, message: impl Into<String>) -> InvalidDefinition {
    InvalidDefinition { node: node.map(str::to_owned), field, message: message.into() }
}

/// Validates a definition and compiles it.
///
/// # Errors
/// [`InvalidDefinition`] names the first mistake: no source or several; a node that is unknown, unconnected or has several
/// inputs; a cycle; an edge between different data types; settings out of range; a path on which work fans out twice.
pub fn compile(definition: &Definition) -> Result<Plan, InvalidDefinition> {
    let index = index_nodes(&definition.nodes)?;
    let inputs = inputs(definition, &index)?;
    let order = order(definition, &inputs)?;
    Ok(Plan { segments: segments(&definition.nodes, &inputs, &order)? })
}

/// Splits the nodes, in this order, into segments: one begins at each node before which work fans out.
fn segments(nodes: &[Node], inputs: &[Option<usize>], order: &[usize]) -> Result<Vec<Segment>, InvalidDefinition> {
    let mut segments = vec![Segment { after: None, steps: Vec::new() }];
    // The segment of each node, and the node's index in it.
    let mut placed: HashMap<usize, (usize, usize)> = HashMap::new();
    for &node in order {
        let before = inputs[node].map(|input| placed[&input]);
        let (segment, input) = match before {
            // Workers finish an item after the segments that directly follow the first; a later one would never run.
            Some((segment, _)) if nodes[node].kind.fans_out() && segment != 0 => {
                let message = "fans out work a second time: a path can have only one such node";
                return Err(invalid(Some(&nodes[node].id), "type", message));
            }
            Some((segment, _)) if nodes[node].kind.fans_out() => {
                segments.push(Segment { after: Some(segment), steps: Vec::new() });
                (segments.len() - 1, None)
            }
            Some((segment, step)) => (segment, Some(step)),
            None => (0, None),
        };
        placed.insert(node, (segment, segments[segment].steps.len()));
        segments[segment].steps.push(Step { node: nodes[node].clone(), input });
    }
    Ok(segments)
}

fn index_nodes(nodes: &[Node]) -> Result<HashMap<&str, usize>, InvalidDefinition> {
    let mut index = HashMap::new();
    for (place, node) in nodes.iter().enumerate() {
        if node.id.is_empty() || node.id.len() > 64 {
            return Err(invalid(Some(&node.id), "id", "must have 1 to 64 bytes"));
        }
        if index.insert(node.id.as_str(), place).is_some() {
            return Err(invalid(Some(&node.id), "id", "is used by two nodes"));
        }
        if let NodeKind::Chunk { max_tokens, overlap_tokens } = node.kind {
            check_chunk(&node.id, max_tokens, overlap_tokens)?;
        }
    }
    Ok(index)
}

fn check_chunk(id: &str, max_tokens: Option<u32>, overlap_tokens: u32) -> Result<(), InvalidDefinition> {
    if max_tokens.is_some_and(|max| max < MIN_CHUNK_TOKENS) {
        return Err(invalid(Some(id), "maxTokens", format!("must be at least {MIN_CHUNK_TOKENS}")));
    }
    if overlap_tokens > MAX_OVERLAP_TOKENS || max_tokens.is_some_and(|max| overlap_tokens > max / 2) {
        let message = format!("must be at most {MAX_OVERLAP_TOKENS} and at most half of maxTokens");
        return Err(invalid(Some(id), "overlapTokens", message));
    }
    Ok(())
}

/// The index of the node that is the input of each node.
fn inputs(definition: &Definition, index: &HashMap<&str, usize>) -> Result<Vec<Option<usize>>, InvalidDefinition> {
    let nodes = &definition.nodes;
    let mut inputs = vec![None; nodes.len()];
    for edge in &definition.edges {
        let find = |id: &str, field| index.get(id).copied().ok_or_else(|| invalid(Some(id), field, "does not exist"));
        let (from, to) = (find(&edge.from, "from")?, find(&edge.to, "to")?);
        let (output, input) = (nodes[from].kind.output(), nodes[to].kind.input());
        if output != input || input == PortType::Nothing {
            let message =
                format!("the output of `{}` is {output:?}, but the input of `{}` is {input:?}", edge.from, edge.to);
            return Err(invalid(Some(&edge.to), "edges", message));
        }
        if inputs[to].replace(from).is_some() {
            return Err(invalid(Some(&edge.to), "edges", "has two inputs"));
        }
    }
    let sources: Vec<_> = nodes.iter().filter(|node| node.kind.input() == PortType::Nothing).collect();
    match sources.as_slice() {
        [_] => {}
        [] => return Err(invalid(None, "nodes", "there is no source")),
        [_, second, ..] => return Err(invalid(Some(&second.id), "nodes", "there is more than one source")),
    }
    for (place, node) in nodes.iter().enumerate() {
        if inputs[place].is_none() && node.kind.input() != PortType::Nothing {
            return Err(invalid(Some(&node.id), "edges", "has no input"));
        }
        if node.kind.output() != PortType::Nothing && !inputs.contains(&Some(place)) {
            return Err(invalid(Some(&node.id), "edges", "has no output"));
        }
    }
    Ok(inputs)
}

/// Sorts the nodes so that each comes after its input.
fn order(definition: &Definition, inputs: &[Option<usize>]) -> Result<Vec<usize>, InvalidDefinition> {
    let mut order: Vec<usize> = (0..inputs.len()).filter(|&node| inputs[node].is_none()).collect();
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        order.extend((0..inputs.len()).filter(|&other| inputs[other] == Some(node)));
        next += 1;
    }
    match (0..inputs.len()).find(|node| !order.contains(node)) {
        Some(node) => Err(invalid(Some(&definition.nodes[node].id), "edges", "is part of a cycle")),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pipeline::builtin_index, *};

    fn ids(segment: &Segment) -> Vec<&str> {
        segment.steps.iter().map(|step| step.node.id.as_str()).collect()
    }

    #[test]
    fn builtin_pipeline_starts_a_segment_at_embedding() {
        let plan = compile(&builtin_index(None, 0)).unwrap();
        assert_eq!(
            plan.segments.iter().map(ids).collect::<Vec<_>>(),
            [vec!["upload", "partition", "chunk"], vec!["embed", "index"],]
        );
        assert_eq!(plan.segments[1].steps[0].input, None);
        assert_eq!(plan.segments[1].steps[1].input, Some(0));
        assert_eq!(plan.after(0).collect::<Vec<_>>(), [1]);
        assert_eq!(plan.after(1).count(), 0);
    }

    #[test]
    fn definition_survives_a_json_round_trip() {
        let definition = builtin_index(None, 0);
        let json = serde_json::to_value(&definition).unwrap();
        assert_eq!(json["nodes"][2]["overlapTokens"], 0);
        assert_eq!(serde_json::from_value::<Definition>(json).unwrap(), definition);
    }

    #[test]
    fn error_names_node_field_and_rule() {
        let broken = |change: fn(&mut Definition)| {
            let mut definition = builtin_index(None, 0);
            change(&mut definition);
            let error = compile(&definition).unwrap_err();
            (error.node.unwrap_or_default(), error.field, error.message)
        };
        let is = |(node, field, message): (String, &str, String), a: &str, b: &str, c: &str| {
            assert_eq!((node.as_str(), field), (a, b));
            assert!(message.contains(c), "{message}");
        };
        is(broken(|d| d.nodes[1].id = "upload".into()), "upload", "id", "two nodes");
        is(broken(|d| d.edges[0].from = "ghost".into()), "ghost", "from", "not exist");
        is(broken(|d| drop(d.edges.remove(2))), "chunk", "edges", "no output");
        is(broken(|d| d.edges[1].from = "upload".into()), "chunk", "edges", "output of `upload` is Bytes");
        is(broken(|d| d.edges.push(d.edges[0].clone())), "partition", "edges", "two inputs");
        is(broken(|d| drop(d.nodes.remove(0))), "upload", "from", "not exist");
        is(broken(|d| (d.nodes.clear(), d.edges.clear()).0), "", "nodes", "no source");
    }

    #[test]
    fn chunk_settings_are_limited() {
        let mistake = |max, overlap| compile(&builtin_index(max, overlap)).err().map(|error| error.field);
        assert_eq!(mistake(Some(16), 8), None);
        assert_eq!(mistake(Some(15), 0), Some("maxTokens"));
        assert_eq!(mistake(Some(32), 17), Some("overlapTokens"));
        assert_eq!(mistake(None, 256), None);
        assert_eq!(mistake(None, 257), Some("overlapTokens"));
        assert_eq!(mistake(Some(2000), 257), Some("overlapTokens"));
    }

    #[test]
    fn work_fans_out_only_once_on_a_path() {
        let node = |id: &str, kind| Node { id: id.to_owned(), kind };
        let nodes = [node("upload", NodeKind::Upload), node("first", NodeKind::Embed), node("second", NodeKind::Embed)];
        // Two nodes in parallel start one segment each; two in a row would need a segment that no worker runs.
        let parallel = segments(&nodes, &[None, Some(0), Some(0)], &[0, 1, 2]).unwrap();
        assert_eq!(parallel.iter().map(|segment| segment.after).collect::<Vec<_>>(), [None, Some(0), Some(0)]);
        let error = segments(&nodes, &[None, Some(0), Some(1)], &[0, 1, 2]).unwrap_err();
        assert_eq!((error.node.as_deref(), error.field), (Some("second"), "type"));
    }
}
