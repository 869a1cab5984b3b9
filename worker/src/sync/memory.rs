//! What earlier syncs of a node kept of its objects, for the next listing.

use std::collections::HashMap;

use futures::future::BoxFuture;
use nvisy_shared::{
    id::WorkspaceId,
    store::{
        Db,
        source_object::{self, SourceNode},
    },
};
use serde_json::Value;

use super::SyncedSource;
use crate::{
    connectors::{CallFailure, Memory},
    context::Context,
};

/// What a node kept.
#[derive(Debug)]
pub(crate) struct NodeMemory {
    db: Db,
    workspace: WorkspaceId,
    node: SourceNode,
}

impl NodeMemory {
    pub(crate) fn of(cx: &Context, of: &SyncedSource) -> Self {
        Self { db: cx.db.clone(), workspace: of.workspace, node: of.node.clone() }
    }
}

impl Memory for NodeMemory {
    fn of(&self, external_ids: Vec<String>) -> BoxFuture<'_, Result<HashMap<String, Value>, CallFailure>> {
        Box::pin(async move {
            let kept = source_object::kept(&self.db, self.workspace, &self.node, external_ids).await;
            kept.map(HashMap::from_iter).map_err(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "what earlier syncs kept cannot be read");
                CallFailure::Unavailable("what earlier syncs kept cannot be read".to_owned())
            })
        })
    }
}
