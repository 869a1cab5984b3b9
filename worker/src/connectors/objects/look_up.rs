//! Single objects of a store, by their keys.

use futures::{StreamExt, stream};
use opendal::ErrorKind;

use super::{names, object::listed, store::ObjectStore};
use crate::connectors::{CallFailure, Page};

/// Objects that are looked up at the same time.
const PARALLEL_CALLS: usize = 8;

/// The objects of a store with these keys that are below a path, and the ids of those that are not there.
pub(super) async fn look_up(store: &ObjectStore, path: &str, keys: &[String]) -> Result<Page, CallFailure> {
    let below = if path.is_empty() { String::new() } else { format!("{path}/") };
    let wanted = keys.iter().filter(|key| key.starts_with(&below) && !key.ends_with('/'));
    let mut page = Page::default();
    let container = store.container.as_deref();
    let mut found = stream::iter(wanted)
        .map(|key| async move {
            match names::problem(key) {
                Some(reason) => (key, Err(reason)),
                None => (key, Ok(store.operator.stat(key).await)),
            }
        })
        .buffer_unordered(PARALLEL_CALLS);
    while let Some((key, result)) = found.next().await {
        match result {
            Err(reason) => page.failures.push(names::failure(container, key, reason)),
            Ok(Ok(metadata)) => page.objects.push(listed(container, key, ObjectStore::facts(&metadata))),
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                page.deleted.push(names::external_id(container, key));
            }
            Ok(Err(error)) => return Err(store.failed(&error)),
        }
    }
    Ok(page)
}
