//! What a source of a connection can do: the contract of all providers that hold documents.
//!
//! An implementation knows no row, job or transaction. A listing names objects and how to recognise a change of each; only new and
//! changed ones are fetched. Everything that it returns is checked again by the caller: names, sizes, counts.

use std::{collections::HashMap, fmt::Debug, future::ready, pin::Pin, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream as FutureStream, future::BoxFuture};
use nvisy_shared::domain::{
    connection::CheckStep,
    failure::{Failure, FailureCode},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::CallFailure;

/// The steps of a check, up to the first that fails.
pub type CheckResult = Vec<CheckStep>;

/// A part of a system that can be read on its own: a bucket, a folder, a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// The name for people.
    pub name: String,
    /// The `stream` of a `source.connection` that reads it.
    pub settings: Value,
    /// Fields that tell what changed, where the provider needs one of them.
    #[serde(default)]
    pub cursor_fields: Vec<String>,
    /// Whether a listing can name only what changed.
    #[serde(default)]
    pub incremental: bool,
}

/// A listing to be opened.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// The setting `stream` of the node, in the form of the provider.
    pub stream: Value,
    /// Where the listing of this sync goes on: [`Page::checkpoint`] of the page before.
    pub checkpoint: Option<Value>,
    /// Where the last complete sync ended, if only changes are wanted: its last [`Page::cursor`].
    pub cursor: Option<Value>,
    /// What earlier syncs kept of objects; `None`: nothing.
    pub memory: Option<Arc<dyn Memory>>,
    /// The largest object that is wanted, in bytes: a listing with contents leaves out that of larger ones.
    pub max_bytes: Option<u64>,
    /// How many objects are wanted, if not all: a listing with contents has no larger pages.
    pub max_objects: Option<usize>,
}

/// What earlier listings kept of objects: [`ListedObject::kept`].
pub trait Memory: Debug + Send + Sync {
    /// By external id. Objects without a file have nothing.
    ///
    /// # Errors
    /// [`CallFailure::Unavailable`].
    fn of(&self, external_ids: Vec<String>) -> BoxFuture<'_, Result<HashMap<String, Value>, CallFailure>>;
}

/// An object of a listing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListedObject {
    /// What identifies the object within the connection, whatever the stream; permanent.
    pub external_id: String,
    /// The name for people; the caller cleans it.
    pub name: String,
    /// Changes with the content: an ETag, a version, a cursor, time and size.
    pub revision: String,
    /// The size, where the listing has it.
    pub bytes: Option<u64>,
    /// The time of the last change.
    pub modified: Option<DateTime<Utc>>,
    /// The media type, where the system knows it.
    pub media_type: Option<String>,
    /// Values for the metadata of the file.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Who may read the object, as the system says it. Kept and shown; nothing enforces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Value>,
    /// What [`Source::fetch`] needs beside the external id, such as a path that the id shortens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locator: Option<Value>,
    /// What the next listing of the same node wants to know, such as validators of HTTP.
    #[serde(skip)]
    pub kept: Option<Value>,
    /// The content, where the listing has it (rows): such objects are not fetched.
    #[serde(skip)]
    pub content: Option<Bytes>,
}

/// An object that cannot be listed properly: the others can.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectFailure {
    /// What identifies the object, as far as it can be written.
    pub external_id: String,
    /// The name for people.
    pub name: String,
    /// Why.
    pub failure: Failure,
}

/// Some objects of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The objects, at most about a thousand.
    pub objects: Vec<ListedObject>,
    /// Objects that cannot be listed properly.
    pub failures: Vec<ObjectFailure>,
    /// External ids of objects that the system says are deleted, where it does.
    pub deleted: Vec<String>,
    /// Where a listing goes on behind this page, also in another process; `None`: this is the last page.
    pub checkpoint: Option<Value>,
    /// On the last page: where the next incremental listing begins.
    pub cursor: Option<Value>,
    /// On the last page: whether the pages of the listing named every object that exists, so that others are deleted.
    pub complete: bool,
}

/// A listing in progress. It may hold a connection, so it is used for several pages, and dropped when its caller waits.
pub trait Listing: Send {
    /// The most calls that a page is made of.
    fn max_calls(&self) -> u32 {
        1
    }

    /// Says how many calls the next page may make: at least one, at most [`Listing::max_calls`].
    fn allow_calls(&mut self, _calls: u32) {}

    /// Whether it is kept while its job waits: it holds no connection, and opening it again lists everything before its place.
    fn outlives_its_job(&self) -> bool {
        false
    }

    /// The next page.
    ///
    /// # Errors
    /// [`CallFailure`], after which the listing is opened again at the last checkpoint. [`CallFailure::Item`] fails the sync.
    fn next(&mut self) -> impl Future<Output = Result<Page, CallFailure>> + Send;
}

/// A listing without its type, as a [`DynListing`].
pub trait ErasedListing: Send {
    /// As [`Listing::max_calls`].
    fn max_calls(&self) -> u32;
    /// As [`Listing::allow_calls`].
    fn allow_calls(&mut self, calls: u32);
    /// As [`Listing::outlives_its_job`].
    fn outlives_its_job(&self) -> bool;
    /// As [`Listing::next`].
    fn next(&mut self) -> BoxFuture<'_, Result<Page, CallFailure>>;
}

/// Any listing.
pub type DynListing = dyn ErasedListing;

impl<L: Listing> ErasedListing for L {
    fn max_calls(&self) -> u32 {
        Listing::max_calls(self)
    }

    fn allow_calls(&mut self, calls: u32) {
        Listing::allow_calls(self, calls);
    }

    fn outlives_its_job(&self) -> bool {
        Listing::outlives_its_job(self)
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Page, CallFailure>> {
        Box::pin(Listing::next(self))
    }
}

/// The bytes of an object.
pub type Content = Pin<Box<dyn FutureStream<Item = Result<Bytes, CallFailure>> + Send>>;

/// An object while it is read.
pub struct FetchedObject {
    /// The bytes as they arrive. An object that changes meanwhile, or ends early, is an error of the stream.
    pub content: Content,
    /// The media type, where it is known only now.
    pub media_type: Option<String>,
}

/// A system that documents are read from. As with [`Handler`](crate::runner::Handler), implementations have `async fn`.
pub trait Source: Send + Sync {
    /// Says what works, step by step, within a few seconds, for settings of a stream if given.
    fn check(&self, stream: Option<&Value>) -> impl Future<Output = CheckResult> + Send;

    /// The parts that can be read.
    ///
    /// # Errors
    /// [`CallFailure`].
    fn discover(&self) -> impl Future<Output = Result<Vec<Stream>, CallFailure>> + Send;

    /// Opens a listing. It may make no call before its first page.
    ///
    /// # Errors
    /// [`CallFailure`]: [`CallFailure::Item`] if the settings of the stream cannot be used.
    fn list(&self, request: ListRequest) -> impl Future<Output = Result<Box<DynListing>, CallFailure>> + Send;

    /// Opens an object as it was listed. Where the protocol can, the call has the condition that the revision is the listed one.
    ///
    /// # Errors
    /// [`CallFailure`]; [`CallFailure::Item`] with `source_changed` or `source_missing` if it is no longer the listed one.
    fn fetch(&self, object: &ListedObject) -> impl Future<Output = Result<FetchedObject, CallFailure>> + Send;

    /// The calls that [`Source::look_up`] makes for so many keys.
    fn look_up_calls(&self, _keys: usize) -> usize {
        1
    }

    /// Looks objects up that a notification names by their keys: those that are there are in the page, and the others are deleted. Keys
    /// outside of the stream are left out. The page is the only one of an incomplete listing. It makes up to `parallel` calls at the
    /// same time.
    ///
    /// # Errors
    /// [`CallFailure`]: [`CallFailure::Item`] if the source has no keys.
    fn look_up(
        &self,
        _stream: &Value,
        _keys: &[String],
        _parallel: usize,
    ) -> impl Future<Output = Result<Page, CallFailure>> + Send {
        ready(Err(CallFailure::item(FailureCode::SourceRejected, "notifications cannot name objects of this source")))
    }

    /// Of objects that were listed before, those that are gone, without reading the others. Objects outside of the stream are left out.
    /// Providers with [`Capability::ListIds`] have it.
    ///
    /// # Errors
    /// [`CallFailure`]: [`CallFailure::Item`] if the source cannot tell.
    ///
    /// [`Capability::ListIds`]: nvisy_shared::domain::connection::Capability::ListIds
    fn gone(
        &self,
        _stream: &Value,
        _external_ids: &[String],
    ) -> impl Future<Output = Result<Vec<String>, CallFailure>> + Send {
        ready(Err(CallFailure::item(FailureCode::SourceRejected, "the source does not tell which objects are gone")))
    }
}

/// A source without its type, as a [`DynSource`].
pub trait ErasedSource: Send + Sync {
    /// As [`Source::check`].
    fn check<'a>(&'a self, stream: Option<&'a Value>) -> BoxFuture<'a, CheckResult>;
    /// As [`Source::discover`].
    fn discover(&self) -> BoxFuture<'_, Result<Vec<Stream>, CallFailure>>;
    /// As [`Source::list`].
    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Box<DynListing>, CallFailure>>;
    /// As [`Source::fetch`].
    fn fetch<'a>(&'a self, object: &'a ListedObject) -> BoxFuture<'a, Result<FetchedObject, CallFailure>>;
    /// As [`Source::look_up_calls`].
    fn look_up_calls(&self, keys: usize) -> usize;
    /// As [`Source::look_up`].
    fn look_up<'a>(
        &'a self,
        stream: &'a Value,
        keys: &'a [String],
        parallel: usize,
    ) -> BoxFuture<'a, Result<Page, CallFailure>>;
    /// As [`Source::gone`].
    fn gone<'a>(
        &'a self,
        stream: &'a Value,
        external_ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<String>, CallFailure>>;
}

/// Any source.
pub type DynSource = dyn ErasedSource;

impl<S: Source> ErasedSource for S {
    fn check<'a>(&'a self, stream: Option<&'a Value>) -> BoxFuture<'a, CheckResult> {
        Box::pin(Source::check(self, stream))
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Stream>, CallFailure>> {
        Box::pin(Source::discover(self))
    }

    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Box<DynListing>, CallFailure>> {
        Box::pin(Source::list(self, request))
    }

    fn fetch<'a>(&'a self, object: &'a ListedObject) -> BoxFuture<'a, Result<FetchedObject, CallFailure>> {
        Box::pin(Source::fetch(self, object))
    }

    fn look_up_calls(&self, keys: usize) -> usize {
        Source::look_up_calls(self, keys)
    }

    fn look_up<'a>(
        &'a self,
        stream: &'a Value,
        keys: &'a [String],
        parallel: usize,
    ) -> BoxFuture<'a, Result<Page, CallFailure>> {
        Box::pin(Source::look_up(self, stream, keys, parallel))
    }

    fn gone<'a>(
        &'a self,
        stream: &'a Value,
        external_ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<String>, CallFailure>> {
        Box::pin(Source::gone(self, stream, external_ids))
    }
}
