//! Listings whose jobs wait, of systems that cannot go on at a place: opening one again lists everything before the place once more. A
//! worker keeps them for their next jobs, which may as well run on another worker, and then open them again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nvisy_shared::id::RunId;
use serde_json::Value;

use crate::connectors::source::DynListing;

/// Listings that are kept.
const MAX_LISTINGS: usize = 32;
/// How long a listing is kept.
const MAX_AGE: Duration = Duration::from_secs(600);

/// What a listing is of, and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListingKey {
    /// The run.
    pub(crate) run: RunId,
    /// The source of the pipeline.
    pub(crate) node: String,
    /// The settings of the connection.
    pub(crate) settings: Value,
    /// The checkpoint behind the last page that was recorded.
    pub(crate) at: Option<Value>,
}

struct Parked {
    key: ListingKey,
    listing: Box<DynListing>,
    until: Instant,
}

/// The listings of a worker; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct ParkedListings(Arc<Mutex<Vec<Parked>>>);

impl ParkedListings {
    /// Takes the listing that goes on there.
    pub(crate) fn take(&self, key: &ListingKey) -> Option<Box<DynListing>> {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        parked.retain(|parked| parked.until > now);
        let place = parked.iter().position(|parked| parked.key == *key)?;
        Some(parked.remove(place).listing)
    }

    /// Keeps a listing; the oldest one makes room for it.
    pub(crate) fn keep(&self, key: ListingKey, listing: Box<DynListing>) {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parked.len() >= MAX_LISTINGS {
            parked.remove(0);
        }
        parked.push(Parked { key, listing, until: Instant::now() + MAX_AGE });
    }
}

#[cfg(test)]
mod tests {
    use nvisy_shared::id;
    use serde_json::json;

    use super::*;
    use crate::connectors::{
        failure::CallFailure,
        source::{Listing, Page},
    };

    struct Numbered(u32);

    impl Listing for Numbered {
        fn max_calls(&self) -> u32 {
            self.0
        }

        async fn next(&mut self) -> Result<Page, CallFailure> {
            Ok(Page::default())
        }
    }

    fn key(node: &str, at: u32) -> ListingKey {
        ListingKey {
            run: RunId(id::derived(&[b"run"])),
            node: node.to_owned(),
            settings: json!({}),
            at: Some(json!(at)),
        }
    }

    #[test]
    fn listing_goes_on_once_and_where_it_was() {
        let parked = ParkedListings::default();
        parked.keep(key("in", 1), Box::new(Numbered(7)));
        assert!(parked.take(&key("in", 2)).is_none() && parked.take(&key("other", 1)).is_none());
        assert_eq!(parked.take(&key("in", 1)).map(|listing| listing.max_calls()), Some(7));
        assert!(parked.take(&key("in", 1)).is_none());
    }

    #[test]
    fn oldest_listing_makes_room() {
        let parked = ParkedListings::default();
        for at in 0..=u32::try_from(MAX_LISTINGS).unwrap() {
            parked.keep(key("in", at), Box::new(Numbered(at)));
        }
        assert!(parked.take(&key("in", 0)).is_none() && parked.take(&key("in", 1)).is_some());
    }
}
