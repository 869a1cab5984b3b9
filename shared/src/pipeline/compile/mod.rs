//! Compiles definitions: finds all problems, or makes the plan.
//!
//! Each pass goes on with the parts that the passes before it could make sense of, so that one mistake does not hide others.

mod edges;
mod flows;
mod ids;
mod limits;
mod order;
mod read;
mod segments;
mod settings;
mod source;

use serde_json::Value;

pub use self::limits::{MAX_BYTES, MAX_EDGES, MAX_NODES, MAX_SLOTS};
use super::{
    definition::Definition,
    plan::Plan,
    problem::{InvalidDefinition, Problems},
};

/// A valid definition and its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The definition as read.
    pub definition: Definition,
    /// The plan.
    pub plan: Plan,
}

/// Validates a definition and compiles it.
///
/// # Errors
/// [`InvalidDefinition`] with all problems.
pub fn compile(json: &Value) -> Result<Compiled, InvalidDefinition> {
    let mut problems = Problems::default();
    limits::check(json, &mut problems);
    if !problems.is_empty() {
        // Nothing else is read: the limits bound the work of the other passes.
        return Err(InvalidDefinition(problems.0));
    }
    let definition = read::read(json, &mut problems);
    let names = ids::index(&definition, &mut problems);
    let settings = settings::read(&definition, &mut problems);
    let edges = edges::resolve(&definition, &names, &settings, &mut problems);
    source::check(&definition, &settings, &edges, &mut problems);
    let order = order::sort(&definition, &edges, &mut problems);
    let flows = flows::check(&definition, &settings, &edges, &order, &mut problems);
    match settings.into_iter().collect::<Option<Vec<_>>>() {
        Some(settings) if problems.is_empty() => {
            let plan = segments::plan(&definition, settings, &edges, &order, &flows);
            Ok(Compiled { definition, plan })
        }
        _ => Err(InvalidDefinition(problems.0)),
    }
}

/// Validates and compiles a definition.
///
/// # Errors
/// [`InvalidDefinition`] with all problems.
pub fn compile_definition(definition: &Definition) -> Result<Compiled, InvalidDefinition> {
    compile(&definition.to_json())
}

#[cfg(test)]
mod random_graphs;
#[cfg(test)]
mod tests;
