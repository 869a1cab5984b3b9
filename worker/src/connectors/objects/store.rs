//! Stores that opendal speaks to.

use std::{error::Error as StdError, sync::Arc};

use chrono::DateTime;
use futures::TryStreamExt;
use nvisy_shared::{
    domain::failure::FailureCode,
    outbound::{GuardedClient, OutboundFailure},
};
use opendal::{
    EntryMode, ErrorKind, HttpTransporter, Metadata, OperationContext, Operator,
    options::{ListOptions, ReaderOptions},
};
use reqwest::Url;
use serde_json::Value;

use super::{
    flat::FlatListing,
    look_up::look_up,
    names,
    object::{Facts, check_reading, listed, path_of, step, stream_path},
    read,
    transport::{GuardedTransport, ResponseTooLarge},
    walk::{self, Folder, FolderEntry, Kind, Walk},
};
use crate::{
    connectors::{
        CallFailure, CheckResult, DynListing, FetchedObject, ListRequest, ListedObject, OpenConnection, Page, Source,
        Stream,
    },
    context::Context,
};

/// Largest response that is not the content of an object.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
/// Streams that are discovered.
const MAX_STREAMS: usize = 1_000;

/// A store of objects.
pub(crate) struct ObjectStore {
    /// The bucket, where paths are within one.
    pub(super) container: Option<String>,
    /// Lists, writes and deletes; its responses are bounded.
    pub(super) operator: Operator,
    /// Reads contents.
    reader: Operator,
    transport: GuardedTransport,
    pub(super) client: GuardedClient,
    address: Url,
    connection: OpenConnection,
    has_folders: bool,
}

impl ObjectStore {
    /// The store of an operator. `container` is the bucket, where paths are within one.
    pub(super) fn new(
        cx: &Context,
        connection: &OpenConnection,
        operator: opendal::Result<Operator>,
        (container, address): (Option<String>, Option<Url>),
        has_folders: bool,
    ) -> Result<Arc<Self>, CallFailure> {
        let invalid = |error: opendal::Error| CallFailure::Blocked(error.message().to_owned()).redacted(connection);
        let operator = operator.map_err(invalid)?;
        let address = address.ok_or_else(|| CallFailure::Blocked("the connection has no address".to_owned()))?;
        let transport = GuardedTransport::new(cx.outbound.clone(), MAX_ANSWER_BYTES);
        let with = |transport: GuardedTransport| {
            let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
            operator.clone().with_context(context)
        };
        Ok(Arc::new(Self {
            container,
            operator: with(transport.clone()),
            reader: with(GuardedTransport::new(cx.outbound.clone(), u64::MAX)),
            transport,
            client: cx.outbound.clone(),
            address,
            connection: connection.clone(),
            has_folders,
        }))
    }

    pub(super) fn redacted(&self, failure: CallFailure) -> CallFailure {
        failure.redacted(&self.connection)
    }

    pub(super) fn facts(&self, metadata: &Metadata) -> Facts {
        let time = metadata.last_modified().map(|time| time.into_inner().as_millisecond());
        let etag = metadata.etag().filter(|etag| !etag.is_empty());
        Facts {
            bytes: Some(metadata.content_length()),
            modified: time.and_then(DateTime::from_timestamp_millis),
            etag: etag.map(str::to_owned),
            // Others name versions of single objects and not in listings, so that an object would seem changed.
            version: metadata.version().filter(|_| self.has_versions()).map(str::to_owned),
            media_type: metadata.content_type().map(str::to_owned),
            permissions: None,
        }
    }

    /// Whether a version says what content it is, in listings, of single objects, and as the condition of a read.
    fn has_versions(&self) -> bool {
        self.reader.info().capability().read_with_if_version_match
    }

    /// What an error means, wherever it occurs; `None`: that depends on the call.
    fn general_failure(&self, error: &opendal::Error) -> Option<CallFailure> {
        let message = || error.message().to_owned();
        let failure = match error.kind() {
            ErrorKind::RateLimited => {
                let retry_after = self.transport.take_retry_after();
                CallFailure::Busy { retry_after, reason: message() }
            }
            ErrorKind::ConfigInvalid | ErrorKind::Unsupported => CallFailure::Blocked(message()),
            ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::ConditionNotMatch => return None,
            _ => match (cause::<OutboundFailure>(error), cause::<ResponseTooLarge>(error)) {
                (Some(failure), _) => failure.clone().into(),
                (None, Some(too_large)) => CallFailure::item(FailureCode::SourceRejected, too_large.to_string()),
                (None, None) if is_about_credentials(&message()) => CallFailure::Blocked(message()),
                (None, None) => CallFailure::Unavailable(message()),
            },
        };
        Some(failure.redacted(&self.connection))
    }

    /// What the failure of a call means that is not about one object.
    pub(super) fn failed(&self, error: &opendal::Error) -> CallFailure {
        let failure = self.general_failure(error);
        failure.unwrap_or_else(|| CallFailure::Blocked(error.message().to_owned()).redacted(&self.connection))
    }

    /// What the failed read of an object means. A denial is the object's, unless nothing can be listed either.
    async fn read_failed(&self, error: &opendal::Error) -> CallFailure {
        if let Some(failure) = self.general_failure(error) {
            return failure;
        }
        match error.kind() {
            ErrorKind::ConditionNotMatch => read::changed(),
            ErrorKind::PermissionDenied if is_about_credentials(error.message()) => self.failed(error),
            ErrorKind::PermissionDenied => match self.first_page().await {
                Err(failure) => failure,
                Ok(()) => CallFailure::item(FailureCode::SourceMissing, "the store does not allow reading the object"),
            },
            _ => match self.first_page().await {
                Err(failure) => failure,
                Ok(()) => CallFailure::item(FailureCode::SourceMissing, "the object is gone since it was listed"),
            },
        }
    }

    /// Looks whether the store can be listed.
    async fn first_page(&self) -> Result<(), CallFailure> {
        let options = ListOptions { limit: Some(1), ..ListOptions::default() };
        let mut lister = self.operator.lister_options("/", options).await.map_err(|error| self.failed(&error))?;
        match lister.try_next().await {
            Err(error) if cause::<ResponseTooLarge>(&error).is_none() => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }
}

/// The error of this type behind an error.
fn cause<T: StdError + 'static>(error: &opendal::Error) -> Option<&T> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref() {
            return Some(failure);
        }
        if let Some(inner) = error.downcast_ref::<opendal::Error>() {
            return self::cause(inner);
        }
        cause = error.source();
    }
    None
}

/// Whether a store's message says that credentials are not valid (any more): some stores do so with a status of other errors.
fn is_about_credentials(message: &str) -> bool {
    let words = [
        "ExpiredToken",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "TokenRefreshRequired",
        "AuthenticationFailed",
        "AuthorizationHeaderMalformed",
        "InvalidSecurity",
        "invalid_grant",
    ];
    words.iter().any(|word| message.contains(word))
}

/// Reads a store.
pub(super) struct StoreSource(pub(super) Arc<ObjectStore>);

impl Folder for ObjectStore {
    async fn entries(&self, path: &str) -> Result<Vec<FolderEntry>, CallFailure> {
        let listed_path = if path.is_empty() { "/".to_owned() } else { format!("{path}/") };
        let failed = |error: opendal::Error| match (self.general_failure(&error), error.kind()) {
            _ if cause::<ResponseTooLarge>(&error).is_some() => walk::too_many_entries(path),
            (Some(failure), _) => failure,
            (None, ErrorKind::NotFound) => CallFailure::item(FailureCode::SourceMissing, "the folder does not exist"),
            (None, _) if path.is_empty() => self.failed(&error),
            (None, _) => CallFailure::item(FailureCode::SourceRejected, "the store does not allow listing the folder"),
        };
        let mut lister = self.operator.lister_options(&listed_path, ListOptions::default()).await.map_err(failed)?;
        let mut entries = Vec::new();
        while let Some(entry) = lister.try_next().await.map_err(failed)? {
            let (entry_path, metadata) = entry.into_parts();
            if entry_path == listed_path {
                continue;
            }
            let name = entry_path.strip_prefix(listed_path.trim_start_matches('/')).unwrap_or(&entry_path);
            let kind = if metadata.mode() == EntryMode::DIR { Kind::Folder } else { Kind::File };
            let name = name.trim_end_matches('/').to_owned();
            entries.push(FolderEntry { name, kind, facts: self.facts(&metadata) });
        }
        Ok(entries)
    }
}

impl Source for StoreSource {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let store = &self.0;
        let host = store.address.host_str().unwrap_or_default();
        let address = store.client.check_host(&store.address).map(|()| format!("{host} may be called"));
        let mut steps = vec![step("address", address.map_err(CallFailure::from))];
        if steps[0].ok {
            check_reading(self, stream, &mut steps).await;
        }
        steps
    }

    async fn discover(&self) -> Result<Vec<Stream>, CallFailure> {
        let store = &self.0;
        let all = store.container.clone().unwrap_or_else(|| "/".to_owned());
        let mut streams = vec![walk::stream(&all, "")];
        let mut lister =
            store.operator.lister_options("/", ListOptions::default()).await.map_err(|error| store.failed(&error))?;
        while let Some(entry) = lister.try_next().await.map_err(|error| store.failed(&error))? {
            let path = entry.path().trim_end_matches('/');
            if entry.metadata().mode() == EntryMode::DIR && !path.is_empty() && names::problem(path).is_none() {
                streams.push(walk::stream(path, path));
            }
            if streams.len() >= MAX_STREAMS {
                break;
            }
        }
        Ok(streams)
    }

    async fn list(&self, request: ListRequest) -> Result<Box<DynListing>, CallFailure> {
        let path = stream_path(&request.stream)?;
        let store = Arc::clone(&self.0);
        Ok(if store.has_folders {
            Box::new(Walk::new(store, path, request.checkpoint))
        } else {
            Box::new(FlatListing::new(store, path, request.checkpoint))
        })
    }

    fn look_up_calls(&self, keys: usize) -> usize {
        keys + 1
    }

    async fn look_up(&self, stream: &Value, keys: &[String], parallel: usize) -> Result<Page, CallFailure> {
        let path = stream_path(stream)?;
        // Of a bucket that is gone nothing is there, and nothing is deleted.
        self.0.first_page().await?;
        look_up(&self.0, &path, keys, parallel).await
    }

    async fn fetch(&self, object: &ListedObject) -> Result<FetchedObject, CallFailure> {
        let store = Arc::clone(&self.0);
        let path = path_of(object)?.to_owned();
        let can = store.reader.info().capability();
        let known = |name: &str| object.locator.as_ref().and_then(|locator| locator.get(name)?.as_str());
        let version = known("version").filter(|_| store.has_versions());
        // A tag that is weak, or not a tag of HTTP, never matches this condition.
        let etag = known("etag").filter(|etag| version.is_none() && etag.starts_with('"') && can.read_with_if_match);
        let is_conditional = version.is_some() || etag.is_some();
        let options = ReaderOptions {
            if_match: etag.map(str::to_owned),
            if_version_match: version.map(str::to_owned),
            ..ReaderOptions::default()
        };
        let reader = match store.reader.reader_options(&path, options).await {
            Ok(reader) => reader,
            Err(error) => return Err(store.read_failed(&error).await),
        };
        let content = match reader.into_bytes_stream(..).await {
            Ok(content) => content,
            Err(error) => return Err(store.read_failed(&error).await),
        };
        let failing = Arc::clone(&store);
        let content = content.or_else(move |error| {
            let store = Arc::clone(&failing);
            async move {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<opendal::Error>());
                Err(match inner {
                    Some(error) => store.read_failed(error).await,
                    None => CallFailure::Unavailable("the object cannot be read to its end".to_owned()),
                })
            }
        });
        let revision = object.revision.clone();
        let last = async move {
            if is_conditional {
                return Ok(());
            }
            let now = match store.operator.stat(&path).await {
                Ok(metadata) => listed(store.container.as_deref(), &path, store.facts(&metadata)),
                Err(error) => return Err(store.read_failed(&error).await),
            };
            if now.revision == revision { Ok(()) } else { Err(read::changed()) }
        };
        Ok(FetchedObject { content: read::checked(content, object.bytes, last), media_type: None })
    }
}
