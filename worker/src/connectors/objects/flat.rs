//! Listings of stores whose names have no folders: one list of all names, in order.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use nvisy_shared::domain::failure::FailureCode;
use opendal::{EntryMode, Lister, options::ListOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    names,
    object::{PAGE_OBJECTS, listed},
    store::ObjectStore,
};
use crate::connectors::{CallFailure, Page, source::Listing};

/// Longest wait for a page of the store.
const PAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// Names that a store may repeat although it was asked for those behind them.
const MAX_REPEATED: usize = 10_000;

/// Where a listing goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Checkpoint {
    /// The last name; `None`: the beginning.
    after: Option<String>,
    /// Whether names came out of order, so that nothing can be skipped.
    unordered: bool,
    /// The number of objects so far.
    count: u64,
}

/// A listing of all names below a path.
pub(super) struct FlatListing {
    store: Arc<ObjectStore>,
    path: String,
    at: Checkpoint,
    /// The last name of the process before, up to which names are left out.
    resumed_after: Option<String>,
    lister: Option<Lister>,
    skipped: usize,
}

impl FlatListing {
    pub(super) fn new(store: Arc<ObjectStore>, path: String, checkpoint: Option<Value>) -> Self {
        let at: Checkpoint = checkpoint.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default();
        let resumed_after = at.after.clone().filter(|_| !at.unordered);
        Self { store, path, at, resumed_after, lister: None, skipped: 0 }
    }

    async fn open(&mut self) -> Result<Lister, CallFailure> {
        let operator = &self.store.operator;
        let can_start = operator.info().capability().list_with_start_after;
        let options = ListOptions {
            recursive: true,
            start_after: self.resumed_after.clone().filter(|_| can_start),
            ..ListOptions::default()
        };
        let path = if self.path.is_empty() { "/".to_owned() } else { format!("{}/", self.path) };
        operator.lister_options(&path, options).await.map_err(|error| self.store.failed(&error))
    }

    /// Whether a name was in a page of the process before.
    fn is_before_resumption(&mut self, path: &str) -> Result<bool, CallFailure> {
        let before = self.resumed_after.as_deref().is_some_and(|after| path <= after);
        self.skipped += usize::from(before);
        let can_start = self.store.operator.info().capability().list_with_start_after;
        if can_start && self.skipped > MAX_REPEATED {
            let detail = "the store repeats names that it was not asked for, so its listing has no end";
            return Err(CallFailure::item(FailureCode::SourceRejected, detail));
        }
        Ok(before)
    }
}

impl Listing for FlatListing {
    fn outlives_its_job(&self) -> bool {
        !self.store.operator.info().capability().list_with_start_after
    }

    async fn next(&mut self) -> Result<Page, CallFailure> {
        let mut lister = match self.lister.take() {
            Some(lister) => lister,
            None => self.open().await?,
        };
        let mut page = Page::default();
        while page.objects.len() + page.failures.len() < PAGE_OBJECTS {
            let entry = tokio::time::timeout(PAGE_TIMEOUT, lister.next()).await;
            let entry = entry.map_err(|_| CallFailure::Unavailable("the listing did not go on in time".to_owned()))?;
            let Some(entry) = entry else {
                page.complete = true;
                return Ok(page);
            };
            let (path, metadata) = entry.map_err(|error| self.store.failed(&error))?.into_parts();
            if metadata.mode() == EntryMode::DIR || path.ends_with('/') || self.is_before_resumption(&path)? {
                continue;
            }
            self.at.unordered |= self.at.after.as_ref().is_some_and(|after| path < *after);
            self.at.after = Some(path.clone());
            self.at.count += 1;
            let container = self.store.container.as_deref();
            match names::problem(&path) {
                Some(reason) => page.failures.push(names::failure(container, &path, reason)),
                None => page.objects.push(listed(container, &path, self.store.facts(&metadata))),
            }
        }
        self.lister = Some(lister);
        let at = Checkpoint { after: self.at.after.clone().filter(|_| !self.at.unordered), ..self.at.clone() };
        page.checkpoint = Some(json!(at));
        Ok(page)
    }
}
