//! Single objects of a store, by their keys.

use futures::{StreamExt, stream};
use opendal::{ErrorKind, Metadata};

use super::{names, object::listed, store::ObjectStore};
use crate::connectors::{CallFailure, Page};

/// The objects of a store with these keys that are below a path, and the ids of those that are not there.
pub(super) async fn look_up(
    store: &ObjectStore,
    path: &str,
    keys: &[String],
    parallel: usize,
) -> Result<Page, CallFailure> {
    let below = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut page = Page::default();
    let container = store.container.as_deref();
    let mut calls = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(&below) && !key.ends_with('/')) {
        match names::problem(key) {
            Some(reason) => page.failures.push(names::failure(container, key, reason)),
            None => calls.push(look_up_one(store, key)),
        }
    }
    let mut found = stream::iter(calls).buffer_unordered(parallel.max(1));
    while let Some((key, metadata)) = found.next().await {
        match metadata? {
            Some(metadata) => page.objects.push(listed(container, key, store.facts(&metadata))),
            None => page.deleted.push(names::external_id(container, key)),
        }
    }
    Ok(page)
}

async fn look_up_one<'a>(store: &ObjectStore, key: &'a str) -> (&'a str, Result<Option<Metadata>, CallFailure>) {
    let found = match store.operator.stat(key).await {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(store.failed(&error)),
    };
    (key, found)
}
