//! Pipelines as users author them: definitions, their validation, and the plans that workers run. No I/O.
//!
//! [`compile()`] finds all problems of a definition or makes its [`plan`]: segments of nodes that run together. A node type is
//! a file in [`node`] with its settings, ports and limits; its behaviour is in the worker.

pub mod builtin;
pub mod compile;
pub mod content_key;
pub mod definition;
pub mod diff;
pub mod expression;
pub mod file_filter;
pub mod id;
pub mod json_output;
pub mod node;
pub mod options;
pub mod plan;
pub mod port;
pub mod problem;
pub mod progress;
pub mod reference;
pub mod references;
pub mod render;
pub mod schedule;
pub mod schema;
pub mod state;
pub mod uncompiled;

pub use self::{
    compile::{Compiled, compile, compile_definition},
    definition::Definition,
    problem::{InvalidDefinition, Problem},
};
