//! Running pipelines: the engine runs a segment of a plan, node by node; what nodes give crosses borders as artifacts, and what
//! they write is applied in the transaction that completes the job.

pub mod budget;
pub(crate) mod calling;
pub mod connections;
pub mod contract;
pub mod edits;
pub mod effects;
pub mod element;
mod embedding;
pub mod embedding_connection;
pub mod engine;
pub mod limits;
pub mod model;
pub mod model_ranking;
pub mod node;
pub mod passages;
pub mod plans;
pub mod preview;
pub mod reranking;
mod schemas;
pub mod segment_output;
pub mod spaces;
pub mod storage;
pub(crate) mod writing;
