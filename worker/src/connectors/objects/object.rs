//! Objects as all stores list them, streams, and the steps of checks.

use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use nvisy_shared::domain::{
    connection::{self, CheckStep, objects::ObjectStream},
    failure::FailureCode,
};
use serde_json::{Map, Value, json};

use super::names;
use crate::connectors::{
    failure::CallFailure,
    source::{CheckResult, DynSource, ListRequest, ListedObject},
};

/// Objects of a page.
pub(super) const PAGE_OBJECTS: usize = 500;

/// The facts about an object in its listing.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) bytes: Option<u64>,
    pub(super) modified: Option<DateTime<Utc>>,
    /// What the store says changes with the content.
    pub(super) etag: Option<String>,
    /// What the store names this content by, for as long as it is the newest.
    pub(super) version: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) permissions: Option<Permissions>,
}

/// Who may read a file. Each entry of a folder has them while it is listed, so they are small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Permissions {
    pub(super) owner: Option<Principal>,
    pub(super) group: Option<Principal>,
    /// The mode of the file, of which the lowest 12 bits count.
    pub(super) mode: Option<u32>,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Principal {
    Id(u32),
    Name(Box<str>),
}

impl Permissions {
    fn to_json(&self) -> Value {
        let text = |principal: &Option<Principal>| {
            principal.as_ref().map(|principal| match principal {
                Principal::Id(id) => id.to_string(),
                Principal::Name(name) => name.to_string(),
            })
        };
        let mode = self.mode.map(|mode| format!("{:04o}", mode & 0o7777));
        json!({ "owner": text(&self.owner), "group": text(&self.group), "mode": mode })
    }
}

/// The object at a path. `container` is a bucket, where the path is within one.
pub(super) fn listed(container: Option<&str>, path: &str, facts: Facts) -> ListedObject {
    let Facts { bytes, modified, etag, version, media_type, permissions } = facts;
    let modified_at = modified.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
    let revision = match (version.as_ref().or(etag.as_ref()), &modified_at, bytes) {
        (Some(etag), _, _) => etag.clone(),
        (None, time, bytes) => {
            format!(
                "{} {}",
                time.as_deref().unwrap_or_default(),
                bytes.map_or_else(String::new, |bytes| bytes.to_string())
            )
        }
    };
    let mut metadata = Map::new();
    metadata.insert("sourcePath".to_owned(), path.into());
    if let Some(time) = modified_at {
        metadata.insert("sourceModifiedAt".to_owned(), time.into());
    }
    ListedObject {
        external_id: names::external_id(container, path),
        name: path.to_owned(),
        revision,
        bytes,
        modified,
        media_type,
        metadata,
        acl: permissions.map(|permissions| permissions.to_json()),
        locator: Some(json!({ "path": path, "etag": etag, "version": version })),
        ..ListedObject::default()
    }
}

/// The path of an object that [`listed`] has made.
pub(super) fn path_of(object: &ListedObject) -> Result<&str, CallFailure> {
    let path = object.locator.as_ref().and_then(|locator| locator.get("path")?.as_str());
    path.ok_or_else(|| CallFailure::item(FailureCode::InvalidName, "the object was listed without its path"))
}

/// The path of a stream: without `/` at its ends.
pub(super) fn stream_path(stream: &Value) -> Result<String, CallFailure> {
    let stream: ObjectStream = connection::read(stream)
        .map_err(|error| CallFailure::item(FailureCode::SourceRejected, format!("`stream`: {error}")))?;
    let path = stream.path.trim_matches('/');
    match names::problem(path).filter(|_| !path.is_empty()) {
        Some(reason) => Err(CallFailure::item(FailureCode::SourceRejected, format!("`stream.path` {reason}"))),
        None => Ok(path.to_owned()),
    }
}

/// The result of a step.
pub(super) fn step(name: &str, result: Result<String, CallFailure>) -> CheckStep {
    let ok = result.is_ok();
    let detail = match result {
        Ok(detail) => detail,
        Err(failure) => failure.to_string(),
    };
    CheckStep::new(name, ok, detail)
}

/// The steps that list a stream of a store, by default the whole one, and read the beginning of its first object.
pub(in crate::connectors) async fn check_reading(source: &DynSource, stream: Option<&Value>, steps: &mut CheckResult) {
    let stream = stream.cloned().unwrap_or_else(|| json!({}));
    let page = match source.list(ListRequest { stream, ..ListRequest::default() }).await {
        Ok(mut listing) => listing.next().await,
        Err(failure) => Err(failure),
    };
    let page = match page {
        Ok(page) => page,
        Err(failure) => return steps.push(step("list", Err(failure))),
    };
    let more = if page.checkpoint.is_some() { " or more" } else { "" };
    steps.push(step("list", Ok(format!("{}{more} objects are listed", page.objects.len()))));
    let Some(object) = page.objects.iter().find(|object| object.bytes != Some(0)) else { return };
    let first = async {
        let mut content = source.fetch(object).await?.content;
        content.try_next().await
    };
    let read =
        first.await.map(|bytes| format!("an object is read: {} bytes at once", bytes.map_or(0, |bytes| bytes.len())));
    steps.push(step("read", read));
}
