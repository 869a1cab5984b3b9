//! Limits of the size of a definition.

use serde_json::Value;

use crate::pipeline::problem::{ProblemCode, Problems};

/// Maximum size of a definition as JSON, in bytes.
pub const MAX_BYTES: usize = 1_000_000;
/// Maximum number of nodes. More do not fit on a screen, and every job of a run compiles the definition.
pub const MAX_NODES: usize = 500;
/// Maximum number of edges, also after slots are resolved.
pub const MAX_EDGES: usize = 2_000;
/// Maximum number of slots.
pub const MAX_SLOTS: usize = 100;

pub(super) fn check(json: &Value, problems: &mut Problems) {
    for (field, limit) in [("nodes", MAX_NODES), ("edges", MAX_EDGES), ("slots", MAX_SLOTS)] {
        let count = json.get(field).and_then(Value::as_array).map_or(0, Vec::len);
        if count > limit {
            let message = format!("there are {count}, more than {limit}");
            problems.add(ProblemCode::TooLarge, field, message, "divide the pipeline into several");
        }
    }
    let bytes = json.to_string().len();
    if bytes > MAX_BYTES {
        let message = format!("the definition has {bytes} bytes, more than {MAX_BYTES}");
        problems.add(ProblemCode::TooLarge, "", message, "divide the pipeline into several");
    }
}

/// Whether slots connect too many nodes with each other.
pub(super) fn check_resolved(edges: usize, problems: &mut Problems) {
    if edges > MAX_EDGES {
        let message = format!("there are {edges} with those of slots, more than {MAX_EDGES}");
        problems.add(ProblemCode::TooLarge, "edges", message, "divide the pipeline into several");
    }
}
