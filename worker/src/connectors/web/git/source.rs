//! The source of a connection to a Git repository.

use std::sync::Arc;

use nvisy_shared::domain::{
    connection::{self, web::GitStream},
    failure::FailureCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    object::ObjectId,
    repository::{Reference, Repository},
    tree::{TreeFile, TreeWalk},
};
use crate::{
    connectors::{
        CallFailure, CheckResult, DynListing, DynSource, FetchedObject, ListRequest, ListedObject, Listing,
        OpenConnection, Page, Source, Stream,
        objects::{names, object::check_reading},
        target::step,
    },
    context::Context,
};

/// Files of a page.
const PAGE_FILES: usize = 500;
/// Streams that are discovered.
const MAX_STREAMS: usize = 200;
/// Calls of the first page: abilities, references, trees.
const FIRST_CALLS: u32 = 3;

/// A repository.
struct GitSource(Arc<Repository>);

/// Opens a repository; makes no call.
pub(in crate::connectors) fn open(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    Ok(Box::new(GitSource(Arc::new(Repository::new(cx, connection)?))))
}

fn rejected(reason: impl Into<String>) -> CallFailure {
    CallFailure::item(FailureCode::SourceRejected, reason)
}

fn read_stream(stream: &Value) -> Result<GitStream, CallFailure> {
    let rejected = |problem: String| rejected(format!("`stream` of the source cannot be used: {problem}"));
    let stream: GitStream = connection::read(stream).map_err(|invalid| rejected(invalid.to_string()))?;
    match stream.problems().first() {
        Some(problem) => Err(rejected(problem.to_string())),
        None => Ok(stream),
    }
}

/// The names that a setting may mean, in the order of Git.
fn candidates(reference: &str) -> Vec<String> {
    if reference.is_empty() {
        return vec!["HEAD".to_owned()];
    }
    ["", "refs/", "refs/tags/", "refs/heads/"].map(|prefix| format!("{prefix}{reference}")).to_vec()
}

fn find<'a>(references: &'a [Reference], stream: &GitStream) -> Result<&'a Reference, CallFailure> {
    let named = |name: String| references.iter().find(|reference| reference.name == name);
    candidates(&stream.reference).into_iter().find_map(named).ok_or_else(|| {
        if stream.reference.is_empty() {
            rejected("the repository has no commit on its default branch")
        } else {
            rejected(format!("the repository has no branch or tag `{}`", stream.reference))
        }
    })
}

/// Where a listing goes on: the commit, because a branch can move meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkpoint {
    commit: String,
    /// The last path, as digits, because it need not be UTF-8.
    after: String,
}

/// A listing of the files of a commit.
struct FileListing {
    repository: Arc<Repository>,
    stream: GitStream,
    checkpoint: Option<Checkpoint>,
    /// The cursor of the last sync, if only changes are wanted.
    from: Option<String>,
    open: Option<(ObjectId, TreeWalk)>,
}

impl FileListing {
    /// The commit of the listing. A sync that goes on stays with its commit.
    async fn commit(&self) -> Result<ObjectId, CallFailure> {
        if let Some(checkpoint) = &self.checkpoint {
            return ObjectId::parse(&checkpoint.commit).ok_or_else(|| rejected("the checkpoint cannot be read"));
        }
        let references = self.repository.references(&candidates(&self.stream.reference)).await?;
        find(&references, &self.stream).map(|reference| reference.commit)
    }

    fn cursor(&self, commit: ObjectId) -> String {
        format!("{commit} {}", self.stream.path.trim_matches('/'))
    }
}

impl Listing for FileListing {
    fn max_calls(&self) -> u32 {
        if self.open.is_some() { 1 } else { FIRST_CALLS }
    }

    async fn next(&mut self) -> Result<Page, CallFailure> {
        let mut page = Page::default();
        let (commit, mut walk) = match self.open.take() {
            Some(open) => open,
            None => {
                let commit = self.commit().await?;
                if self.from.as_ref() == Some(&self.cursor(commit)) {
                    page.cursor = self.from.clone().map(Value::from);
                    return Ok(page);
                }
                let trees = self.repository.trees(commit).await?;
                (commit, TreeWalk::new(trees, commit, &self.stream.path)?)
            }
        };
        let after = self.checkpoint.take().and_then(|checkpoint| hex::decode(checkpoint.after).ok());
        let mut last = None;
        while let Some(file) = walk.next()? {
            if after.as_ref().is_some_and(|after| file.path <= *after) {
                continue;
            }
            last = Some(file.path.clone());
            match listed(&self.stream, &file) {
                Ok(object) => page.objects.push(object),
                Err(failure) => page.failures.push(failure),
            }
            if page.objects.len() + page.failures.len() >= PAGE_FILES {
                break;
            }
        }
        match last.filter(|_| page.objects.len() + page.failures.len() >= PAGE_FILES) {
            Some(after) => {
                page.checkpoint = Some(json!(Checkpoint { commit: commit.to_string(), after: hex::encode(after) }));
                self.open = Some((commit, walk));
            }
            None => {
                page.complete = true;
                page.cursor = Some(self.cursor(commit).into());
            }
        }
        Ok(page)
    }
}

/// A file as an object.
fn listed(stream: &GitStream, file: &TreeFile) -> Result<ListedObject, crate::connectors::ObjectFailure> {
    let reference = if stream.reference.is_empty() { "HEAD" } else { &stream.reference };
    // A colon is in no name of a branch.
    let path = String::from_utf8_lossy(&file.path);
    let named = format!("{reference}:{path}");
    if let Some(reason) = names::problem(&path) {
        return Err(names::failure(None, &named, reason));
    }
    let mut metadata = Map::new();
    metadata.insert("sourcePath".to_owned(), path.as_ref().into());
    metadata.insert("sourceRef".to_owned(), reference.into());
    Ok(ListedObject {
        external_id: names::external_id(None, &named),
        name: path.into_owned(),
        revision: file.id.to_string(),
        metadata,
        locator: Some(json!({ "blob": file.id.to_string() })),
        ..ListedObject::default()
    })
}

impl Source for GitSource {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let url = &self.0.settings.url;
        let host = url.host_str().unwrap_or_default();
        let resolved = self.0.client().check_resolved(url).await;
        let address = resolved.map(|()| format!("{host} may be called")).map_err(|failure| failure.to_string());
        let mut steps = vec![step("address", address)];
        if !steps[0].ok {
            return steps;
        }
        let answered = self.0.abilities().await.map(|abilities| match abilities.filter {
            true => "the repository can be read".to_owned(),
            false => "the repository can be read; its server sends all contents with each listing".to_owned(),
        });
        let is_answered = answered.is_ok();
        steps.push(step("answer", answered.map_err(|failure| failure.to_string())));
        if is_answered {
            check_reading(self, stream, &mut steps).await;
        }
        steps
    }

    async fn discover(&self) -> Result<Vec<Stream>, CallFailure> {
        let prefixes = ["HEAD", "refs/heads/", "refs/tags/"].map(str::to_owned);
        let references = self.0.references(&prefixes).await?;
        let streams = references.into_iter().map(|reference| {
            let name = ["refs/heads/", "refs/tags/"].iter().find_map(|prefix| reference.name.strip_prefix(prefix));
            let name = name.unwrap_or(&reference.name).to_owned();
            let settings = if name == "HEAD" { json!({}) } else { json!({ "ref": reference.name }) };
            Stream { name, settings, cursor_fields: Vec::new(), incremental: true }
        });
        Ok(streams.take(MAX_STREAMS).collect())
    }

    async fn list(&self, request: ListRequest) -> Result<Box<DynListing>, CallFailure> {
        let stream = read_stream(&request.stream)?;
        let checkpoint = request.checkpoint.and_then(|checkpoint| serde_json::from_value(checkpoint).ok());
        let from = request.cursor.and_then(|cursor| cursor.as_str().map(str::to_owned));
        Ok(Box::new(FileListing { repository: Arc::clone(&self.0), stream, checkpoint, from, open: None }))
    }

    /// The content by its id: a branch that moves does not change it.
    async fn fetch(&self, object: &ListedObject) -> Result<FetchedObject, CallFailure> {
        let id = object.locator.as_ref().and_then(|locator| ObjectId::parse(locator.get("blob")?.as_str()?));
        let id = id.ok_or_else(|| CallFailure::item(FailureCode::InvalidName, "the file was listed without its id"))?;
        let (blob, _) = self.0.blob(id).await?;
        let content = futures::stream::try_unfold(blob, |mut blob| async move {
            Ok::<_, CallFailure>(blob.piece().await?.map(|piece| (piece, blob)))
        });
        Ok(FetchedObject { content: Box::pin(content), media_type: None })
    }
}
