//! The result of a segment: writes, and outputs to be stored.

use std::{sync::Arc, time::Duration};

use nvisy_shared::{
    domain::failure::Failure,
    pipeline::{content_key::ContentKey, plan::Origin},
    store::{artifact::FoundArtifact, run_item::WorkDone},
};

use super::{contract::Effect, element::Elements};

/// The result of a segment.
#[derive(Default)]
pub struct SegmentOutput {
    /// The writes, each with its node.
    pub effects: Vec<(String, Effect)>,
    /// The outputs that other segments take, and results that are kept.
    pub exports: Vec<(Origin, Kept)>,
    /// Other outputs that are to be kept for later runs.
    pub memos: Vec<Kept>,
    /// The computed and reused outputs, and the spent tokens.
    pub work: WorkDone,
    /// Nodes whose failure lets the item go on.
    pub skipped: Vec<Failure>,
    /// The result of each node, in order, for a preview.
    pub trace: Vec<NodeTrace>,
}

/// An output to be stored, or one that is.
pub struct Kept {
    /// The key.
    pub key: ContentKey,
    /// The type of the node.
    pub node_type: &'static str,
    /// The elements.
    pub content: Content,
}

/// The elements of an output.
pub enum Content {
    /// In an artifact.
    Stored(FoundArtifact),
    /// New ones, with the writes that belong to them.
    New(Arc<Elements>, Vec<Effect>),
}

/// What a node did.
#[derive(Debug)]
pub struct NodeTrace {
    /// The node.
    pub node: String,
    /// Its outputs by the names of their ports.
    pub ports: Vec<(String, Arc<Elements>)>,
    /// Its writes.
    pub effects: Vec<Effect>,
    /// How long it took.
    pub took: Duration,
    /// Whether it was found instead of computed.
    pub reused: bool,
    /// Tokens that models were given.
    pub tokens: u64,
    /// Tokens whose results were found.
    pub tokens_saved: u64,
    /// Why it has no output.
    pub failure: Option<Failure>,
}
