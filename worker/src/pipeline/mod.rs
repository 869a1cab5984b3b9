//! Running pipelines: the engine runs a segment of a plan, node by node.

pub mod artifact;
pub mod contract;
pub mod engine;
mod node;
